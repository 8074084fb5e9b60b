import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Client, Policy } from '../../src/core/config/shapes.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, messages } from './clients.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy } from './probe.ts'
import { findEngines } from './setups.ts'
import { get, send } from './wire.ts'

/** What each route is asked, with a maximum where it takes one. */
const bodies: { [path: string]: object } = {
  [CHAT]: { messages, max_tokens: 20 },
  '/v1/completions': { prompt: 'one two three', max_tokens: 20 },
  '/v1/responses': { input: 'one two three', max_output_tokens: 20 },
  '/v1/messages': { messages, max_tokens: 20 },
  '/v1/embeddings': { input: 'one two three' },
  '/v1/score': { text_1: 'one two', text_2: 'three' },
  '/v1/rerank': { query: 'one', documents: ['two three'] },
}
const paths = Object.keys(bodies)
const nameOf = (path: string) => path.slice(4).replaceAll('/', '_')

const bodyOf = (path: string, fields: object = {}) => ({
  model: MODEL,
  ...bodies[path],
  mock: 'prompt:3,tokens:7',
  ...fields,
})

/** Every limit that refuses all, and what the caller is told. */
const RATE = 'rate_limit_exceeded'
const QUOTA = 'insufficient_quota'
const refusals: [name: string, client: Partial<Client>, code: string, words: string][] = [
  ['requestsPerMinute', { limits: { requestsPerMinute: 0 } }, RATE, '0 requests a minute'],
  ['tokensPerMinute', { limits: { tokensPerMinute: 0 } }, RATE, '0 tokens a minute'],
  [
    'inputTokensPerMinute',
    { limits: { inputTokensPerMinute: 0 } },
    RATE,
    '0 input tokens a minute',
  ],
  ['concurrency', { limits: { concurrency: 0 } }, RATE, '0 requests at once'],
  ['tokensPerDay', { budgets: { tokensPerDay: 0 } }, QUOTA, 'daily budget of 0 tokens is spent'],
  [
    'tokensPerMonth',
    { budgets: { tokensPerMonth: 0 } },
    QUOTA,
    'monthly budget of 0 tokens is spent',
  ],
  ['costPerDay', { budgets: { costPerDay: 0 } }, QUOTA, 'daily cost budget of 0 is spent'],
  ['costPerMonth', { budgets: { costPerMonth: 0 } }, QUOTA, 'monthly cost budget of 0 is spent'],
  [
    'hard',
    { budgets: { tokensPerDay: 0, hard: true } },
    QUOTA,
    'daily budget of 0 tokens is spent',
  ],
]

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

describe.skipIf(isNearMidnight).each(await findEngines())('$name', (setup) => {
  const policy: Policy = {
    version: 1,
    prices: {
      'priced-*': { input: 1, output: 1 },
      free: { input: 0, output: 0 },
      [MODEL]: { input: 1, output: 1 },
    },
  }
  const refused = Object.fromEntries(refusals.map(([name, client]) => [name, clientOf(client)]))
  const routed = Object.fromEntries(
    paths.map((path) => [nameOf(path), clientOf({ limits: { tokensPerMinute: 60 } })]),
  )
  const callers = {
    late: clientOf({ limits: { tokensPerMinute: 100 } }),
    lateBudget: clientOf({ budgets: { tokensPerDay: 10 } }),
    team: clientOf({ budgets: { tokensPerDay: 2000 } }),
    unpriced: clientOf({ budgets: { tokensPerDay: 100, costPerDay: 100 } }),
    free: clientOf({ budgets: { tokensPerDay: 100, costPerDay: 100 } }),
    small: clientOf({ limits: { tokensPerMinute: 60 }, budgets: { tokensPerDay: 80 } }),
    ...refused,
    ...routed,
  }
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, probed({ workers: 2, policy, clients: documentOf(callers) }))
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  const ask = (key: string, path: string, fields?: object) =>
    gate.call(path, { key, body: JSON.stringify(bodyOf(path, fields)) })

  describe('“A refused request is a 503 (apisix), a 403 text/plain (higress), an empty 429 (one-api), a 402 (bifrost)”', () => {
    test.each(refusals)('here a 429 that SDKs read: %s', async (name, _, code, words) => {
      const key = refused[name]?.secret ?? ''
      for (const path of paths) {
        const answer = await ask(key, path)
        expect([path, answer.status]).toEqual([path, 429])
        expect(answer.headers.get('content-type')).toBe('application/json')
        const body = (await answer.json()) as { error: { message: string } }
        expect(body.error.message).toContain(words)
        const isAnthropic = path === '/v1/messages'
        if (isAnthropic)
          expect(body).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } })
        else expect(body).toMatchObject({ error: { code, param: null } })
        const isRate = code === 'rate_limit_exceeded'
        expect(answer.headers.get('x-should-retry')).toBe(isRate ? null : 'false')
        expect(answer.headers.has('retry-after')).toBe(isRate)
        expect(answer.headers.has('retry-after-ms')).toBe(isRate)
        expect(answer.headers.get(isAnthropic ? 'request-id' : 'x-request-id')).toMatch(/^\w{32}$/)
      }
    })
  })

  test('“A 429 swallowed by the gateway’s own except”: what is refused never reaches the server', async () => {
    for (const [name] of refusals) {
      const key = refused[name]?.secret ?? ''
      const before = (await linesOf(gate, name)).length
      // Streams, changed bodies and plain ones go different ways through the gate.
      const kinds = [
        { stream: true },
        { stream: true, stream_options: { include_usage: true } },
        {},
      ]
      for (const fields of kinds) expect((await ask(key, CHAT, fields)).status).toBe(429)
      const lines = (await linesOf(gate, name, before + 3)).slice(before)
      const limit = `${name === 'hard' ? 'tokensPerDay' : name} of client`
      expect(lines.map((line) => [line['status'], line['limit']])).toEqual(
        lines.map(() => [429, limit]),
      )
      expect(lines.some((line) => 'upstream' in line || 'promptTokens' in line)).toBe(false)
      expect(await heldBy(gate, name)).toEqual([0, 0, 0])
    }
    expect(gate.mock.log()).toEqual([])
  })

  test('“always one late” (higress#2464): the very next one is refused, and uses nothing', async () => {
    // With the prompt each reserves somewhat more than 60, and uses the whole of 60.
    const body = chatOf('prompt:40,tokens:60', { max_tokens: 60 })
    const call = (name: 'late' | 'lateBudget') =>
      get(gate, CHAT, { key: callers[name].secret, body })
    expect((await call('late')).status).toBe(200)
    await linesOf(gate, 'late', 1)
    expect([(await call('late')).status, (await call('late')).status]).toEqual([429, 429])
    const short = chatOf('prompt:3,tokens:7', { max_tokens: 7 })
    const budget = () => get(gate, CHAT, { key: callers.lateBudget.secret, body: short })
    expect((await budget()).status).toBe(200)
    await linesOf(gate, 'lateBudget', 1)
    expect([(await budget()).status, (await budget()).status]).toEqual([429, 429])
    expect(gate.mock.log()).toHaveLength(2)
    expect((await usedBy(gate, 'lateBudget'))[0]).toBe(10)
  })

  test('what is only reserved is no spent budget (litellm PR#27509)', async () => {
    const { secret: key } = callers.team
    const body = chatOf('prompt:3,tokens:100000,itl:20', { stream: true, max_tokens: 1990 })
    const call = send(gate, CHAT, { key, body })
    onTestFinished(() => void call.abort())
    expect((await call.answer).status).toBe(200)
    const refusal = await get(gate, CHAT, { key, body: chatOf('tokens:2', { max_tokens: 2 }) })
    expect(refusal.status).toBe(429)
    // It is a matter of a moment, and so is told as a rate.
    expect(JSON.parse(refusal.bytes.toString()).error.code).toBe('rate_limit_exceeded')
    expect(refusal.headers['x-should-retry']).toBeUndefined()
    expect((await heldBy(gate, 'team'))[1]).toBeGreaterThan(1900)
    expect((await usedBy(gate, 'team'))[0]).toBeUndefined()
    call.abort()
    await until('the reservation to go', async () => (await heldBy(gate, 'team'))[1] === 0)
    const next = await get(gate, CHAT, { key, body: chatOf('tokens:2', { max_tokens: 2 }) })
    expect(next.status).toBe(200)
  })

  test('an unknown price is no free pass (litellm#35524): it is refused, and holds nothing', async () => {
    const { secret: key } = callers.unpriced
    const body = chatOf('prompt:3,tokens:20', { max_tokens: 70, model: 'unpriced' })
    const refusal = await get(gate, CHAT, { key, body })
    expect([refusal.status, JSON.parse(refusal.bytes.toString())]).toMatchObject([
      400,
      { error: { code: 'parameter_denied', param: 'model' } },
    ])
    expect(gate.mock.log()).toEqual([])
    expect(await heldBy(gate, 'unpriced')).toEqual([0, 0, 0])
    expect((await get(gate, CHAT, { key, body: { ...body, model: MODEL } })).status).toBe(200)
  })

  test('tokens are reserved where the price is none (litellm#35524)', async () => {
    const { secret: key } = callers.free
    const body = chatOf('prompt:3,tokens:20,itl:30', { max_tokens: 70 })
    const lora = { ...body, model: 'free', mock: 'prompt:3,hang' }
    const call = send(gate, CHAT, { key, body: lora })
    onTestFinished(() => void call.abort())
    await until('it at the mock', () => gate.mock.log().length === 1)
    const [, tokens = 0, cost = 0] = await heldBy(gate, 'free')
    expect(tokens).toBeGreaterThan(70)
    // Nothing but the mark of one that runs.
    expect(cost).toBe(1)
    expect((await get(gate, CHAT, { key, body: { ...lora, max_tokens: 90 } })).status).toBe(429)
    call.abort()
    await until('all to be free', async () => (await heldBy(gate, 'free'))[1] === 0)
    expect((await get(gate, CHAT, { key, body })).status).toBe(200)
  })

  test('without max_tokens a small limit admits, again and again (litellm#29193)', async () => {
    const { secret: key } = callers.small
    const call = () => get(gate, CHAT, { key, body: chatOf('prompt:3,tokens:2') })
    for (let i = 1; i <= 3; i++) {
      expect((await call()).status).toBe(200)
      await linesOf(gate, 'small', i)
    }
  })

  test.each(paths)(
    '%s is limited in tokens as all routes are (litellm#17706, #27738)',
    async (path) => {
      const name = nameOf(path)
      const key = routed[name]?.secret ?? ''
      let used = 0
      let status = 200
      for (let i = 1; i < 30 && status === 200; i++) {
        status = (await ask(key, path)).status
        const line = (await linesOf(gate, name, i)).at(-1)
        used += Number(line?.['promptTokens'] ?? 0) + Number(line?.['completionTokens'] ?? 0)
        await sleep(0)
      }
      expect(status).toBe(429)
      expect(used).toBeGreaterThan(5)
      expect(used).toBeLessThanOrEqual(60)
    },
  )
})
