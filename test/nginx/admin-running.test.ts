import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import { tollgate } from '../cli/command.ts'
import { caller, expectProblem, read } from './adminapi.ts'
import { linesOf } from './clients.ts'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ownPidOf, workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { eventsOf, send } from './wire.ts'

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 120_000

const CHAT = '/v1/chat/completions'
const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

describe.each(await findEngines())('$name: what runs, by the admin API', (setup) => {
  const { secret, record } = makeKey()
  const client: Client = {
    keys: [record],
    group: 'web',
    limits: { concurrency: 5, tokensPerMinute: 100_000 },
    budgets: { tokensPerDay: 50_000, costPerDay: 1 },
  }
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, prices: { [MODEL]: { input: 1, output: 1 } } },
      clients: { version: 1, clients: { limited: client } },
    })
    gate.expectErrors(/Tollgate has ended this stream: cut_operator/)
    call = caller(gate)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  function run(mock: string, fields: object = {}, key = secret) {
    const messages = [{ role: 'user', content: 'one two three' }]
    const sent = send(gate, CHAT, { key, body: { model: MODEL, messages, mock, ...fields } })
    onTestFinished(() => void sent.abort())
    return sent
  }

  const running = async () => read(await call('GET /running'))
  const status = async () => read(await call('GET /status'))

  test('requests are listed with how far they are, and not when they have ended', async () => {
    const stream = run('tokens:1000,itl:20', { stream: true })
    const { pieces } = await stream.answer
    const whole = run('hang', {}, gate.key)
    await until('both', () => gate.mock.log().length === 2)
    await until('80 tokens', () => eventsOf(pieces).length > 80, 20)
    const { total, requests } = await running()
    expect(total).toBe(2)
    expect(requests).toMatchObject(
      [
        {
          ...{ client: 'limited', key: record.id, group: 'web', route: 'chat', model: MODEL },
          ...{ stream: true, promptTokens: 3, remote: '127.0.0.1', id: /^[0-9a-f]{32}$/ },
        },
        { client: 'app', route: 'chat' },
      ].map((one) => ({ ...one, id: expect.stringMatching(/^[0-9a-f]{32}$/) })),
    )
    const [first] = requests
    expect(first.completionTokens).toBeGreaterThan(20)
    expect(first.tokensPerSecond).toBeGreaterThan(1)
    expect(first.heldTokens).toBeGreaterThan(1000)
    expect(first.heldCost).toBeCloseTo(first.heldTokens / 1e6, 9)
    expect(Date.now() - Date.parse(first.startedAt)).toBeLessThan(60_000)
    const pids = workersOf(gate).map(ownPidOf)
    expect(pids).toContain(first.worker)
    const { workers, inFlight } = await status()
    expect(inFlight).toBe(2)
    expect(workers.map(({ pid }: { pid: number }) => pid)).toEqual(pids)
    stream.abort()
    whole.abort()
    await until('their end', async () => (await running()).total === 0)
    expect(await running()).toMatchObject({ requests: [] })
  })

  test('a stream that is cut ends, and the ledger says why', async () => {
    const stream = run('tokens:100000,itl:20', { stream: true })
    const { pieces, body } = await stream.answer
    await until('some events', () => eventsOf(pieces).length > 3)
    const [{ id }] = (await running()).requests
    const response = await call(`POST /requests/${id}/cut`)
    expect(response.status).toBe(202)
    expect(await read(response)).toEqual({ id })
    expect((await body()).toString()).toMatch(/operator.*\n\ndata: \[DONE\]\n\n$/)
    await until('its end', async () => (await running()).total === 0)
    await expectProblem(await call(`POST /requests/${id}/cut`), 404, 'unknown-request')
    await until('its line', async () => {
      const lines = await linesOf(gate, 'limited')
      return lines.some((line) => line['id'] === id && line['outcome'] === 'cut_operator')
    })
    const audit = async () => (await read(await call('GET /audit?limit=1'))).entries
    await until('a line of it', async () => (await audit()).length > 0)
    expect(await audit()).toMatchObject([
      { action: 'request.cut', target: id, before: { client: 'limited', key: record.id } },
    ])
  })

  test.each(['0'.repeat(32), 'x', 'cut:', '__proto__'])('there is no request %s', async (id) => {
    await expectProblem(await call(`POST /requests/${id}/cut`), 404, 'unknown-request')
  })

  /** What of a balance does not move with every millisecond. */
  function withoutMinutes({ time: _, ...balance }: { time: string; subjects: object[] }) {
    const subjects = balance.subjects.map((subject) => ({
      ...subject,
      rates: (subject as { rates: { limit: string }[] }).rates.filter(
        ({ limit }) => limit === 'concurrency',
      ),
    }))
    return { ...balance, subjects }
  }

  test.skipIf(isNearMidnight)('a balance is what the command prints', async () => {
    const held = run('hang', { max_tokens: 500 })
    await until('it', () => gate.mock.log().length === 1)
    const [{ heldTokens }] = (await running()).requests
    const shown = await read(await call('GET /clients/limited/balance'))
    const { code, stdout } = await tollgate('balance', 'limited', '--json', '--dir', gate.configDir)
    expect(code).toBe(0)
    const printed = JSON.parse(stdout)
    expect(withoutMinutes(shown)).toEqual(withoutMinutes(printed))
    expect(shown.subjects[0].rates[0]).toEqual({
      limit: 'concurrency',
      value: 5,
      taken: 1,
      left: 4,
    })
    expect(shown.subjects[0].standings[0]).toMatchObject({ reserved: heldTokens })
    held.abort()
    // What was left is charged by the time that it took.
    let before = 0
    await until('nothing held', async () => {
      const { subjects } = await read(await call('GET /clients/limited/balance'))
      before = subjects[0].standings[0].used
      return subjects[0].rates[0].taken === 0
    })
    const { body } = await run('prompt:3,tokens:10', { max_tokens: 10 }).answer
    await body()
    await until('13 more tokens', async () => {
      const { subjects } = await read(await call('GET /clients/limited/balance'))
      return subjects[0].standings[0].used === before + 13
    })
    await expectProblem(await call('GET /clients/nobody/balance'), 404, 'unknown-client')
  })

  test('balances come in pages', async () => {
    const { balances, next } = await read(await call('GET /balances?limit=1'))
    expect(balances).toMatchObject([{ client: 'limited', subjects: [{ of: 'client' }] }])
    expect(next).toBe('limited')
    const rest = await read(await call('GET /balances?limit=1&after=limited'))
    expect(rest).toMatchObject({ balances: [{ client: 'app' }], next: null })
    const found = await read(await call('GET /balances?q=web'))
    expect(found.balances).toHaveLength(1)
  })

  describe('the status', () => {
    test('tells of zones, ledger and workers', async () => {
      const { zones, ledger, alerts, isWritable } = await status()
      expect(isWritable).toBe(true)
      expect(ledger).toMatchObject({ problem: null, countersFull: 0 })
      expect(alerts).toEqual([])
      const clients = zones.find(({ name }: { name: string }) => name === 'tollgate_clients')
      expect(clients).toMatchObject({ capacityBytes: 128 * 1024 * 1024 })
      expect(clients.freeBytes).toBeLessThan(clients.capacityBytes)
      expect(clients.entries).toBeGreaterThan(2)
    })

    test('has the address of the gate that policy.json says', async () => {
      expect((await status()).gateUrl).toBeNull()
      await gate.setPolicy({ version: 1, url: 'https://llm.example.com/gate' })
      await until('the address', async () => {
        return (await status()).gateUrl === 'https://llm.example.com/gate'
      })
      await gate.setPolicy({ version: 1 })
      await until('no address', async () => (await status()).gateUrl === null)
    })

    test('has what is wrong first', async () => {
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      const text = '{"version":1,"clients":{"a b":{"keys":[]}}}'
      const { clients } = JSON.parse(
        (await tollgate('client', 'list', '--json', '--dir', gate.configDir)).stdout,
      )
      expect(clients).toHaveLength(2)
      await gate.writeConfig('clients.json', text)
      await until('an alert', async () => (await status()).alerts.length > 0)
      const body = await status()
      expect(body.problems).toMatchObject([{ path: 'clients.json: clients["a b"]' }])
      expect(body.alerts).toMatchObject([{ severity: 'error', code: 'load_failed' }])
      expect(body.clients).toBe(2)
      await gate.writeConfig(
        'clients.json',
        JSON.stringify({ version: 1, clients: { limited: client } }),
      )
      await until('no alert', async () => (await status()).alerts.length === 0)
    })
  })
})
