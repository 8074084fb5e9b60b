import { describe, expect, test } from 'vitest'
import type { Limited } from '../../../src/core/config/record.ts'
import type { Budgets, Limits } from '../../../src/core/config/shapes.ts'
import { BIRTH_COUNTER, FULL_COUNTER } from '../../../src/core/limits/counters.ts'
import { modelBucket } from '../../../src/core/limits/estimate.ts'
import { learnRatio } from '../../../src/core/limits/learn.ts'
import {
  type Demand,
  estimateInput,
  extendHold,
  type Hold,
  type LimitRefusal,
  type Reserved,
  reserve,
  settleHold,
  type Zones,
} from '../../../src/core/limits/reserve.ts'
import type { Amounts } from '../../../src/core/limits/types.ts'
import { limitVariables } from './headers.ts'
import { say, world, zone } from './zones.ts'

const MINUTE = 60000
/** The beginning of a minute and of a day: 2026-11-23T00:00:00Z. */
const NOW = Date.UTC(2026, 10, 23)

function client(limits: Limits, budgets?: Budgets, id = 'ClientClie'): Limited {
  return budgets ? { of: 'client', id, limits, budgets } : { of: 'client', id, limits }
}

function demand(limited: Limited[], change: Partial<Demand> = {}): Demand {
  const usual: Demand = {
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
  }
  return { ...usual, ...change }
}

function admit(zones: Zones, asked: Demand): Reserved {
  const result = reserve(zones, asked)
  if ('outcome' in result) throw new Error(`Refused: ${result.limit}`)
  return result
}

function refuse(zones: Zones, asked: Demand): LimitRefusal {
  const result = reserve(zones, asked)
  if (!('outcome' in result)) throw new Error('Admitted')
  return result
}

function outcomeOf(zones: Zones, asked: Demand): string {
  const result = reserve(zones, asked)
  return 'outcome' in result ? result.outcome : 'ok'
}

/** What is in the zones, but for what is 0. */
function remains(zones: ReturnType<typeof world>) {
  const left: { [name: string]: number } = {}
  for (const part of [zones.windows, zones.counters]) {
    for (const [name, value] of Object.entries(part.entries)) {
      if (value !== 0 && name !== BIRTH_COUNTER) left[name] = value
    }
  }
  return left
}

const PRICE = { input: 1, output: 2 }
const NOTHING = { input: 0, output: 0, cost: 0 }

describe('reserve at the edges of one limit', () => {
  const rows: [string, Limits, Budgets | undefined, Partial<Demand>, number, string][] = [
    ['requests: as many as the limit', { requestsPerMinute: 3 }, undefined, {}, 3, 'rate_limited'],
    ['requests: none at zero', { requestsPerMinute: 0 }, undefined, {}, 0, 'rate_limited'],
    ['tokens: exactly at the limit', { tokensPerMinute: 40 }, undefined, {}, 2, 'rate_limited'],
    ['tokens: one short', { tokensPerMinute: 39 }, undefined, {}, 1, 'rate_limited'],
    ['tokens: none at zero', { tokensPerMinute: 0 }, undefined, {}, 0, 'rate_limited'],
    ['input: exactly at the limit', { inputTokensPerMinute: 20 }, undefined, {}, 2, 'rate_limited'],
    ['input: one short', { inputTokensPerMinute: 19 }, undefined, {}, 1, 'rate_limited'],
    [
      'output: exactly at the limit',
      { outputTokensPerMinute: 20 },
      undefined,
      {},
      2,
      'rate_limited',
    ],
    ['output: one short', { outputTokensPerMinute: 19 }, undefined, {}, 1, 'rate_limited'],
    ['concurrency: as many as the limit', { concurrency: 2 }, undefined, {}, 2, 'rate_limited'],
    ['concurrency: none at zero', { concurrency: 0 }, undefined, {}, 0, 'rate_limited'],
    ['day: exactly at the budget', {}, { tokensPerDay: 40 }, {}, 2, 'budget_spent'],
    ['day: the last takes what is left', {}, { tokensPerDay: 31 }, {}, 2, 'budget_spent'],
    ['day: the prompt and one token must fit', {}, { tokensPerDay: 30 }, {}, 1, 'budget_spent'],
    ['day: none at zero', {}, { tokensPerDay: 0 }, {}, 0, 'budget_spent'],
    ['month: exactly at the budget', {}, { tokensPerMonth: 60 }, {}, 3, 'budget_spent'],
    // 10 x 1 + 10 x 2 a million, in nano-units 30,000.
    ['cost: exactly at it', {}, { costPerDay: 60000 }, { price: PRICE }, 2, 'budget_spent'],
    [
      'cost: less than a prompt is left',
      {},
      { costPerMonth: 41999 },
      { price: PRICE },
      1,
      'budget_spent',
    ],
    [
      'cost: a prompt and a token are left',
      {},
      { costPerMonth: 42000 },
      { price: PRICE },
      2,
      'budget_spent',
    ],
    ['cost: none at zero', {}, { costPerDay: 0 }, { price: PRICE }, 0, 'budget_spent'],
    [
      'a hard day: the upper bound counts',
      {},
      { tokensPerDay: 100, hard: true },
      {},
      2,
      'budget_spent',
    ],
    [
      'a hard day: one short of a third',
      {},
      { tokensPerDay: 140, hard: true },
      {},
      2,
      'budget_spent',
    ],
    ['a hard day: none at zero', {}, { tokensPerDay: 0, hard: true }, {}, 0, 'budget_spent'],
  ]
  test.each(rows)('%s', (_, limits, budgets, change, count, outcome) => {
    const zones = world()
    const asked = demand([client(limits, budgets)], change)
    const holds = Array.from({ length: count }, () => admit(zones, asked).hold)
    const before = JSON.stringify(remains(zones))
    // What is reserved may be free again in a moment, so it is not spent.
    const isReserved = outcome === 'budget_spent' && count > 0
    expect(outcomeOf(zones, asked)).toBe(isReserved ? 'rate_limited' : outcome)
    expect(JSON.stringify(remains(zones))).toBe(before)
    if (!isReserved || budgets?.hard) return
    for (const hold of holds) {
      const { i, o, R } = hold.amounts
      settleHold(zones, hold, { input: i, output: o, cost: R }, NOW)
    }
    expect(outcomeOf(zones, asked)).toBe('budget_spent')
  })
})

describe('reserve of all or nothing', () => {
  test('a refused request leaves nothing behind, whichever limit refuses', () => {
    const all: Limits = {
      requestsPerMinute: 9,
      tokensPerMinute: 900,
      inputTokensPerMinute: 900,
      outputTokensPerMinute: 900,
      concurrency: 9,
    }
    const last: Limited = { of: 'group', id: 'GroupGroup', limits: { concurrency: 0 } }
    const zones = world()
    const refusal = refuse(zones, demand([client(all, { tokensPerDay: 900 }), last]))
    expect(refusal.limit).toBe('concurrency of group')
    expect(remains(zones)).toEqual({})
  })

  test('higress#2464: 200 at once against a limit of 50 are exactly 50, however they interleave', () => {
    for (let run = 0; run < 20; run++) {
      const zones = world()
      // What was asked is old by the time of the commit: others have moved in between.
      const late = { ...zones, windows: { ...zones.windows, get: () => 0 } }
      let count = 0
      for (let i = 0; i < 200; i++) {
        const asked = demand([client({ requestsPerMinute: 50 })])
        if (outcomeOf((i * 7 + run) % 3 ? late : zones, asked) === 'ok') count++
      }
      expect(count).toBe(50)
      expect(Object.values(zones.windows.entries)).toEqual([50])
    }
  })

  test('two workers inside one another: the one that comes between decides, the other is undone', () => {
    const zones = world()
    const one = demand([client({ requestsPerMinute: 9, concurrency: 1 })])
    let inner = ''
    const outer: Zones = {
      ...zones,
      windows: {
        ...zones.windows,
        incr(name, delta, init) {
          if (!inner) inner = outcomeOf(zones, one)
          return zones.windows.incr(name, delta, init)
        },
      },
    }
    expect(outcomeOf(outer, one)).toBe('rate_limited')
    expect(inner).toBe('ok')
    expect(zones.counters.entries['fClientClie']).toBe(1)
    expect(Object.values(zones.windows.entries)).toEqual([1])
  })

  test('litellm#18730: five at once cannot spend 663 tokens of a limit of 100', () => {
    const zones = world()
    const asked = demand([client({ tokensPerMinute: 100 })], { outputTokens: 80 })
    const outcomes = [1, 2, 3, 4, 5].map(() => outcomeOf(zones, asked))
    expect(outcomes.filter((outcome) => outcome === 'ok')).toHaveLength(1)
  })

  test('the limits of a key and of a group hold beside those of the client', () => {
    const zones = world()
    const key: Limited = { of: 'key', id: 'KeyKeyKeyK', limits: { requestsPerMinute: 1 } }
    admit(zones, demand([client({ requestsPerMinute: 5 }), key]))
    expect(refuse(zones, demand([client({ requestsPerMinute: 5 }), key])).limit).toBe(
      'requestsPerMinute of key',
    )
  })

  test('what has no tokens is limited in requests and places, not in tokens', () => {
    const zones = world()
    const limited = [client({ requestsPerMinute: 1, tokensPerMinute: 0 }, { tokensPerDay: 0 })]
    admit(zones, demand(limited, { isMetered: false }))
    expect(refuse(zones, demand(limited, { isMetered: false })).limit).toMatch(/^requests/)
  })

  test('budgets are not known before the balances are in: neither admitted nor spent', () => {
    const zones = world()
    delete zones.counters.entries[BIRTH_COUNTER]
    const refusal = refuse(zones, demand([client({}, { tokensPerDay: 100 })]))
    expect(refusal.outcome).toBe('starting')
    expect(outcomeOf(zones, demand([client({ requestsPerMinute: 1 })]))).toBe('ok')
  })
})

describe('what is reserved', () => {
  test('litellm PR#28805, #29193: without a maximum the default is cut to what is free', () => {
    const zones = world()
    const asked = demand([client({ tokensPerMinute: 100 })], { outputTokens: null })
    expect(admit(zones, asked).hold.amounts.t).toBe(100)
    expect(outcomeOf(zones, asked)).toBe('rate_limited')
  })

  test('an estimate of the prompt above the limit fits an empty window', () => {
    const zones = world()
    const limited = [client({ tokensPerMinute: 100, inputTokensPerMinute: 50 })]
    const asked = demand(limited, { inputTokens: 5000, outputTokens: null })
    expect(admit(zones, asked).hold.amounts).toMatchObject({ t: 100, i: 50, o: 1 })
  })

  const large: [string, Limits, Budgets | undefined, number, Partial<Amounts>][] = [
    ['exactly what a window can ever hold', { tokensPerMinute: 109 }, undefined, 99, { t: 109 }],
    ['one more', { tokensPerMinute: 109 }, undefined, 100, { t: 109 }],
    ['output at its limit', { outputTokensPerMinute: 100 }, undefined, 100, { o: 100 }],
    ['output one more', { outputTokensPerMinute: 100 }, undefined, 101, { o: 100 }],
    ['as much as a whole soft budget', {}, { tokensPerDay: 100 }, 90, { r: 100 }],
    ['more than a whole soft budget', {}, { tokensPerDay: 100 }, 100, { r: 100 }],
    ['more than a whole hard one', {}, { tokensPerDay: 100, hard: true }, 900, { r: 100 }],
  ]
  test.each(large)('a maximum named: %s', (_, limits, budgets, output, amounts) => {
    const asked = demand([client(limits, budgets)], { outputTokens: output })
    const zones = world()
    expect(admit(zones, asked).hold.amounts).toMatchObject(amounts)
    // There is no room for a second one until it ends.
    expect(outcomeOf(zones, asked)).toBe('rate_limited')
  })

  test('a prompt that a hard budget can never hold is told so', () => {
    const asked = demand([client({}, { tokensPerDay: 40, hard: true })])
    expect(refuse(world(), asked)).toMatchObject({ outcome: 'parameter_denied' })
    expect(say(refuse(world(), asked))).toContain('shorten it')
  })

  test('a stream takes little of a hard budget to begin with, and more when it needs it', () => {
    const zones = world()
    const limited = [client({}, { tokensPerDay: 400, hard: true })]
    const asked = demand(limited, { outputTokens: 5000, isStream: true })
    const holds = [admit(zones, asked).hold, admit(zones, asked).hold, admit(zones, asked).hold]
    const [first] = holds
    if (!first) throw new Error('Nothing is held')
    expect(first.amounts.r).toBe(40 + 64)
    expect(extendHold(zones, first, 40 + 64 + 88, 0, NOW)).toBe(true)
    expect(extendHold(zones, first, 40 + 64 + 89, 0, NOW)).toBe(false)
    for (const hold of holds) settleHold(zones, hold, NOTHING, NOW)
    expect(remains(zones)).toEqual({})
  })

  test('litellm PR#38647: a huge maximum reserves the free part and locks nobody out', () => {
    const zones = world()
    zones.counters.entries[`dClientClie${(NOW / 86400000).toString(36)}`] = 900
    const asked = demand([client({}, { tokensPerDay: 1000 })], { outputTokens: 900 })
    const first = admit(zones, asked)
    expect(first.hold.amounts.r).toBe(100)
    expect(first.outputCeiling).toBeUndefined()
    expect(refuse(zones, asked)).toMatchObject({ outcome: 'rate_limited', retryAfterMs: 1000 })
    settleHold(zones, first.hold, { input: 5, output: 5, cost: 0 }, NOW + 1)
    expect(admit(zones, asked).hold.amounts.r).toBe(90)
  })

  test('litellm PR#27509: what is reserved and what is used are two figures', () => {
    const zones = world()
    const asked = demand([client({}, { costPerMonth: 2000e9 })], { price: PRICE })
    const first = admit(zones, { ...asked, outputTokens: 1e6 })
    expect(zones.counters.entries['RClientClie']).toBe(2000010000)
    settleHold(zones, first.hold, { input: 10, output: 100, cost: 140000000 }, NOW + 1)
    expect(zones.counters.entries['RClientClie']).toBe(0)
    expect(Object.values(remains(zones))).toEqual([140000000])
    expect(outcomeOf(zones, asked)).toBe('ok')
  })

  test('litellm PR#34223: without a maximum the default is taken times n', () => {
    const asked = demand([client({ tokensPerMinute: 9000 })], { outputTokens: null, choices: 4 })
    expect(admit(world(), asked).hold.amounts.o).toBe(4 * 512)
  })

  test('litellm#35524: without a price tokens are limited as tokens', () => {
    const zones = world()
    const asked = demand([client({}, { tokensPerDay: 20, costPerDay: 1 })])
    admit(zones, asked)
    expect(refuse(zones, demand([client({}, { tokensPerDay: 20 })])).limit).toBe(
      'tokensPerDay of client',
    )
  })

  const ceilings: [string, Partial<Demand>, number | undefined][] = [
    ['none where the named maximum is reserved', { outputTokens: 60 }, undefined],
    ['the free part where more is named', { outputTokens: 61 }, 60],
    ['the free part where none is named', { outputTokens: null }, 60],
    ['per choice', { outputTokens: 300, choices: 3 }, 20],
    [
      'the default where none is named and it fits',
      { outputTokens: null, defaultOutputTokens: 5 },
      5,
    ],
    ['none in shadow', { outputTokens: null, isShadow: true }, undefined],
    ['none for what has no output', { outputTokens: 0 }, undefined],
  ]
  test.each(ceilings)(
    'the maximum for the engine under a hard budget: %s',
    (_, change, ceiling) => {
      const asked = demand([client({}, { tokensPerDay: 100, hard: true })], change)
      expect(admit(world(), asked).outputCeiling).toBe(ceiling)
    },
  )

  test('a hard cost budget: the ceiling costs no more than there is, at an odd price', () => {
    // 0.07 x 1000 is 70.00000000000001.
    const price = { input: 0.07, output: 0.07 }
    const asked = demand([client({}, { costPerDay: 7000, hard: true })], {
      price,
      outputTokens: null,
    })
    const result = admit(world(), asked)
    expect([result.outputCeiling, result.hold.amounts.R]).toEqual([60, 7000])
  })
})

describe('sliding windows', () => {
  test('a minute slides away in proportion', () => {
    const zones = world()
    const limited = [client({ requestsPerMinute: 60 })]
    for (let i = 0; i < 60; i++) admit(zones, demand(limited))
    const later = (ms: number) => demand(limited, { nowMs: NOW + ms })
    expect(outcomeOf(zones, later(MINUTE - 1))).toBe('rate_limited')
    expect(outcomeOf(zones, later(MINUTE))).toBe('rate_limited')
    expect(outcomeOf(zones, later(MINUTE + 999))).toBe('rate_limited')
    expect(outcomeOf(zones, later(MINUTE + 1000))).toBe('ok')
    expect(outcomeOf(zones, later(MINUTE + 1001))).toBe('rate_limited')
    let free = 0
    while (outcomeOf(zones, later(MINUTE + 30000)) === 'ok') free++
    expect(free).toBe(29)
  })

  test.each([0, 1, 17, 29999, 30000, 59999])(
    'the hint at %i ms is when it fits, not before',
    (ms) => {
      const zones = world()
      const limited = [client({ tokensPerMinute: 100 })]
      admit(zones, demand(limited, { outputTokens: 60 }))
      const nowMs = NOW + MINUTE + ms
      while (outcomeOf(zones, demand(limited, { nowMs })) === 'ok') {}
      const wait = refuse(zones, demand(limited, { nowMs })).retryAfterMs ?? 0
      expect(wait).toBeGreaterThanOrEqual(1)
      expect(wait).toBeLessThanOrEqual(MINUTE)
      if (wait < MINUTE) {
        expect(outcomeOf(zones, demand(limited, { nowMs: nowMs + wait - 1 }))).toBe('rate_limited')
        expect(outcomeOf(zones, demand(limited, { nowMs: nowMs + wait }))).toBe('ok')
      }
    },
  )

  test('the hint is never more than a minute, and 1 s where nothing tells', () => {
    expect(refuse(world(), demand([client({ requestsPerMinute: 0 })])).retryAfterMs).toBe(MINUTE)
    expect(refuse(world(), demand([client({ concurrency: 0 })])).retryAfterMs).toBe(1000)
  })

  test('a budget is told with its renewal, and without a hint to retry', () => {
    const limited = [client({ requestsPerMinute: 0 }, { tokensPerMonth: 0 })]
    const refusal = refuse(world(), demand(limited))
    expect(say(refusal)).toContain('renews on 2026-12-01 at 00:00 +00:00')
    expect(refusal.retryAfterMs).toBeUndefined()
    const day = refuse(world(), demand([client({}, { costPerDay: 0 })]))
    expect(say(day)).toContain('renews at 00:00 +00:00')
  })
})

describe('settleHold', () => {
  const limited = [client({ tokensPerMinute: 1000, inputTokensPerMinute: 1000, concurrency: 5 })]
  const minute = (at: number) => Math.floor(at / MINUTE).toString(36)
  const rows: [string, number, { input: number; output: number }, { [name: string]: number }][] = [
    ['gives back what was not used', 5, { input: 4, output: 3 }, { [`t0`]: 7, i0: 4 }],
    [
      'gives back to the minute it was taken from',
      MINUTE,
      { input: 4, output: 3 },
      { t0: 7, i0: 4 },
    ],
    ['gives nothing back to what no longer counts', 2 * MINUTE, NOTHING, { t0: 20, i0: 10 }],
    [
      'adds the excess to the running minute',
      MINUTE,
      { input: 12, output: 10 },
      { t0: 20, t1: 2, i0: 10, i1: 2 },
    ],
    ['leaves what was exact', MINUTE, { input: 10, output: 10 }, { t0: 20, i0: 10 }],
    ['gives all back when the server failed', 5, NOTHING, {}],
  ]
  test.each(rows)('%s', (_, later, used, left) => {
    const zones = world()
    const { hold } = admit(zones, demand(limited))
    settleHold(zones, JSON.parse(JSON.stringify(hold)), { ...used, cost: 0 }, NOW + later)
    const named: { [name: string]: number } = {}
    for (const [name, value] of Object.entries(left)) {
      const at = NOW + Number(name[1]) * MINUTE
      named[`${name[0]}ClientClie${minute(at)}`] = value
    }
    expect(remains(zones)).toEqual(named)
  })

  test('counts a budget in the day in which the request ended', () => {
    const zones = world()
    const { hold } = admit(zones, demand([client({}, { tokensPerDay: 100 })]))
    settleHold(zones, hold, { input: 1, output: 2, cost: 0 }, NOW + 86400000)
    expect(remains(zones)).toEqual({ [`dClientClie${(NOW / 86400000 + 1).toString(36)}`]: 3 })
  })

  test('higress#1080: settles once', () => {
    const zones = world()
    const { hold } = admit(zones, demand([client({ concurrency: 2 }, { tokensPerDay: 100 })]))
    admit(zones, demand([client({ concurrency: 2 }, { tokensPerDay: 100 })]))
    settleHold(zones, hold, { input: 1, output: 2, cost: 0 }, NOW)
    const before = JSON.stringify(remains(zones))
    settleHold(zones, hold, { input: 1, output: 2, cost: 0 }, NOW)
    expect(JSON.stringify(remains(zones))).toBe(before)
    expect(zones.counters.entries['fClientClie']).toBe(1)
  })

  test('gives nothing back to counters of another birth, and counts what was used', () => {
    const { hold } = admit(world(), demand([client({ concurrency: 2 }, { tokensPerDay: 100 })]))
    const zones = world()
    zones.counters.entries[BIRTH_COUNTER] = 8
    settleHold(zones, hold, { input: 1, output: 2, cost: 0 }, NOW)
    expect(Object.values(remains(zones))).toEqual([3])
  })
})

describe('extendHold', () => {
  const limited = [client({}, { tokensPerDay: 100, hard: true })]

  test('takes more until the budget is spent, then nothing', () => {
    const zones = world()
    const { hold } = admit(zones, demand(limited))
    expect(hold.amounts.r).toBe(50)
    expect(extendHold(zones, hold, 50, 0, NOW)).toBe(true)
    expect(zones.counters.entries['rClientClie']).toBe(50)
    expect(extendHold(zones, hold, 100, 0, NOW)).toBe(true)
    expect(extendHold(zones, hold, 101, 0, NOW)).toBe(false)
    expect(zones.counters.entries['rClientClie']).toBe(100)
    settleHold(zones, hold, { input: 30, output: 70, cost: 0 }, NOW)
    expect(Object.values(remains(zones))).toEqual([100])
  })

  test('what others hold and used is not there to take', () => {
    const zones = world()
    const { hold } = admit(zones, demand(limited))
    const other = admit(zones, demand(limited, { inputTokensMax: 20 }))
    expect(extendHold(zones, hold, 71, 0, NOW)).toBe(false)
    settleHold(zones, other.hold, { input: 5, output: 5, cost: 0 }, NOW)
    expect(extendHold(zones, hold, 91, 0, NOW)).toBe(false)
    expect(extendHold(zones, hold, 90, 0, NOW)).toBe(true)
  })

  test('cost is held like tokens', () => {
    const zones = world()
    const budgets = { costPerMonth: 100000, hard: true }
    const { hold } = admit(zones, demand([client({}, budgets)], { price: PRICE }))
    expect(extendHold(zones, hold, 9999, 100000, NOW)).toBe(true)
    expect(extendHold(zones, hold, 9999, 100001, NOW)).toBe(false)
  })

  test('a soft budget is not extended', () => {
    const zones = world()
    const { hold } = admit(zones, demand([client({}, { tokensPerDay: 100 })]))
    expect(extendHold(zones, hold, 5000, 0, NOW)).toBe(true)
    expect(zones.counters.entries['rClientClie']).toBe(20)
  })
})

describe('maxInFlight', () => {
  const of = (clientId: string) => demand([], { maxInFlight: 10, clientId })

  test('one greedy client with 1000 attempts does not keep a second one out', () => {
    const zones = world()
    const holds: Hold[] = []
    for (let i = 0; i < 1000; i++) {
      const result = reserve(zones, of('greedy'))
      if (!('outcome' in result)) holds.push(result.hold)
    }
    expect(holds).toHaveLength(10)
    expect(zones.counters.entries).toMatchObject({ 'a/': 1, 'f*': 10, 'a/greedy': 10 })
    for (let i = 0; i < 5; i++) expect(outcomeOf(zones, of('modest'))).toBe('ok')
    expect(refuse(zones, of('modest'))).toMatchObject({ limit: 'maxInFlight', retryAfterMs: 1000 })
    // The places that the greedy one gives up are not its own again.
    for (const hold of holds.slice(0, 5)) {
      settleHold(zones, hold, NOTHING, NOW)
      expect(outcomeOf(zones, of('greedy'))).toBe('rate_limited')
    }
    expect(zones.counters.entries['f*']).toBe(10)
  })

  test('there are never more than twice as many', () => {
    const zones = world()
    let count = 0
    for (let i = 0; i < 1000; i++) if (outcomeOf(zones, of(`client${i % 100}`)) === 'ok') count++
    expect(count).toBeGreaterThanOrEqual(10)
    expect(count).toBeLessThanOrEqual(20)
    expect(zones.counters.entries['f*']).toBe(count)
  })

  test('each server behind has its own', () => {
    const zones = world()
    const at = (upstream: string) => demand([], { maxInFlight: 2, upstream })
    const holds = ['', '', 'other', 'other'].map((upstream) => admit(zones, at(upstream)).hold)
    expect(zones.counters.entries).toMatchObject({ 'f*': 2, 'f*other': 2, 'a/': 1, 'aother/': 1 })
    expect(outcomeOf(zones, at(''))).toBe('rate_limited')
    expect(outcomeOf(zones, at('other'))).toBe('rate_limited')
    for (const hold of holds) settleHold(zones, hold, NOTHING, NOW)
    expect(remains(zones)).toEqual({})
  })

  test('a client that leaves is active no more', () => {
    const zones = world()
    const holds = ['one', 'two', 'one'].map((name) => admit(zones, of(name)).hold)
    expect(zones.counters.entries['a/']).toBe(2)
    for (const hold of holds) settleHold(zones, hold, NOTHING, NOW)
    expect(remains(zones)).toEqual({})
  })
})

describe('shadow', () => {
  test('is counted and evaluated, and refuses nothing', () => {
    const zones = world()
    const limited = [client({ requestsPerMinute: 1 }, { tokensPerDay: 20, hard: true })]
    const holds = [1, 2, 3].map(() => admit(zones, demand(limited, { isShadow: true })))
    expect(holds[2]?.shadow?.outcome).toBe('parameter_denied')
    expect(holds[2]?.hold.isHard).toBeUndefined()
    const soft = [client({ requestsPerMinute: 1 })]
    expect(admit(zones, demand(soft, { isShadow: true })).shadow?.outcome).toBe('rate_limited')
    expect(Object.values(zones.windows.entries)).toEqual([4])
  })
})

describe('limitVariables', () => {
  const limited = [
    client({ requestsPerMinute: 100, tokensPerMinute: 1000, inputTokensPerMinute: 500 }),
    { of: 'key', id: 'KeyKeyKeyK', limits: { requestsPerMinute: 10 } } as Limited,
  ]

  test('tell the tightest limit of each kind', () => {
    const { figures } = admit(world(), demand(limited))
    expect(limitVariables(figures, 'openai', NOW + 1)).toEqual({
      tg_req_limit: '10',
      tg_req_left: '9',
      tg_req_reset: '2m0s',
      tg_tok_limit: '1000',
      tg_tok_left: '980',
      tg_tok_reset: '2m0s',
    })
  })

  test('have Anthropic names on its routes', () => {
    const { figures } = admit(world(), demand(limited))
    const headers = limitVariables(figures, 'anthropic', NOW)
    expect(headers).toMatchObject({
      tg_req_limit: '10',
      tg_a_req_left: '9',
      tg_a_tok_limit: '1000',
      tg_a_in_left: '490',
      tg_a_in_reset: '2026-11-23T00:02:00Z',
    })
    expect(headers).not.toHaveProperty('tg_a_out_limit')
  })

  test('tell a budget where no rate limits tokens, and never less than none', () => {
    const zones = world()
    const asked = demand([client({}, { tokensPerDay: 20, tokensPerMonth: 900 })], {
      isShadow: true,
    })
    admit(zones, asked)
    expect(limitVariables(admit(zones, asked).figures, 'openai', NOW + 30000)).toEqual({
      tg_tok_limit: '20',
      tg_tok_left: '0',
      tg_tok_reset: '23h59m30s',
    })
  })

  test('of a refusal leave out the refused request', () => {
    const zones = world()
    admit(zones, demand([client({ tokensPerMinute: 30 })]))
    const refusal = refuse(zones, demand([client({ tokensPerMinute: 30 })]))
    expect(limitVariables(refusal.figures, 'openai', NOW)['tg_tok_left']).toBe('10')
  })
})

describe('a full zone', () => {
  const limited = [client({ requestsPerMinute: 5, concurrency: 5 }, { tokensPerDay: 500 })]
  const rows: ['windows' | 'counters', number][] = [
    ['windows', 0],
    ['counters', 2],
    ['counters', 3],
    ['counters', 4],
    ['counters', 5],
    ['counters', 6],
  ]
  test.each(rows)('%s with room for %i is closed, told, and left as it was', (name, room) => {
    const zones = world({ [name]: room })
    zones.counters.entries[FULL_COUNTER] = 0
    const asked = demand(limited, { maxInFlight: 9 })
    expect(() => reserve(zones, asked)).toThrow(`tollgate_${name}, which is full`)
    expect(remains(zones)).toEqual({ [FULL_COUNTER]: 1 })
  })

  test('does not break a settlement', () => {
    const zones = world({ counters: 3 })
    zones.counters.entries[FULL_COUNTER] = 0
    const { hold } = admit(zones, demand([client({}, { tokensPerDay: 500 })]))
    settleHold(zones, hold, { input: 1, output: 1, cost: 0 }, NOW)
    expect(remains(zones)).toEqual({ [FULL_COUNTER]: 1 })
  })
})

describe('the estimate of a prompt', () => {
  test('begins at 0.3 tokens a byte, with 8 for the template and 1000 for a picture', () => {
    const counters = zone()
    expect(estimateInput(counters, modelBucket('m'), 0, 0)).toBe(8)
    expect(estimateInput(counters, modelBucket('m'), 1000, 2)).toBe(300 + 2000 + 8)
  })

  test('learns a tenth from each, within its bounds', () => {
    const counters = zone()
    learnRatio(counters, modelBucket('m'), 508, 1000)
    expect(estimateInput(counters, modelBucket('m'), 1000, 0)).toBe(320 + 8)
    for (let i = 0; i < 200; i++) learnRatio(counters, modelBucket('m'), 1e6, 1000)
    expect(estimateInput(counters, modelBucket('m'), 1000, 0)).toBe(2000 + 8)
    for (let i = 0; i < 200; i++) learnRatio(counters, modelBucket('m'), 0, 1000)
    expect(estimateInput(counters, modelBucket('m'), 1000, 0)).toBeLessThanOrEqual(21 + 8)
  })

  test('is hardly moved by a word, and not by nothing', () => {
    const counters = zone()
    learnRatio(counters, modelBucket('m'), 20, 0)
    expect(counters.entries).toEqual({})
    learnRatio(counters, modelBucket('m'), 20, 2)
    expect(estimateInput(counters, modelBucket('m'), 1000, 0)).toBeLessThan(312)
  })

  test('has a bounded number of entries, whatever names callers choose', () => {
    const counters = zone()
    for (let i = 0; i < 5000; i++) learnRatio(counters, modelBucket(`model-${i}`), 50, 100)
    expect(Object.keys(counters.entries).length).toBeLessThanOrEqual(256)
    learnRatio(counters, modelBucket('x'.repeat(1e6)), 50, 100)
    expect(Object.keys(counters.entries).every((name) => /^p\d{1,3}$/.test(name))).toBe(true)
  })
})

test('random requests leave nothing in flight or reserved, and what is used is their sum', () => {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48271) % 2147483647
    return seed % below
  }
  for (let run = 0; run < 30; run++) {
    const zones = world()
    const group: Limited = { of: 'group', id: 'GroupGroup', budgets: { costPerDay: 5e6 } }
    const hard = run % 2 === 0
    const limited = [
      client({ tokensPerMinute: 900, concurrency: 6 }, { tokensPerDay: 4000, hard }),
      group,
    ]
    const open: Hold[] = []
    let tokens = 0
    let costs = 0
    for (let i = 0; i < 300; i++) {
      const nowMs = NOW + i * 900
      if (random(2)) {
        const result = reserve(
          zones,
          demand(random(5) ? limited : [group], {
            nowMs,
            maxInFlight: 8,
            clientId: `c${random(3)}`,
            isShadow: run % 3 === 0 && random(2) === 0,
            isMetered: random(6) > 0,
            inputTokens: random(200),
            inputTokensMax: 200 + random(100),
            outputTokens: random(3) ? random(300) : null,
            choices: 1 + random(3),
            price: random(4) ? PRICE : null,
          }),
        )
        if (!('outcome' in result)) open.push(result.hold)
      } else if (open.length > 0) {
        const hold = open.splice(random(open.length), 1)[0] as Hold
        if (random(2)) extendHold(zones, hold, random(900), random(900000), nowMs)
        const used = { input: random(150), output: random(150), cost: random(300000) }
        if (hold.checks.some((check) => check.usedAt[0] === 'd')) tokens += used.input + used.output
        if (hold.checks.some((check) => check.usedAt[0] === 'D')) costs += used.cost
        settleHold(zones, hold, used, nowMs)
      }
    }
    for (const hold of open) settleHold(zones, hold, NOTHING, NOW + 300 * 900)
    const day = (NOW / 86400000).toString(36)
    expect(zones.counters.entries[`dClientClie${day}`] ?? 0).toBe(tokens)
    expect(zones.counters.entries[`DGroupGroup${day}`] ?? 0).toBe(costs)
    const left = Object.keys(remains(zones)).filter((name) => !/^[tdD](Client|Group)/.test(name))
    expect(left).toEqual([])
  }
})
