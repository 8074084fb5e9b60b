import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Client, Clients, Policy } from '../../src/core/config/shapes.ts'
import { type Hostile, hostileBodies, hostileQueries } from '../hostile.ts'
import { expectProblem, read } from './adminapi.ts'
import { type Gate, makeAdmin, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'

/*
 * No time is judged by itself: what costs much is compared with a usual body of as many bytes, in the same
 * worker, on the same machine, in the same second.
 */

const MB = 1_048_576

/** How much longer than a usual policy of as many bytes a body may take; small ones count as so many bytes. */
const TIMES_MAX = 12
const BYTES_MIN = 100_000

/** Memory that a worker takes at most for a megabyte that somebody sent, on the engine that frees nothing. */
const MEMORY_BYTES_MAX = 400 * MB

watchLogs()

const ownPlan = (i: number) =>
  JSON.stringify({
    scopes: ['inference', 'embeddings'],
    models: ['Qwen/Qwen3-8B', 'llama-*'],
    limits: { requestsPerMinute: i, tokensPerMinute: 1_000_000, concurrency: 20 },
    budgets: { tokensPerDay: 100_000_000, costPerMonth: 1000 },
    note: 'Of a team on the second floor, until the end of the year. '.repeat(4),
  })

/** A policy as it may well be, of about so many bytes. */
function usualPolicy(bytes: number): string {
  const plans = ['"gold":{}']
  for (let i = 0, size = 0; size < bytes - 500; i++) {
    const plan = `"plan-${i}":${ownPlan(i)}`
    plans.push(plan)
    size += plan.length + 1
  }
  return `{"version":1,"plans":{${plans.join(',')}}}`
}

/** Sends a body, and tells how long the answer took. */
async function post(gate: Gate, token: string, call: string, body: string) {
  const [method = '', path = ''] = call.split(' ')
  const isNew = call.startsWith('PUT /plans')
  const headers: Record<string, string> = isNew ? { 'if-none-match': '*' } : { 'if-match': '*' }
  const startMs = performance.now()
  const response = await gate.admin(path, { method, token, headers, body })
  const text = await response.clone().text()
  return { response, text, ms: performance.now() - startMs }
}

describe.each(await findEngines())('$name: E: hostile bodies of the admin API', (setup) => {
  const admin = makeAdmin()
  const clients: Clients = { version: 1, clients: { app: { keys: [] } } }
  for (let i = 0; i < 600; i++) clients.clients[`client-${i}`] = { plan: 'gold', keys: [] }
  let gate: Gate
  beforeAll(async () => {
    const policy: Policy = { version: 1, plans: { gold: {} }, admins: [admin.record] }
    gate = await startGate(setup, { workers: 1, policy, clients })
  })
  afterAll(() => gate.stop())

  const send = (call: string, body: string) => post(gate, admin.token, call, body)

  /** The least of some times: what others of this machine add to it is left out. */
  async function bestOf(tries: number, call: string, body: string): Promise<number> {
    const times: number[] = []
    for (let i = 0; i < tries; i++) times.push((await send(call, body)).ms)
    return Math.min(...times)
  }

  /** Tells how often somebody else was answered while a call was. */
  async function answersBeside(call: string, body: string): Promise<number> {
    let isOver = false
    const sent = send(call, body).then(() => {
      isOver = true
    })
    let answers = 0
    while (!isOver) {
      const me = await gate.admin('/me', { token: admin.token })
      expect(me.status).toBe(200)
      await me.text()
      if (!isOver) answers++
    }
    await sent
    return answers
  }

  test.each<[string, string, string]>([
    [
      '20,000 empty plans',
      `{"version":1,"plans":{${Array.from({ length: 20_000 }, (_, i) => `"p${i}":{}`).join(',')}}}`,
      'The body has more than 6000 different names',
    ],
    [
      '20,000 unknown fields',
      `{${Array.from({ length: 20_000 }, (_, i) => `"a${i}":1`).join(',')}}`,
      'The body has more than 6000 different names',
    ],
  ])(
    '%s are refused, in no more time than a usual policy of their size takes',
    async (_, body, detail) => {
      const { response } = await send('POST /policy/validate', body)
      expect((await expectProblem(response, 413, 'too-large')).detail).toBe(detail)
      const usual = usualPolicy(body.length)
      expect(await read((await send('POST /policy/validate', usual)).response)).toEqual({
        problems: [],
      })
      const usualMs = await bestOf(3, 'POST /policy/validate', usual)
      expect(await bestOf(3, 'POST /policy/validate', body)).toBeLessThan(3 * usualMs)
    },
  )

  test('each is answered in a time that a usual body of its size takes', async () => {
    const usual = usualPolicy(0.95 * MB)
    const usualMs = await bestOf(3, 'POST /policy/validate', usual)
    const slow: object[] = []
    for (const { name, call, make, most, times: own = TIMES_MAX } of hostileBodies) {
      const body = make(most)
      const first = await send(call, body)
      expect([call, name, first.response.status]).toEqual([
        call,
        name,
        expect.toSatisfy((status: number) => status < 500),
      ])
      const times = (own * Math.max(BYTES_MIN, body.length)) / usual.length
      const isSlow = first.ms > times * usualMs && (await bestOf(3, call, body)) > times * usualMs
      if (isSlow) slow.push({ call, name, ms: first.ms, usualMs })
    }
    expect(slow).toEqual([])
  }, 120_000)

  test.each<[string, string]>([
    ['addresses of plans', 'POST /policy/validate'],
    ['models of plans', 'POST /policy/validate'],
    ['keys of many clients', 'POST /import'],
  ])('%s let others get answers meanwhile', async (name, call) => {
    const { make, most } = hostileBodies.find(
      (hostile) => hostile.name === name && hostile.call === call,
    ) as Hostile
    expect(await answersBeside(call, make(most))).toBeGreaterThan(2)
  })

  test.each(
    hostileQueries.map((query): [string, Hostile] => [`${query.name} at ${query.call}`, query]),
  )('a query with many %s is answered as any other', async (_, { call, make, most }) => {
    const [, path = ''] = call.split(' ')
    for (const count of [1, most]) {
      const response = await gate.admin(`${path}?${make(count)}`, { token: admin.token })
      expect([200, 400]).toContain(response.status)
      await response.text()
    }
  })

  test('none takes memory out of proportion', () => {
    const [worker = 0] = workersOf(gate)
    const status = readFileSync(`/proc/${worker}/status`, 'utf8')
    const most = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(MEMORY_BYTES_MAX)
  })

  test('a policy that takes longer to check than a turn of the housekeeping is loaded', async () => {
    const addresses = Array.from({ length: 250 }, (_, i) => `2001:db8:${i}::1/64`)
    const plans = Object.fromEntries(
      Array.from({ length: 150 }, (_, i) => [`p${i}`, { addresses }]),
    )
    const { generation } = await gate.state()
    const body = JSON.stringify({ version: 1, plans: { gold: {}, ...plans } })
    expect((await send('PUT /policy', body)).response.status).toBe(200)
    await gate.waitForGeneration(generation + 1)
    expect(await gate.state()).toMatchObject({ problems: [], clients: 601 })
  })

  test('a plan that is missing is still told with the one that was meant', async () => {
    const body = '{"version":1,"plans":{"goldd":{}}}'
    const { problems } = await read((await send('POST /policy/validate', body)).response)
    expect(problems).toHaveLength(51)
    expect(problems[0]).toEqual({
      path: 'clients.json: clients.client-0.plan',
      message: 'No plan "gold" in policy.json; did you mean goldd?',
    })
    expect(problems[50].message).toBe('550 more problems are not listed')
  })
})

describe.each(await findEngines())('$name: E: a large clients.json', (setup) => {
  const admin = makeAdmin()
  const PLANS = 300
  const keyOf = (i: number) => ({
    id: `k${i.toString(36).padStart(7, '0')}`,
    sha256: i.toString(16).padStart(64, '0'),
    created: '2026-01-01T00:00:00Z',
  })
  const named = (names: string[]) => Object.fromEntries(names.map((name) => [name, {}]))
  const unused = Array.from({ length: PLANS }, (_, i) => `unused-${i}`)
  const big: Client = { keys: Array.from({ length: 1000 }, (_, i) => keyOf(i)) }
  let gate: Gate
  beforeAll(async () => {
    const policy: Policy = {
      version: 1,
      plans: named(['gold', ...unused]),
      admins: [admin.record],
    }
    gate = await startGate(setup, { workers: 1, policy })
    const clients: { [name: string]: Client } = { app: { keys: [] }, big }
    for (let i = 0; i < 6000; i++) {
      clients[`client-${i}`] = { plan: 'gold', note: 'disabled', keys: [keyOf(1000 + i)] }
    }
    const { generation } = await gate.state()
    await gate.writeConfig('clients.json', formatClients({ version: 1, clients }))
    await gate.waitForGeneration(generation + 1)
  })
  afterAll(() => gate.stop())

  const bestOf = async (call: string, body: string) => {
    const times: number[] = []
    for (let i = 0; i < 3; i++) {
      const { response, ms } = await post(gate, admin.token, call, body)
      expect(response.status).toBe(200)
      times.push(ms)
    }
    return Math.min(...times)
  }

  test('is read once for all plans that a policy loses', async () => {
    const losing = (kept: string[]) => JSON.stringify({ version: 1, plans: named(kept) })
    const one = await bestOf('POST /policy/validate', losing(['gold', ...unused.slice(1)]))
    const all = await bestOf('POST /policy/validate', losing(['gold']))
    expect(all).toBeLessThan(10 * one)
  })

  test('tells some of the clients whose plan a policy loses', async () => {
    const { text } = await post(gate, admin.token, 'POST /policy/validate', '{"version":1}')
    const { problems } = JSON.parse(text)
    expect(problems).toHaveLength(21)
    expect(problems[0]).toEqual({
      path: 'clients.json: clients.client-0.plan',
      message: 'Has the plan gold',
    })
    expect(problems[20]).toEqual({ path: '', message: 'At most 20 clients are listed' })
  })

  test('has each line parsed once, however many of its keys are imported again', async () => {
    const importOf = (client: string, first: number) => {
      const keys = big.keys.map((_, i) => {
        const { id, sha256 } = keyOf(first + i)
        return { line: i + 1, client, id, sha256 }
      })
      return JSON.stringify({ dryRun: true, keys })
    }
    const others = await bestOf('POST /import', importOf('other', 1_000_000))
    const again = await bestOf('POST /import', importOf('big', 0))
    expect(again).toBeLessThan(8 * others)
    const { text } = await post(gate, admin.token, 'POST /import', importOf('big', 0))
    expect(JSON.parse(text)).toMatchObject({ added: [], problems: [], importable: 0 })
    expect(JSON.parse(text).skipped).toHaveLength(1000)
  })

  test('is searched for keys and plans where these stand, and not in notes', async () => {
    const get = (path: string) => gate.admin(path, { token: admin.token })
    await expectProblem(await get('/keys/disabled'), 404, 'unknown-key')
    await expectProblem(await get('/keys/sha256'), 404, 'unknown-key')
    expect(await read(await get(`/keys/${keyOf(500).id}`))).toMatchObject({ client: 'big' })
    expect(await read(await get(`/keys/${keyOf(1007).id}`))).toMatchObject({ client: 'client-7' })
    const used = await gate.admin('/plans/gold', {
      method: 'DELETE',
      token: admin.token,
      headers: { 'if-match': '*' },
    })
    expect((await expectProblem(used, 409, 'in-use')).detail).toContain('client-0')
  })
})
