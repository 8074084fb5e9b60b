import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Client, Clients } from '../../src/core/config/shapes.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, messages } from './clients.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, send } from './wire.ts'

const SLOW = 'prompt:3,tokens:1000,itl:20'

/** Streams of every dialect that runs for 20 seconds, and by what the caller knows that it was ended. */
const streams = [
  ['chat', CHAT, chatOf(SLOW, { stream: true }), /"code":"revoked_key".*\n\ndata: \[DONE\]\n\n$/],
  [
    'pieces',
    CHAT,
    chatOf(`${SLOW},split:50,gap:0`, { stream: true }),
    /\n\ndata: \{"error":.*"code":"revoked_key".*\n\ndata: \[DONE\]\n\n$/,
  ],
  [
    'bytes',
    CHAT,
    chatOf('prompt:3,tokens:1000,itl:20,split:1,gap:1', { stream: true }),
    /\n\ndata: \{"error":.*"code":"revoked_key".*\n\ndata: \[DONE\]\n\n$/,
  ],
  [
    'completions',
    '/v1/completions',
    { model: MODEL, prompt: 'a', stream: true, mock: SLOW },
    /"code":"revoked_key".*\n\ndata: \[DONE\]\n\n$/,
  ],
  [
    'messages',
    '/v1/messages',
    { model: MODEL, messages, max_tokens: 5000, stream: true, mock: SLOW },
    /\n\nevent: error\ndata: .*authentication_error.*\n\n$/,
  ],
  [
    'responses',
    '/v1/responses',
    { model: MODEL, input: 'a', stream: true, mock: SLOW },
    /\n\nevent: error\ndata: .*"code":"revoked_key".*"sequence_number":[1-9].*\n\n$/,
  ],
] as const

watchLogs()

describe.each(await findEngines())('$name: with metering off', (setup) => {
  const callers = {
    free: clientOf(),
    paced: clientOf({ limits: { requestsPerMinute: 1000, concurrency: 9 } }),
    bound: clientOf({ budgets: { tokensPerDay: 1_000_000 } }),
    ...Object.fromEntries(streams.map(([name]) => [name, clientOf()])),
  }
  const document: Clients = documentOf(callers)
  const secretOf = (name: string) => callers[name as keyof typeof callers].secret
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, {
      clients: document,
      policy: { version: 1, metering: 'off', prices: { [MODEL]: { input: 1, output: 1 } } },
    })
    gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => gate.stop())

  test.each(['free', 'paced'])(
    'an answer to client %s goes on, and is not counted',
    async (name) => {
      for (const stream of [false, true]) {
        gate.mock.reset()
        const body = chatOf('prompt:3,tokens:7', { stream })
        const answer = await get(gate, CHAT, { key: secretOf(name), body })
        const text = answer.bytes.toString()
        expect(text.match(/"content":"[^"]/g)).toHaveLength(stream ? 7 : 1)
        expect(JSON.parse(gate.mock.log()[0]?.body ?? '')).not.toHaveProperty('stream_options')
      }
      const lines = await linesOf(gate, name, 2)
      for (const line of lines) {
        expect(line).toMatchObject({ outcome: 'ok', route: 'chat', status: 200 })
        for (const field of ['promptTokens', 'completionTokens', 'cost', 'estimated'])
          expect(line).not.toHaveProperty(field)
      }
    },
  )

  test('who has a budget is counted by what the server tells', async () => {
    for (const stream of [false, true]) {
      const body = chatOf('prompt:3,tokens:7', { stream })
      await get(gate, CHAT, { key: secretOf('bound'), body })
    }
    const [whole, stream] = await linesOf(gate, 'bound', 2)
    expect(whole).toMatchObject({ promptTokens: 3, completionTokens: 7, cost: 1e-5 })
    expect(stream).toMatchObject({ estimated: true })
    expect(Number(stream?.['cost'])).toBeGreaterThan(0)
  })

  test.each([
    ['die:4', 'upstream_aborted'],
    ['tokens:7', 'ok'],
  ])('a stream of %s ends as %s', async (mock, outcome) => {
    const before = (await linesOf(gate, 'app')).length
    const call = send(gate, CHAT, { body: chatOf(mock, { stream: true }) })
    await call.answer.then((answer) => answer.body()).catch(() => null)
    const lines = await linesOf(gate, 'app', before + 1)
    expect(lines.at(-1)).toMatchObject({ outcome })
  })

  test.each(streams)(
    'a stream of %s ends behind a whole event when its key is revoked',
    async (name, path, body, end) => {
      gate.mock.reset()
      const call = send(gate, path, { key: secretOf(name), body })
      const answer = await call.answer
      await until('some events', () => eventsOf(answer.pieces).length > 3)
      const client = document.clients[name] as Client
      const keys = client.keys.map((key) => ({ ...key, revoked: '2026-01-01T00:00:00Z' }))
      document.clients[name] = { ...client, keys }
      await gate.setClients(document)
      expect((await answer.body()).toString()).toMatch(end)
      const [line] = await linesOf(gate, name, 1)
      expect(line).toMatchObject({ outcome: 'cut_revoked' })
      await until('the end at the server', () => gate.mock.log()[0]?.aborted === true)
    },
  )

  test.each([
    ['unmetered', 'off', {}],
    ['metered', 'exact', { stream_options: { include_usage: true, continuous_usage_stats: true } }],
  ] as const)('a stream whose pieces end anywhere is ended all the same, %s', async (...row) => {
    const [, metering, more] = row
    const event = `data: {"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":3,"total_tokens":4,"completion_tokens":1}}\n\n`
    // As from a proxy that joins what it gets: each piece ends within an event.
    const server = createServer(async (_, response) => {
      response.setHeader('content-type', 'text/event-stream')
      response.write(event.slice(0, 70))
      for (let i = 0; i < 400 && !response.destroyed; i++) {
        response.write(event.slice(70) + event.slice(0, 70))
        await sleep(20)
      }
      response.end(`${event.slice(70)}data: [DONE]\n\n`)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const own = clientOf()
    const client = own.client
    const brief = await startGate(setup, {
      clients: documentOf({ own }),
      policy: { version: 1, metering },
      upstreamServer: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    })
    onTestFinished(() => brief.stop())
    brief.expectErrors(/Tollgate has ended this stream: cut_revoked/)
    const call = send(brief, CHAT, { key: own.secret, body: chatOf('', { stream: true, ...more }) })
    const answer = await call.answer
    await until('some events', () => eventsOf(answer.pieces).length > 3)
    const keys = client.keys.map((key) => ({ ...key, revoked: '2026-01-01T00:00:00Z' }))
    await brief.setClients({ version: 1, clients: { own: { ...client, keys } } })
    const text = (await answer.body()).toString()
    const [whole, end] = text.split('data: {"error"')
    expect(whole).toBe(event.repeat((whole as string).length / event.length))
    expect(end).toMatch(/"code":"revoked_key".*\n\ndata: \[DONE\]\n\n$/)
    const [line] = await linesOf(brief, 'own', 1)
    expect(line).toMatchObject({ outcome: 'cut_revoked' })
  })
})
