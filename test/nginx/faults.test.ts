import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Clients } from '../../src/core/config/shapes.ts'
import { edit } from './edit.ts'
import { type Gate, type GateOptions, makeKey, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { isAlive, killAll, killWorkers, workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, nowMs, oneConnection, send } from './wire.ts'

const CHAT = '/v1/chat/completions'
const MODEL = 'Qwen/Qwen3-8B'
const LOAD_ERRORS = [/Tollgate cannot load/, /Tollgate has never loaded/, /Tollgate goes on/]

function streamOf(mock: string) {
  return { model: MODEL, stream: true, messages: [], mock }
}

watchLogs()

/** Asks again while the gate says that it starts. */
async function afterStart<T extends { status: number }>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (answer.status !== 503) return answer
    await sleep(20)
  }
}

describe.each(await findEngines())('$name', (setup) => {
  async function start(options: GateOptions = {}): Promise<Gate> {
    const gate = await startGate(setup, options)
    onTestFinished(() => gate.stop())
    return gate
  }

  const statusOf = async (gate: Gate, key?: string) =>
    (await get(gate, '/v1/models', key ? { key } : {})).status

  /** The gate must refuse everything, in both dialects, and nothing may reach the mock. */
  async function expectClosed(gate: Gate): Promise<void> {
    const models = await get(gate, '/v1/models')
    expect([models.status, JSON.parse(models.bytes.toString())]).toMatchObject([
      500,
      { error: { type: 'server_error', code: 'gate_error' } },
    ])
    const messages = await get(gate, '/v1/messages', { body: streamOf('') })
    expect([messages.status, JSON.parse(messages.bytes.toString())]).toMatchObject([
      500,
      { type: 'error', error: { type: 'api_error' } },
    ])
    expect(gate.mock.log()).toEqual([])
  }

  describe('a worker that is killed', () => {
    test('is replaced, and the stream of another one goes on', async () => {
      const gate = await start({
        workers: 2,
        listenExtra: 'reuseport',
        serverExtra: 'location = /which-worker { return 200 $pid; }',
      })
      gate.expectErrors(/worker process \d+ exited on signal 9/)
      const agents = new Map<number, ReturnType<typeof oneConnection>>()
      while (agents.size < 2) {
        const agent = oneConnection()
        onTestFinished(() => agent.destroy())
        agents.set(Number((await get(gate, '/which-worker', { agent })).bytes), agent)
      }
      const [first = 0, second = 0] = workersOf(gate)
      const body = streamOf('tokens:60,itl:25')
      const calls = [first, second].map((pid) => {
        const agent = agents.get(pid)
        return send(gate, CHAT, agent ? { body, agent } : { body })
      })
      const [lost, kept] = await Promise.all(calls.map(({ answer }) => answer))
      await until('both streams', () =>
        [lost, kept].every((call) => (call?.pieces.length ?? 0) > 2),
      )
      // The first one does the housekeeping too.
      process.kill(first, 'SIGKILL')
      await expect(lost?.body()).rejects.toThrow()
      const bytes = (await kept?.body()) ?? Buffer.alloc(0)
      expect(eventsOf([{ atMs: 0, bytes }])).toHaveLength(63)
      await until('a new worker', () => workersOf(gate).filter(isAlive).length === 2)
      for (let i = 0; i < 20; i++) expect(await statusOf(gate)).toBe(200)
      const { secret, record } = makeKey()
      await gate.setClients({ version: 1, clients: { late: { keys: [record] } } })
      for (let i = 0; i < 20; i++) expect(await statusOf(gate, secret)).toBe(200)
      expect(await statusOf(gate)).toBe(401)
    })

    test('is no reason to let anyone in: all workers at once, again and again', async () => {
      const gate = await start({ workers: 2 })
      gate.expectErrors(/exited on signal 9/)
      const statuses = new Set<number>()
      for (let round = 0; round < 3; round++) {
        killWorkers(gate)
        const untilMs = nowMs() + 150
        while (nowMs() < untilMs) {
          // The connection may be one that dies with its worker.
          const call = await get(gate, '/v1/models', { key: 'nobody' }).catch(() => null)
          if (call) statuses.add(call.status)
        }
      }
      expect([...statuses].filter((status) => status !== 401 && status !== 429)).toEqual([])
      await until('the gate', async () => (await statusOf(gate).catch(() => 0)) === 200)
    })
  })

  test('kill -9 of all, then a start: keys work and the ledger goes on', async () => {
    const gate = await start({ workers: 2 })
    expect(await statusOf(gate)).toBe(200)
    await gate.ledger(1)
    await killAll(gate)
    await gate.restart()
    expect(await statusOf(gate)).toBe(200)
    expect((await gate.ledger(2)).map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
  })

  test('the first requests after a start are told to come again until the keys are there', async () => {
    const clients: Clients = { version: 1, clients: {} }
    for (let i = 0; i < 3000; i++) clients.clients[`c${i}`] = { keys: [makeKey().record] }
    const mine = makeKey()
    clients.clients['last'] = { keys: [mine.record] }
    const gate = await start({
      isEager: true,
      clients,
      prepare: async (_, configDir) => {
        await writeFile(join(configDir, 'clients.json'), formatClients(clients))
      },
    })
    const asked = Array.from({ length: 20 }, (_, i) =>
      afterStart(() => get(gate, '/v1/models', { key: i % 2 === 0 ? mine.secret : 'nobody' })),
    )
    const chat = afterStart(() => get(gate, CHAT, { key: mine.secret, body: streamOf('tokens:4') }))
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    expect(statuses.filter((_, i) => i % 2 === 0)).toEqual(Array(10).fill(200))
    expect(statuses.filter((_, i) => i % 2 === 1)).toEqual(Array(10).fill(401))
    expect(eventsOf([{ atMs: 0, bytes: (await chat).bytes }])).toHaveLength(7)
    expect(gate.mock.log()).toHaveLength(11)
  })

  test.each([
    ['clients.json is missing', 'clients.json', null],
    ['clients.json is no JSON', 'clients.json', '{"version":1,"clients":'],
    ['clients.json has a mistake', 'clients.json', '{"version":1,"clients":{"a":{}}}'],
    ['policy.json is missing', 'policy.json', null],
    ['policy.json has a mistake', 'policy.json', '{"version":2}'],
  ] as const)('a start where %s is closed at once, until it is mended', async (_, file, text) => {
    const gate = await start({
      isEager: true,
      async prepare(root, configDir) {
        const path = join(configDir, file)
        await writeFile(join(root, 'good.json'), await readFile(path))
        if (text === null) await rm(path)
        else await writeFile(path, text)
      },
    })
    gate.expectErrors(...LOAD_ERRORS)
    // Before housekeeping has looked for the first time, callers are told to come again.
    await until('the first look', async () => (await statusOf(gate)) !== 503)
    const startMs = nowMs()
    await expectClosed(gate)
    for (let i = 0; i < 50; i++) expect(await statusOf(gate)).toBe(500)
    expect(nowMs() - startMs).toBeLessThan(5000)
    expect((await get(gate, '/health')).status).toBe(500)
    expect((await gate.state()).problems[0]?.path).toContain(file)
    expect(await countErrors(gate)).toBeLessThan(5)
    await gate.writeConfig(file, await readFile(join(gate.runDir, '..', 'good.json'), 'utf8'))
    await until('the gate to open', async () => (await statusOf(gate)) === 200)
  })

  const countErrors = async (gate: Gate) =>
    (await gate.errorLog()).split('\n').filter((line) => /\[(error|crit|alert)\]/.test(line)).length

  test('a full zone is told once, and keys that do not fit are refused', async () => {
    const clients: Clients = { version: 1, clients: {} }
    const keys = Array.from({ length: 3000 }, () => makeKey())
    for (const [i, { record }] of keys.entries()) clients.clients[`c${i}`] = { keys: [record] }
    const gate = await start({
      isEager: true,
      prepare: (root) =>
        edit(join(root, 'tollgate/http.conf'), 'tollgate_clients:128M', 'tollgate_clients:64k'),
    })
    gate.expectErrors(...LOAD_ERRORS, /no memory in js shared zone|no memory/)
    await until('the gate to open', async () => (await statusOf(gate)) === 200)
    await gate.writeConfig('clients.json', formatClients(clients))
    await until('its report', async () => (await gate.state()).problems.length > 0)
    expect((await gate.state()).problems).toMatchObject([
      { path: 'tollgate_clients', message: expect.stringContaining('make it larger in http.conf') },
    ])
    await sleep(1200)
    const before = await countErrors(gate)
    const last = keys.slice(-5).map(({ secret }) => secret)
    const fitting = new Set<number>()
    for (const { secret } of keys.slice(0, 40)) fitting.add(await statusOf(gate, secret))
    expect(fitting).toContain(200)
    for (const secret of last) expect(await statusOf(gate, secret)).toBe(401)
    expect(await countErrors(gate)).toBe(before)
    expect(before).toBeLessThan(10)
    // Again and again the same, and then a file that fits.
    for (const note of ['a', 'bb', 'ccc']) {
      const loadedBefore = await gate.errorLog()
      await gate.writeConfig('clients.json', `${formatClients(clients)}${note.replace(/./g, '\n')}`)
      await until('its report', async () => (await gate.errorLog()).length > loadedBefore.length)
      await sleep(700)
    }
    const tail = Object.fromEntries(Object.entries(clients.clients).slice(-50))
    await gate.setClients({ version: 1, clients: tail })
    for (const secret of last) expect(await statusOf(gate, secret)).toBe(200)
    expect(await statusOf(gate, keys[0]?.secret)).toBe(401)
    expect((await gate.state()).problems).toEqual([])
  })
})
