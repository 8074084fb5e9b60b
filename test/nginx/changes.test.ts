import { describe, expect, onTestFinished, test } from 'vitest'
import type { Policy } from '../../src/core/config/shapes.ts'
import { stayInMinute } from '../waiting.ts'
import {
  type Caller,
  CHAT,
  chatOf,
  clientOf,
  documentOf,
  linesOf,
  MODEL,
  sumOf,
  tokensOf,
} from './clients.ts'
import { type Gate, type GateOptions, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy, zone } from './probe.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { get, send } from './wire.ts'

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

describe.skipIf(isNearMidnight).each(await findEngines())('$name', (setup) => {
  async function start(callers: { [name: string]: Caller }, options: GateOptions): Promise<Gate> {
    const gate = await startGate(setup, probed({ ...options, clients: documentOf(callers) }))
    onTestFinished(() => gate.stop())
    return gate
  }

  /** Asks until one is refused, at most 20 times. */
  async function admittedOf(gate: Gate, { secret }: Caller, mock = 'tokens:1'): Promise<number> {
    for (let count = 0; count < 20; count++) {
      const body = chatOf(`prompt:3,${mock}`, { max_tokens: 40 })
      const { status } = await get(gate, CHAT, { key: secret, body })
      if (status === 429) return count
      expect(status).toBe(200)
    }
    return 20
  }

  describe('a change in policy.json', () => {
    test('of a plan’s limit and a group’s is in force, and their windows go on', async () => {
      const callers = {
        planned: clientOf({ plan: 'small' }),
        grouped: clientOf({ group: 'web' }),
        both: clientOf({ plan: 'small', group: 'web' }),
      }
      const policyOf = (plan: number, group: number): Policy => ({
        version: 1,
        plans: { small: { limits: { requestsPerMinute: plan } } },
        groups: { web: { limits: { requestsPerMinute: group } } },
      })
      const gate = await start(callers, { policy: policyOf(3, 2) })
      await stayInMinute(12)
      const { planned, grouped, both } = callers
      expect([await admittedOf(gate, planned), await admittedOf(gate, grouped)]).toEqual([3, 2])
      expect(await admittedOf(gate, both)).toBe(0)
      await gate.setPolicy(policyOf(5, 2))
      expect([await admittedOf(gate, planned), await admittedOf(gate, grouped)]).toEqual([2, 0])
      await gate.setPolicy(policyOf(4, 6))
      expect([await admittedOf(gate, planned), await admittedOf(gate, both)]).toEqual([0, 4])
      expect(await admittedOf(gate, grouped)).toBe(0)
    })

    test('of the places for all is in force while streams run', async () => {
      const callers = { one: clientOf(), two: clientOf() }
      const gate = await start(callers, { policy: { version: 1, maxInFlight: 2 } })
      const body = chatOf('tokens:100000,itl:50', { stream: true })
      const calls = Array.from({ length: 2 }, () =>
        send(gate, CHAT, { key: callers.one.secret, body }),
      )
      onTestFinished(() => {
        for (const { abort } of calls) abort()
      })
      for (const { answer } of calls) expect((await answer).status).toBe(200)
      expect(await admittedOf(gate, callers.one)).toBe(0)
      await gate.setPolicy({ version: 1, maxInFlight: 3 })
      expect(await admittedOf(gate, callers.one)).toBe(20)
      await gate.setPolicy({ version: 1, maxInFlight: 1 })
      expect(await admittedOf(gate, callers.two)).toBe(0)
      await gate.setPolicy({ version: 1 })
      expect(await admittedOf(gate, callers.two)).toBe(20)
      for (const { abort } of calls) abort()
      await until('nothing in flight', async () => {
        const { 'f*vllm': all, 'avllm/': active } = await zone(gate, 'counters')
        return all === 0 && active === 0
      })
    })

    test('of a price is in force, and what has been used stays used', async () => {
      const callers = { one: clientOf({ plan: 'paid' }) }
      const policyOf = (output: number, costPerDay: number): Policy => ({
        version: 1,
        plans: { paid: { budgets: { costPerDay } } },
        prices: { [MODEL]: { input: 0, output } },
      })
      // Ten tokens cost 10, 20 and 5 millionths.
      const gate = await start(callers, { policy: policyOf(1, 0.00005) })
      const ask = async () => {
        const body = chatOf('prompt:3,tokens:10', { max_tokens: 10 })
        return (await get(gate, CHAT, { key: callers.one.secret, body })).status
      }
      const costs = async (count: number) =>
        (await linesOf(gate, 'one', count)).map(({ cost = 0 }) => Math.round(Number(cost) * 1e6))
      expect([await ask(), await ask()]).toEqual([200, 200])
      expect(await costs(2)).toEqual([10, 10])
      // The last one begins with 10 left.
      await gate.setPolicy(policyOf(2, 0.00005))
      expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429])
      await gate.setPolicy(policyOf(0.5, 0.00007))
      expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429])
      await gate.setPolicy(policyOf(0.5, 0.00001))
      expect(await ask()).toBe(429)
      expect(await costs(9)).toEqual([10, 10, 20, 20, 0, 5, 5, 0, 0])
      expect((await usedBy(gate, 'one'))[2]).toBe(70_000)
    })
  })

  test('a reload under load keeps windows, budgets and what is in flight', async () => {
    const callers = {
      window: clientOf({ limits: { requestsPerMinute: 150 } }),
      budget: clientOf({ budgets: { tokensPerDay: 1_000_000, tokensPerMonth: 1_000_000 } }),
      places: clientOf({ limits: { concurrency: 4 } }),
    }
    const gate = await start(callers, { workers: 2 })
    await stayInMinute(12)
    const slow = chatOf('tokens:100000,itl:50', { stream: true })
    const run = () => send(gate, CHAT, { key: callers.places.secret, body: slow })
    const streams = Array.from({ length: 4 }, run)
    onTestFinished(() => {
      for (const { abort } of streams) abort()
    })
    for (const { answer } of streams) expect((await answer).status).toBe(200)
    let isOver = false
    const statuses: { [name: string]: number[] } = { window: [], budget: [], places: [] }
    const drive = async (name: keyof typeof callers, fields: object) => {
      while (!isOver) {
        const body = chatOf('prompt:3,tokens:5,itl:1', fields)
        const { status } = await get(gate, CHAT, { key: callers[name].secret, body })
        statuses[name]?.push(status)
        await sleep(2)
      }
    }
    const drivers = [
      ...Array.from({ length: 4 }, () => drive('window', {})),
      ...Array.from({ length: 4 }, (_, i) => drive('budget', i % 2 ? { stream: true } : {})),
      drive('places', {}),
    ]
    for (let round = 0; round < 3; round++) {
      const before = workersOf(gate)
      gate.signal('SIGHUP')
      await until('new workers', () => {
        const now = workersOf(gate)
        return now.length === 2 && now.every((pid) => !before.includes(pid))
      })
      await sleep(150)
    }
    await until('the window to be full', () => statuses['window']?.includes(429) ?? false)
    isOver = true
    await Promise.all(drivers)
    expect(statuses['window']?.filter((status) => status === 200)).toHaveLength(150)
    expect(new Set(statuses['places'])).toEqual(new Set([429]))
    expect(new Set(statuses['budget'])).toEqual(new Set([200]))
    const lines = await linesOf(gate, 'budget', statuses['budget']?.length ?? 0)
    expect((await usedBy(gate, 'budget')).slice(0, 2)).toEqual(
      Array(2).fill(sumOf(lines, tokensOf)),
    )
    expect(await heldBy(gate, 'budget')).toEqual([0, 0, 0])
    // The streams are in workers that shut down when they end.
    expect(await heldBy(gate, 'places')).toEqual([4, 0, 0])
    for (const { answer } of streams) {
      const { pieces } = await answer
      const before = pieces.length
      await until('more of a stream', () => pieces.length > before)
    }
    for (const { abort } of streams) abort()
    await until('free places', async () => (await heldBy(gate, 'places'))[0] === 0)
    const again = Array.from({ length: 5 }, run)
    streams.push(...again)
    const codes = (await Promise.all(again.map(({ answer }) => answer))).map(({ status }) => status)
    expect(codes.sort()).toEqual([200, 200, 200, 200, 429])
  })
})
