import { describe, expect, test } from 'vitest'
import type { Limited } from '../../../src/core/config/record.ts'
import type { Budgets, Limits } from '../../../src/core/config/shapes.ts'
import { BIRTH_COUNTER } from '../../../src/core/limits/counters.ts'
import {
  type Demand,
  type Early,
  giveBack,
  type LimitRefusal,
  type Reserved,
  reserve,
  reserveEarly,
  settleHold,
  UPLOAD_BYTES_MAX,
} from '../../../src/core/limits/reserve.ts'
import { say, world } from './zones.ts'

const MINUTE = 60000
const NOW = Date.UTC(2026, 10, 23)
const LARGEST = UPLOAD_BYTES_MAX / 4

function client(limits: Limits, budgets?: Budgets): Limited {
  const subject: Limited = { of: 'client', id: 'ClientClie', limits }
  return budgets ? { ...subject, budgets } : subject
}

function demand(limited: Limited[], change: Partial<Demand> = {}): Demand {
  return {
    limited,
    isShadow: false,
    isMetered: true,
    inputTokens: 10,
    inputTokensMax: 40,
    outputTokens: 10,
    defaultOutputTokens: 512,
    choices: 1,
    isStream: false,
    price: null,
    upstream: '',
    clientId: 'app',
    nowMs: NOW,
    ...change,
  }
}

type World = ReturnType<typeof world>

function begin(zones: World, asked: Demand, bytes = 0, key = 'k1'): Early {
  const early = reserveEarly(zones, asked, key, bytes)
  if ('outcome' in early) throw new Error(early.limit)
  return early
}

function refuse(zones: World, asked: Demand, bytes = 0, key = 'k1'): LimitRefusal {
  const early = reserveEarly(zones, asked, key, bytes)
  if (!('outcome' in early)) throw new Error('Admitted')
  return early
}

/** Counters that are not zero. */
function counted(zones: World): { [name: string]: number } {
  const all = { ...zones.windows.entries, ...zones.counters.entries }
  const names = Object.keys(all).filter((name) => all[name] && name !== 'birth')
  return Object.fromEntries(names.sort().map((name) => [name, all[name] ?? 0]))
}

describe('D: what is known before the body', () => {
  const limits = { requestsPerMinute: 2, concurrency: 1, tokensPerMinute: 50 }

  test('requests and places are taken before it, tokens after it', () => {
    const zones = world()
    const asked = demand([client(limits, { tokensPerDay: 90 })])
    const early = begin(zones, asked)
    const names = () =>
      Object.keys(counted(zones)).map((name) => name.replace('00p1x', '').charAt(0))
    expect(new Set(names())).toEqual(new Set(['f', 'q']))
    const rest = reserve(zones, asked, early) as Reserved
    expect(rest.hold.checks.map(({ kind }) => kind).sort()).toEqual(['f', 'q', 'r', 't'])
    expect(Object.keys(rest.figures).sort()).toEqual(['q', 't'])
    settleHold(zones, rest.hold, { input: 5, output: 5, cost: 0 }, NOW)
    expect(names().sort()).toEqual(['d', 'q', 't'])
  })

  test('who is above concurrency is refused, and nothing stays of it', () => {
    const zones = world()
    begin(zones, demand([client(limits)]))
    const before = counted(zones)
    const refusal = refuse(zones, demand([client(limits)]))
    expect(refusal).toMatchObject({ outcome: 'rate_limited', limit: 'concurrency of client' })
    // The headers tell of all limits, as they do of a refusal after the body.
    expect(refusal.figures).toMatchObject({ q: { limit: 2, left: 1 }, t: { limit: 50, left: 50 } })
    expect(counted(zones)).toEqual(before)
  })

  test('of a rate and a spent budget the budget is told, as after the body', () => {
    const zones = world()
    const refusal = refuse(zones, demand([client({ concurrency: 0 }, { tokensPerDay: 0 })]))
    expect(refusal).toMatchObject({ outcome: 'budget_spent', limit: 'tokensPerDay of client' })
  })

  test('a refusal after the body leaves nothing when it is given back', () => {
    const zones = world()
    const asked = demand([client(limits)], { inputTokens: 30, outputTokens: 20 })
    const first = begin(zones, asked)
    reserve(zones, asked, first)
    giveBack(zones, first.hold, 'f')
    const before = counted(zones)
    const second = begin(zones, asked)
    const refusal = reserve(zones, asked, second) as LimitRefusal
    expect(refusal).toMatchObject({ outcome: 'rate_limited', limit: 'tokensPerMinute of client' })
    // It does not count itself.
    expect(refusal.figures['q']).toMatchObject({ limit: 2, left: 1 })
    giveBack(zones, second.hold, 'qafu')
    giveBack(zones, second.hold, 'qafu')
    expect(counted(zones)).toEqual(before)
  })

  test('in shadow nothing is refused, and both halves tell what would have been', () => {
    const zones = world()
    const of = (budgets?: Budgets) =>
      demand([client({ requestsPerMinute: 0 }, budgets)], { isShadow: true })
    const early = begin(zones, of())
    expect((reserve(zones, of(), early) as Reserved).shadow?.limit).toBe(
      'requestsPerMinute of client',
    )
    const spent = begin(zones, of({ tokensPerDay: 0 }))
    const rest = reserve(zones, of({ tokensPerDay: 0 }), spent) as Reserved
    expect(rest.shadow?.outcome).toBe('budget_spent')
  })

  test('a body that takes over a minute is counted in the minute of its end', () => {
    const zones = world()
    const early = begin(zones, demand([client(limits)]))
    const asked = demand([client(limits)], { nowMs: NOW + 2 * MINUTE })
    const rest = reserve(zones, asked, early) as Reserved
    const minute = (NOW / MINUTE + 2).toString(36)
    expect(zones.windows.entries[`tClientClie${minute}`]).toBe(20)
    settleHold(zones, rest.hold, { input: 1, output: 1, cost: 0 }, asked.nowMs)
    expect(zones.windows.entries[`tClientClie${minute}`]).toBe(2)
  })

  test('two halves admit, refuse and count what one does', () => {
    let seed = 11
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647
      return seed % below
    }
    let refused = 0
    for (let run = 0; run < 60; run++) {
      const [whole, halves] = [world(), world()]
      const limited = client(
        { requestsPerMinute: 9 + random(9), concurrency: 2 + random(5), tokensPerMinute: 300 },
        { tokensPerDay: 500 + random(900), hard: random(2) > 0 },
      )
      const open: [Reserved, Reserved][] = []
      for (let i = 0; i < 60; i++) {
        const nowMs = NOW + i * 1500
        if (open.length > 0 && random(3) === 0) {
          const [a, b] = open.splice(random(open.length), 1)[0] as [Reserved, Reserved]
          const used = { input: random(30), output: random(30), cost: 0 }
          settleHold(whole, a.hold, used, nowMs)
          settleHold(halves, b.hold, used, nowMs)
          continue
        }
        const asked = demand([limited], {
          nowMs,
          maxInFlight: 6,
          isMetered: random(5) > 0,
          outputTokens: random(2) ? 1 + random(60) : null,
        })
        const once = reserve(whole, asked)
        const early = reserveEarly(halves, asked, 'k1', 0)
        const twice = 'outcome' in early ? early : reserve(halves, asked, early)
        if ('outcome' in twice && !('outcome' in early)) giveBack(halves, early.hold, 'qafu')
        expect('outcome' in twice).toBe('outcome' in once)
        expect(counted(halves)).toEqual(counted(whole))
        if ('outcome' in once || 'outcome' in twice) refused++
        else open.push([once, twice])
      }
    }
    expect(refused).toBeGreaterThan(100)
  })
})

describe('D: unread bytes of a key', () => {
  const none = demand([])

  test('four of the largest bodies are on their way, and the next is told when to come back', () => {
    const zones = world()
    for (let i = 0; i < 4; i++) begin(zones, none, LARGEST)
    const refusal = refuse(zones, none, 20000)
    expect(refusal).toMatchObject({
      outcome: 'rate_limited',
      limit: 'unreadBytes of key',
      retryAfterMs: 1000,
    })
    expect(say(refusal)).toContain('134,217,728 unread bytes for this key')
    begin(zones, none, LARGEST, 'k2')
  })

  test('bytes that are exactly at the bound are let in, and one more is not', () => {
    const zones = world()
    begin(zones, none, UPLOAD_BYTES_MAX - 20000)
    begin(zones, none, 20000)
    refuse(zones, none, 20000)
  })

  test('one body is let in whatever its size: a site may have raised the largest', () => {
    const zones = world()
    begin(zones, none, 2 * UPLOAD_BYTES_MAX)
    refuse(zones, none, 20000)
  })

  test('they go back when the body is there, and the places stay', () => {
    const zones = world()
    const early = begin(zones, demand([client({ concurrency: 1 })]), LARGEST)
    giveBack(zones, early.hold, 'u')
    giveBack(zones, early.hold, 'u')
    expect(counted(zones)).toEqual({ fClientClie: 1 })
  })

  test('who is refused for them holds no place', () => {
    const zones = world()
    const limited = [client({ concurrency: 9, requestsPerMinute: 9 })]
    begin(zones, none, UPLOAD_BYTES_MAX)
    const before = counted(zones)
    const refusal = refuse(zones, demand(limited), 20000)
    expect(refusal.figures['q']).toMatchObject({ limit: 9, left: 9 })
    expect(counted(zones)).toEqual(before)
  })

  test('shadow does not lift the bound', () => {
    const zones = world()
    begin(zones, none, UPLOAD_BYTES_MAX)
    refuse(zones, demand([client({ concurrency: 0 })], { isShadow: true }), 20000)
  })

  test('in a full zone all of it goes back, and the error names the zone', () => {
    const zones = world({ counters: 2 })
    const before = counted(zones)
    const asked = demand([client({ concurrency: 9, requestsPerMinute: 9 })])
    expect(() => reserveEarly(zones, asked, 'k1', 20000)).toThrow(
      'tollgate_counters, which is full',
    )
    expect({ ...counted(zones), full: 0 }).toEqual({ ...before, full: 0 })
  })

  test('counters that were made anew in between are left alone', () => {
    const zones = world()
    const early = begin(zones, none, LARGEST)
    zones.counters.entries[BIRTH_COUNTER] = 8
    zones.counters.delete('uk1')
    giveBack(zones, early.hold, 'u')
    expect(zones.counters.entries['uk1']).toBeUndefined()
  })
})
