import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Policy } from '../../src/core/config/shapes.ts'
import { modelBucket } from '../../src/core/limits/estimate.ts'
import { type Caller, CHAT, clientOf, documentOf, linesOf, messages, tokensOf } from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy, zone } from './probe.ts'
import { findEngines } from './setups.ts'

/** The name under which the server answers, whatever it is asked by. */
const SERVED = 'big-1'

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

type Asked = { stream?: boolean; tokens?: number; served?: string | null }

/** A server that takes any name and answers under its own: ten tokens of a prompt, and as many as it is asked for. */
function startServer(bodies: string[]): Promise<Server> {
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    bodies.push(text)
    const asked = JSON.parse(text) as Asked
    const last = asked.tokens ?? 20
    const model = asked.served === null ? {} : { model: asked.served ?? SERVED }
    const usageOf = (count: number) => ({
      usage: { prompt_tokens: 10, completion_tokens: count, total_tokens: 10 + count },
    })
    const choice = { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'x' } }
    if (!asked.stream) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ ...model, choices: [choice], ...usageOf(last) }))
      return
    }
    response.setHeader('content-type', 'text/event-stream')
    for (let count = 1; count <= last && !response.destroyed; count++) {
      const choices = [{ index: 0, delta: { content: 'x' }, finish_reason: null }]
      response.write(
        `data: ${JSON.stringify({ object: 'chat.completion.chunk', ...model, choices, ...usageOf(count) })}\n\n`,
      )
      if (count % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    response.end('data: [DONE]\n\n')
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

describe.skipIf(isNearMidnight).each(await findEngines())('$name', (setup) => {
  const cost = { costPerDay: 100 }
  const callers: { [name: string]: Caller } = {
    paid: clientOf({ budgets: cost }),
    month: clientOf({ budgets: { costPerMonth: 100 } }),
    group: clientOf({ group: 'team' }),
    tokens: clientOf({ budgets: { tokensPerDay: 1_000_000 } }),
    shadow: clientOf({ budgets: cost, shadow: true }),
    stream: clientOf({ budgets: { costPerDay: 0.01, hard: true } }),
    spent: clientOf({ budgets: { costPerDay: 0.001 } }),
    agent: clientOf({ limits: { tokensPerMinute: 20_000 } }),
    learns: clientOf({ limits: { tokensPerMinute: 20_000 } }),
    daily: clientOf({ budgets: { tokensPerDay: 20 } }),
    hard: clientOf({ budgets: { tokensPerDay: 300, hard: true } }),
    ceiling: clientOf({ request: { maxInputTokens: 5, maxOutputTokens: 5, excess: 'refuse' } }),
  }
  const policy: Policy = {
    version: 1,
    // A million tokens of the big model are 100 of what the small one is.
    prices: { 'big-*': { input: 100, output: 100 }, small: { input: 1, output: 1 } },
    groups: { team: { budgets: cost } },
  }
  const bodies: string[] = []
  let server: Server
  let gate: Gate

  beforeAll(async () => {
    server = await startServer(bodies)
    const { port } = server.address() as AddressInfo
    gate = await startGate(
      setup,
      probed({ policy, clients: documentOf(callers), upstreamServer: `127.0.0.1:${port}` }),
    )
    gate.expectErrors(/Tollgate has ended this stream: cut_budget/)
  })
  afterAll(async () => {
    await gate.stop()
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => void bodies.splice(0))

  async function ask(name: string, fields: object, path = CHAT) {
    const key = (callers[name] as Caller).secret
    const answer = await gate.call(path, { key, body: JSON.stringify({ messages, ...fields }) })
    const text = await answer.text()
    const error = answer.ok
      ? null
      : (JSON.parse(text) as { error: { code: string; param: string; message: string } }).error
    return { status: answer.status, headers: answer.headers, text, error }
  }

  describe('I: what an answer costs', () => {
    test.each([
      ['what is served, whatever was asked', { model: 'small' }, 0.003],
      ['of a stream too', { model: 'small', stream: true }, 0.003],
      [
        'what was asked, where what is served has no price',
        { model: 'small', served: 'x' },
        0.00003,
      ],
      ['what was asked, where the server does not tell', { model: 'small', served: null }, 0.00003],
    ])('%s', async (_, fields, expected) => {
      const before = (await linesOf(gate, 'paid')).length
      expect((await ask('paid', fields)).status).toBe(200)
      const line = (await linesOf(gate, 'paid', before + 1)).at(-1)
      expect(line).toMatchObject({ model: 'small', promptTokens: 10, completionTokens: 20 })
      expect(line?.['cost']).toBeCloseTo(expected, 12)
    })

    test('a hard budget ends a stream by the price of what is served', async () => {
      const answer = await ask('stream', { model: 'small', stream: true, tokens: 5000 })
      expect(answer.status).toBe(200)
      const [line] = await linesOf(gate, 'stream', 1)
      expect(line).toMatchObject({ outcome: 'cut_budget', served: SERVED })
      expect(line?.['cost']).toBeLessThanOrEqual(0.01)
      expect(line && tokensOf(line)).toBeGreaterThan(90)
    })
  })

  describe('I: a model without a price', () => {
    const bodiesOf: [string, object][] = [
      ['none', {}],
      ['null', { model: null }],
      ['empty', { model: '' }],
      ['anything', { model: 'anything' }],
    ]
    const paths = [CHAT, '/v1/completions', '/v1/responses', '/v1/embeddings', '/v1/rerank']

    test.each(bodiesOf)('is refused under a budget in cost: %s', async (_, fields) => {
      for (const path of paths) {
        const prompt = { prompt: 'one', input: 'one', query: 'one', documents: ['two'] }
        const { status, error, headers } = await ask('paid', { ...prompt, ...fields }, path)
        expect([path, status, error]).toMatchObject([
          path,
          400,
          { code: 'parameter_denied', param: 'model', type: 'invalid_request_error' },
        ])
        expect(error?.message).toMatch(/has no price: name one that has/)
        expect(headers.get('x-should-retry')).toBe('false')
      }
      expect(bodies).toEqual([])
      expect(await heldBy(gate, 'paid')).toEqual([0, 0, 0])
    })

    test.each(['month', 'group'])('so it is under that of a %s', async (name) => {
      expect((await ask(name, {})).status).toBe(400)
      const [line] = await linesOf(gate, name, 1)
      expect(line).toMatchObject({ outcome: 'parameter_denied' })
      expect(line?.['limit']).toMatch(/^costPer(Day of group|Month of client)$/)
    })

    test('is refused of a message in the words of its SDK', async () => {
      const { status, text } = await ask('paid', { max_tokens: 5 }, '/v1/messages')
      expect([status, JSON.parse(text)]).toMatchObject([
        400,
        { type: 'error', error: { type: 'invalid_request_error' } },
      ])
    })

    test('is nobody’s business without such a budget', async () => {
      expect((await ask('tokens', { model: 'anything' })).status).toBe(200)
      expect((await ask('paid', { model: 'anything' }, '/v1/messages/count_tokens')).status).toBe(
        200,
      )
    })

    test('is told in shadow, and goes through', async () => {
      expect((await ask('shadow', { model: 'anything', served: 'x' })).status).toBe(200)
      const [line] = await linesOf(gate, 'shadow', 1)
      expect(line).toMatchObject({ outcome: 'ok', shadow: 'parameter_denied' })
    })

    test('does not hide that the budget is spent', async () => {
      expect((await ask('spent', { model: 'small' })).status).toBe(200)
      await linesOf(gate, 'spent', 1)
      expect((await usedBy(gate, 'spent'))[2]).toBe(3_000_000)
      const { status, error, headers } = await ask('spent', { model: 'anything' })
      expect([status, error?.code]).toEqual([429, 'insufficient_quota'])
      expect(error?.message).toBe(
        'Your daily cost budget of 0.001 is spent; it renews at 00:00 +00:00',
      )
      expect(headers.get('x-should-retry')).toBe('false')
    })

    test('has one where the policy says which model it is', async () => {
      await gate.setPolicy({ ...policy, defaultModel: 'small' })
      expect((await ask('paid', { served: null })).status).toBe(200)
      const line = (await linesOf(gate, 'paid')).at(-1)
      expect(line?.['cost']).toBeCloseTo(0.00003, 12)
      expect((await ask('paid', { model: 'anything' })).status).toBe(400)
      await gate.setPolicy({
        ...policy,
        prices: { ...policy.prices, '*': { input: 1, output: 1 } },
      })
      expect((await ask('paid', { model: 'anything' })).status).toBe(200)
      await gate.setPolicy(policy)
    })
  })

  describe('S: a maximum above a limit', () => {
    test('of the minute is admitted as it is, and what was used makes the next one wait', async () => {
      const fields = { model: 'small', max_tokens: 32_000, tokens: 25_000 }
      const first = await ask('agent', fields)
      expect(first.status).toBe(200)
      expect(JSON.parse(bodies[0] ?? '')).toEqual({ messages, ...fields })
      const [line] = await linesOf(gate, 'agent', 1)
      expect(line?.['reservedTokens']).toBeLessThan(1200)
      const next = await ask('agent', { ...fields, max_tokens: 1 })
      expect([next.status, next.error?.code]).toEqual([429, 'rate_limit_exceeded'])
      expect(next.error?.message).toMatch(
        /^Rate limit reached: 20,000 tokens a minute for this client; retry in \d+ s$/,
      )
      expect(Number(next.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(bodies).toHaveLength(1)
    })

    test('is taken for what answers of the model have had', async () => {
      const reserved: number[] = []
      const average = async () => (await zone(gate, 'counters'))[`l${modelBucket('learned')}`]
      for (let i = 1; i <= 3; i++) {
        const before = await average()
        expect((await ask('learns', { model: 'learned', max_tokens: 32_000 })).status).toBe(200)
        reserved.push(Number((await linesOf(gate, 'learns', i)).at(-1)?.['reservedTokens']))
        await until('housekeeping to learn', async () => (await average()) !== before)
      }
      const [first = 0, second = 0, third = 0] = reserved
      expect(first).toBeGreaterThan(1024)
      // From 1,024 a tenth of the way to 20, each time.
      expect(first - second).toBeGreaterThan(90)
      expect(second - third).toBeGreaterThan(80)
    })

    test('of a day is admitted until it is spent, which is told', async () => {
      const fields = { model: 'small', max_tokens: 32_000 }
      expect((await ask('daily', fields)).status).toBe(200)
      await linesOf(gate, 'daily', 1)
      const { status, error, headers } = await ask('daily', fields)
      expect([status, error?.code]).toEqual([429, 'insufficient_quota'])
      expect(error?.message).toBe(
        'Your daily budget of 20 tokens is spent; it renews at 00:00 +00:00',
      )
      expect(headers.get('x-should-retry')).toBe('false')
    })
  })

  describe('S: what can never fit names its parameter', () => {
    const long = 'word '.repeat(100)
    test.each([
      ['messages', CHAT, { messages: [{ role: 'user', content: long }] }],
      ['prompt', '/v1/completions', { prompt: long, messages: undefined }],
      ['input', '/v1/responses', { input: long, messages: undefined }],
      ['input', '/v1/embeddings', { input: long, messages: undefined }],
      ['n', CHAT, { n: 16, max_tokens: 2 }],
      ['prompt', '/v1/completions', { prompt: Array(16).fill('a'), messages: undefined }],
    ])('%s on %s', async (param, path, fields) => {
      const { status, error } = await ask('hard', { model: 'small', ...fields }, path)
      expect([status, error]).toMatchObject([400, { code: 'parameter_denied', param }])
      expect(error?.message).toMatch(/^Your daily budget of 300 tokens can never hold /)
      expect(bodies).toEqual([])
    })

    test.each([
      ['messages', { messages: [{ role: 'user', content: long }] }],
      ['max_completion_tokens', { max_completion_tokens: 6 }],
    ])('a ceiling of one request: %s', async (param, fields) => {
      const { error } = await ask('ceiling', { model: 'small', messages: [], ...fields })
      expect(error).toMatchObject({ code: 'parameter_denied', param })
    })
  })
})
