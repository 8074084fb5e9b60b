import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Client, Clients } from '../../src/core/config/shapes.ts'
import { type Gate, type Line, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, send } from './wire.ts'

const CHAT = '/v1/chat/completions'
const messages = [{ role: 'user' as const, content: 'one two three' }]

const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

function clientOf(fields: Partial<Client>) {
  const { secret, record } = makeKey()
  return { secret, client: { keys: [record], ...fields } as Client, id: record.id }
}

function hard(tokensPerDay: number) {
  return clientOf({ budgets: { tokensPerDay, hard: true } })
}

function bodyOf(mock: string, fields: object = {}): object {
  return { model: MODEL, messages, mock: `prompt:3,${mock}`, ...fields }
}

/** In the last half minute before midnight in UTC nothing is proven about a day. */
function isNearMidnight(): boolean {
  return 86_400_000 - (Date.now() % 86_400_000) < 30_000
}

describe.skipIf(isNearMidnight()).each(await findEngines())('$name', (setup) => {
  const clients = {
    soft: clientOf({ budgets: { tokensPerDay: 40 } }),
    month: clientOf({ budgets: { tokensPerMonth: 40 } }),
    cost: clientOf({ budgets: { costPerDay: 0.00004 } }),
    coder: clientOf({ budgets: { tokensPerDay: 1000 } }),
    larger: clientOf({ budgets: { tokensPerDay: 1000 } }),
    sdk: clientOf({ budgets: { tokensPerDay: 1 } }),
    chat: hard(600),
    asks: hard(600),
    keeps: hard(600),
    whole: hard(600),
    anthropic: hard(600),
    responses: hard(600),
    completions: hard(600),
    crowd: hard(1500),
    joined: hard(600),
    revoked: clientOf({}),
    revokedAnthropic: clientOf({}),
    disabled: clientOf({}),
  }
  const document: Clients = {
    version: 1,
    clients: Object.fromEntries(
      Object.entries(clients).map(([name, { client }]) => [name, client] as const),
    ),
  }
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, prices: { [MODEL]: { input: 1, output: 1 } } },
      clients: document,
    })
    gate.expectErrors(/Tollgate has ended this stream: cut_(budget|revoked)/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  async function linesOf(client: string, count: number): Promise<Line[]> {
    let lines: Line[] = []
    await until(`${count} lines of ${client}`, async () => {
      lines = (await gate.ledger()).filter((line) => line['client'] === client)
      return lines.length >= count
    })
    return lines
  }

  const tokensOf = (line: Line) => Number(line['promptTokens']) + Number(line['completionTokens'])

  describe('a spent budget', () => {
    test.each([
      ['soft', 'tokensPerDay of client', /^Your daily budget of 40 tokens is spent; it renews at/],
      [
        'month',
        'tokensPerMonth of client',
        /^Your monthly budget of 40 tokens is spent; it renews on/,
      ],
      [
        'cost',
        'costPerDay of client',
        /^Your daily cost budget of 0\.00004 is spent; it renews at/,
      ],
    ] as const)('%s is refused, with the time when it renews', async (name, limit, words) => {
      const { secret } = clients[name]
      const first = await get(gate, CHAT, {
        key: secret,
        body: bodyOf('tokens:60'),
      })
      expect(first.status).toBe(200)
      await linesOf(name, 1)
      const refused = await gate.call(CHAT, { key: secret, body: JSON.stringify(bodyOf('')) })
      expect(refused.status).toBe(429)
      expect(refused.headers.get('x-should-retry')).toBe('false')
      expect(refused.headers.get('retry-after')).toBeNull()
      const { error } = (await refused.json()) as { error: { code: string; message: string } }
      expect(error.code).toBe('insufficient_quota')
      expect(error.message).toMatch(words)
      expect(error.message).toMatch(/ at 00:00 \+00:00$/)
      const line = (await linesOf(name, 2)).at(-1)
      expect(line).toMatchObject({ outcome: 'budget_spent', limit })
      expect(gate.mock.log()).toHaveLength(1)
    })

    test('is not retried by the official SDK', async () => {
      const openai = new OpenAI({
        apiKey: clients.sdk.secret,
        baseURL: `${gate.url}/v1`,
        maxRetries: 3,
      })
      await openai.chat.completions.create({ model: MODEL, messages })
      await linesOf('sdk', 1)
      const call = openai.chat.completions.create({ model: MODEL, messages })
      await expect(call).rejects.toMatchObject({ status: 429, code: 'insufficient_quota' })
      expect(await linesOf('sdk', 2)).toHaveLength(2)
    })

    test('a huge max_tokens does not spend it (litellm PR#38647, PR#27509)', async () => {
      const { secret } = clients.coder
      const body = bodyOf('tokens:5', { max_tokens: 900 })
      for (let i = 0; i < 4; i++) {
        expect((await get(gate, CHAT, { key: secret, body })).status).toBe(200)
        await linesOf('coder', i + 1)
      }
      const used = (await linesOf('coder', 4)).reduce((sum, line) => sum + tokensOf(line), 0)
      expect(used).toBe(4 * 8)
    })

    test('the larger of two maxima is reserved (litellm PR#34223)', async () => {
      const fields = { max_tokens: 1, max_completion_tokens: 738 }
      await get(gate, CHAT, { key: clients.larger.secret, body: bodyOf('tokens:5', fields) })
      const [line] = await linesOf('larger', 1)
      expect(line?.['reservedTokens']).toBeGreaterThanOrEqual(738)
    })
  })

  describe('a hard budget', () => {
    /** Without max_tokens the stream would run for 5,000 tokens: slower than into the buffers of a socket, all at once. */
    const endless = 'tokens:5000,itl:1'

    test('is spent by tokens that the server tells all at once', async () => {
      const ask = () =>
        get(gate, CHAT, {
          key: clients.joined.secret,
          body: bodyOf('tokens:5000,itl:0,join:400', { stream: true }),
        })
      expect((await ask()).status).toBe(200)
      const [line] = await linesOf('joined', 1)
      // The second event would cross it: the server has made what it tells.
      expect(line).toMatchObject({ outcome: 'cut_budget', completionTokens: 800 })
      expect((await ask()).status).toBe(429)
    })

    test('ends a chat at the token where it is spent', async () => {
      const answer = await get(gate, CHAT, {
        key: clients.chat.secret,
        body: bodyOf(endless, { stream: true }),
      })
      const events = eventsOf(answer.pieces).map(({ text }) => text)
      expect(events.at(-1)).toBe('data: [DONE]')
      const last = JSON.parse((events.at(-2) ?? '').slice(6))
      expect(last.choices[0].finish_reason).toBe('length')
      expect(answer.bytes.toString()).not.toContain('"usage"')
      const [line] = await linesOf('chat', 1)
      expect(line).toMatchObject({ outcome: 'cut_budget', status: 200 })
      expect(line && tokensOf(line)).toBe(600)
      await until('the end at the server', () => gate.mock.log()[0]?.aborted === true)
      const next = await get(gate, CHAT, { key: clients.chat.secret, body: bodyOf('') })
      expect(next.status).toBe(429)
    })

    test('stops the server also for a caller that keeps its connection', async () => {
      const openai = new OpenAI({ apiKey: clients.keeps.secret, baseURL: `${gate.url}/v1` })
      const stream = await openai.chat.completions.create({
        model: MODEL,
        messages,
        stream: true,
        ...{ mock: 'prompt:3,tokens:5000,itl:2' },
      })
      let reason: string | null = null
      for await (const chunk of stream) reason = chunk.choices[0]?.finish_reason ?? reason
      expect(reason).toBe('length')
      const [first] = gate.mock.log()
      const sent = first?.eventsSent ?? 0
      // On the same connection: when that is closed on it, the SDK asks again.
      const next = openai.chat.completions.create({ model: MODEL, messages })
      await expect(next).rejects.toMatchObject({ status: 429, code: 'insufficient_quota' })
      expect(first?.aborted).toBe(true)
      // At the first event behind the end, and not at the 5,000th.
      expect(first?.eventsSent).toBeLessThan(sent + 1000)
    })

    test('tells the usage to who asked for it', async () => {
      const openai = new OpenAI({ apiKey: clients.asks.secret, baseURL: `${gate.url}/v1` })
      const stream = await openai.chat.completions.create({
        model: MODEL,
        messages,
        stream: true,
        stream_options: { include_usage: true },
        ...{ mock: `prompt:3,${endless}` },
      })
      let reason: string | null = null
      let total = 0
      for await (const chunk of stream) {
        reason = chunk.choices[0]?.finish_reason ?? reason
        total = chunk.usage?.total_tokens ?? total
      }
      expect(reason).toBe('length')
      expect(total).toBe(600)
    })

    test('lowers the maximum of what cannot be cut', async () => {
      const answer = await get(gate, CHAT, { key: clients.whole.secret, body: bodyOf(endless) })
      expect(answer.status).toBe(200)
      const [line] = await linesOf('whole', 1)
      expect(line && tokensOf(line)).toBeLessThanOrEqual(600)
      expect(line?.['completionTokens']).toBeGreaterThan(100)
    })

    test('ends a completion', async () => {
      const body = {
        model: MODEL,
        prompt: 'one two three',
        stream: true,
        mock: `prompt:3,${endless}`,
      }
      const answer = await get(gate, '/v1/completions', { key: clients.completions.secret, body })
      const events = eventsOf(answer.pieces).map(({ text }) => text)
      expect(JSON.parse((events.at(-2) ?? '').slice(6)).choices[0].finish_reason).toBe('length')
      const [line] = await linesOf('completions', 1)
      expect(line && tokensOf(line)).toBe(600)
    })

    test('ends a message as Anthropic’s SDK expects it', async () => {
      const anthropic = new Anthropic({ apiKey: clients.anthropic.secret, baseURL: gate.url })
      const stream = anthropic.messages.stream({
        model: MODEL,
        messages,
        max_tokens: 5000,
        ...{ mock: `prompt:3,${endless}` },
      })
      const message = await stream.finalMessage()
      expect(message.stop_reason).toBe('max_tokens')
      const [line] = await linesOf('anthropic', 1)
      expect(line && tokensOf(line)).toBeLessThanOrEqual(600)
    })

    test('ends a response', async () => {
      const openai = new OpenAI({ apiKey: clients.responses.secret, baseURL: `${gate.url}/v1` })
      const stream = await openai.responses.create({
        model: MODEL,
        input: 'one two three',
        stream: true,
        ...{ mock: `prompt:3,${endless}` },
      })
      const types: string[] = []
      for await (const event of stream) types.push(event.type)
      expect(types.at(-1)).toBe('response.incomplete')
    })

    test('is not overshot by many streams at once', async () => {
      const calls = Array.from({ length: 10 }, () =>
        get(gate, CHAT, {
          key: clients.crowd.secret,
          body: bodyOf('tokens:400,itl:1', { stream: true }),
        }),
      )
      await Promise.all(calls)
      const lines = await linesOf('crowd', 10)
      const used = lines.reduce((sum, line) => sum + (tokensOf(line) || 0), 0)
      expect(used).toBeLessThanOrEqual(1500)
      expect(used).toBeGreaterThan(1000)
    })
  })

  describe('a revoked key', () => {
    const slow = 'tokens:400,itl:50'

    async function change(name: keyof typeof clients, fields: object): Promise<void> {
      const client = clients[name].client
      const changed = fields as Partial<Client>
      const keys = client.keys.map((key) => ({ ...key, revoked: '2026-01-01T00:00:00Z' }))
      document.clients[name] = changed.disabled ? { ...client, ...changed } : { ...client, keys }
      await gate.setClients(document)
    }

    test('ends its running stream with an error event', async () => {
      const call = send(gate, CHAT, {
        key: clients.revoked.secret,
        body: bodyOf(slow, { stream: true }),
      })
      const answer = await call.answer
      await until('a token', () => eventsOf(answer.pieces).length > 2)
      await change('revoked', {})
      const text = (await answer.body()).toString()
      expect(text).toMatch(/"error":\{/)
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
      const [line] = await linesOf('revoked', 1)
      expect(line).toMatchObject({ outcome: 'cut_revoked', promptTokens: 3 })
      await until('the end at the server', () => gate.mock.log()[0]?.aborted === true)
    })

    test.each([
      ['usual', {}],
      ['left without metering', { metering: 'off' as const }],
    ])('that expires ends its running stream too, where that is %s', async (_, policy) => {
      const own = clientOf({})
      const expires = new Date(Date.now() + 2500).toISOString()
      const keys = own.client.keys.map((key) => ({ ...key, expires }))
      const short = { ...own, client: { keys } }
      const brief = await startGate(setup, {
        clients: { version: 1, clients: { short: short.client } },
        policy: { version: 1, ...policy },
      })
      onTestFinished(() => brief.stop())
      brief.expectErrors(/Tollgate has ended this stream: cut_revoked/)
      const call = send(brief, CHAT, {
        key: own.secret,
        body: bodyOf('tokens:400,itl:50', { stream: true }),
      })
      const text = (await (await call.answer).body()).toString()
      expect(text).toMatch(/"code":"revoked_key"/)
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
      const [line] = await brief.ledger(1)
      expect(line).toMatchObject({ outcome: 'cut_revoked' })
      expect(Date.parse(`${line?.['time']}`)).toBeLessThan(Date.parse(expires) + 1500)
    })

    test('raises an error in Anthropic’s SDK', async () => {
      const key = clients.revokedAnthropic.secret
      const anthropic = new Anthropic({ apiKey: key, baseURL: gate.url, maxRetries: 0 })
      const stream = anthropic.messages.stream({
        model: MODEL,
        messages,
        max_tokens: 5000,
        ...{ mock: `prompt:3,${slow}` },
      })
      const ended = stream.finalMessage().then(
        () => null,
        (error: unknown) => error,
      )
      await until('a request', () => gate.mock.log().length > 0)
      await change('revokedAnthropic', {})
      expect(await ended).toBeInstanceOf(Error)
      const [line] = await linesOf('revokedAnthropic', 1)
      expect(line).toMatchObject({ outcome: 'cut_revoked' })
    })

    test('so does a client that is disabled, and nobody else notices', async () => {
      const cut = send(gate, CHAT, {
        key: clients.disabled.secret,
        body: bodyOf(slow, { stream: true }),
      })
      const other = send(gate, CHAT, { body: bodyOf('tokens:40,itl:50', { stream: true }) })
      const answer = await cut.answer
      await until('a token', () => eventsOf(answer.pieces).length > 2)
      await change('disabled', { disabled: true })
      expect((await answer.body()).toString()).toMatch(/"error":\{/)
      const whole = (await (await other.answer).body()).toString()
      expect(whole).not.toContain('error')
      expect(eventsOf((await other.answer).pieces)).toHaveLength(40 + 3)
    })
  })
})
