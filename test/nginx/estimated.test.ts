import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { modelBucket } from '../../src/core/limits/estimate.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, tokensOf } from './clients.ts'
import { type Gate, type Line, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { probed, usedBy, zone } from './probe.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

watchLogs()

const NUMBERS = 'temperature top_p top_k min_p seed presence_penalty frequency_penalty'

describe.each(await findEngines())('$name: a stream that nobody has counted', (setup) => {
  test.each<[string, object]>([
    ['a text', {}],
    [
      'a picture',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://x/y.png' } }] },
        ],
      },
    ],
    [
      'long numbers beside a short text',
      {
        messages: [{ role: 'user', content: 'a' }],
        ...Object.fromEntries(NUMBERS.split(' ').map((name) => [name, 1.234567890123e20])),
      },
    ],
  ])('has a cost where its prompt is %s', async (_, fields) => {
    const app = clientOf({ budgets: { costPerDay: 100 } })
    const policy = {
      version: 1 as const,
      metering: 'off' as const,
      prices: { [MODEL]: { input: 1, output: 1 } },
    }
    const gate = await startGate(setup, probed({ clients: documentOf({ app }), policy }))
    onTestFinished(() => gate.stop())
    const stream = send(gate, CHAT, {
      key: app.secret,
      body: chatOf('prompt:3,tokens:1000,itl:10', { stream: true, ...fields }),
    })
    const { pieces } = await stream.answer
    await until('some events', () => pieces.length > 10)
    stream.abort()
    const [line] = await linesOf(gate, 'app', 1)
    expect(line).toMatchObject({ estimated: true, outcome: 'client_aborted' })
    expect(Number(line?.['promptTokens'])).toBeGreaterThan(0)
    expect(Number(line?.['cost'])).toBeGreaterThan(0)
    expect((await usedBy(gate))[2]).toBeGreaterThan(10_000)
  })
})

/** What the mock takes to the first token of an answer, as behind a long queue, and from one to the next; in ms. */
const PACES = [
  ['an idle server', 20, 5],
  ['a server with a long queue', 600, 5],
] as const

describe.each(await findEngines())('$name: whole answers that were left', (setup) => {
  test.each(PACES)('are charged as much as %s has made of them', async (_, ttft, itl) => {
    const app = clientOf({ budgets: { tokensPerDay: 1_000_000 } })
    const gate = await startGate(setup, probed({ clients: documentOf({ app }) }))
    onTestFinished(() => gate.stop())
    const pace = `prompt:30,ttft:${ttft},itl:${itl}`
    const ask = (mock: string, fields: object = {}) =>
      send(gate, CHAT, { key: app.secret, body: chatOf(`${pace},${mock}`, fields) })
    // Streams teach how fast the server is.
    await Promise.all(
      Array.from({ length: 6 }, () =>
        ask('tokens:160', { stream: true }).answer.then(({ body }) => body()),
      ),
    )
    const learned = `w${modelBucket(MODEL)}`
    await until('housekeeping to learn', async () => learned in (await zone(gate, 'counters')))
    const before = await linesOf(gate, 'app', 6)
    gate.mock.reset()
    // All through the wait and the answer, the same for every run.
    const times = Array.from({ length: 16 }, (_, i) => (i + 0.5) * ((ttft + 130 * itl) / 16))
    await Promise.all(
      times.map(async (ms) => {
        const call = ask('tokens:300')
        call.answer.catch(() => null)
        await sleep(ms)
        call.abort()
      }),
    )
    const lines = (await linesOf(gate, 'app', before.length + times.length)).slice(before.length)
    const made = gate.mock.log().map(({ time, closedAt }) => (Number(closedAt) - time - ttft) / itl)
    const answered = made.filter((tokens) => tokens >= 0)
    const engine = Math.round(answered.reduce((sum, tokens) => sum + tokens + 30, 0))
    const charged = lines.reduce((sum, line) => sum + tokensOf(line), 0)
    expect(charged).toBeLessThan(engine * 1.2)
    expect(charged).toBeGreaterThan(engine / 1.2)
    for (const line of lines) {
      expect(line['outcome']).toBe('client_aborted')
      expect(line['estimated']).toBe(tokensOf(line) > 0 ? true : undefined)
    }
    expect((await usedBy(gate))[0]).toBe(
      charged + before.reduce((sum, line) => sum + tokensOf(line), 0),
    )
  })

  test('cost no more than their maximum, or than answers of the model have', async () => {
    const app = clientOf({ budgets: { tokensPerDay: 1_000_000 } })
    const gate = await startGate(setup, { clients: documentOf({ app }) })
    onTestFinished(() => gate.stop())
    const call = send(gate, CHAT, {
      key: app.secret,
      body: chatOf('prompt:3,hang', { max_tokens: 7, n: 3 }),
    })
    call.answer.catch(() => null)
    await sleep(1500)
    call.abort()
    const [line] = await linesOf(gate, 'app', 1)
    expect(line).toMatchObject({ estimated: true, completionTokens: 21, choices: 3 })
  })
})

describe.each(await findEngines())('$name: what a server does not tell', (setup) => {
  const request = { allow: ['bytes_only' as const] }
  const app = clientOf({ budgets: { tokensPerDay: 1_000_000 }, request })
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup, { clients: documentOf({ app }) })
    gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => gate.stop())

  async function lineOf(path: string, body: object): Promise<Line> {
    const count = (await gate.ledger()).length
    const { answer } = send(gate, path, { key: app.secret, body: { model: MODEL, ...body } })
    await (await answer).body().catch(() => null)
    return (await gate.ledger(count + 1)).at(-1) as Line
  }

  const EMBEDDINGS = '/v1/embeddings'
  const input = 'one two three'
  test.each(['', 'first:123', 'bytes:100000'])(
    'bytes as embeddings have it in a header: %s',
    async (mock) => {
      const body = { input, encoding_format: 'bytes', mock: `prompt:3,${mock}` }
      const line = await lineOf(EMBEDDINGS, body)
      expect(line).toMatchObject({ outcome: 'ok', promptTokens: 3 })
      expect(line).not.toHaveProperty('estimated')
    },
  )

  test('bytes of 100 inputs have it in a header of 11 KB', async () => {
    const body = { input: Array.from({ length: 100 }, () => input), encoding_format: 'bytes' }
    expect(await lineOf(EMBEDDINGS, body)).toMatchObject({ outcome: 'ok', promptTokens: 300 })
  })

  test('is estimated where bytes alone come', async () => {
    const line = await lineOf(EMBEDDINGS, {
      input,
      encoding_format: 'bytes_only',
      mock: 'prompt:3',
    })
    expect(line).toMatchObject({ outcome: 'ok', estimated: true })
    expect(Number(line['promptTokens'])).toBeGreaterThan(0)
  })

  const ROUTES: [string, object][] = [
    [CHAT, { messages: [{ role: 'user', content: input }] }],
    ['/v1/completions', { prompt: input }],
    ['/v1/messages', { messages: [{ role: 'user', content: input }], max_tokens: 50 }],
    ['/v1/responses', { input }],
  ]
  const FAILURES = ['error:first', 'error:0,failure:engine', 'error:4', 'error:4,failure:failed']
  const rows = ROUTES.flatMap(([path, body]) =>
    FAILURES.flatMap((failure) => [true, false].map((stream) => ({ path, body, failure, stream }))),
  )
  test.each(rows)('is not charged where it fails: $path, $failure, stream $stream', async (row) => {
    const { path, body, failure, stream } = row
    const line = await lineOf(path, { ...body, stream, mock: `prompt:3,tokens:9,${failure}` })
    const isCut = path === '/v1/responses' && stream && failure.includes('engine')
    expect(line['outcome']).toBe(isCut ? 'upstream_aborted' : 'upstream_error')
    // What was counted before is charged.
    const isCounted = stream || path === '/v1/responses'
    const isLate = failure.includes(':4') && (stream || failure.includes('failed'))
    expect(line['completionTokens'] ?? 0).toBe(isCounted && isLate ? 4 : 0)
    if (path === CHAT && failure === 'error:first') expect(tokensOf(line)).toBe(0)
  })

  test.each([true, false])(
    'is an error of the server with a status of 500, stream %s',
    async (stream) => {
      const line = await lineOf(CHAT, { messages: [], stream, mock: 'status:500' })
      expect(line).toMatchObject({ outcome: 'upstream_error', status: 500 })
      expect(tokensOf(line)).toBe(0)
    },
  )

  test('costs nothing for a prompt of 1 MB that the engine refuses in a stream', async () => {
    const messages = [{ role: 'user', content: 'word '.repeat(200_000) }]
    const line = await lineOf(CHAT, { messages, stream: true, mock: 'error:first' })
    expect(line).toMatchObject({ outcome: 'upstream_error' })
    expect(tokensOf(line)).toBe(0)
  })
})

test.each(await findEngines())('$name: a message whose prompt nobody has told', async (setup) => {
  // As llama.cpp does where the first token is a part of a character: there is no message_start.
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/event-stream')
    const delta = {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text: 'x' },
    }
    const end = {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      usage: { output_tokens: 3 },
    }
    for (const event of [delta, end, { type: 'message_stop' }])
      response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const app = clientOf()
  const { port } = server.address() as AddressInfo
  const gate = await startGate(setup, {
    clients: documentOf({ app }),
    upstreamServer: `127.0.0.1:${port}`,
  })
  onTestFinished(() => gate.stop())
  const messages = [{ role: 'user', content: 'one two three' }]
  const body = { model: MODEL, messages, max_tokens: 9, stream: true }
  const { answer } = send(gate, '/v1/messages', { key: app.secret, body })
  await (await answer).body()
  const [line] = await linesOf(gate, 'app', 1)
  expect(line).toMatchObject({ outcome: 'ok', estimated: true, completionTokens: 3 })
  expect(Number(line?.['promptTokens'])).toBeGreaterThan(0)
})
