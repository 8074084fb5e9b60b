import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import { subjectName } from '../../src/core/limits/counters.ts'
import { subjectId } from '../../src/edge/config/subject.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, tokensOf } from './clients.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy, zone } from './probe.ts'
import { findEngines } from './setups.ts'
import { type Call, eventsOf, send } from './wire.ts'

const LIMITS = { requestsPerMinute: 1000, tokensPerMinute: 1_000_000, concurrency: 5 }
const BUDGETS = { tokensPerDay: 1_000_000, tokensPerMonth: 1_000_000, costPerDay: 10 }
const STREAM = { stream: true }
const USAGE = { stream: true, stream_options: { include_usage: true } }

/** What the caller does with its call: reads it, leaves it, or has its key revoked. */
type Deed = 'reads' | 'leaves' | 'leaves after some' | 'is revoked'

/** How a request may end: who it is for, what the mock does, what is asked, what the caller does. */
const exits = [
  ['whole', 'tokens:7', {}, 'reads', 'ok', 10],
  ['stream', 'tokens:7', STREAM, 'reads', 'ok', 10],
  ['asked', 'tokens:7', USAGE, 'reads', 'ok', 10],
  ['choices', 'tokens:7', { ...STREAM, n: 2 }, 'reads', 'ok', 17],
  ['pieces', 'tokens:7,split:50,gap:0', STREAM, 'reads', 'ok', 10],
  ['patience', 'hang', {}, 'leaves', 'client_aborted', null],
  ['early', 'tokens:9,ttft:60000', STREAM, 'leaves', 'client_aborted', null],
  ['middle', 'tokens:1000,itl:20', STREAM, 'leaves after some', 'client_aborted', null],
  ['dead', 'die:before', {}, 'reads', 'upstream_unavailable', 0],
  ['cut', 'die:body', {}, 'reads', 'upstream_aborted', null],
  ['broken', 'die:4', STREAM, 'reads', 'upstream_aborted', null],
  ['error', 'error:4', STREAM, 'reads', 'upstream_error', 7],
  ['failure', 'status:500', {}, 'reads', 'upstream_error', 0],
  ['spent', 'tokens:5000', STREAM, 'reads', 'cut_budget', 400],
  ['revoked', 'tokens:1000,itl:20', STREAM, 'is revoked', 'cut_revoked', null],
  ['refused', '', {}, 'reads', 'rate_limited', 0],
] as const

const special: { [name: string]: Partial<Client> } = {
  spent: { limits: LIMITS, budgets: { ...BUDGETS, tokensPerDay: 400, hard: true } },
  refused: { limits: { ...LIMITS, requestsPerMinute: 0 }, budgets: BUDGETS },
}

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

describe.skipIf(isNearMidnight).each(await findEngines())('$name', (setup) => {
  const callers = Object.fromEntries(
    exits.map(([name]) => [name, clientOf(special[name] ?? { limits: LIMITS, budgets: BUDGETS })]),
  )
  const document = documentOf(callers)
  let gate: Gate

  beforeAll(async () => {
    const prices = { [MODEL]: { input: 1, output: 2 } }
    const options = { workers: 2, policy: { version: 1 as const, prices }, clients: document }
    gate = await startGate(setup, probed(options))
    gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => gate.stop())

  async function act(name: string, call: Call, deed: Deed): Promise<void> {
    if (deed === 'reads') {
      await call.answer.then((answer) => answer.body()).catch(() => null)
    } else if (deed === 'leaves') {
      await until('it at the mock', () => gate.mock.log().length > 0)
      await sleep(50)
      call.abort()
    } else {
      const { pieces, body } = await call.answer
      await until('some events', () => eventsOf(pieces).length > 3)
      if (deed === 'leaves after some') return void call.abort()
      const client = callers[name]?.client as Client
      const keys = client.keys.map((key) => ({ ...key, revoked: '2026-01-01T00:00:00Z' }))
      await gate.setClients({
        ...document,
        clients: { ...document.clients, [name]: { ...client, keys } },
      })
      await body()
    }
  }

  /** Tokens and cost that the one line of a client charges. */
  async function chargedTo(name: string): Promise<[number, number]> {
    const lines = await linesOf(gate, name, 1)
    expect(lines).toHaveLength(1)
    const [line = {}] = lines
    return [tokensOf(line), Math.round((Number(line['cost']) || 0) * 1e9)]
  }

  test.each(exits)(
    'is settled once on every exit (higress#1080): %s, %s',
    async (name, mock, fields, deed, outcome, tokens) => {
      gate.mock.reset()
      const body = chatOf(`prompt:3,${mock}`, fields)
      await act(name, send(gate, CHAT, { key: callers[name]?.secret ?? '', body }), deed)
      const [charged, cost] = await chargedTo(name)
      expect((await linesOf(gate, name))[0]).toMatchObject({ outcome })
      if (tokens !== null) expect(charged).toBe(tokens)
      if (deed === 'leaves after some') expect(charged).toBeGreaterThan(3)
      // The month's cost is no budget here, and comes out of the ledger later.
      const used = (await usedBy(gate, name)).slice(0, 3)
      expect(used.map((value) => value ?? 0)).toEqual([charged, charged, cost])
      expect(await heldBy(gate, name)).toEqual([0, 0, 0])
      const windows = Object.entries(await zone(gate, 'windows'))
      const inMinute = (kind: string) =>
        windows
          .filter(([entry]) => entry.startsWith(kind + subjectId('client', name)))
          .reduce((sum, [, value]) => sum + value, 0)
      expect(inMinute('t')).toBe(charged)
      expect(inMinute('q')).toBe(outcome === 'rate_limited' ? 0 : 1)
    },
  )

  test('is counted once also when the ledger has been added up (higress#1080)', async () => {
    const path = join(gate.stateDir, 'state', 'balance.json')
    const count = (await gate.ledger()).length
    let balance: BalanceFile | null = null
    await until('the ledger to be added up', async () => {
      balance = JSON.parse(await readFile(path, 'utf8').catch(() => 'null')) as BalanceFile | null
      return balance?.lines === count
    })
    for (const [name] of exits) {
      const [charged, cost] = await chargedTo(name)
      const sums = (balance as BalanceFile | null)?.subjects[subjectName('client', name)]?.all
      expect([name, sums]).toEqual([name, [charged, cost, 1]])
      const used = (await usedBy(gate, name)).map((value) => value ?? 0)
      expect([name, used]).toEqual([name, [charged, charged, cost, cost]])
    }
    expect((await zone(gate, 'counters'))['full']).toBe(0)
  })
})
