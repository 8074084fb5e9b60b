import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { CHAT, clientOf, documentOf, linesOf } from './clients.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { begin, type Ended, openHttp2 } from './http2.ts'
import { watchLogs } from './logs.ts'
import { probed } from './probe.ts'
import { privateBytesOf, workersOf } from './processes.ts'
import { ask } from './raw.ts'
import { findEngines } from './setups.ts'

const MB = 1e6
const STREAMS = 100
const STREAM_BYTES = 5 * MB

/** A page of the site that nobody may ask for. */
const SITE = 'location = /secret { internal; return 200 secret; }'

/** In the gate's location: error pages of the site's own, after which those of the server do not hold. */
const OWN_PAGES = 'error_page 418 /teapot;'

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  const callers = {
    app: clientOf({ scopes: ['inference', 'models', 'admin'] }),
    twice: clientOf({ limits: { requestsPerMinute: 2, concurrency: 1 } }),
  }
  const { secret } = callers.app
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(
      setup,
      probed({
        clients: documentOf(callers),
        policy: { version: 1, routes: { metrics: 'key' } },
        serverExtra: `http2 on; ${SITE}`,
      }),
    )
    gate.expectErrors(/intended to send too large chunked body/, /http2 flood/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  const headersOf = (method: string, path: string, key: string | null) => ({
    ':method': method,
    ':path': path,
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  })

  /** One request of its own connection, with so many bytes that nothing announces. */
  async function over2(
    path: string,
    key: string | null,
    bytes: number,
    more: { isOpen?: boolean; headers?: object; method?: string } = {},
  ): Promise<Ended> {
    const session = await openHttp2(gate)
    const headers = { ...headersOf(more.method ?? 'GET', path, key), ...more.headers }
    const stream = begin(session, headers)
    if (bytes > 0) stream.write(Buffer.alloc(bytes, 'x'))
    if (!more.isOpen) stream.end()
    const ended = await Promise.race([stream.answered, stream.ended])
    session.destroy()
    return ended
  }

  /** What a worker grows by, while so many streams of 5 MB are sent and stay open. */
  async function growth(method: string, path: string, key: string | null, streams: number) {
    const [pid = 0] = workersOf(gate)
    const session = await openHttp2(gate)
    onTestFinished(() => session.destroy())
    const before = privateBytesOf(pid)
    const body = Buffer.alloc(STREAM_BYTES, 'x')
    for (let i = 0; i < streams; i++) begin(session, headersOf(method, path, key)).write(body)
    let most = 0
    // Until nothing has come for a while: all was sent, or is refused.
    for (let calm = 0; calm < 10; calm++) {
      const now = privateBytesOf(pid) - before
      if (now > most + 100000) calm = 0
      most = Math.max(most, now)
      await sleep(50)
    }
    session.destroy()
    return most
  }

  test('C: 100 streams of 5 MB keep nothing where a route takes no body', async () => {
    // What four legitimate uploads of that size hold.
    const control = await growth('POST', CHAT, secret, 4)
    expect(control).toBeGreaterThan(3 * STREAM_BYTES)
    const attacks: [string, string, string | null][] = [
      ['GET', '/health', null],
      ['GET', '/v1/models', secret],
      ['GET', '/metrics', secret],
      ['GET', '/v1/models', null],
      ['GET', '/nothing', null],
      ['GET', '/v1/%6dodels', secret],
      ['HEAD', '/health', null],
      ['POST', '/health', null],
      ['DELETE', '/v1/models', secret],
      ['POST', '/nothing', null],
      ['POST', CHAT, null],
      ['POST', CHAT, 'tg_aaaaaaaa_0'],
    ]
    for (const [method, path, key] of attacks) {
      const grown = await growth(method, path, key, STREAMS)
      expect([method, path, grown < control / 2]).toEqual([method, path, true])
    }
    expect(gate.mock.log()).toEqual([])
  }, 120_000)

  describe('C: a body on a route without one', () => {
    const sizes: [string, number][] = [
      ['one byte', 1],
      ['two bytes', 2],
      ['100 bytes', 100],
      ['70 KB', 70000],
    ]
    test.each(sizes)('%s over HTTP/2 is refused in the dialect', async (_, bytes) => {
      for (const [path, key] of [
        ['/health', null],
        ['/v1/models', secret],
        ['/v1/models?a=b', secret],
      ] as const) {
        const before = (await gate.ledger()).length
        const { status, headers, body } = await over2(path, key, bytes)
        expect([path, status]).toEqual([path, 400])
        expect(headers['content-type']).toBe('application/json')
        expect(headers['x-request-id']).toMatch(/^\w{32}$/)
        expect(JSON.parse(body)).toMatchObject({ error: { code: 'bad_request' } })
        const lines = (await gate.ledger(before + 1)).slice(before)
        expect(lines).toHaveLength(1)
        expect(lines[0]).toMatchObject({ outcome: 'bad_request', status: 400 })
      }
      expect(gate.mock.log()).toEqual([])
    })

    test('one that never ends over HTTP/2 is refused with its second byte', async () => {
      expect((await over2('/health', null, 2, { isOpen: true })).status).toBe(400)
      expect((await over2('/v1/models', secret, 9000, { isOpen: true })).status).toBe(400)
    })

    test('one that is announced is refused before it, over both protocols', async () => {
      const announced = { isOpen: true, headers: { 'content-length': '5000000' } }
      expect((await over2('/v1/models', secret, 1, announced)).status).toBe(400)
      expect((await over2('/health', null, 1, announced)).status).toBe(400)
      const key = `Authorization: Bearer ${secret}`
      const chunks = 'Transfer-Encoding: chunked'
      const answers = [
        await ask(gate, 'GET', '/v1/models', [key, 'Content-Length: 2'], 'xx'),
        await ask(gate, 'GET', '/v1/models', [key, chunks], '2\r\nxx\r\n0\r\n\r\n'),
        await ask(gate, 'GET', '/health', ['Content-Length: 2'], 'xx'),
        await ask(gate, 'GET', '/metrics', [key, 'Content-Length: 30000000']),
      ]
      expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400])
      expect(gate.mock.log()).toEqual([])
    })

    test('a length of zero is none', async () => {
      const key = `Authorization: Bearer ${secret}`
      expect((await ask(gate, 'GET', '/v1/models', [key, 'Content-Length: 0'])).status).toBe(200)
      const none = { headers: { 'content-length': '0' } }
      expect((await over2('/v1/models', secret, 0, none)).status).toBe(200)
    })
  })

  test('C: without a body HTTP/2 is what it was: one judgement, one line, the query as sent', async () => {
    const before = (await linesOf(gate, 'app')).length
    // With END_STREAM in the header, and in an empty frame of its own.
    const session = await openHttp2(gate)
    onTestFinished(() => session.destroy())
    const path = '/v1/models?a=%20b%2F&c=d+e&f'
    for (const endStream of [true, false]) {
      const stream = begin(session, headersOf('GET', path, secret), endStream)
      if (!endStream) stream.end()
      expect((await stream.ended).status).toBe(200)
    }
    expect(gate.mock.log().map(({ path: seen }) => seen)).toEqual([path, path])
    const lines = (await linesOf(gate, 'app', before + 2)).slice(before)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({ route: 'models', client: 'app', outcome: 'ok', status: 200 })
  })

  test('C: a GET over HTTP/2 is counted once', async () => {
    const key = callers.twice.secret
    const statuses: number[] = []
    for (let i = 0; i < 3; i++) statuses.push((await over2('/v1/models', key, 0)).status)
    expect(statuses).toEqual([200, 200, 429])
  })

  test('C: no path leads to a page that is only internal', async () => {
    const paths = ['/secret', '/secret%3F', '/secret%3Fa', '/%73ecret', '//secret', '/x/../secret']
    for (const path of [...paths, '/tollgate-error%3F404', '/secret/', '/secret?']) {
      const { status, body } = await over2(path, secret, 0)
      expect([path, status]).toEqual([path, 404])
      expect(body).not.toContain('secret')
    }
    expect(gate.mock.log()).toEqual([])
  })

  test('C: who leaves without having ended a GET leaves one line and nothing else', async () => {
    const before = (await gate.ledger()).length
    const session = await openHttp2(gate)
    begin(session, headersOf('GET', '/v1/models', secret))
    await sleep(100)
    session.destroy()
    await until('its line', async () => (await gate.ledger()).length === before + 1)
    expect(gate.mock.log()).toEqual([])
    expect((await over2('/v1/models', secret, 0)).status).toBe(200)
  })

  test('C: bodies of other routes pass over HTTP/2, with a length and without', async () => {
    const text = JSON.stringify({
      model: 'Qwen/Qwen3-8B',
      messages: [{ role: 'user', content: 'one two three' }],
      max_tokens: 2,
    })
    const session = await openHttp2(gate)
    onTestFinished(() => session.destroy())
    for (const length of [{}, { 'content-length': `${text.length}` }]) {
      const type = { 'content-type': 'application/json', ...length }
      const stream = begin(session, { ...headersOf('POST', CHAT, secret), ...type })
      stream.end(Buffer.from(text))
      expect((await stream.ended).status).toBe(200)
    }
  })

  test('C: error pages of the site’s own in the location take nothing away from it', async () => {
    const own = await startGate(setup, {
      clients: documentOf({ app: callers.app }),
      serverExtra: 'http2 on;',
      async prepare(root) {
        const path = join(root, 'nginx.conf')
        const text = await readFile(path, 'utf8')
        await writeFile(path, text.replace('location / {', `location / { ${OWN_PAGES}`))
      },
    })
    onTestFinished(() => own.stop())
    const session = await openHttp2(own)
    onTestFinished(() => session.destroy())
    const empty = begin(session, headersOf('GET', '/v1/models', secret), true)
    expect((await empty.ended).status).toBe(200)
    const full = begin(session, headersOf('GET', '/v1/models', secret))
    full.write(Buffer.alloc(1))
    full.end()
    expect((await full.ended).status).toBeGreaterThanOrEqual(400)
    expect(own.mock.log()).toHaveLength(1)
  })
})
