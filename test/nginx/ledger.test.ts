import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { exchange, message, noiseOf } from './raw.ts'
import { findSetups } from './setups.ts'
import { send } from './wire.ts'

watchLogs()

const CHAT = '/v1/chat/completions'
const HELLO = { stream: true, messages: [{ role: 'user', content: 'Hello' }] }

describe.each(await findSetups())('$name: the ledger', (setup) => {
  let gate: Gate
  let before = 0
  const expired = makeKey()
  beforeAll(async () => {
    const keys = [{ ...expired.record, expires: '2026-01-02T00:00:00Z' }]
    gate = await startGate(setup, { clients: { version: 1, clients: { old: { keys } } } })
  })
  afterAll(() => gate.stop())
  beforeEach(async () => {
    before = (await gate.ledger()).length
    gate.mock.reset()
  })

  /** The line of the one request that a test made. */
  async function line() {
    const lines = await gate.ledger(before + 1)
    expect(lines).toHaveLength(before + 1)
    return lines[before] ?? {}
  }

  test('has every field of an answered request, with plausible figures', async () => {
    const response = await gate.call(`${CHAT}?mock=ttft:60,tokens:3`, {
      body: JSON.stringify(HELLO),
    })
    const text = await response.text()
    const { time, durationMs, bytesIn, bytesOut, admissionMs, ttftMs, tokensPerSecond, ...rest } =
      await line()
    expect(rest).toEqual({
      version: 2,
      id: response.headers.get('x-request-id'),
      client: 'app',
      key: gate.keyId,
      route: 'chat',
      outcome: 'ok',
      status: 200,
      stream: true,
      served: 'Qwen/Qwen3-8B',
      promptTokens: 1,
      completionTokens: 3,
      promptBytes: 35,
      finishReason: 'stop',
      upstream: `127.0.0.1:${gate.mock.port}`,
      upstreamStatus: 200,
      remote: '127.0.0.1',
    })
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(Math.abs(Date.parse(String(time)) - Date.now())).toBeLessThan(5000)
    expect(Number(admissionMs)).toBeGreaterThanOrEqual(0)
    expect(Number(admissionMs)).toBeLessThan(Number(durationMs))
    expect(Number(durationMs)).toBeGreaterThanOrEqual(55)
    expect(Number(ttftMs)).toBeGreaterThanOrEqual(55)
    expect(Number(ttftMs)).toBeLessThanOrEqual(Number(durationMs))
    if (tokensPerSecond !== undefined) expect(Number(tokensPerSecond)).toBeGreaterThan(0)
    expect(Number(bytesIn)).toBeGreaterThan(JSON.stringify(HELLO).length)
    expect(Number(bytesOut)).toBeGreaterThan(text.length)
  })

  test('knows a refused key by its client and id, and nobody by a key that is not known', async () => {
    await gate.call('/v1/models', { key: expired.secret })
    expect(await line()).toMatchObject({
      client: 'old',
      key: expired.record.id,
      outcome: 'expired_key',
    })
    before++
    await gate.call('/v1/models', { key: 'nobody' })
    expect(await line()).not.toHaveProperty('client')
  })

  test('a caller that leaves in mid-stream', async () => {
    const call = send(gate, `${CHAT}?mock=tokens:500,itl:20`, { body: HELLO })
    const answer = await call.answer
    await until('the first piece', () => answer.pieces.length > 0)
    call.abort()
    expect(await line()).toMatchObject({ outcome: 'client_aborted', status: 200, client: 'app' })
  })

  test('a caller that leaves before the first byte', async () => {
    const call = send(gate, `${CHAT}?mock=hang`, { body: HELLO })
    await until('the request at the server', () => gate.mock.log().length > 0)
    call.abort()
    expect(await line()).toMatchObject({ outcome: 'client_aborted', status: 499, client: 'app' })
  })

  test('a server that dies in mid-stream', async () => {
    gate.expectErrors(/upstream prematurely closed connection|Connection reset by peer/)
    const call = send(gate, `${CHAT}?mock=die:3,tokens:9`, { body: HELLO })
    await expect((await call.answer).body()).rejects.toThrow()
    expect(await line()).toMatchObject({ outcome: 'upstream_aborted', status: 200, client: 'app' })
  })

  test('a server that dies before its answer', async () => {
    gate.expectErrors(/upstream prematurely closed connection|Connection reset by peer/)
    await gate.call(`${CHAT}?mock=die:before`, { body: JSON.stringify(HELLO) })
    const found = await line()
    expect(found).toMatchObject({ outcome: 'upstream_unavailable', status: 502, client: 'app' })
  })

  test.each([
    ['quotes and backslashes', '/v1/"\\models'],
    ['bytes that are no UTF-8', '/v1/\xff\xfe'],
    ['what looks like JSON', '/","outcome":"ok","x":"'],
    ['a query with a secret', '/nope?api_key=hush'],
  ])('stays JSON with a path that has %s, and does not have the path', async (_, path) => {
    const headers = ['Connection: close', 'X-Api-Key: \xff"\\{}', 'User-Agent: "\xfe\\']
    await exchange(gate, message('GET', path, headers))
    const found = await line()
    expect(found).toMatchObject({ outcome: 'unknown_route', status: 404 })
    expect(JSON.stringify(found)).not.toContain('hush')
  })

  test('what nginx itself could not read has a line too', async () => {
    await exchange(gate, 'NONSENSE\r\n\r\n')
    expect(await line()).toMatchObject({ outcome: 'bad_request', status: 400 })
  })

  test('random bytes leave one line of JSON and one of text each, without a control byte', async () => {
    const noise = noiseOf(42)
    const count = 150
    const texts = (await gate.accessLog()).split('\n').length
    for (let i = 0; i < count; i++) {
      const lines = [`Authorization: Bearer ${noise()}`, `X-${i}: ${noise()}`, 'Connection: close']
      const target = `/${noise()}?${noise()}`
      await exchange(gate, message(i % 3 ? 'GET' : 'POST', target, lines))
    }
    const lines = await gate.ledger(before + count)
    expect(lines).toHaveLength(before + count)
    for (const line of lines.slice(before)) {
      expect(['bad_request', 'unknown_route']).toContain(line.outcome)
    }
    const text = await gate.accessLog()
    expect(text.split('\n')).toHaveLength(texts + count)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\xff]/)
    expect(gate.mock.log()).toHaveLength(0)
  })

  test.each([
    ['an imported key', '/v1/sk-proj-0123456789abcdefghij'],
    ['a UUID', '/3f8b1c1e-7a43-4a57-9f0e-2f2c6d7f6f5a'],
    ['an encoded key', '/tg%5Fk7q2m9xa%5F003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv'],
    ['the beginning of a key', '/tg_k7q2'],
  ])('the text log hides %s in the path', async (_, path) => {
    await exchange(gate, message('GET', `${path}?x=y`, ['Connection: close']))
    await line()
    expect((await gate.accessLog()).trim().split('\n').at(-1)).toContain('uri=[redacted] ')
  })

  test('the text log has who, what and how, without the query and without keys in the path', async () => {
    await gate.call('/v1/models?secret=hush')
    await exchange(gate, message('GET', `/v1/${gate.key}/x`, ['Connection: close']))
    await gate.call(CHAT, { body: '{}', key: null })
    await gate.ledger(before + 3)
    const [ok, redacted, refused] = (await gate.accessLog()).trim().split('\n').slice(-3)
    const who = `client=app key=${gate.keyId} remote=127.0.0.1`
    expect(ok).toContain(`${who} method=GET uri=/v1/models status=200 bytes=`)
    expect(ok).toMatch(/^\[.+\] client=.+ time=[\d.]+ outcome=ok id=[0-9a-f]{32}$/)
    expect(redacted).toContain('uri=[redacted] status=404')
    expect(refused).toContain(`method=POST uri=${CHAT} status=401`)
    expect(refused).toContain('client= key= ')
  })
})
