import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { UPLOAD_BYTES_MAX } from '../../src/core/limits/reserve.ts'
import { subjectId } from '../../src/edge/config/subject.ts'
import { type Caller, CHAT, chatOf, clientOf, documentOf, linesOf, messages } from './clients.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { begin, openHttp2 } from './http2.ts'
import { watchLogs } from './logs.ts'
import { entriesOf, probed, zone } from './probe.ts'
import { privateBytesOf, workersOf } from './processes.ts'
import { exchange, firstAnswer, message, open, parseAnswers, type RawAnswer } from './raw.ts'
import { findEngines } from './setups.ts'

const MB = 1e6
const LARGEST = UPLOAD_BYTES_MAX / 4

watchLogs()

/** A request of which a part was sent. */
type Half = {
  /** The answer as far as it came; null as long as there is none. */
  answer(): RawAnswer | null
  finish(): void
  leave(): void
}

const chats = new Map<number, string>()

/** A chat of just so many bytes. */
function chatOfBytes(bytes: number): string {
  const text = (filler: string) =>
    JSON.stringify({ ...chatOf('tokens:2', { max_tokens: 2 }), metadata: { filler } })
  const made = chats.get(bytes) ?? text('x'.repeat(bytes - text('').length))
  chats.set(bytes, made)
  return made
}

/** Announces a body, by its length or as chunks, and sends the first part of it. */
async function half(
  gate: Gate,
  key: string,
  bytes: number,
  sent: number,
  isChunked = false,
  path = CHAT,
): Promise<Half> {
  const body = chatOfBytes(bytes)
  const socket = await open(gate.port)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  let got = ''
  socket.on('data', (piece) => {
    got += piece.toString('latin1')
  })
  const kind = path.includes('audio') ? 'multipart/form-data; boundary=x' : 'application/json'
  const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes}`
  const head = [`POST ${path} HTTP/1.1`, 'Host: gate', `Content-Type: ${kind}`, length]
  socket.write(`${[...head, `Authorization: Bearer ${key}`].join('\r\n')}\r\n\r\n`)
  if (isChunked) socket.write(`${bytes.toString(16)}\r\n`)
  socket.write(body.slice(0, sent))
  return {
    answer: () => (got.includes('\r\n\r\n') ? firstAnswer(got) : null),
    finish: () => void socket.write(body.slice(sent) + (isChunked ? '\r\n0\r\n\r\n' : '')),
    leave: () => void socket.destroy(),
  }
}

function many(count: number, make: () => Promise<Half>): Promise<Half[]> {
  return Promise.all(Array.from({ length: count }, make))
}

/** Changes a file below the folder of nginx.conf; what is not there to be changed is an error. */
async function change(root: string, file: string, from: RegExp | string, to: string) {
  const path = join(root, file)
  const text = await readFile(path, 'utf8')
  const changed = text.replace(from, to)
  if (changed === text) throw new Error(`Nothing to change in ${file}`)
  await writeFile(path, changed)
}

const statusesOf = (halves: Half[]) => halves.map((one) => one.answer()?.status ?? 0)
const countOf = (halves: Half[], status: number) =>
  statusesOf(halves).filter((one) => one === status).length

describe.each(await findEngines())('$name', (setup) => {
  const callers = {
    one: clientOf({ limits: { concurrency: 1 } }),
    large: clientOf({ limits: { concurrency: 1 } }),
    waiting: clientOf({ limits: { concurrency: 1 } }),
    kept: clientOf({ limits: { requestsPerMinute: 0 } }),
    leaving: clientOf({ limits: { concurrency: 1, requestsPerMinute: 5 } }),
    three: clientOf({ limits: { requestsPerMinute: 3 } }),
    tokens: clientOf({ limits: { requestsPerMinute: 9, concurrency: 9, tokensPerMinute: 60 } }),
    spent: clientOf({ budgets: { tokensPerDay: 0 }, limits: { concurrency: 0 } }),
    shadow: clientOf({ shadow: true, limits: { concurrency: 1 } }),
    grouped: clientOf({ group: 'web' }),
    free: clientOf(),
    chunked: clientOf(),
    http2: clientOf(),
    audio: clientOf(),
    parallel: clientOf(),
    small: clientOf(),
  }
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(
      setup,
      probed({
        clients: documentOf(callers),
        policy: { version: 1, groups: { web: { limits: { concurrency: 1 } } } },
        serverExtra: 'http2 on;',
      }),
    )
    gate.expectErrors(/intended to send too large chunked body/)
    // Callers leave while their requests are read.
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  /** All that anybody holds: places, reservations, unread bytes, and the entries of requests. */
  async function held(): Promise<string[]> {
    const counters = Object.entries(await zone(gate, 'counters'))
    const names = counters.filter(([name, value]) => /^[farRu]/.test(name) && value !== 0)
    return [...names.map(([name]) => name), ...(await entriesOf(gate))]
  }
  const isFree = () => until('all to be given back', async () => (await held()).length === 0)

  /** Requests of the running minute and the one before it. */
  async function requestsOf(name: keyof typeof callers): Promise<number> {
    const id = subjectId('client', name)
    const windows = Object.entries(await zone(gate, 'windows'))
    const own = windows.filter(([entry]) => entry.startsWith(`q${id}`))
    return own.reduce((sum, [, value]) => sum + value, 0)
  }

  async function unreadOf({ id }: Caller): Promise<number> {
    return (await zone(gate, 'counters'))[`u${id}`] ?? 0
  }

  test('D: of 40 half-sent bodies under concurrency 1, 39 are refused before their body', async () => {
    const { secret } = callers.one
    const [pid = 0] = workersOf(gate)
    const before = privateBytesOf(pid)
    const halves = await many(40, () => half(gate, secret, 33 * MB, 19 * MB))
    await until('39 answers', () => countOf(halves, 429) === 39)
    await sleep(300)
    const grown = privateBytesOf(pid) - before
    // What one legitimate half holds, with a bound that is generous: all of them would be 40 of it.
    expect(grown).toBeLessThan(5 * 33 * MB)
    const refused = halves.find((one) => one.answer() !== null)?.answer()
    expect(refused?.headers['retry-after']).toBe('1')
    expect(JSON.parse(refused?.body ?? '')).toMatchObject({
      error: { code: 'rate_limit_exceeded', type: 'requests' },
    })
    expect(refused?.body).toContain('1 request at once for this client')
    expect(gate.mock.log()).toEqual([])
    const lines = await linesOf(gate, 'one', 39)
    expect(lines[0]).toMatchObject({
      outcome: 'rate_limited',
      status: 429,
      limit: 'concurrency of client',
      route: 'chat',
    })
    // The one that was let in goes on.
    const last = halves.find((one) => one.answer() === null) as Half
    last.finish()
    await until('its answer', () => last.answer() !== null)
    expect(last.answer()?.status).toBe(200)
    await isFree()
  })

  test('D: a group’s concurrency holds before the body', async () => {
    const { secret } = callers.grouped
    const halves = await many(5, () => half(gate, secret, 1000, 500))
    await until('four answers', () => countOf(halves, 429) === 4)
    for (const one of halves) one.leave()
    await isFree()
  })

  test('D: requests a minute hold before the body, are counted once, and are told in the headers', async () => {
    const { secret } = callers.three
    const halves = await many(3, () => half(gate, secret, 1000, 500))
    await until('all three', async () => (await requestsOf('three')) === 3)
    const fourth = await half(gate, secret, 1000, 500)
    await until('a refusal', () => fourth.answer() !== null)
    expect(fourth.answer()).toMatchObject({
      status: 429,
      headers: { 'x-ratelimit-limit-requests': '3', 'x-ratelimit-remaining-requests': '0' },
    })
    expect(Number(fourth.answer()?.headers['retry-after'])).toBeGreaterThan(0)
    for (const one of halves) one.finish()
    await until('all to be answered', () => countOf(halves, 200) === 3)
    expect(await requestsOf('three')).toBe(3)
    await isFree()
  })

  test('D: who leaves while sending gives everything back', async () => {
    const { secret } = callers.leaving
    for (let i = 0; i < 4; i++) {
      const one = await half(gate, secret, 5 * MB, 2 * MB)
      await until('its place', async () => (await held()).length > 0)
      one.leave()
      await isFree()
    }
    expect(await requestsOf('leaving')).toBe(0)
    const lines = await linesOf(gate, 'leaving', 4)
    expect(lines.every((line) => line['route'] === 'chat' && !('upstream' in line))).toBe(true)
    expect((await gate.call(CHAT, { key: secret, body: chatOfBytes(900) })).status).toBe(200)
  })

  test('D: a body that nginx finds too large gives everything back', async () => {
    const one = await half(gate, callers.large.secret, 40 * MB, 36 * MB, true)
    await until('an answer', () => one.answer() !== null)
    expect(one.answer()?.status).toBe(413)
    await isFree()
    expect((await linesOf(gate, 'large', 1))[0]).toMatchObject({ outcome: 'body_too_large' })
  })

  test('D: a refusal after the body undoes what was taken before it', async () => {
    const { secret } = callers.tokens
    const refused: [string, number][] = [
      ['{"model":', 400],
      [JSON.stringify({ ...chatOf('tokens:2'), use_beam_search: true }), 400],
    ]
    for (const [body, status] of refused) {
      expect((await gate.call(CHAT, { key: secret, body })).status).toBe(status)
    }
    expect(await requestsOf('tokens')).toBe(0)
    const body = JSON.stringify(chatOf('tokens:40', { max_tokens: 40, messages }))
    expect((await gate.call(CHAT, { key: secret, body })).status).toBe(200)
    await linesOf(gate, 'tokens', 3)
    const late = await gate.call(CHAT, { key: secret, body })
    expect(late.status).toBe(429)
    expect(await late.text()).toContain('60 tokens a minute for this client')
    expect(late.headers.get('x-ratelimit-remaining-requests')).toBe('8')
    expect(late.headers.get('x-ratelimit-limit-tokens')).toBe('60')
    expect(await requestsOf('tokens')).toBe(1)
    await isFree()
  })

  test('D: of a rate and a spent budget the budget is told, and nothing is read', async () => {
    const one = await half(gate, callers.spent.secret, 5 * MB, 100)
    await until('a refusal', () => one.answer() !== null)
    expect(one.answer()?.body).toContain('insufficient_quota')
    expect(one.answer()?.headers).toMatchObject({ 'x-should-retry': 'false' })
  })

  test('D: shadow refuses nobody before the body either', async () => {
    const { secret } = callers.shadow
    const halves = await many(3, () => half(gate, secret, 1000, 500))
    await sleep(100)
    for (const one of halves) one.finish()
    await until('all to be answered', () => countOf(halves, 200) === 3)
    const lines = await linesOf(gate, 'shadow', 3)
    expect(lines.filter((line) => line['shadow'] === 'rate_limited')).toHaveLength(2)
    await isFree()
  })

  test('D: unread bytes of a key without limits have a bound, and its memory has', async () => {
    const { secret } = callers.free
    const [pid = 0] = workersOf(gate)
    const before = privateBytesOf(pid)
    const halves = await many(40, () => half(gate, secret, LARGEST, 19 * MB))
    await until('36 answers', () => countOf(halves, 429) === 36)
    await sleep(300)
    expect(privateBytesOf(pid) - before).toBeLessThan(2 * UPLOAD_BYTES_MAX)
    const refused = halves.find((one) => one.answer() !== null)?.answer()
    expect(refused?.headers['retry-after']).toBe('1')
    expect(refused?.body).toContain('134,217,728 unread bytes for this key')
    expect((await linesOf(gate, 'free', 36))[0]).toMatchObject({
      outcome: 'rate_limited',
      limit: 'unreadBytes of key',
    })
    expect(await unreadOf(callers.free)).toBe(UPLOAD_BYTES_MAX)
    // Small bodies of the same key pass, and so does another key.
    expect((await gate.call(CHAT, { key: secret, body: chatOfBytes(9000) })).status).toBe(200)
    const { secret: other } = callers.parallel
    expect((await gate.call(CHAT, { key: other, body: chatOfBytes(90000) })).status).toBe(200)
    for (const one of halves) one.leave()
    await isFree()
  })

  test('D: bodies of 64 KB that never end are bounded too', async () => {
    const { secret } = callers.small
    const bytes = 64 * 1024
    const room = UPLOAD_BYTES_MAX / bytes
    const head = await many(3, () => half(gate, secret, LARGEST, 100))
    // Three of the largest are there: so many of 64 KB fill the rest.
    const left = room / 4
    let refused = 0
    for (let i = 0; i < left + 20; i += 20) {
      const halves = await many(20, () => half(gate, secret, bytes, 1000))
      await until('them to be counted', async () => {
        const counted = (await unreadOf(callers.small)) - 3 * LARGEST
        return counted / bytes + countOf(halves, 429) + refused >= i + 20
      })
      refused += countOf(halves, 429)
    }
    expect(refused).toBeGreaterThan(0)
    expect(await unreadOf(callers.small)).toBe(UPLOAD_BYTES_MAX)
    for (const one of head) one.leave()
  })

  test('D: chunked bodies count as 8 MiB, as long as they are on their way', async () => {
    const { secret } = callers.chunked
    const halves = await many(18, () => half(gate, secret, 100000, 50000, true))
    await until('two refusals', () => countOf(halves, 429) === 2)
    expect(await unreadOf(callers.chunked)).toBe(UPLOAD_BYTES_MAX)
    for (const one of halves) if (one.answer() === null) one.finish()
    await until('sixteen answers', () => countOf(halves, 200) === 16)
    await isFree()
    for (let i = 0; i < 18; i++) {
      const one = await half(gate, secret, 100000, 100000, true)
      one.finish()
      await until('its answer', () => one.answer() !== null)
      expect(one.answer()?.status).toBe(200)
    }
  })

  const post = (key: string) => ({
    ':method': 'POST',
    ':path': CHAT,
    'content-type': 'application/json',
    authorization: `Bearer ${key}`,
  })

  test('D: so do those of HTTP/2 without a length', async () => {
    const session = await openHttp2(gate)
    onTestFinished(() => session.destroy())
    const body = Buffer.from(chatOfBytes(90000))
    const streams = Array.from({ length: 18 }, () => {
      const stream = begin(session, post(callers.http2.secret))
      stream.write(body.subarray(0, 50000))
      return stream
    })
    await until('sixteen to be counted', async () => {
      return (await unreadOf(callers.http2)) === UPLOAD_BYTES_MAX
    })
    for (const stream of streams) stream.end(body.subarray(50000))
    const ended = await Promise.all(streams.map((stream) => stream.ended))
    expect(ended.filter(({ status }) => status === 200)).toHaveLength(16)
    await isFree()
    const lines = await linesOf(gate, 'http2', 18)
    expect(lines.filter((line) => line['outcome'] === 'ok')).toHaveLength(16)
    expect(lines.filter((line) => line['limit'] === 'unreadBytes of key')).toHaveLength(2)
  })

  test('D: many requests of one connection of HTTP/2 pass, where they tell their length', async () => {
    const session = await openHttp2(gate)
    onTestFinished(() => session.destroy())
    const body = Buffer.from(chatOfBytes(9000))
    for (const [count, length] of [
      [16, {}] as const,
      [100, { 'content-length': '9000' }] as const,
    ]) {
      const streams = Array.from({ length: count }, () => {
        const stream = begin(session, { ...post(callers.parallel.secret), ...length })
        stream.end(body)
        return stream.ended
      })
      const ended = await Promise.all(streams)
      expect(ended.filter(({ status }) => status !== 200)).toEqual([])
    }
    await isFree()
  })

  test('D: forms that pass unread count while they are on their way', async () => {
    const { secret } = callers.audio
    const path = '/v1/audio/transcriptions'
    const halves = await many(9, () => half(gate, secret, 25 * MB, 1000, false, path))
    await until('four refusals', () => countOf(halves, 429) === 4)
    const first = halves.find((one) => one.answer() === null) as Half
    first.finish()
    await until('its answer', () => first.answer() !== null)
    await until('its bytes to go', async () => (await unreadOf(callers.audio)) === 100 * MB)
    for (const one of halves) one.leave()
    await isFree()
  })

  test('D: who sends nothing before it is told to go on is refused without having sent anything', async () => {
    const { secret } = callers.waiting
    const head = [
      `POST ${CHAT} HTTP/1.1`,
      'Host: gate',
      'Content-Type: application/json',
      'Content-Length: 20000',
      'Expect: 100-continue',
      `Authorization: Bearer ${secret}`,
    ]
    const begun = async () => {
      const socket = await open(gate.port)
      onTestFinished(() => void socket.destroy())
      const said = { text: '', socket }
      socket.on('data', (piece) => {
        said.text += piece.toString('latin1')
      })
      socket.write(`${head.join('\r\n')}\r\n\r\n`)
      await until('a word', () => said.text !== '')
      return said
    }
    const first = await begun()
    expect(first.text).toMatch(/^HTTP\/1.1 100 Continue\r\n/)
    const second = await begun()
    // nginx tells it to go on as well, as it does before each answer of `return` with a text.
    await until('a refusal', () => second.text.includes('HTTP/1.1 429 '))
    first.socket.write(chatOfBytes(20000))
    await until('its answer', () => first.text.includes('HTTP/1.1 200 '))
    await isFree()
  })

  test('D: a connection goes on after a refusal whose body has come all the same', async () => {
    const { secret } = callers.kept
    const body = chatOfBytes(40000)
    const lines = ['Content-Type: application/json', `Authorization: Bearer ${secret}`]
    const chat = message('POST', CHAT, [...lines, `Content-Length: ${body.length}`], body)
    const models = message('GET', '/v1/models', ['Connection: close', `X-Api-Key: ${gate.key}`])
    const answers = parseAnswers(await exchange(gate, chat + models))
    expect(answers.map(({ status }) => status)).toEqual([429, 200])
  })

  test('D: uploads of a client without limits pass beside one another', async () => {
    const { secret } = callers.parallel
    const call = () => gate.call(CHAT, { key: secret, body: chatOfBytes(1 * MB) })
    const answers = await Promise.all(Array.from({ length: 60 }, call))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const streams = Array.from({ length: 200 }, () =>
      gate.call(CHAT, { key: secret, body: chatOfBytes(20000) }),
    )
    expect((await Promise.all(streams)).every(({ status }) => status === 200)).toBe(true)
    await isFree()
  })
})

describe.each(await findEngines())('$name, what only looks', (setup) => {
  test('D: $tollgate_verdict takes from no limit, in a recipe and in a log', async () => {
    const caller = clientOf({ limits: { concurrency: 1, requestsPerMinute: 1 } })
    for (const example of ['recipe', 'gate'] as const) {
      const gate = await startGate(
        setup,
        probed({
          example,
          clients: documentOf({ caller }),
          async prepare(root) {
            const format = "log_format looking '$tollgate_verdict $tollgate_client';"
            await change(root, 'nginx.conf', 'access_log off;', `access_log off; ${format}`)
            const log = 'location / { access_log run/looking.log looking;'
            await change(root, 'nginx.conf', 'location / {', log)
          },
        }),
      )
      const refused = await gate.call('/nothing', { key: caller.secret })
      expect(refused.status).toBe(example === 'recipe' ? 401 : 404)
      if (example === 'recipe') {
        const call = () => gate.call(CHAT, { key: caller.secret, body: chatOfBytes(20000) })
        expect([(await call()).status, (await call()).status]).toEqual([200, 200])
      }
      const counters = Object.entries(await zone(gate, 'counters'))
      expect(counters.filter(([name, value]) => /^[afu]/.test(name) && value !== 0)).toEqual([])
      expect(Object.keys(await zone(gate, 'windows'))).toEqual([])
      await gate.stop()
    }
  })
})

describe.each(await findEngines())('$name, what ends otherwise', (setup) => {
  /** What anybody holds of places and unread bytes, and the entries of requests. */
  async function held(gate: Gate): Promise<string[]> {
    const counters = Object.entries(await zone(gate, 'counters'))
    const names = counters.filter(([name, value]) => /^[fu]/.test(name) && value > 0)
    const held = names.map(([name]) => name).filter((name) => name !== 'full')
    return [...held, ...(await entriesOf(gate))]
  }

  test('D: who stops sending gives everything back when nginx has waited long enough', async () => {
    const caller = clientOf({ limits: { concurrency: 1 } })
    const gate = await startGate(
      setup,
      probed({
        clients: documentOf({ caller }),
        serverExtra: 'client_body_timeout 1s;',
      }),
    )
    onTestFinished(() => gate.stop())
    await half(gate, caller.secret, 5 * MB, 1 * MB)
    await until('its place', async () => (await held(gate)).length > 0)
    await until('all to be given back', async () => (await held(gate)).length === 0)
    const [line] = await linesOf(gate, 'caller', 1)
    expect(line).toMatchObject({ status: 408, route: 'chat' })
    expect((await gate.call(CHAT, { key: caller.secret, body: chatOfBytes(900) })).status).toBe(200)
  })

  test('D: maxInFlight holds before the body, and nothing of it stays', async () => {
    const caller = clientOf()
    const gate = await startGate(
      setup,
      probed({ clients: documentOf({ caller }), policy: { version: 1, maxInFlight: 1 } }),
    )
    onTestFinished(() => gate.stop())
    const halves = await many(4, () => half(gate, caller.secret, 5 * MB, 1 * MB))
    await until('three refusals', () => countOf(halves, 429) === 3)
    const refused = halves.find((one) => one.answer() !== null)
    expect(refused?.answer()?.body).toContain('1 request at once for all clients together')
    for (const one of halves) one.leave()
    await until('all to be given back', async () => (await held(gate)).length === 0)
    const counters = Object.entries(await zone(gate, 'counters'))
    expect(counters.filter(([name, value]) => /^[af]/.test(name) && value !== 0)).toEqual([])
    expect((await gate.call(CHAT, { key: caller.secret, body: chatOfBytes(900) })).status).toBe(200)
  })

  test('D: a worker that is killed gives back what bodies on their way held', async () => {
    const caller = clientOf({ limits: { concurrency: 1 } })
    const gate = await startGate(setup, probed({ clients: documentOf({ caller }) }))
    gate.expectErrors(/exited on signal 9/)
    onTestFinished(() => gate.stop())
    const one = await half(gate, caller.secret, 5 * MB, 1 * MB)
    const two = await half(gate, caller.secret, 5 * MB, 1 * MB)
    await until('one refusal', () => one.answer() !== null || two.answer() !== null)
    const [pid = 0] = workersOf(gate)
    process.kill(pid, 'SIGKILL')
    await until('its place', async () => {
      const answer = await gate
        .call(CHAT, { key: caller.secret, body: chatOfBytes(20000) })
        .catch(() => null)
      return answer?.status === 200
    })
    await until('all to be given back', async () => (await held(gate)).length === 0)
  })
})
