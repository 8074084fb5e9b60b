import { existsSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { MockRecord } from '../../src/mock/server.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { privateBytesOf, workersOf } from './processes.ts'
import { findSetups } from './setups.ts'
import { eventsOf, get, nowMs, send } from './wire.ts'

const MODEL = 'Qwen/Qwen3-8B'
const STREAMS = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'one two' }] },
  '/v1/completions': { prompt: 'one two' },
  '/v1/responses': { input: 'one two' },
  '/v1/messages': { messages: [{ role: 'user', content: 'one two' }], max_tokens: 500 },
} as const
type Path = keyof typeof STREAMS
const PATHS = Object.keys(STREAMS) as Path[]
const CHAT: Path = '/v1/chat/completions'

/** Times are true only when nothing else takes the machine, so such a test may be tried again. */
const TIMED = { retry: 2 }

function streamOf(mock: string, path: Path = CHAT) {
  return { model: MODEL, stream: true, ...STREAMS[path], mock }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

watchLogs()

describe.each(await findSetups())('$name', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  async function newestCall(): Promise<MockRecord> {
    await until('a request at the mock', () => gate.mock.log().length > 0)
    const record = gate.mock.log().at(-1)
    if (!record) throw new Error('The mock forgot a request')
    return record
  }

  describe('time', () => {
    test('the first event arrives before the server behind sends its last', async () => {
      const answer = await send(gate, CHAT, { body: streamOf('tokens:10,itl:30') }).answer
      await until('the first event', () => answer.pieces.length > 0)
      const { lastByteAt } = await newestCall()
      expect(lastByteAt).toBeNull()
      await answer.body()
    })

    test('the header arrives before the first event', async () => {
      const answer = await send(gate, CHAT, { body: streamOf('tokens:1,ttft:300') }).answer
      expect((await newestCall()).firstByteAt).toBeNull()
      expect(answer.pieces).toEqual([])
      await answer.body()
    })

    test('20 events that are sent 50 ms apart arrive 50 ms apart', TIMED, async () => {
      const answer = await send(gate, CHAT, { body: streamOf('tokens:20,itl:50') }).answer
      await answer.body()
      const { firstByteAt } = await newestCall()
      // The first event names the role and comes with the first token.
      const arrivals = eventsOf(answer.pieces).slice(1, 21)
      const lags = arrivals.map(({ atMs }, token) => atMs - (firstByteAt ?? 0) - token * 50)
      const gaps = arrivals.slice(1).map(({ atMs }, i) => atMs - (arrivals[i]?.atMs ?? 0))
      expect(arrivals).toHaveLength(20)
      expect(median(gaps)).toBeGreaterThan(40)
      expect(median(gaps)).toBeLessThan(60)
      expect(median(lags)).toBeLessThan(15)
      // An event that waits for the next one is 50 ms late.
      expect(lags.filter((lag) => lag > 40).length).toBeLessThan(3)
    })
  })

  describe('bytes', () => {
    test.each([
      ['as they come', 'tokens:12', PATHS],
      ['split at every byte', 'tokens:2,split:1,gap:0,words:utf8', PATHS],
      [
        'split into pieces of 7 bytes that arrive one by one',
        'tokens:3,split:7,words:utf8',
        [CHAT],
      ],
      // Of chat and completions, meter.test.ts: there the mock puts a comment behind the usage too.
      ['with comments between the events', 'tokens:5,comments', ['/v1/responses', '/v1/messages']],
      ['with a line of 1 MB', 'tokens:3,bytes:1000000', [CHAT]],
      ['with an error within the stream', 'tokens:9,error:4', PATHS],
    ] as const)('a stream %s is the one that the server sent', async (_, mock, paths) => {
      for (const path of paths) {
        const { status, headers, bytes } = await get(gate, path, { body: streamOf(mock, path) })
        const id = String(headers['x-request-id'])
        const direct = await get({ ...gate, url: gate.mock.url }, path, {
          body: streamOf(mock, path),
          headers: { 'x-request-id': id },
        })
        expect(status).toBe(200)
        expect(bytes.length).toBeGreaterThan(500)
        expect(bytes.equals(direct.bytes), `${path} with ${mock}`).toBe(true)
        expect(headers['content-type']).toBe(direct.headers['content-type'])
      }
    })

    test('an answer of 8 MB that is no stream is the one that the server sent', async () => {
      const body = { ...streamOf('bytes:8000000'), stream: false }
      const { headers, bytes } = await get(gate, CHAT, { body })
      const direct = await get({ ...gate, url: gate.mock.url }, CHAT, {
        body,
        headers: { 'x-request-id': String(headers['x-request-id']) },
      })
      expect(bytes.equals(direct.bytes)).toBe(true)
      expect(headers['content-length']).toBe(String(bytes.length))
    })

    test('64 streams at once are not mixed up', async () => {
      const calls = Array.from({ length: 64 }, async (_, i) => {
        const tokens = 5 + (i % 16)
        const call = await get(gate, CHAT, { body: streamOf(`tokens:${tokens},itl:20`) })
        return { ...call, tokens }
      })
      for (const { headers, bytes, tokens } of await Promise.all(calls)) {
        const events = eventsOf([{ atMs: 0, bytes }]).map(({ text }) => text)
        // One event each for the role, the reason of the end, and [DONE].
        expect(events).toHaveLength(tokens + 3)
        const id = `"id":"chatcmpl-${headers['x-request-id']}"`
        expect(events.slice(0, -1).every((text) => text.includes(id))).toBe(true)
      }
    })
  })

  describe('a caller who leaves', () => {
    test.each([
      ['before the first byte', 'hang', 0],
      ['before the first event', 'tokens:9,ttft:60000', 0],
      ['between two events', 'tokens:1000,itl:20', 3],
      ['before the next event of a slow stream', 'tokens:9,itl:60000', 1],
    ])('%s closes the connection to the server within 100 ms', TIMED, async (_, mock, events) => {
      gate.mock.reset()
      const call = send(gate, CHAT, { body: streamOf(mock) })
      const record = await newestCall()
      if (events > 0) {
        const { pieces } = await call.answer
        await until('some events', () => eventsOf(pieces).length >= events)
      } else {
        await sleep(50)
      }
      const abortedAt = call.abort()
      await until('the close at the mock', () => record.closedAt !== null)
      expect(record.aborted).toBe(true)
      expect(Number(record.closedAt) - abortedAt).toBeLessThan(100)
      const line = async () => (await gate.ledger()).at(-1)
      await until('its line', async () => (await line())?.['id'] === record.headers['x-request-id'])
      expect(await line()).toMatchObject({ outcome: 'client_aborted', client: 'app' })
    })
  })

  test('a reader who stops reading fills no disk, and takes nothing along when he leaves', async () => {
    const [worker = 0] = workersOf(gate)
    const call = send(gate, CHAT, { body: streamOf('tokens:20000'), isPaused: true })
    onTestFinished(() => void call.abort())
    await call.answer
    const record = await newestCall()
    await until('much to be sent', () => record.eventsSent > 15_000)
    const folder = join(gate.runDir, 'proxy_temp')
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([])
    call.abort()
    await until('the close at the mock', () => record.closedAt !== null)
    expect((await get(gate, '/v1/models')).status).toBe(200)
    expect(workersOf(gate)).toContain(worker)
  })

  test('a stream that is not read is ended when 4 MB wait for the reader', async () => {
    gate.expectErrors(/Tollgate has ended this stream: cut_unread/)
    const [worker = 0] = workersOf(gate)
    const before = privateBytesOf(worker)
    // The kernel takes some megabytes more.
    const call = send(gate, CHAT, { body: streamOf('tokens:150000'), isPaused: true })
    onTestFinished(() => void call.abort())
    const { headers } = await call.answer
    const record = await newestCall()
    await until('the close at the mock', () => record.closedAt !== null, 30)
    expect(record.aborted).toBe(true)
    expect(privateBytesOf(worker) - before).toBeLessThan(64 * 1024 * 1024)
    const line = async () => (await gate.ledger()).at(-1)
    await until('its line', async () => (await line())?.['id'] === headers['x-request-id'])
    expect(await line()).toMatchObject({ outcome: 'cut_unread', client: 'app', status: 200 })
    expect(Number((await line())?.['completionTokens'])).toBeGreaterThan(10_000)
  })

  test('a reload in the middle of a stream loses nothing, and new requests go on', async () => {
    const [worker = 0] = workersOf(gate)
    const body = streamOf('tokens:40,itl:40')
    const answer = await send(gate, CHAT, { body }).answer
    await until('some events', () => eventsOf(answer.pieces).length > 5)
    gate.signal('SIGHUP')
    const reloadedAt = nowMs()
    const statuses: number[] = []
    while (!answer.response.complete && nowMs() - reloadedAt < 5000) {
      statuses.push((await get(gate, '/v1/models')).status)
      await sleep(10)
    }
    const bytes = await answer.body()
    const direct = await get({ ...gate, url: gate.mock.url }, CHAT, {
      body: streamOf('tokens:40'),
      headers: { 'x-request-id': String(answer.headers['x-request-id']) },
    })
    expect(bytes.equals(direct.bytes)).toBe(true)
    expect(statuses.length).toBeGreaterThan(10)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(workersOf(gate)).not.toContain(worker)
  })

  test('an upload that trickles in does not reach the server before it is whole', async () => {
    const text = JSON.stringify({ ...streamOf('tokens:1'), stream: false })
    const outgoing = request(`${gate.url}${CHAT}`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${gate.key}`,
        'content-type': 'application/json',
        'content-length': text.length,
      },
    })
    const answered = new Promise((resolve) => outgoing.on('response', resolve))
    outgoing.write(text.slice(0, 20))
    await sleep(200)
    expect(gate.mock.log()).toEqual([])
    outgoing.end(text.slice(20))
    expect(await answered).toMatchObject({ statusCode: 200 })
    expect((await newestCall()).body).toBe(text)
  })
})
