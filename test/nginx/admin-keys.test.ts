import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseKey } from '../../src/core/config/key.ts'
import { caller, expectProblem, isNew, read } from './adminapi.ts'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

watchLogs()

describe.each(await findEngines())('$name: keys of the admin API', (setup) => {
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    // Tests ask for refused keys until they are refused.
    const lockout = { badKeysPerMinute: 1_000_000 }
    gate = await startGate(setup, { policy: { version: 1, lockout } })
    call = caller(gate)
    for (const name of ['team', 'other']) {
      expect((await call(`PUT /clients/${name}`, {}, isNew)).status).toBe(201)
    }
  })
  afterAll(() => gate.stop())

  const gateSays = (key: string, status: number) =>
    until(`${status}`, async () => (await gate.call('/v1/models', { key })).status === status)
  const file = () => readFile(join(gate.configDir, 'clients.json'), 'utf8')

  test('a key is made, works within a second, and is told once', async () => {
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const fields = { note: 'laptop', expires, limits: { concurrency: 2 }, budgets: { hard: true } }
    const response = await call('POST /clients/team/keys', fields)
    expect(response.status).toBe(201)
    const { key, ...shown } = await read(response)
    expect(parseKey(key)).toEqual({ id: shown.id })
    expect(response.headers.get('location')).toBe(`/keys/${shown.id}`)
    expect(shown).toMatchObject({
      ...{ client: 'team', note: 'laptop', state: 'live', expires: `${expires.slice(0, 19)}Z` },
      ...{ limits: { concurrency: 2 }, budgets: { hard: true } },
    })
    expect(shown).not.toHaveProperty('sha256')
    await gateSays(key, 200)
    expect(await read(await call(`GET /keys/${shown.id}`))).toEqual(shown)
    const stored = await file()
    expect(stored).toContain(hashOf(key))
    expect(stored).not.toContain(key.slice(12))
    expect(await gate.errorLog()).not.toContain(key.slice(12))
  })

  test('no two keys are alike', async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, () => call('POST /clients/other/keys').then(read)),
    )
    expect(new Set(made.map(({ key }) => key)).size).toBe(20)
    expect(new Set(made.map(({ id }) => id)).size).toBe(20)
  })

  test('a key that the caller has made is stored, and not told', async () => {
    const { secret, record } = makeKey()
    const { id, sha256 } = record
    const made = await call('POST /clients/team/keys', { id, sha256 })
    expect(made.status).toBe(201)
    expect(await read(made)).not.toHaveProperty('key')
    await gateSays(secret, 200)
    await expectProblem(await call('POST /clients/other/keys', { id, sha256 }), 409, 'taken')
    const sameHash = { id: 'zzzzzzzz', sha256 }
    await expectProblem(await call('POST /clients/other/keys', sameHash), 409, 'taken')
    const sameId = { id, sha256: hashOf('another') }
    await expectProblem(await call('POST /clients/team/keys', sameId), 409, 'taken')
  })

  test.each<[string, object, string]>([
    ['an id without a hash', { id: 'abcdefgh' }, 'sha256'],
    ['a hash without an id', { sha256: hashOf('x') }, 'id'],
    ['an id that is none', { id: 'ABC', sha256: hashOf('x') }, 'id'],
    ['a hash in capitals', { id: 'abcdefgh', sha256: hashOf('x').toUpperCase() }, 'sha256'],
    ['no date', { expires: 'tomorrow' }, 'expires'],
    ['a note that is too long', { note: 'x'.repeat(1025) }, 'note'],
    ['limits that are none', { limits: { requests: 1 } }, 'limits.requests'],
    ['a secret', { key: 'tg_x' }, 'key'],
    ['a grace', { graceSeconds: 1 }, 'graceSeconds'],
  ])('refuses %s', async (_, body, place) => {
    const before = await file()
    const { problems } = await expectProblem(
      await call('POST /clients/team/keys', body),
      422,
      'invalid',
    )
    expect(problems[0].path).toBe(place)
    expect(await file()).toBe(before)
  })

  test('refuses an expiry that is past, and a client that is not there', async () => {
    const past = await call('POST /clients/team/keys', { expires: '2020-01-01T00:00:00Z' })
    expect((await expectProblem(past, 422, 'invalid')).detail).toContain('past')
    await expectProblem(await call('POST /clients/nobody/keys', {}), 404, 'unknown-client')
    await expectProblem(await call('POST /clients/nobody/keys/rotate'), 404, 'unknown-client')
    expect(await file()).not.toContain('nobody')
  })

  test('a rotated key takes over, and those before it end after the grace', async () => {
    expect((await call('PUT /clients/rotating', {}, isNew)).status).toBe(201)
    const first = await read(await call('POST /clients/rotating/keys'))
    await gateSays(first.key, 200)
    const graceful = { graceSeconds: 3600, note: 'second' }
    const second = await call('POST /clients/rotating/keys/rotate', graceful)
    expect(second.status).toBe(201)
    const made = await read(second)
    expect(made).toMatchObject({ client: 'rotating', note: 'second', state: 'live' })
    expect(made.expiring).toMatchObject([{ id: first.id, state: 'live' }])
    const graceMs = Date.parse(made.expiring[0].expires) - Date.now()
    expect(graceMs).toBeGreaterThan(3_500_000)
    expect(graceMs).toBeLessThanOrEqual(3_600_000)
    await gateSays(made.key, 200)
    await gateSays(first.key, 200)
    const third = await read(await call('POST /clients/rotating/keys/rotate'))
    expect(third.expiring.map(({ id }: { id: string }) => id)).toEqual([first.id, made.id])
    await gateSays(third.key, 200)
    await gateSays(first.key, 401)
    await gateSays(made.key, 401)
  })

  test('a revoked key stops within a second, and stays revoked', async () => {
    const { id, key } = await read(await call('POST /clients/team/keys'))
    await gateSays(key, 200)
    const first = await call(`POST /keys/${id}/revoke`)
    expect(first.status).toBe(200)
    const shown = await read(first)
    expect(shown).toMatchObject({ id, client: 'team', state: 'revoked' })
    await gateSays(key, 401)
    expect(await read(await call(`POST /keys/${id}/revoke`))).toEqual(shown)
  })

  test.each(['aaaaaaaa', 'x', '__proto__', '%22', 'k'.repeat(100)])(
    'there is no key %s',
    async (id) => {
      await expectProblem(await call(`GET /keys/${id}`), 404, 'unknown-key')
      await expectProblem(await call(`POST /keys/${id}/revoke`), 404, 'unknown-key')
    },
  )
})
