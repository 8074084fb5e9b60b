import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { exchange, message } from './raw.ts'
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
    const { time, durationMs, bytesIn, bytesOut, ...rest } = await line()
    expect(rest).toEqual({
      id: response.headers.get('x-request-id'),
      client: 'app',
      key: gate.keyId,
      route: 'chat',
      outcome: 'ok',
      status: 200,
      remote: '127.0.0.1',
    })
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(Math.abs(Date.parse(String(time)) - Date.now())).toBeLessThan(5000)
    expect(Number(durationMs)).toBeGreaterThanOrEqual(55)
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
