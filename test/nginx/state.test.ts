import { mkdir, rename, rm } from 'node:fs/promises'
import type { Agent } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Client, Clients } from '../../src/core/config/shapes.ts'
import { type Gate, makeKey, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ownPidOf, workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, nowMs, oneConnection, send } from './wire.ts'

const WORKERS = 4
const REVOKED = '2026-01-02T00:00:00Z'
// reuseport spreads connections evenly, and $pid tells where one ended up: all later requests on that
// connection are that worker's.
const WORKER_EXTRA = 'location = /which-worker { return 200 $pid; }'

// These tests ask for refused keys until they are refused.
const POLICY = { version: 1 as const, lockout: { badKeysPerMinute: 1_000_000 } }

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  const app = makeKey()
  const other = makeKey()
  let gate: Gate
  let agents: Map<string, Agent>

  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: WORKERS,
      clients: clientsOf({ app: { keys: [app.record] } }),
      policy: POLICY,
      serverExtra: WORKER_EXTRA,
      listenExtra: 'reuseport',
    })
  })
  afterAll(async () => {
    for (const agent of agents?.values() ?? []) agent.destroy()
    await gate.stop()
  })

  function clientsOf(clients: Clients['clients']): Clients {
    return { version: 1, clients: { app: { keys: [app.record] }, ...clients } }
  }

  const statusOf = async (secret: string, agent?: Agent) =>
    (await get(gate, '/v1/models', { key: secret, ...(agent ? { agent } : {}) })).status

  async function reachAllWorkers(): Promise<Map<string, Agent>> {
    agents = new Map()
    for (let i = 0; i < 200 && agents.size < WORKERS; i++) {
      const agent = oneConnection()
      const pid = (await get(gate, '/which-worker', { agent })).bytes.toString()
      if (agents.has(pid)) agent.destroy()
      else agents.set(pid, agent)
    }
    const workers = workersOf(gate).map((pid) => String(ownPidOf(pid)))
    expect([...agents.keys()].sort()).toEqual(workers.sort())
    return agents
  }

  /** How long it takes until every worker answers a key with a status. */
  async function timeUntil(secret: string, status: number): Promise<number> {
    const startMs = nowMs()
    const waits = [...agents.values()].map(async (agent) => {
      await until(`${status}`, async () => (await statusOf(secret, agent)) === status)
      return nowMs() - startMs
    })
    return Math.max(...(await Promise.all(waits)))
  }

  const write = (document: Clients) => gate.writeConfig('clients.json', formatClients(document))
  const withOther = (change: Partial<Client> = {}) =>
    clientsOf({ other: { keys: [other.record], ...change } })

  describe('changes are in force within a second in every worker', { retry: 2 }, () => {
    const DUE_MS = 1000

    test('a new key, a revoked key, and a stream of another key that goes on', async () => {
      await reachAllWorkers()
      await write(clientsOf({}))
      await timeUntil(other.secret, 401)
      const stream = await send(gate, '/v1/chat/completions', {
        key: app.secret,
        body: { model: 'Qwen/Qwen3-8B', stream: true, messages: [], mock: 'tokens:150,itl:20' },
      }).answer
      await until('the first event', () => stream.pieces.length > 0)
      await write(withOther())
      expect(await timeUntil(other.secret, 200)).toBeLessThan(DUE_MS)
      await write(withOther({ keys: [{ ...other.record, revoked: REVOKED }] }))
      expect(await timeUntil(other.secret, 401)).toBeLessThan(DUE_MS)
      expect(stream.response.complete).toBe(false)
      await stream.body()
      expect(eventsOf(stream.pieces)).toHaveLength(153)
      expect(await statusOf(app.secret)).toBe(200)
    })

    test('a disabled client, and the same enabled again', async () => {
      await write(withOther({ disabled: true }))
      expect(await timeUntil(other.secret, 403)).toBeLessThan(DUE_MS)
      await write(withOther({ disabled: false }))
      expect(await timeUntil(other.secret, 200)).toBeLessThan(DUE_MS)
    })

    test('a removed client, and a removed key of one that stays', async () => {
      const second = makeKey()
      await write(withOther({ keys: [other.record, second.record] }))
      await timeUntil(second.secret, 200)
      await write(withOther({ keys: [second.record] }))
      expect(await timeUntil(other.secret, 401)).toBeLessThan(DUE_MS)
      expect(await statusOf(second.secret)).toBe(200)
      await write(clientsOf({}))
      expect(await timeUntil(second.secret, 401)).toBeLessThan(DUE_MS)
    })

    test('a route that policy.json opens and closes, and the scopes of a plan', async () => {
      await write(withOther({ plan: 'small' }))
      const policy = { ...POLICY, plans: { small: { scopes: ['audio' as const] } } }
      await gate.writeConfig('policy.json', JSON.stringify(policy))
      expect(await timeUntil(other.secret, 403)).toBeLessThan(2 * DUE_MS)
      const routes = { models: 'public' as const }
      await gate.writeConfig('policy.json', JSON.stringify({ ...policy, routes }))
      expect(await timeUntil('no key', 200)).toBeLessThan(DUE_MS)
      await gate.writeConfig(
        'policy.json',
        JSON.stringify({ ...policy, routes: { models: 'off' } }),
      )
      expect(await timeUntil(app.secret, 404)).toBeLessThan(DUE_MS)
      await write(clientsOf({}))
      await gate.writeConfig('policy.json', JSON.stringify(POLICY))
      await timeUntil(app.secret, 200)
    })
  })

  describe('files that are not right change nothing', () => {
    const good = formatClients(clientsOf({ other: { keys: [other.record] } }))
    const twice = clientsOf({ other: { keys: [other.record] }, third: { keys: [other.record] } })
    type Case = [string, 'clients.json' | 'policy.json', string | null, string]
    const cases: Case[] = [
      ['no JSON', 'clients.json', good.replace('{', '['), 'clients.json: '],
      ['cut off', 'clients.json', good.slice(0, -9), 'clients.json: '],
      ['empty', 'clients.json', '', 'clients.json: '],
      ['no object', 'clients.json', 'null', 'clients.json: : Must be an object, not null'],
      ['an unknown field', 'clients.json', good.replace('"keys"', '"kyes"'), 'clients.app.kyes'],
      ['a hash too short', 'clients.json', good.replace(app.record.sha256, 'ab'), 'sha256'],
      ['the same key twice', 'clients.json', JSON.stringify(twice), 'clients.third.keys[0]'],
      [
        'an unknown plan',
        'clients.json',
        good.replace('{"keys"', '{"plan":"x","keys"'),
        'No plan "x"',
      ],
      ['missing', 'clients.json', null, 'clients.json: '],
      ['no JSON', 'policy.json', '{"version":1', 'policy.json: '],
      ['an unknown field', 'policy.json', '{"version":1,"route":{}}', 'did you mean routes?'],
      ['an unknown route', 'policy.json', '{"version":1,"routes":{"chatt":"off"}}', 'routes.chatt'],
      ['missing', 'policy.json', null, 'policy.json: '],
    ]

    async function putCase(file: Case[1], text: string | null): Promise<void> {
      if (text !== null) return gate.writeConfig(file, text)
      await rm(join(gate.configDir, file))
    }

    const countLoadErrors = async () =>
      (await gate.errorLog()).split('\n').filter((line) => line.includes('Tollgate cannot load'))

    test('each is told once, with file, path and reason, and mended by a good one', async () => {
      gate.expectErrors(/Tollgate cannot load/, /Tollgate goes on with what it loaded at/)
      await write(clientsOf({}))
      await until('the reset', async () => (await statusOf(other.secret)) === 401)
      const { generation } = await gate.state()
      let last = ''
      for (const [name, file, text, expected] of cases) {
        if (file === 'policy.json') await gate.writeConfig('clients.json', good)
        await putCase(file, text)
        await until(`a report of ${file} that is ${name}`, async () => {
          const { problems } = await gate.state()
          const now = JSON.stringify(problems)
          const isNew = now !== last && problems.some(({ path }) => path.startsWith(file))
          if (isNew) last = now
          return isNew
        })
        const lines = await countLoadErrors()
        expect(lines.at(-1), `${file} that is ${name}`).toContain(expected)
        expect((await gate.state()).generation).toBe(generation)
        expect([await statusOf(app.secret), await statusOf(other.secret)]).toEqual([200, 401])
      }
      const told = await countLoadErrors()
      await sleep(1200)
      expect(await countLoadErrors()).toEqual(told)
      await gate.writeConfig('policy.json', JSON.stringify(POLICY))
      await until('the good files', async () => (await statusOf(other.secret)) === 200)
      expect(await gate.state()).toMatchObject({ problems: [], clients: 2, keys: 2 })
    })

    test('a folder in place of the file is told too', async () => {
      gate.expectErrors(/Tollgate cannot load/, /Tollgate goes on with what it loaded at/)
      const path = join(gate.configDir, 'clients.json')
      await rename(path, `${path}.away`)
      await mkdir(path)
      await until('its report', async () => (await gate.state()).problems.length > 0)
      expect(await statusOf(app.secret)).toBe(200)
      await rm(path, { recursive: true })
      await rename(`${path}.away`, path)
      await until('its end', async () => (await gate.state()).problems.length === 0)
    })
  })

  test('a small file may be laid out in any way', async () => {
    const layouts: [string, (document: Clients) => string][] = [
      ['one client a line', formatClients],
      [
        'as the tools do, with CRLF',
        (document) => formatClients(document).replaceAll('\n', '\r\n'),
      ],
      ['in one line', (document) => JSON.stringify(document)],
      ['pretty', (document) => JSON.stringify(document, null, 2)],
      ['with tabs', (document) => JSON.stringify(document, null, '\t')],
      ['with much space', (document) => ` \r\n\t${JSON.stringify(document, null, 8)}\n\n\n`],
      ['version behind', ({ version, clients }) => JSON.stringify({ clients, version }, null, 1)],
      ['with $schema', (document) => formatClients({ ...document, $schema: 'x.json' } as Clients)],
    ]
    for (const [name, format] of layouts) {
      const { secret, record } = makeKey()
      const note = `${name}: "clients": {\n é 漢 😀`
      await gate.writeConfig('clients.json', format(clientsOf({ x: { note, keys: [record] } })))
      await until(`the file ${name}`, async () => (await statusOf(secret)) === 200)
    }
  })

  test('clients may be called like what every object has', async () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'length']
    const keys = names.map((name) => ({ name, ...makeKey() }))
    await write(
      clientsOf(Object.fromEntries(keys.map(({ name, record }) => [name, { keys: [record] }]))),
    )
    await until('the file', async () => (await gate.state()).clients === names.length + 1)
    for (const { name, secret } of keys) {
      const { headers } = await get(gate, '/v1/models', { key: secret })
      const id = headers['x-request-id']
      expect(gate.mock.log().find((record) => record.headers['x-request-id'] === id)).toMatchObject(
        {
          headers: { 'x-api-client': name },
        },
      )
    }
  })
})
