import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caller, expectProblem, isNew, matching, read } from './adminapi.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

const SECRET = 'a secret of the salts that nobody is shown'

watchLogs()

describe.each(await findEngines())('$name: the admin API remembers', (setup) => {
  const alice = makeAdmin({ name: 'alice' })
  const bob = makeAdmin({ name: 'bob' })
  const admins = [alice.record, bob.record]
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
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
    expect(revoke.after).toEqual({ client: 'audited', revoked: expect.any(String) })
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
})
