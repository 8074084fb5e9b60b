import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clients } from '../../src/core/config/shapes.ts'
import { caller, etagOf, expectHeaders, expectProblem, isNew, matching, read } from './adminapi.ts'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ask } from './raw.ts'
import { findEngines } from './setups.ts'

watchLogs()

describe.each(await findEngines())('$name: clients of the admin API', (setup) => {
  let gate: Gate
  let call: ReturnType<typeof caller>
  const old = { ...makeKey().record, expires: null, revoked: '2026-02-01T00:00:00Z', note: 'old' }
  beforeAll(async () => {
    gate = await startGate(setup, {
      policy: {
        version: 1,
        // Tests ask for refused keys until they are refused.
        lockout: { badKeysPerMinute: 1_000_000 },
        plans: {
          small: {
            scopes: ['inference'],
            limits: { requestsPerMinute: 60, concurrency: 2 },
            budgets: { tokensPerDay: 1000 },
            cacheSalt: false,
          },
        },
      },
      clients: {
        version: 1,
        clients: {
          first: { plan: 'small', keys: [old], limits: { concurrency: 9 }, note: 'The First' },
          constructor: { keys: [] },
        },
      },
    })
    call = caller(gate)
  })
  afterAll(() => gate.stop())

  const file = async (): Promise<Clients> =>
    JSON.parse(await readFile(join(gate.configDir, 'clients.json'), 'utf8'))

  test('a client is shown with what its plan makes of it, and without a hash', async () => {
    const response = await call('GET /clients/first')
    expect(response.status).toBe(200)
    expectHeaders(response)
    expect(response.headers.get('etag')).toMatch(/^"[\w-]{27}"$/)
    const text = await response.text()
    expect(text).not.toContain(old.sha256)
    const { id, created } = old
    const key = { id, created, revoked: old.revoked, note: 'old', state: 'revoked' }
    expect(JSON.parse(text)).toEqual({
      ...{ name: 'first', plan: 'small', limits: { concurrency: 9 }, note: 'The First' },
      keys: [key],
      effective: {
        scopes: ['inference'],
        limits: { requestsPerMinute: 60, concurrency: 9 },
        budgets: { tokensPerDay: 1000 },
      },
    })
  })

  test('one that is not there is 404, with the one that was meant', async () => {
    const body = await expectProblem(await call('GET /clients/firs'), 404, 'unknown-client')
    expect(body.detail).toContain('did you mean first')
  })

  test.each(['__proto__', 'a%20b', 'a%2Fb', '-a', 'a'.repeat(200), '%F0%9F%98%80'])(
    'nobody is called %s',
    async (name) => {
      await expectProblem(await call(`GET /clients/${name}`), 404, 'unknown-client')
      const put = await call(`PUT /clients/${name}`, {}, isNew)
      const { problems } = await expectProblem(put, 422, 'invalid')
      expect(problems).toMatchObject([{ path: 'name' }])
    },
  )

  test.each(['', '../me', 'a//b', '%00', '%', '%zz', '%ff', 'first/', '/first'])(
    'the path /clients/%s is none',
    async (name) => {
      const line = `Authorization: Bearer ${gate.adminToken}`
      const port = Number(new URL(gate.adminUrl).port)
      const { status, body } = await ask({ port }, 'GET', `/clients/${name}`, [line])
      expect(JSON.parse(body).type).toMatch(/^.problems.(unknown-path|bad-request)$/)
      expect([400, 404]).toContain(status)
    },
  )

  test('names that only look odd are found', async () => {
    expect((await call('GET /clients/constructor')).status).toBe(200)
    for (const name of ['toString', 'hasOwnProperty', '0', '1e3']) {
      expect((await call(`GET /clients/${name}`)).status).toBe(404)
      expect((await call(`PUT /clients/${name}`, { note: name }, isNew)).status).toBe(201)
      expect(await read(await call(`GET /clients/${name}`))).toMatchObject({ name, note: name })
      const headers = await matching(gate, `/clients/${name}`)
      expect((await call(`DELETE /clients/${name}`, undefined, headers)).status).toBe(204)
    }
    const headersOf = await matching(gate, '/clients/constructor')
    expect((await call('PUT /clients/constructor', { note: 'x' }, headersOf)).status).toBe(200)
    const name = 'a.b_c@d:e+f-g'
    const created = await call(`PUT /clients/${encodeURIComponent(name)}`, {}, isNew)
    expect(created.status).toBe(201)
    expect((await read(await call(`GET /clients/${name}`))).name).toBe(name)
    expect((await read(await call(`GET /clients/a.b_c%40d%3Ae%2bf-g`))).name).toBe(name)
    const headers = await matching(gate, `/clients/${name}`)
    expect((await call(`DELETE /clients/${name}`, undefined, headers)).status).toBe(204)
  })

  test('a client is made, changed as a whole and in parts, and removed', async () => {
    const path = '/clients/made'
    const fields = { plan: 'small', group: 'web', budgets: { tokensPerMonth: 5000, hard: true } }
    const made = await call(`PUT ${path}`, fields, isNew)
    expect(made.status).toBe(201)
    expect(await read(made)).toMatchObject({
      ...fields,
      name: 'made',
      keys: [],
      effective: { budgets: { tokensPerDay: 1000, tokensPerMonth: 5000, hard: true } },
    })
    expect(made.headers.get('etag')).toBe(await etagOf(gate, path))
    const { key } = await read(await call(`POST ${path}/keys`, {}))
    await until('the key', async () => (await gate.call('/v1/models', { key })).status === 403)

    const whole = await call(`PUT ${path}`, { note: 'alone' }, await matching(gate, path))
    expect(whole.status).toBe(200)
    expect(await read(whole)).toMatchObject({ note: 'alone', keys: [{ state: 'live' }] })
    expect((await file()).clients['made']).toEqual({ note: 'alone', keys: [expect.anything()] })
    await until('models', async () => (await gate.call('/v1/models', { key })).status === 200)

    const patch = { note: null, disabled: true, limits: { concurrency: 3 } }
    const part = await call(`PATCH ${path}`, patch, await matching(gate, path))
    expect(part.status).toBe(200)
    expect(await read(part)).toMatchObject({ disabled: true, keys: [{ state: 'disabled' }] })
    const inner = { limits: { concurrency: null, tokensPerMinute: 7 } }
    const again = await call(`PATCH ${path}`, inner, {
      ...(await matching(gate, path)),
      'content-type': 'application/merge-patch+json',
    })
    expect(await read(again)).toMatchObject({ disabled: true, limits: { tokensPerMinute: 7 } })
    await until('403', async () => (await gate.call('/v1/models', { key })).status === 403)

    const gone = await call(`DELETE ${path}`, undefined, await matching(gate, path))
    expect(gone.status).toBe(204)
    expect(await gone.text()).toBe('')
    await until('401', async () => (await gate.call('/v1/models', { key })).status === 401)
    expect((await file()).clients).not.toHaveProperty('made')
  })

  test('a change has to say what it is based on', async () => {
    const path = '/clients/first'
    for (const line of [`PUT ${path}`, `PATCH ${path}`, `DELETE ${path}`]) {
      const body = line.startsWith('DELETE') ? undefined : { note: 'x' }
      await expectProblem(await call(line, body), 428, 'etag-needed')
      for (const etag of ['"other"', `W/${await etagOf(gate, path)}`, 'x', '']) {
        const response = await call(line, body, { 'if-match': etag })
        await expectProblem(response, 412, 'etag-mismatch')
      }
    }
    await expectProblem(await call(`PUT ${path}`, {}, isNew), 412, 'etag-mismatch')
    const missing = await call('PUT /clients/nobody', {}, { 'if-match': '"x"' })
    await expectProblem(missing, 412, 'etag-mismatch')
    await expectProblem(await call('PATCH /clients/nobody', {}, isNew), 404, 'unknown-client')
    await expectProblem(await call('DELETE /clients/nobody'), 404, 'unknown-client')
    const list = { 'if-match': `"a", ${await etagOf(gate, path)}` }
    expect((await call(`PATCH ${path}`, {}, list)).status).toBe(200)
    expect((await call(`PATCH ${path}`, {}, { 'if-match': '*' })).status).toBe(200)
  })

  test('of two who write at once, one is told', async () => {
    const headers = await matching(gate, '/clients/first')
    const writes = [1, 2, 3, 4].map((n) => call('PATCH /clients/first', { note: `n${n}` }, headers))
    const statuses = (await Promise.all(writes)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 412, 412, 412])
  })

  test.each<[string, unknown, string, string]>([
    ['an unknown field', { plann: 'x' }, 'plann', 'did you mean plan'],
    ['a wrong type', { limits: { concurrency: 'many' } }, 'limits.concurrency', 'integer'],
    ['a plan that is not there', { plan: 'huge' }, 'plan', 'small'],
    ['an address', { addresses: ['10.0.0.0/99'] }, 'addresses[0]', 'CIDR'],
    ['a salt without a secret', { cacheSalt: true }, 'cacheSalt', 'cacheSaltSecret'],
    ['keys', { keys: [] }, 'keys', '/clients/{name}/keys'],
    ['its name', { name: 'other' }, 'name', 'path'],
    ['what is worked out', { effective: {} }, 'effective', 'plan'],
    ['a list', [], '', 'object'],
    ['a string', '"x"', '', 'object'],
  ])('%s is refused with its place', async (_, body, place, message) => {
    const before = await file()
    const headers = await matching(gate, '/clients/first')
    for (const method of ['PUT', 'PATCH']) {
      const response = await call(`${method} /clients/first`, body, headers)
      const { problems } = await expectProblem(response, 422, 'invalid')
      expect(problems).toMatchObject([{ path: place, message: expect.stringContaining(message) }])
    }
    expect(await file()).toEqual(before)
  })

  test('the list comes in pages, and can be searched', async () => {
    const names = ['first', 'constructor', 'app']
    const all = await read(await call('GET /clients'))
    expect(all.clients.map(({ name }: { name: string }) => name)).toEqual(names)
    expect(all.next).toBeNull()
    expect(JSON.stringify(all)).not.toContain('sha256')
    const one = await read(await call('GET /clients?limit=1'))
    expect(one).toMatchObject({ clients: [{ name: 'first' }], next: 'first' })
    const two = await read(await call('GET /clients?limit=2&after=first'))
    expect(two.clients.map(({ name }: { name: string }) => name)).toEqual(['constructor', 'app'])
    for (const q of ['FIRST', 'fir', 'small', old.id.toUpperCase()]) {
      const found = await read(await call(`GET /clients?q=${q}`))
      expect(found).toMatchObject({ clients: [{ name: 'first' }], next: null })
    }
    expect(await read(await call('GET /clients?q=nothing'))).toEqual({ clients: [], next: null })
    for (const query of ['limit=0', 'limit=-1', 'limit=1001', 'limit=x', 'after=gone']) {
      await expectProblem(await call(`GET /clients?${query}`), 400, 'bad-parameter')
    }
  })
})
