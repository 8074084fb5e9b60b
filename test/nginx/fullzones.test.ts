import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkLedger } from '../../src/cli/checks/state.ts'
import type { Client } from '../../src/core/config/shapes.ts'
import { stayInMinute } from '../waiting.ts'
import { type Caller, CHAT, chatOf, clientOf, documentOf, linesOf } from './clients.ts'
import { edit } from './edit.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { probed, usedBy, zone } from './probe.ts'
import { findEngines } from './setups.ts'
import { type Call, get, send } from './wire.ts'

const setups = await findEngines()

/** A zone of eight pages, the smallest there is, has room for less than 300 numbers. */
const SMALLEST = '32k'
const COUNT = 400
const SECONDS = 20

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

describe.skipIf(isNearMidnight).each(setups)('$name: a full zone', (setup) => {
  /** A gate with one small zone, and many clients beside `free`, which has no limits. */
  async function start(small: string, fields: Partial<Client>) {
    const many = Array.from({ length: COUNT }, () => clientOf(fields))
    const free = clientOf()
    const callers: { [name: string]: Caller } = { free }
    for (const [i, caller] of many.entries()) callers[`c${i}`] = caller
    const gate = await startGate(
      setup,
      probed({
        workers: 2,
        clients: documentOf(callers),
        prepare: (root) =>
          edit(
            join(root, 'tollgate/http.conf'),
            new RegExp(`${small}:\\d+M`),
            `${small}:${SMALLEST}`,
          ),
      }),
    )
    onTestFinished(() => gate.stop())
    gate.expectErrors(/no memory/, /Cannot count in the zone/)
    return { gate, many, free }
  }

  const short = chatOf('prompt:3,tokens:20', { max_tokens: 20 })
  const ask = (gate: Gate, { secret }: Caller) => get(gate, CHAT, { key: secret, body: short })

  /** Those who do not fit are refused by a broken gate; who has nothing to count is not. */
  async function expectClosed(gate: Gate, refused: Caller, free: Caller): Promise<void> {
    const answer = await ask(gate, refused)
    expect([answer.status, JSON.parse(answer.bytes.toString())]).toMatchObject([
      500,
      { error: { type: 'server_error', code: 'gate_error' } },
    ])
    for (let i = 0; i < 5; i++) expect((await ask(gate, free)).status).toBe(200)
  }

  /** The error log names the zone and what to change; state.json and the doctor show it. */
  async function expectTold(gate: Gate, small: string): Promise<void> {
    const words = `Cannot count in the zone ${small}, which is full: give it more memory in its js_shared_dict_zone`
    expect(await gate.errorLog()).toContain(words)
    const isShown = async () => ((await gate.state()).ledger?.countersFull ?? 0) > 0
    await until('the count in state.json', isShown, SECONDS)
    const told = expect.stringContaining('A zone of counters was full')
    const [check] = await checkLedger(gate)
    expect(check).toEqual({ name: 'ledger', level: 'problem', message: told })
  }

  test.each([
    ['tollgate_counters', { limits: { concurrency: 5 } }],
    ['tollgate_windows', { limits: { requestsPerMinute: 5 } }],
  ] as const)(
    '%s: whose limits cannot be counted is refused, others go on',
    async (small, fields) => {
      const { gate, many, free } = await start(small, fields)
      await stayInMinute(10)
      const statuses = []
      for (const caller of many) statuses.push((await ask(gate, caller)).status)
      const admitted = statuses.filter((status) => status === 200).length
      expect(statuses).toEqual([...Array(admitted).fill(200), ...Array(COUNT - admitted).fill(500)])
      expect(admitted).toBeGreaterThan(100)
      await expectClosed(gate, many.at(-1) ?? free, free)
      expect(gate.mock.log()).toHaveLength(admitted + 5)
      const line = (await linesOf(gate, `c${COUNT - 1}`, 2)).at(-1)
      expect(line).toMatchObject({ outcome: 'gate_error', status: 500 })
      // Who is counted already is counted on, and its limit holds.
      const first = many[0] ?? free
      expect((await ask(gate, first)).status).toBe(200)
      await expectTold(gate, small)
      const held = Object.entries(await zone(gate, 'counters')).filter(([name]) =>
        name.startsWith('f'),
      )
      expect(held.filter(([name, value]) => name !== 'full' && value !== 0)).toEqual([])
    },
  )

  test('tollgate_running: who finds no room is refused, and there is room when streams end', async () => {
    const limited = { limits: { concurrency: 5 }, budgets: { tokensPerDay: 1e9 } }
    const { gate, many, free } = await start('tollgate_running', limited)
    // How far a stream is stands in its entry too, which the full zone refuses now and then.
    const slow = chatOf('tokens:100000,itl:300', { stream: true })
    const calls: Call[] = []
    onTestFinished(() => {
      for (const { abort } of calls) abort()
    })
    const statuses = []
    for (const { secret } of many) {
      const call = send(gate, CHAT, { key: secret, body: slow })
      calls.push(call)
      statuses.push((await call.answer).status)
    }
    const admitted = statuses.filter((status) => status === 200).length
    // An entry is a text, and takes as much as five numbers.
    expect(admitted).toBeGreaterThan(30)
    expect(statuses).toEqual([...Array(admitted).fill(200), ...Array(COUNT - admitted).fill(500)])
    await expectClosed(gate, many.at(-1) ?? free, free)
    await expectTold(gate, 'tollgate_running')
    for (const { abort } of calls) abort()
    const last = many.at(-1) ?? free
    await until('room', async () => (await ask(gate, last)).status === 200, SECONDS)
    for (const caller of many) expect((await ask(gate, caller)).status).toBe(200)
    await until('nothing in flight', async () => {
      const counters = Object.entries(await zone(gate, 'counters'))
      return counters.every(([name, value]) => value === 0 || !/^f.{10}$/.test(name))
    })
  })

  test('tollgate_balance: it is told, requests go on, and budgets hold in the counters', async () => {
    const budgets = { tokensPerDay: 40 }
    const { gate, many, free } = await start('tollgate_balance', { budgets })
    for (const caller of many) expect((await ask(gate, caller)).status).toBe(200)
    await until(
      'the notice',
      async () => {
        return (await gate.state()).ledger?.notice?.includes('tollgate_balance is full') ?? false
      },
      SECONDS,
    )
    expect(await checkLedger(gate)).toContainEqual(expect.objectContaining({ level: 'warning' }))
    expect(await gate.errorLog()).toContain('The zone tollgate_balance is full, make it larger')
    // Two requests of 23 tokens spend 40, also of who is not in the sums.
    for (const index of [0, COUNT - 1]) {
      const caller = many[index] ?? free
      expect((await ask(gate, caller)).status).toBe(200)
      await until('its tokens', async () => (await usedBy(gate, `c${index}`))[0] === 46)
      expect((await ask(gate, caller)).status).toBe(429)
    }
    expect((await ask(gate, free)).status).toBe(200)
    // The ledger is added up on, for those who are in the sums.
    const count = (await gate.ledger()).length
    const isRead = async () => (await gate.state()).ledger?.lines === count
    await until('all lines to be added up', isRead, SECONDS)
    expect((await gate.state()).ledger?.problem).toBeNull()
    // The files come into force all the same.
    for (let i = 0; i < 3; i++) {
      const late = clientOf()
      await gate.setClients(documentOf({ late }))
      expect((await ask(gate, late)).status).toBe(200)
      expect((await ask(gate, free)).status).toBe(401)
    }
  })
})
