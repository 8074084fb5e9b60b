import { describe, expect, test } from 'vitest'
import type { Limited } from '../../../src/core/config/record.ts'
import { type CounterKind, counterName } from '../../../src/core/limits/counters.ts'
import {
  type Demand,
  extendHold,
  type LimitRefusal,
  type Reserved,
  reserve,
  settleHold,
} from '../../../src/core/limits/reserve.ts'
import { describeBalance } from '../../../src/core/limits/standing.ts'
import { wordsOf } from '../../../src/core/limits/words.ts'
import { dayOf, monthOf } from '../../../src/core/time.ts'
import { limitVariables } from './headers.ts'
import { world } from './zones.ts'

const ID = 'ClientClie'
const TAIPEI = 480
const KATHMANDU = 345
const MARQUESAS = -570

const at = (time: string) => Date.parse(time)

const say = (result: Reserved | LimitRefusal) =>
  'cause' in result && result.cause ? wordsOf(result.limit, result.cause) : ''

function demand(budgets: Limited['budgets'], change: Partial<Demand> = {}): Demand {
  return {
    ...{ limited: [{ of: 'client', id: ID, budgets: budgets ?? {} }], isShadow: false },
    ...{ isMetered: true, inputTokens: 10, inputTokensMax: 40, outputTokens: 10 },
    ...{ defaultOutputTokens: 512, choices: 1, isStream: false, price: null, upstream: '' },
    ...{ clientId: 'app', nowMs: at('2026-11-29T15:59:00Z') },
    ...change,
  }
}

describe('a budget in a time zone', () => {
  test.each<[string, number, string, string]>([
    ['UTC', 0, '2026-11-29T15:59:59Z', '2026-11-30T00:00:00Z'],
    [
      'Taipei, a second before its midnight',
      TAIPEI,
      '2026-11-29T15:59:59Z',
      '2026-11-30T00:00:00+08:00',
    ],
    ['Taipei, at its midnight', TAIPEI, '2026-11-29T16:00:00Z', '2026-12-01T00:00:00+08:00'],
    ['Kathmandu', KATHMANDU, '2026-11-29T18:14:59Z', '2026-11-30T00:00:00+05:45'],
    ['the Marquesas', MARQUESAS, '2026-11-30T09:29:59Z', '2026-11-30T00:00:00-09:30'],
  ])('of the day renews at midnight: %s', (_, zoneMinutes, now, renews) => {
    const nowMs = at(now)
    const zones = world()
    zones.counters.entries[counterName('d', ID, dayOf(nowMs, zoneMinutes), zoneMinutes)] = 100
    const refused = reserve(zones, demand({ tokensPerDay: 100 }, { nowMs, zoneMinutes }))
    expect(refused).toMatchObject({ outcome: 'budget_spent' })
    expect(say(refused)).toContain(`at 00:00 ${renews.slice(19).replace('Z', '+00:00')}`)
    // At that moment there is a new day.
    const next = demand({ tokensPerDay: 100 }, { nowMs: at(renews), zoneMinutes })
    expect(reserve(zones, next)).not.toHaveProperty('outcome')
    const before = demand({ tokensPerDay: 100 }, { nowMs: at(renews) - 1, zoneMinutes })
    expect(reserve(zones, before)).toHaveProperty('outcome')
  })

  test('of the month renews with the month of the time zone', () => {
    const zones = world()
    const nowMs = at('2026-11-30T15:59:59Z')
    zones.counters.entries[counterName('m', ID, monthOf(nowMs, TAIPEI), TAIPEI)] = 100
    const refused = reserve(zones, demand({ tokensPerMonth: 100 }, { nowMs, zoneMinutes: TAIPEI }))
    expect(say(refused)).toContain('on 2026-12-01 at 00:00 +08:00')
    const next = demand({ tokensPerMonth: 100 }, { nowMs: nowMs + 1000, zoneMinutes: TAIPEI })
    expect(reserve(zones, next)).not.toHaveProperty('outcome')
  })

  test('headers tell its renewal in the time zone', () => {
    const asked = demand({ tokensPerDay: 100 }, { zoneMinutes: TAIPEI })
    const { figures } = reserve(world(), asked) as Reserved
    expect(limitVariables(figures, 'anthropic', asked.nowMs)).toMatchObject({
      tg_tok_reset: '1m0s',
      tg_a_tok_reset: '2026-11-30T00:00:00+08:00',
    })
  })

  test('is settled in the day in which the request ended', () => {
    const zones = world()
    const { hold } = reserve(
      zones,
      demand({ tokensPerDay: 100, costPerMonth: 1e9 }, { zoneMinutes: TAIPEI }),
    ) as Reserved
    const endMs = at('2026-11-29T16:00:00Z')
    settleHold(zones, JSON.parse(JSON.stringify(hold)), { input: 1, output: 2, cost: 5 }, endMs)
    const name = (kind: CounterKind, window: number) => counterName(kind, ID, window, TAIPEI)
    expect(zones.counters.entries[name('d', dayOf(endMs, TAIPEI))]).toBe(3)
    expect(zones.counters.entries[name('M', monthOf(endMs, TAIPEI))]).toBe(5)
    expect(zones.counters.entries[name('d', dayOf(endMs - 1, TAIPEI))]).toBeUndefined()
  })

  test('when it is hard, is asked in the day of the time zone', () => {
    const zones = world()
    const { hold } = reserve(
      zones,
      demand({ tokensPerDay: 100, hard: true }, { zoneMinutes: TAIPEI, isStream: true }),
    ) as Reserved
    const nowMs = at('2026-11-29T16:30:00Z')
    expect(extendHold(zones, hold, 90, 0, nowMs)).toBe(true)
    zones.counters.entries[counterName('d', ID, dayOf(nowMs, TAIPEI), TAIPEI)] = 20
    expect(extendHold(zones, hold, 95, 0, nowMs)).toBe(false)
  })

  test('a hold says nothing of UTC', () => {
    const { hold } = reserve(world(), demand({ tokensPerDay: 100 })) as Reserved
    expect(hold).not.toHaveProperty('zoneMinutes')
  })
})

describe('counters of two time zones', () => {
  test('never have the same name, and at most 16 bytes', () => {
    const names = new Set<string>()
    let count = 0
    for (let zone = -720; zone <= 840; zone += 15) {
      for (let day = 20_700; day < 20_710; day++, count++)
        names.add(counterName('d', ID, day, zone))
      for (let month = 670; month < 720; month++, count++)
        names.add(counterName('m', ID, month, zone))
    }
    expect(names.size).toBe(count)
    expect(Math.max(...[...names].map((name) => name.length))).toBeLessThanOrEqual(16)
  })

  test('of UTC have the names that they always had', () => {
    expect(counterName('d', ID, 20_786, 0)).toBe(`d${ID}${(20_786).toString(36)}`)
    expect(counterName('d', ID, 20_786)).toBe(counterName('d', ID, 20_786, 0))
  })
})

describe('a balance in a time zone', () => {
  const nowMs = at('2026-11-30T16:00:00Z')
  const budgets = { tokensPerDay: 100, tokensPerMonth: 1000 }
  const standings = (zoneMinutes?: number) => {
    const day = dayOf(nowMs, zoneMinutes)
    const month = monthOf(nowMs, zoneMinutes)
    const used = { all: [9, 0, 3], days: { [day]: [7, 0, 1] }, months: { [month]: [8, 0, 2] } }
    const limited: Limited[] = [{ of: 'client', id: 'client:app', budgets }]
    const counts = { used: () => used as never, taken: () => undefined }
    const client = { keys: [] }
    const of = { version: 1 } as const
    const found = describeBalance('app', client, of, limited, counts, [], nowMs, zoneMinutes)
    return found.subjects[0]?.standings.map(({ used, renews }) => [used, renews])
  }

  test.each<[string, number | undefined, string, string]>([
    ['none', undefined, '2026-12-01T00:00:00Z', '2026-12-01T00:00:00Z'],
    ['Taipei', TAIPEI, '2026-12-02T00:00:00+08:00', '2027-01-01T00:00:00+08:00'],
    ['Kathmandu', KATHMANDU, '2026-12-01T00:00:00+05:45', '2026-12-01T00:00:00+05:45'],
    ['the Marquesas', MARQUESAS, '2026-12-01T00:00:00-09:30', '2026-12-01T00:00:00-09:30'],
  ])('%s', (_, zone, day, month) => {
    expect(standings(zone)).toEqual([
      [7, day],
      [8, month],
    ])
  })
})
