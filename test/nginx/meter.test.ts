import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import { dialects } from '../../src/mock/settings.ts'
import { type Gate, type Line, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, send } from './wire.ts'

const CHAT = '/v1/chat/completions'
const COMPLETIONS = '/v1/completions'
const messages = [{ role: 'user', content: 'one two three' }]

const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

/** A request that answers with 7 tokens to a prompt of 3, in the shape of a route. */
function bodyFor(path: string, mock: string, fields: object = {}): object {
  const prompt = {
    [CHAT]: { messages },
    [COMPLETIONS]: { prompt: 'one two three' },
    '/v1/responses': { input: 'one two three' },
    '/v1/messages': { messages, max_tokens: 500 },
  }[path]
  return { model: MODEL, ...prompt, mock: `prompt:3,tokens:7,${mock}`, ...fields }
}

async function newestLine(gate: Gate, count: number): Promise<Line> {
  const line = (await gate.ledger(count)).at(-1)
  if (!line) throw new Error('The ledger is empty')
  return line
}

describe.each(await findEngines())('$name', (setup) => {
  let gate: Gate
  let lines = 0

  beforeAll(async () => {
    gate = await startGate(setup, {
      policy: {
        version: 1,
        prices: { [MODEL]: { input: 1, cachedInput: 0.5, output: 2, audioSecond: 0.01 } },
      },
    })
    gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => gate.stop())
  beforeEach(async () => {
    gate.mock.reset()
    lines = (await gate.ledger()).length
  })

  const newest = (more = 1) => newestLine(gate, lines + more)

  /** Both whole answers: through the gate, and straight from the mock with the same id. */
  async function twice(path: string, body: object) {
    const through = await get(gate, path, { body })
    const id = `${through.headers['x-request-id']}`
    const straight = await fetch(gate.mock.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': id },
      body: JSON.stringify(body),
    })
    return { through: plain(through.bytes.toString()), straight: plain(await straight.text()) }
  }

  /** Without ids and times that a server draws anew for every answer. */
  function plain(text: string): string {
    return text
      .replaceAll(/"id":"(chatcmpl-|cmpl-|embd-|score-|rerank-)?[0-9a-f]{32}"/g, '"id":"$1…"')
      .replaceAll(/"predicted_per_second":[\d.]+/g, '"predicted_per_second":0')
  }

  describe.each(dialects)('%s', (dialect) => {
    const paths =
      dialect === 'vllm'
        ? [CHAT, COMPLETIONS, '/v1/responses', '/v1/messages']
        : [CHAT, COMPLETIONS]

    test.each(paths)('a whole answer of %s', async (path) => {
      const { through, straight } = await twice(path, bodyFor(path, `dialect:${dialect},cached:2`))
      expect(through).toBe(straight)
      const line = await newest()
      expect(line).toMatchObject({
        promptTokens: 3,
        completionTokens: 7,
        outcome: 'ok',
        model: MODEL,
      })
      expect(line).not.toHaveProperty('estimated')
      expect(line).not.toHaveProperty('stream')
      expect(line['upstreamStatus']).toBe(200)
    })

    test.each(paths)(
      'a stream of %s that asks for no usage is as without the gate',
      async (path) => {
        const { through, straight } = await twice(
          path,
          bodyFor(path, `dialect:${dialect}`, { stream: true }),
        )
        expect(through).toBe(straight)
        const line = await newest()
        expect(line).toMatchObject({
          promptTokens: 3,
          completionTokens: 7,
          outcome: 'ok',
          stream: true,
        })
        expect(line).not.toHaveProperty('estimated')
        expect(line['ttftMs']).toBeGreaterThanOrEqual(0)
      },
    )

    test.each([
      ['the final usage', { include_usage: true }],
      ['running usage', { include_usage: true, continuous_usage_stats: true }],
      ['none, in so many words', { include_usage: false }],
    ])('a stream that asks for %s gets just that (cline#9842)', async (_, options) => {
      const body = bodyFor(CHAT, `dialect:${dialect}`, { stream: true, stream_options: options })
      const { through, straight } = await twice(CHAT, body)
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 7 })
    })
  })

  describe('pieces', () => {
    test.each([1, 7, 100])('a stream in pieces of %i bytes', async (split) => {
      const body = bodyFor(CHAT, `split:${split},gap:0,words:utf8`, { stream: true })
      const { through, straight } = await twice(CHAT, body)
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 7 })
    })

    test('comments pass and are not counted', async () => {
      const { through, straight } = await twice(CHAT, bodyFor(CHAT, 'comments', { stream: true }))
      // The mock puts one behind every event, and the usage chunk is an event more. A fingerprint is
      // not put back where a comment stands between: servers send them when nothing else comes.
      const bare = (text: string) =>
        text.replaceAll(/^:.*\n\n/gm, '').replaceAll(/,"system_fingerprint":"[^"]*"/g, '')
      expect(bare(through)).toBe(bare(straight))
      expect(through).toMatch(/^:/m)
      expect(await newest()).toMatchObject({ completionTokens: 7 })
    })

    test('a response.completed of half a megabyte', async () => {
      const body = bodyFor('/v1/responses', 'bytes:500000', { stream: true })
      const { through, straight } = await twice('/v1/responses', body)
      expect(through.length).toBeGreaterThan(1_000_000)
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 7 })
    })

    test('usage null on every chunk is none', async () => {
      const options = { stream_options: { include_usage: true } }
      const body = bodyFor(CHAT, 'usage:null,dialect:llamacpp', { stream: true, ...options })
      const { through, straight } = await twice(CHAT, body)
      expect(through).toContain('"usage":null')
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 7 })
    })

    test('usage that the server forces on everybody stays in the stream', async () => {
      const { through, straight } = await twice(CHAT, bodyFor(CHAT, 'usage:force'))
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ completionTokens: 7 })
    })
  })

  describe('routes without an answer in tokens (litellm#17706, #27738)', () => {
    test.each([
      ['/v1/embeddings', { input: 'one two three' }, { promptTokens: 3, completionTokens: 0 }],
      ['/v1/score', { text_1: 'one two', text_2: 'three' }, { promptTokens: 3 }],
      ['/v1/rerank', { query: 'one', documents: ['two three'] }, { promptTokens: 3 }],
      ['/v2/rerank', { query: 'one', documents: ['two three'] }, { promptTokens: 3 }],
    ])('%s', async (path, fields, expected) => {
      const body = { model: MODEL, ...fields, mock: 'prompt:3' }
      const { through, straight } = await twice(path, body)
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject(expected)
    })

    test('an embedding of several megabytes', async () => {
      const input = Array.from({ length: 200 }, () => 'one two three')
      const { through, straight } = await twice('/v1/embeddings', { model: MODEL, input })
      expect(through).toBe(straight)
      expect(await newest()).toMatchObject({ promptTokens: 600 })
    })
  })

  describe('choices', () => {
    test('the final count of three choices is their sum', async () => {
      await get(gate, CHAT, { body: bodyFor(CHAT, '', { stream: true, n: 3 }) })
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 21 })
    })

    test('three choices that are left are charged each by its running count', async () => {
      const body = bodyFor(CHAT, 'tokens:50,itl:40', { stream: true, n: 3 })
      const call = send(gate, CHAT, { body })
      const answer = await call.answer
      await until('some tokens', () => eventsOf(answer.pieces).length >= 12)
      call.abort()
      const line = await newest()
      const sent = gate.mock.log().at(-1)?.eventsSent ?? 0
      expect(line).toMatchObject({ outcome: 'client_aborted', promptTokens: 3 })
      // Three of the events open the choices.
      expect(line['completionTokens']).toBeGreaterThanOrEqual(9)
      expect(line['completionTokens']).toBeLessThanOrEqual(sent - 3)
      expect(line).not.toHaveProperty('estimated')
    })
  })

  describe('streams that do not end', () => {
    test('a caller that leaves pays what it got (litellm#14457, PR#33736), by the engine’s count (new-api#5288, litellm#37992)', async () => {
      const call = send(gate, CHAT, { body: bodyFor(CHAT, 'tokens:100,itl:60', { stream: true }) })
      const answer = await call.answer
      await until('ten tokens', () => eventsOf(answer.pieces).length >= 11)
      const got = eventsOf(answer.pieces).length - 1
      call.abort()
      const line = await newest()
      expect(line).toMatchObject({ outcome: 'client_aborted', promptTokens: 3, stream: true })
      expect(line['completionTokens']).toBeGreaterThanOrEqual(got)
      expect(line['completionTokens']).toBeLessThanOrEqual(got + 1)
      // Not an estimate to dispute.
      expect(line).not.toHaveProperty('estimated')
    })

    test('a stream that the server breaks is charged by its last running count', async () => {
      await send(gate, CHAT, { body: bodyFor(CHAT, 'die:4', { stream: true }) })
        .answer.then((answer) => answer.body())
        .catch(() => {})
      const line = await newest()
      expect(line).toMatchObject({ outcome: 'upstream_aborted', promptTokens: 3 })
      expect(line['completionTokens']).toBeGreaterThanOrEqual(3)
      expect(line['completionTokens']).toBeLessThanOrEqual(4)
    })

    test('an error in mid-stream is charged as well, and reaches the caller', async () => {
      const { through, straight } = await twice(CHAT, bodyFor(CHAT, 'error:4', { stream: true }))
      expect(through).toBe(straight)
      expect(through).toContain('InternalServerError')
      expect(await newest()).toMatchObject({ promptTokens: 3, completionTokens: 4 })
    })

    test('without a running count completed events are counted, and marked', async () => {
      const body = bodyFor(CHAT, 'dialect:llamacpp,tokens:50,itl:40', { stream: true })
      const call = send(gate, CHAT, { body })
      const answer = await call.answer
      await until('six tokens', () => eventsOf(answer.pieces).length >= 7)
      call.abort()
      const line = await newest()
      expect(line).toMatchObject({ outcome: 'client_aborted', estimated: true })
      expect(line['completionTokens']).toBeGreaterThanOrEqual(6)
      expect(line['completionTokens']).toBeLessThanOrEqual(8)
      expect(line['promptTokens']).toBeGreaterThan(0)
    })
  })

  describe('the line', () => {
    test('has the cost, the cached tokens apart', async () => {
      await get(gate, CHAT, { body: bodyFor(CHAT, 'cached:2,reasoning:4') })
      const line = await newest()
      expect(line).toMatchObject({
        version: 2,
        cachedTokens: 2,
        reasoningTokens: 4,
        finishReason: 'stop',
        cost: (1 * 1 + 2 * 0.5 + 7 * 2) / 1e6,
      })
      expect(line['upstream']).toBe(`127.0.0.1:${gate.mock.port}`)
    })

    test('has the speed of a stream', async () => {
      await get(gate, CHAT, { body: bodyFor(CHAT, 'ttft:60,itl:30', { stream: true }) })
      const line = await newest()
      expect(line['ttftMs']).toBeGreaterThanOrEqual(50)
      expect(line['tokensPerSecond']).toBeGreaterThan(5)
      expect(line['tokensPerSecond']).toBeLessThan(60)
    })

    test.each([
      ['quotes and controls', 'a"b\\c\u0001\u001f\n\u2028'],
      ['other scripts', 'モデル😀'],
    ])('is JSON whatever is in the name of a model: %s', async (_, model) => {
      await get(gate, CHAT, { body: bodyFor(CHAT, '', { model }) })
      expect((await newest())['model']).toBe(model)
    })

    test('an error of the server costs nothing', async () => {
      await get(gate, CHAT, { body: bodyFor(CHAT, 'status:500') })
      const line = await newest()
      expect(line).toMatchObject({ status: 500, upstreamStatus: 500 })
      expect(line).not.toHaveProperty('promptTokens')
      expect(line).not.toHaveProperty('cost')
    })
  })
})

describe.each(await findEngines())('$name', (setup) => {
  test.each([
    ['final', { include_usage: true }],
    ['unasked', undefined],
  ])('metering %s asks the server for no more', async (metering, options) => {
    const gate = await startGate(setup, {
      policy: { version: 1, metering: metering as 'final' | 'unasked' },
    })
    try {
      const answer = await get(gate, CHAT, { body: bodyFor(CHAT, '', { stream: true }) })
      expect(answer.bytes.toString()).not.toContain('usage')
      expect(JSON.parse(gate.mock.log()[0]?.body ?? '').stream_options).toEqual(options)
      const line = await newestLine(gate, 1)
      if (metering === 'final') expect(line).toMatchObject({ promptTokens: 3, completionTokens: 7 })
      // The finish chunk is counted too, for it may bring a token.
      else expect(line).toMatchObject({ completionTokens: 8, estimated: true })
    } finally {
      await gate.stop()
    }
  })

  test('1,024 streams through two workers, a third of them left, are all charged exactly', async () => {
    const keys = Array.from({ length: 8 }, () => makeKey())
    const clients: Record<string, Client> = {}
    keys.forEach(({ record }, index) => {
      clients[`c${index}`] = { keys: [record], limits: { concurrency: 200 } }
    })
    const gate = await startGate(setup, { workers: 2, clients: { version: 1, clients } })
    // On a busy machine these workers have more to do than they can.
    gate.expectErrors(/pending events/)
    try {
      const got = new Map<string, { tokens: number; seen: number; isWhole: boolean }>()
      const open = (index: number) => {
        const key = keys[index % keys.length]?.secret ?? ''
        const tokens = 10 + (index % 7)
        const body = bodyFor(CHAT, `tokens:${tokens},ttft:300,itl:400`, { stream: true })
        return { index, tokens, call: send(gate, CHAT, { body, key }) }
      }
      const follow = async ({ index, tokens, call }: ReturnType<typeof open>) => {
        const answer = await call.answer
        const leavesAfter = index % 3 === 0 ? 1 + ((index * 7) % 9) : null
        if (leavesAfter === null) await answer.body()
        else {
          const isThere = () => eventsOf(answer.pieces).length > leavesAfter
          await until(`token ${leavesAfter} of ${answer.status}`, isThere, 60)
          call.abort()
        }
        const events = eventsOf(answer.pieces)
        // The role comes first; whole streams end with the finish and [DONE].
        const seen = events.length - (leavesAfter === null ? 3 : 1)
        const id = `${answer.headers['x-request-id']}`
        got.set(id, { tokens, seen, isWhole: leavesAfter === null })
      }
      const followed: Promise<void>[] = []
      for (let first = 0; first < 1024; first += 128) {
        const calls = Array.from({ length: 128 }, (_, i) => open(first + i))
        // All at once are more than a busy mock accepts in time.
        await Promise.all(calls.map(({ call }) => call.answer))
        followed.push(...calls.map(follow))
      }
      await Promise.all(followed)
      const lines = await gate.ledger(1024)
      expect(lines).toHaveLength(1024)
      const sent = new Map(
        gate.mock.log().map((record) => [`${record.headers['x-request-id']}`, record]),
      )
      const wrong = lines.filter((line) => {
        const call = got.get(`${line['id']}`)
        const charged = Number(line['completionTokens'])
        if (line['promptTokens'] !== 3 || line['estimated'] || !call) return true
        if (call.isWhole && call.seen !== call.tokens) return true
        // Who leaves late on a busy machine has been sent everything.
        if (line['outcome'] === 'ok') return charged !== call.tokens
        // What a caller had not read yet when it left was on its way.
        const most = (sent.get(`${line['id']}`)?.eventsSent ?? 0) - 1
        const isWrong = charged < call.seen || charged > most
        return call.isWhole || isWrong || line['outcome'] !== 'client_aborted'
      })
      expect(wrong).toEqual([])
      const left = lines.filter((line) => line['outcome'] === 'client_aborted')
      expect(left.length).toBeGreaterThan(300)
      // Nothing is held any more: every client gets all its places again.
      const again = await Promise.all(
        keys.map(({ secret }) => get(gate, CHAT, { key: secret, body: bodyFor(CHAT, '') })),
      )
      expect(again.map(({ status }) => status)).toEqual(keys.map(() => 200))
    } finally {
      await gate.stop()
    }
  }, 120_000)
})
