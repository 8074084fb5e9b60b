import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caller, expectProblem, findAdminSetups, isNew, matching, read } from './adminapi.ts'
import { type Gate, makeAdmin, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'

const SECRET = 'a secret of the salts that nobody is shown'

watchLogs()

describe.each(await findAdminSetups())('$name: the admin API remembers', (setup) => {
  const alice = makeAdmin({ name: 'alice' })
  const bob = makeAdmin({ name: 'bob' })
  const admins = [alice.record, bob.record]
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, cacheSaltSecret: SECRET, plans: { small: {} }, admins },
    })
    const { admin: send } = gate
    gate.admin = (path, init) => send(path, { token: alice.token, ...init })
    call = caller(gate)
  })
  afterAll(() => gate.stop())

  /** The lines of the log, as soon as there are so many. */
  async function lines(count: number) {
    let text = ''
    await until(`${count} lines`, async () => {
      text = await readFile(join(gate.stateDir, 'audit.jsonl'), 'utf8')
      return text.split('\n').length > count
    })
    return text
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  test('who changed what, before and after, without any secret', async () => {
    const path = '/clients/audited'
    const fields = { plan: 'small', limits: { concurrency: 1 } }
    const made = await call(`PUT ${path}`, fields, isNew)
    const patch = { limits: { concurrency: 2 }, note: 'a "note"\nof two lines' }
    await call(`PATCH ${path}`, patch, await matching(gate, path))
    const key = await read(await call(`POST ${path}/keys`, { note: 'first' }))
    const rotated = await read(await call(`POST ${path}/keys/rotate`, { graceSeconds: 60 }))
    await call(`POST /keys/${key.id}/revoke`)
    // What changes nothing leaves no line: a second time, a refused one, one that only reads.
    await call(`POST /keys/${key.id}/revoke`)
    await call(`PUT ${path}`, {}, isNew)
    await call(`PATCH ${path}`, { limits: 1 }, await matching(gate, path))
    await call('GET /clients')
    await call('PUT /plans/audit', { note: 'x' }, isNew)
    const shown = await read(await call('GET /policy'))
    const next = { ...shown, cacheSaltSecret: 'another secret of all the salts', maxInFlight: 5 }
    await call('PUT /policy', next, await matching(gate, '/policy'))
    await call('DELETE /plans/audit', undefined, await matching(gate, '/plans/audit'))
    await call(`DELETE ${path}`, undefined, await matching(gate, path))

    const found = await lines(9)
    expect(found.map(({ action, target }) => [action, target])).toEqual([
      ['client.create', 'audited'],
      ['client.change', 'audited'],
      ['key.create', key.id],
      ['key.rotate', rotated.id],
      ['key.revoke', key.id],
      ['plan.create', 'audit'],
      ['policy.replace', 'policy'],
      ['plan.remove', 'audit'],
      ['client.remove', 'audited'],
    ])
    const [create, change, , rotate, revoke, , replace, planGone, gone] = found
    expect(create).toMatchObject({
      ...{ version: 1, who: { id: alice.record.id, name: 'alice' }, remote: '127.0.0.1' },
      ...{ id: made.headers.get('x-request-id'), before: null, after: { ...fields, keys: [] } },
    })
    expect(Date.now() - Date.parse(create.time)).toBeLessThan(60_000)
    expect(change).toMatchObject({ before: { limits: { concurrency: 1 } }, after: patch })
    expect(change.before).not.toHaveProperty('plan')
    expect(rotate.after).toMatchObject({ client: 'audited', expiring: [{ id: key.id }] })
    expect(rotate.before.expiring).toEqual([{ id: key.id, expires: null }])
    expect(revoke.before).toEqual({})
    expect(revoke.after).toEqual({ revoked: expect.any(String) })
    expect(replace).toMatchObject({ before: {}, after: { maxInFlight: 5 } })
    expect(planGone).toMatchObject({ before: { note: 'x' }, after: null })
    expect(gone.before.keys).toHaveLength(2)

    const told = await read(await call('GET /audit?limit=2'))
    expect(told.entries).toEqual([gone, planGone])
    expect((await read(await call('GET /audit'))).entries).toEqual([...found].reverse())

    const text = await readFile(join(gate.stateDir, 'audit.jsonl'), 'utf8')
    const { clients } = JSON.parse(await readFile(join(gate.configDir, 'clients.json'), 'utf8'))
    for (const secret of [key.key, rotated.key]) expect(text).not.toContain(secret.slice(12))
    for (const { token, record } of [alice, bob]) {
      expect(text).not.toContain(token.slice(13))
      expect(text).not.toContain(record.sha256)
    }
    expect(text).not.toContain(clients.app.keys[0].sha256)
    expect(text).not.toMatch(/[0-9a-f]{64}/)
    expect(text).not.toMatch(/secret of/)
    expect(text.endsWith('\n')).toBe(true)
    expect(await gate.errorLog()).not.toContain(key.key.slice(12))
  })

  test('a change that is too large for a line is told without its values', async () => {
    const plans = Object.fromEntries(
      Array.from({ length: 150 }, (_, i) => [`p${i}`, { note: 'n'.repeat(1000) }]),
    )
    const shown = await read(await call('GET /policy'))
    const headers = await matching(gate, '/policy')
    expect(
      (await call('PUT /policy', { ...shown, plans: { small: {}, ...plans } }, headers)).status,
    ).toBe(200)
    await until(
      'it',
      async () => (await read(await call('GET /audit?limit=1'))).entries[0].after === '(too large)',
    )
    expect((await call('PUT /policy', shown, await matching(gate, '/policy'))).status).toBe(200)
  })

  test('the log may be rotated, and hold lines that are none', async () => {
    const path = join(gate.stateDir, 'audit.jsonl')
    await until('a line', async () => (await readFile(path, 'utf8')).includes('\n'))
    const before = await read(await call('GET /audit'))
    await writeFile(`${path}.1`, `{"cut":${'\n'}${await readFile(path, 'utf8')}half a li`)
    await writeFile(path, '')
    expect(await read(await call('GET /audit'))).toEqual(before)
    for (const query of ['limit=0', 'limit=x', 'limit=100000']) {
      await expectProblem(await call(`GET /audit?${query}`), 400, 'bad-parameter')
    }
  })

  describe('an Idempotency-Key', () => {
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
      const entries = (await read(await call('GET /audit'))).entries
      expect(entries.filter(({ target }: { target: string }) => target === made.id)).toHaveLength(1)
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
})
