import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Policy } from '../../src/core/config/shapes.ts'
import { caller, etagOf, expectProblem, isNew, matching, read } from './adminapi.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

const SECRET = 'a secret of the salts that nobody is shown'

watchLogs()

describe.each(await findEngines())('$name: plans and policy of the admin API', (setup) => {
  const admin = makeAdmin()
  const policy: Policy = {
    version: 1,
    plans: { small: { limits: { concurrency: 2 } }, unused: {} },
    cacheSaltSecret: SECRET,
    admins: [admin.record],
  }
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
      policy,
      clients: {
        version: 1,
        clients: {
          one: { plan: 'small', keys: [] },
          salted: { cacheSalt: true, keys: [] },
        },
      },
    })
    const { admin: send } = gate
    gate.admin = (path, init) => send(path, { token: admin.token, ...init })
    call = caller(gate)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.writeConfig('policy.json', JSON.stringify(policy)))

  const file = async (): Promise<Policy> =>
    JSON.parse(await readFile(join(gate.configDir, 'policy.json'), 'utf8'))

  describe('plans', () => {
    test('are listed and shown', async () => {
      const plans = [
        { name: 'small', clients: 1, limits: { concurrency: 2 } },
        { name: 'unused', clients: 0 },
      ]
      expect(await read(await call('GET /plans'))).toEqual({ plans })
      expect(await read(await call('GET /plans/small'))).toEqual(plans[0])
      for (const name of ['large', '__proto__', 'constructor']) {
        await expectProblem(await call(`GET /plans/${name}`), 404, 'unknown-plan')
      }
    })

    test('tell how many clients have them, whatever they are called', async () => {
      await call('PUT /plans/constructor', {}, isNew)
      for (const name of ['two', 'three']) {
        const made = await call(`PUT /clients/${name}`, { plan: 'constructor' }, isNew)
        expect(made.status).toBe(201)
      }
      await until('both to be counted', async () => {
        const { plans } = await read(await call('GET /plans'))
        return plans.find(({ name }: { name: string }) => name === 'constructor').clients === 2
      })
      for (const name of ['two', 'three']) {
        await call(`DELETE /clients/${name}`, undefined, await matching(gate, `/clients/${name}`))
      }
      await until('none to be counted', async () => {
        return (await read(await call('GET /plans/constructor'))).clients === 0
      })
    })

    test('are made, changed and removed, and nothing else changes', async () => {
      const made = await call('PUT /plans/constructor', { scopes: ['models'] }, isNew)
      expect(made.status).toBe(201)
      expect(await read(made)).toEqual({ name: 'constructor', clients: 0, scopes: ['models'] })
      const headers = { 'if-match': made.headers.get('etag') ?? '' }
      const changed = await call('PUT /plans/constructor', { note: 'x' }, headers)
      expect(changed.status).toBe(200)
      expect(Object.keys((await file()).plans ?? {})).toEqual(['small', 'unused', 'constructor'])
      await expectProblem(await call('PUT /plans/constructor', {}, headers), 412, 'etag-mismatch')
      await expectProblem(await call('PUT /plans/small', {}), 428, 'etag-needed')
      await expectProblem(await call('DELETE /plans/unused'), 428, 'etag-needed')
      for (const name of ['constructor', 'unused']) {
        const matched = await matching(gate, `/plans/${name}`)
        expect((await call(`DELETE /plans/${name}`, undefined, matched)).status).toBe(204)
      }
      expect(await file()).toEqual({ ...policy, plans: { small: policy.plans?.['small'] } })
      await expectProblem(await call('DELETE /plans/unused', undefined, isNew), 404, 'unknown-plan')
    })

    test('one that clients have stays', async () => {
      const response = await call(
        'DELETE /plans/small',
        undefined,
        await matching(gate, '/plans/small'),
      )
      const { detail } = await expectProblem(response, 409, 'in-use')
      expect(detail).toContain('one')
      expect(await file()).toEqual(policy)
    })

    test('what is wrong is refused with its place', async () => {
      const headers = await matching(gate, '/plans/small')
      const response = await call('PUT /plans/small', { limits: { concurrency: -1 } }, headers)
      const { problems } = await expectProblem(response, 422, 'invalid')
      expect(problems).toMatchObject([{ path: 'limits.concurrency' }])
      const odd = await call('PUT /plans/a%20b', {}, isNew)
      expect((await expectProblem(odd, 422, 'invalid')).problems[0].message).toContain('name')
      expect(await file()).toEqual(policy)
    })
  })

  describe('the policy', () => {
    test('is shown without tokens and without its secret', async () => {
      const response = await call('GET /policy')
      const text = await response.text()
      expect(text).not.toContain(SECRET)
      expect(text).not.toContain(admin.record.sha256)
      const { admins: _, ...rest } = policy
      expect(JSON.parse(text)).toEqual({ ...rest, cacheSaltSecret: '(kept)' })
    })

    test('what was read can be sent back, and tokens and secret stay', async () => {
      const shown = await read(await call('GET /policy'))
      const headers = await matching(gate, '/policy')
      const next = {
        ...shown,
        defaultModel: 'Qwen/Qwen3-8B',
        prices: { '*': { input: 1, output: 2 } },
      }
      const put = await call('PUT /policy', next, headers)
      expect(put.status).toBe(200)
      expect(await read(put)).toEqual(next)
      expect(put.headers.get('etag')).toBe(await etagOf(gate, '/policy'))
      const { admins, cacheSaltSecret, ...rest } = await file()
      expect({ admins, cacheSaltSecret }).toEqual({
        admins: policy.admins,
        cacheSaltSecret: SECRET,
      })
      expect(rest).toMatchObject({ defaultModel: 'Qwen/Qwen3-8B' })
      await expectProblem(await call('PUT /policy', next, headers), 412, 'etag-mismatch')
      await expectProblem(await call('PUT /policy', next), 428, 'etag-needed')
      const other = { ...shown, cacheSaltSecret: 'another secret of the salts' }
      expect((await call('PUT /policy', other, await matching(gate, '/policy'))).status).toBe(200)
      expect((await file()).cacheSaltSecret).toBe('another secret of the salts')
    })

    test('is in force within a second', async () => {
      const shown = await read(await call('GET /policy'))
      const status = async () => (await gate.call('/v1/models', { key: null })).status
      expect(await status()).toBe(401)
      const next = { ...shown, routes: { models: 'public' } }
      expect((await call('PUT /policy', next, await matching(gate, '/policy'))).status).toBe(200)
      await until('200', async () => (await status()) === 200)
    })

    test.each<[string, (shown: Policy) => unknown, number, string]>([
      ['tokens', (shown) => ({ ...shown, admins: [] }), 400, ''],
      ['an unknown field', (shown) => ({ ...shown, plan: {} }), 422, 'plan'],
      [
        'a route that is none',
        (shown) => ({ ...shown, routes: { chat: 'open' } }),
        422,
        'routes.chat',
      ],
      ['no version', ({ version: _, ...shown }) => shown, 422, ''],
      ['a list', () => [], 422, ''],
      [
        'a plan less than clients need',
        (shown) => ({ ...shown, plans: {} }),
        422,
        'clients.json: clients.one.plan',
      ],
      [
        'no secret, which clients need',
        ({ cacheSaltSecret: _, ...shown }) => shown,
        422,
        'clients.json: clients.salted.cacheSalt',
      ],
    ])('%s is refused, and told beforehand', async (_, change, status, place) => {
      const before = await file()
      const body = change(await read(await call('GET /policy')))
      const headers = await matching(gate, '/policy')
      const name = status === 400 ? 'bad-request' : 'invalid'
      const refused = await expectProblem(await call('PUT /policy', body, headers), status, name)
      const told = await call('POST /policy/validate', body)
      if (status === 400) await expectProblem(told, 400, 'bad-request')
      else {
        expect(refused.problems[0].path).toBe(place)
        expect(await read(told)).toEqual({ problems: refused.problems })
      }
      expect(await file()).toEqual(before)
    })

    test('a good one has no problems', async () => {
      const shown = await read(await call('GET /policy'))
      expect(await read(await call('POST /policy/validate', shown))).toEqual({ problems: [] })
      const { cacheSaltSecret: _, ...bare } = policy
      await gate.writeConfig('policy.json', JSON.stringify(bare))
      const { problems } = await read(await call('POST /policy/validate', shown))
      expect(problems).toMatchObject([{ path: 'cacheSaltSecret' }])
    })
  })
})
