import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { foldLines } from '../../src/core/ledger/fold.ts'
import { outcomeOfStatus } from '../../src/core/ledger/line.ts'
import { normalise, readLine } from '../../src/core/ledger/read.ts'
import { sleep } from '../waiting.ts'
import { begin, openHttp2 } from './http2.ts'
import { isOneTime, type Line, type LineSite, startLineSite } from './linesite.ts'
import { exchange, message, noiseOf } from './raw.ts'
import { findEngines } from './setups.ts'

/** Without a file of zones: the machine may have none. */
const TIME_ZONES = [
  ['in UTC', 'UTC', '+00:00'],
  ['behind India, where an hour has a half', 'IST-5:30', '+05:30'],
] as const

const CLOSE = ['Connection: close']
const usual = { outcome: 'ok', client: 'app' }

describe.each(await findEngines())('$name: a line of version 2', (setup) => {
  let site: LineSite
  beforeAll(async () => {
    site = await startLineSite(setup, TIME_ZONES[1][1])
  })
  afterAll(() => site.stop())

  /** Sends bytes over a connection of their own, and gives the one line that they leave. */
  async function lineOf(bytes: string): Promise<Line> {
    await exchange(site, bytes)
    const lines = await site.lines(1)
    expect(lines).toHaveLength(1)
    return lines[0] as Line
  }
  const get = (target: string, headers: string[] = []) =>
    lineOf(message('GET', target, [...CLOSE, ...headers]))

  /** What of a line is not the same each time. */
  function varying({ time, at, id, durationMs, bytesIn, bytesOut, ...rest }: Line) {
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/)
    expect(isOneTime({ time, at, id })).toBe(true)
    expect(Math.abs(at * 1000 - Date.now())).toBeLessThan(5000)
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    for (const number of [durationMs, bytesIn, bytesOut]) {
      expect(Number.isInteger(number)).toBe(true)
      expect(number).toBeGreaterThanOrEqual(0)
    }
    return rest
  }

  describe('tells what happened', () => {
    test.each<[string, string, object]>([
      ['an answer of nginx itself', '/', { status: 200 }],
      ['an answer without a body', '/nothing', { status: 204 }],
      ['a connection that nginx closes', '/gone', { status: 444 }],
      ['a server that answered', '/behind/', { status: 200, upstream: 1, upstreamStatus: 200 }],
      ['one that refused', '/behind/status/429', { status: 429, upstream: 1, upstreamStatus: 429 }],
      ['one that died', '/behind/die', { status: 502, upstream: 1, upstreamStatus: 502 }],
      ['one of a low status', '/behind/low', { status: 99, upstream: 1, upstreamStatus: 99 }],
      ['one that was not there', '/closed', { status: 502, upstream: 2, upstreamStatus: 502 }],
      ['one that took the place of another', '/broken', { status: 200, upstream: '2, 1' }],
      ['two that were not there', '/dead', { status: 502, upstream: '2, 2' }],
      ['nobody to ask', '/nobody', { status: 502, upstream: 'nobody', upstreamStatus: 502 }],
      ['one behind an error page', '/redirect/status/404', { status: 200, upstream: '1 : 2, 1' }],
      ['a socket whose name JSON would escape', '/unix', { status: 502, upstreamStatus: 502 }],
      ['our own server on the socket', '/answered', { status: 200 }],
    ])('%s', async (_, target, expected) => {
      const rest = varying(await get(target))
      const named: Record<string, string> = { 1: site.behind, 2: site.closed }
      const { upstream, ...more } = expected as { upstream?: number | string }
      const addresses = String(upstream).replace(/\d/g, (digit) => named[digit] ?? digit)
      const asked = upstream === undefined ? {} : { upstream: addresses }
      const remote = '127.0.0.1'
      expect(rest).toEqual({ version: 2, ...usual, ...more, ...asked, remote })
    })

    test.each<[string, string, number]>([
      ['a request line that is none', 'NONSENSE\r\n\r\n', 400],
      ['bytes that are no text', '\x16\x03\x01\xff"\\{}\r\n\r\n', 400],
      ['a request line that is too long', `GET /${'x'.repeat(20000)} HTTP/1.1\r\n\r\n`, 414],
      ['a header that is too long', message('GET', '/', [`X: ${'x'.repeat(20000)}`]), 400],
      ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['a version that there is not', 'GET / HTTP/7.0\r\nHost: x\r\n\r\n', 505],
      ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 200],
      ['quotes in path and query', message('GET', '/"\\?"=\\"', [...CLOSE, 'Cookie: "\\']), 200],
    ])('%s', async (_, bytes, status) => {
      const rest = varying(await lineOf(bytes))
      expect(rest).toEqual({ version: 2, ...usual, status, remote: '127.0.0.1' })
    })

    test('HTTP/0.9, also where nothing is answered', async () => {
      expect(varying(await lineOf('GET /\r\n'))).toMatchObject({ outcome: 'ok' })
      expect(varying(await lineOf('GET /gone\r\n'))).toMatchObject({ status: 444 })
    })

    test('a caller on a socket', async () => {
      const socket = connect(site.socket)
      socket.end(message('GET', '/', CLOSE))
      socket.resume()
      await once(socket, 'close')
      const [line] = await site.lines(1)
      expect(varying(line as Line)).toEqual({
        ...{ version: 2, ...usual, status: 200 },
        remote: 'unix:',
      })
    })

    test('a stream of HTTP/2', async () => {
      const session = await openHttp2(site)
      const { status } = await begin(session, { ':path': '/behind/' }, true).ended
      session.close()
      expect(status).toBe(200)
      const [line] = await site.lines(1)
      expect(varying(line as Line)).toMatchObject({ status: 200, upstreamStatus: 200 })
    })

    test('a caller that left before the answer', async () => {
      const call = request(`${site.url}/behind/ms/3000`, { agent: false })
      call.on('error', () => {})
      call.end()
      await sleep(150)
      call.destroy()
      const [line] = await site.lines(1)
      expect(varying(line as Line)).toEqual({
        ...{ version: 2, ...usual, status: 499 },
        ...{ upstream: site.behind, remote: '127.0.0.1' },
      })
    })

    test('a caller that left in its own body', async () => {
      const socket = connect(site.port, '127.0.0.1')
      socket.write(message('POST', '/behind/', ['Content-Length: 100'], '{'))
      await sleep(100)
      socket.destroy()
      const [line] = await site.lines(1)
      expect(varying(line as Line)).toMatchObject({ status: 400 })
    })
  })

  test('both times are of one moment, across seconds, and the duration is what it took', async () => {
    const agent = new Agent({ keepAlive: true })
    const endMs = Date.now() + 2300
    let sent = 0
    for (; Date.now() < endMs; sent++) {
      const waitMs = (sent * 7) % 40
      const startMs = Date.now()
      await ask(agent, `/behind/ms/${waitMs}`)
      const tookMs = Date.now() - startMs
      const [line] = await site.lines(1)
      expect(isOneTime(line as Line)).toBe(true)
      expect(line?.['durationMs']).toBeGreaterThanOrEqual(waitMs - 2)
      expect(line?.['durationMs']).toBeLessThanOrEqual(tookMs + 2)
    }
    agent.destroy()
    expect(sent).toBeGreaterThan(20)
  })

  async function ask(agent: Agent, path: string, headers: Record<string, string> = {}) {
    const call = request(site.url + path, { agent, headers }).end()
    const [response] = await once(call, 'response')
    response.resume()
    await once(response, 'end')
    return response.statusCode
  }

  test('what the gate tells is in it as it is, whatever callers and servers have written', async () => {
    const texts = ['"', '\\', '","outcome":"ok","x":"', '\n\r\t\u0000\u001f', '模型-😀\u2028', '']
    for (const text of texts) {
      const told = {
        ...{ outcome: 'cut_budget', client: 'a@b+c:d', key: 'k7q2m9xa', group: 'web' },
        ...{ route: 'chat', shadow: 'rate_limited', limit: 'requestsPerMinute of client' },
        ...{ model: text, served: text ? `${text}'` : text, stream: true },
        ...{ promptTokens: 512, cachedTokens: 0, completionTokens: 1e21 },
        ...{ reasoningTokens: 3, audioSeconds: 2.5, cost: 5.76e-7, estimated: true },
        ...{ reservedTokens: 1536, admissionMs: 0, ttftMs: 84, tokensPerSecond: 52.1 },
        ...{ finishReason: text },
      }
      const ascii = JSON.stringify(told).replace(/[^ -~]/g, (found) => {
        return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
      })
      const rest = varying(await get('/', [`X-Told: ${ascii}`]))
      expect(rest).toEqual({ version: 2, ...told, status: 200, remote: '127.0.0.1' })
    }
  })

  describe('of odd values', () => {
    test.each<[string, [status: string, duration: string, upstream: string, its: string], object]>([
      ['no answer', ['000', '0.000', '', ''], { status: 0, durationMs: 0 }],
      ['none of HTTP/0.9', ['009', '0.001', '', ''], { status: 9, durationMs: 1 }],
      ['a status with a zero', ['099', '0.010', '', ''], { status: 99, durationMs: 10 }],
      ['nothing', ['000', '', '', ''], { status: 0, durationMs: 0 }],
      ['a dash', ['499', '-', '-', '-'], { status: 499, durationMs: 0, upstream: '-' }],
      ['a tenth', ['200', '0.100', '', '-'], { status: 200, durationMs: 100 }],
      ['all places', ['200', '0.999', '', '-'], { status: 200, durationMs: 999 }],
      ['a second', ['200', '1.000', '', '-'], { status: 200, durationMs: 1000 }],
      ['seconds', ['200', '12.034', '', '-'], { status: 200, durationMs: 12034 }],
      ['an hour', ['200', '3600.007', '', '-'], { status: 200, durationMs: 3600007 }],
      [
        'a list of two',
        ['200', '0.020', '127.0.0.1:1, [::1]:2', '502, 200'],
        { status: 200, durationMs: 20, upstream: '127.0.0.1:1, [::1]:2' },
      ],
      [
        'a list over a redirect',
        ['404', '2.000', '127.0.0.1:1 : unix:/run/a.sock', '200 : 404'],
        { status: 404, durationMs: 2000, upstream: '127.0.0.1:1 : unix:/run/a.sock' },
      ],
      [
        'a server that did not answer',
        ['504', '60.001', '127.0.0.1:1', '-'],
        { status: 504, durationMs: 60001, upstream: '127.0.0.1:1' },
      ],
      [
        'one with a status of two digits',
        ['200', '0.001', '127.0.0.1:1', '99'],
        { status: 200, durationMs: 1, upstream: '127.0.0.1:1', upstreamStatus: 99 },
      ],
      ['an address with a quote', ['200', '0.001', '"', '-'], { status: 200, durationMs: 1 }],
      ['one with a backslash', ['200', '0.001', 'a\\b', '-'], { status: 200, durationMs: 1 }],
      ['one with other bytes', ['200', '0.001', 'a\xffb', '-'], { status: 200, durationMs: 1 }],
    ])('%s is JSON', async (_, [status, duration, upstream, its], expected) => {
      const line = await get('/odd', [
        `X-Status: ${status}`,
        `X-Request-Time: ${duration}`,
        `X-Upstream-Addr: ${upstream}`,
        `X-Upstream-Status: ${its}`,
      ])
      const { time, at, id, bytesIn, bytesOut, ...rest } = line
      expect(rest).toEqual({ version: 2, ...usual, ...expected, remote: '127.0.0.1' })
    })

    test('every duration of a second is whole milliseconds', async () => {
      const agent = new Agent({ keepAlive: true })
      for (let ms = 0; ms < 1000; ms += 9) {
        const seconds = (ms / 1000).toFixed(3)
        await ask(agent, '/odd', { 'x-status': '200', 'x-request-time': seconds })
      }
      agent.destroy()
      const lines = await site.lines(112)
      expect(lines.map((line) => line['durationMs'])).toEqual(lines.map((_, at) => at * 9))
    })

    test('our own server on the socket was not asked', async () => {
      const asked = ['X-Upstream-Addr: unix:/run/tollgate.sock', 'X-Upstream-Status: 401']
      const headers = ['X-Status: 401', 'X-Request-Time: 0.002', ...asked, 'X-Answered: 1']
      const line = await get('/odd', headers)
      expect(line).toMatchObject({ status: 401, durationMs: 2 })
      expect(line).not.toHaveProperty('upstream')
      expect(line).not.toHaveProperty('upstreamStatus')
    })
  })

  describe('of what was refused natively', () => {
    test.each<[string, Record<string, string>, object]>([
      ['of whom nothing is known', {}, { outcome: 'bad_request' }],
      ['by an outcome alone', { fate: 'invalid_key' }, { outcome: 'invalid_key' }],
      [
        'of a client',
        { client: 'a@b+c:d.e-f_g', key: 'k7q2m9xa', route: 'chat', fate: 'scope_denied' },
        { outcome: 'scope_denied', client: 'a@b+c:d.e-f_g', key: 'k7q2m9xa', route: 'chat' },
      ],
      [
        'of a client in a group, by a limit',
        {
          ...{ client: 'app', key: 'k7q2m9xa', group: 'web', route: 'chat' },
          ...{ fate: 'rate_limited', limit: 'requestsPerMinute of client' },
        },
        {
          ...{ client: 'app', key: 'k7q2m9xa', group: 'web', route: 'chat' },
          ...{ outcome: 'rate_limited', limit: 'requestsPerMinute of client' },
        },
      ],
      ['of a client alone', { client: 'app' }, { outcome: 'bad_request', client: 'app' }],
      ['of a key alone', { key: 'k1' }, { outcome: 'bad_request', key: 'k1' }],
      ['by a limit alone', { limit: 'a of b' }, { outcome: 'bad_request', limit: 'a of b' }],
      [
        'of a client and its group',
        { client: 'app', group: 'web' },
        { outcome: 'bad_request', client: 'app', group: 'web' },
      ],
    ])('%s', async (_, values, expected) => {
      const headers = Object.entries(values).map(
        ([name, value]) => `X-${name === 'client' ? 'caller' : name}: ${value}`,
      )
      const rest = varying(await get('/refused', headers))
      expect(rest).toEqual({ version: 2, ...expected, status: 429, remote: '127.0.0.1' })
    })

    test('where no location was found', async () => {
      const line = await lineOf('GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n')
      expect(varying(line)).toMatchObject({ outcome: 'unknown_route', status: 404 })
    })

    test('a status means the same as to the core', async () => {
      const agent = new Agent({ keepAlive: true })
      const statuses = Array.from({ length: 600 }, (_, status) => status)
      for (const status of statuses) {
        await ask(agent, '/oddly-refused', { 'x-status': String(status).padStart(3, '0') })
      }
      agent.destroy()
      const lines = await site.lines(600)
      expect(lines.map(({ status }) => status)).toEqual(statuses)
      expect(lines.map(({ outcome }) => outcome)).toEqual(statuses.map(outcomeOfStatus))
    })
  })

  test('random bytes leave lines that all readers take', async () => {
    const noise = noiseOf(42)
    for (let i = 0; i < 100; i++) {
      const headers = [...CLOSE, `X-Real-IP: ${noise()}`, `User-Agent: ${noise()}`]
      const target = i % 2 ? '/refused' : `/${noise()}`
      const host = i % 4 ? [] : [`Host: ${noise()}`]
      await exchange(site, message('GET', target, [...headers, ...host]))
    }
    const texts = await site.texts(100)
    expect(texts).toHaveLength(100)
    const folded = foldLines(texts.join('\n'), Date.now())
    expect(folded).toMatchObject({ lines: 100, skipped: 0 })
    for (const text of texts) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(text).not.toMatch(/[\x00-\x1f\x7f-\uffff]/)
      const { line, timeMs } = readLine(text)
      if (!line) throw new Error(`There is no line in ${text}`)
      expect(normalise(line, timeMs).time).toBe(new Date(timeMs).toISOString())
    }
  })
})

describe.each(await findEngines())('$name: the time of a line', (setup) => {
  test.each(TIME_ZONES)('%s has its offset', async (_, timeZone, offset) => {
    const site = await startLineSite(setup, timeZone)
    try {
      await exchange(site, message('GET', '/', CLOSE))
      const [line] = await site.lines(1)
      expect(line?.time.slice(19)).toBe(offset)
      expect(line && isOneTime(line)).toBe(true)
    } finally {
      await site.stop()
    }
  })
})
