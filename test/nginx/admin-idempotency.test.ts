import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caller, expectProblem, matching, read } from './adminapi.ts'
import { type Gate, makeAdmin, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

watchLogs()

describe.each(await findEngines())('$name: an Idempotency-Key', (setup) => {
  const alice = makeAdmin({ name: 'alice' })
  const bob = makeAdmin({ name: 'bob' })
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    const admins = [alice.record, bob.record]
    gate = await startGate(setup, { workers: 2, policy: { version: 1, admins } })
    const { admin: send } = gate
    gate.admin = (path, init) => send(path, { token: alice.token, ...init })
    call = caller(gate)
  })
  afterAll(() => gate.stop())

  const key = (value: string) => ({ 'idempotency-key': value })
  const keysOf = async () => (await read(await call('GET /clients/app'))).keys.length

  test('gives the same answer again, and makes nothing twice', async () => {
    const body = { note: 'once' }
    const before = await keysOf()
    const first = await call('POST /clients/app/keys', body, key('a'))
    const { key: secret, ...made } = await read(first)
    expect(secret).toMatch(/^tg_/)
    // Of several workers any may get it.
    for (let i = 0; i < 8; i++) {
      const again = await call('POST /clients/app/keys', body, key('a'))
      expect(again.status).toBe(201)
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(again.headers.get('location')).toBe(first.headers.get('location'))
      expect(await read(again)).toEqual(made)
    }
    expect(await keysOf()).toBe(before + 1)
    const lines = async () => (await read(await call('GET /audit'))).entries
    await until('its line', async () => (await lines()).length > 0)
    expect(await lines()).toMatchObject([{ action: 'key.create', target: made.id }])
  })

  test('is bound to the body, the path and the token', async () => {
    await call('POST /clients/app/keys', { note: 'b' }, key('b'))
    const other = await call('POST /clients/app/keys', { note: 'c' }, key('b'))
    await expectProblem(other, 422, 'idempotency-mismatch')
    const path = await call('POST /clients/app/keys/rotate', { note: 'b' }, key('b'))
    expect(path.headers.get('idempotent-replayed')).toBeNull()
    const token = await gate.admin('/clients/app/keys', {
      body: { note: 'b' },
      headers: key('b'),
      token: bob.token,
    })
    expect(token.headers.get('idempotent-replayed')).toBeNull()
    expect(token.status).toBe(201)
  })

  test('remembers a refusal, too', async () => {
    const wrong = { expires: '2020-01-01T00:00:00Z' }
    await expectProblem(await call('POST /clients/app/keys', wrong, key('d')), 422, 'invalid')
    const again = await call('POST /clients/app/keys', wrong, key('d'))
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    await expectProblem(again, 422, 'invalid')
  })

  test('lets one of many that come at once make a key', async () => {
    const before = await keysOf()
    const calls = Array.from({ length: 10 }, () =>
      call('POST /clients/app/keys', { note: 'race' }, key('e')),
    )
    const answers = await Promise.all(calls)
    for (const answer of answers) {
      if (answer.status !== 201) await expectProblem(answer, 409, 'still-running')
    }
    expect(await keysOf()).toBe(before + 1)
  })

  test('is no matter for what only changes by an ETag, and has to be visible', async () => {
    const headers = { ...(await matching(gate, '/clients/app')), ...key('f') }
    expect((await call('PATCH /clients/app', { note: 'x' }, headers)).status).toBe(200)
    await expectProblem(
      await call('PATCH /clients/app', { note: 'x' }, headers),
      412,
      'etag-mismatch',
    )
    for (const wrong of [' ', 'x'.repeat(256)]) {
      const response = await call('POST /clients/app/keys', {}, key(wrong))
      if (wrong !== ' ') await expectProblem(response, 400, 'bad-request')
    }
  })

  test('keeps no secret in shared memory', async () => {
    const { secret, record } = makeKey()
    const body = { id: record.id, sha256: record.sha256 }
    const made = await call('POST /clients/app/keys', body, key('g'))
    expect(made.status).toBe(201)
    const again = await read(await call('POST /clients/app/keys', body, key('g')))
    expect(JSON.stringify(again)).not.toContain(secret)
    expect(again).not.toHaveProperty('key')
  })
})
