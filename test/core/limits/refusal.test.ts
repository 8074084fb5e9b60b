import { describe, expect, test } from 'vitest'
import type { Limited } from '../../../src/core/config/record.ts'
import type { Budgets, Limits } from '../../../src/core/config/shapes.ts'
import { modelBucket, usualOutput } from '../../../src/core/limits/estimate.ts'
import { learnOutput } from '../../../src/core/limits/learn.ts'
import {
  type Demand,
  type LimitRefusal,
  type Reserved,
  reserve,
  settleHold,
} from '../../../src/core/limits/reserve.ts'
import { formatRenewal } from '../../../src/core/limits/words.ts'
import { say, world, zone } from './zones.ts'

const MINUTE = 60000
/** The beginning of a minute and of a day: 2026-11-23T00:00:00Z. */
const NOW = Date.UTC(2026, 10, 23)
const DAY = (NOW / 86400000).toString(36)
const PRICE = { input: 1, output: 2 }

function limited(limits: Limits, budgets?: Budgets, of: Limited['of'] = 'client'): Limited {
  const subject: Limited = { of, id: 'SubjectSub', limits }
  return budgets ? { ...subject, budgets } : subject
}

function demand(subject: Limited, change: Partial<Demand> = {}): Demand {
  return {
    limited: [subject],
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

function refuse(zones: ReturnType<typeof world>, asked: Demand): LimitRefusal {
  const result = reserve(zones, asked)
  if (!('outcome' in result)) throw new Error('Admitted')
  return result
}

function admit(zones: ReturnType<typeof world>, asked: Demand): Reserved {
  const result = reserve(zones, asked)
  if ('outcome' in result) throw new Error(`Refused: ${result.limit}`)
  return result
}

describe('S: a maximum above a limit of the minute', () => {
  const agent = (change: Partial<Demand> = {}) =>
    demand(limited({ tokensPerMinute: 20000 }), { outputTokens: 32000, ...change })

  const rows: [string, Limits, Partial<Demand>, number, number][] = [
    ['is taken for the default', { tokensPerMinute: 20000 }, {}, 522, 512],
    [
      'is taken for what the model gives',
      { tokensPerMinute: 20000 },
      { usualOutputTokens: 300 },
      310,
      300,
    ],
    ['is itself where that is less', { tokensPerMinute: 20000 }, { outputTokens: 7 }, 17, 7],
    ['counts for each choice', { tokensPerMinute: 20000 }, { choices: 4 }, 2058, 2048],
    ['fits an empty window, however small', { tokensPerMinute: 100 }, {}, 100, 99],
    ['fits one of answers alone', { outputTokensPerMinute: 100 }, {}, 110, 100],
    [
      'leaves the default alone that nobody named',
      { tokensPerMinute: 20000 },
      { outputTokens: null },
      522,
      512,
    ],
    [
      'is less than the default where the model gives less',
      { tokensPerMinute: 20000 },
      { outputTokens: null, usualOutputTokens: 30 },
      40,
      30,
    ],
    [
      'is never more than the default where nobody named one',
      { tokensPerMinute: 20000 },
      { outputTokens: null, usualOutputTokens: 3000 },
      522,
      512,
    ],
  ]
  test.each(rows)('%s', (_, limits, change, tokens, output) => {
    const { hold, outputCeiling } = admit(
      world(),
      demand(limited(limits), { outputTokens: 32000, ...change }),
    )
    expect([hold.amounts.t, hold.amounts.o]).toEqual([tokens, output])
    expect(outputCeiling).toBeUndefined()
  })

  test('what it used beyond that is a debt, and the next one waits', () => {
    const zones = world()
    const first = admit(zones, agent())
    expect(admit(zones, agent()).hold.amounts.t).toBe(522)
    settleHold(zones, first.hold, { input: 10, output: 30000, cost: 0 }, NOW + 20000)
    const next = refuse(zones, agent({ nowMs: NOW + 20001 }))
    expect(next).toMatchObject({ outcome: 'rate_limited', limit: 'tokensPerMinute of client' })
    expect(next.retryAfterMs).toBe(MINUTE)
    // 30,532 in the minute before: there is room for 522 when less than 19,478 of them count.
    expect(refuse(zones, agent({ nowMs: NOW + MINUTE + 20000 })).outcome).toBe('rate_limited')
    admit(zones, agent({ nowMs: NOW + MINUTE + 22000 }))
  })

  test('a debt of a stream that ends later is carried into the minute of its end', () => {
    const zones = world()
    const { hold } = admit(zones, agent())
    const endMs = NOW + 5 * MINUTE
    settleHold(zones, hold, { input: 10, output: 32000, cost: 0 }, endMs)
    expect(refuse(zones, agent({ nowMs: endMs + 1 })).outcome).toBe('rate_limited')
  })

  test('a budget takes all of it, and a hard one lowers it, whatever a minute has left', () => {
    const budgets = { tokensPerDay: 9000 }
    const soft = admit(
      world(),
      demand(limited({ tokensPerMinute: 100 }, budgets), { outputTokens: 8000 }),
    )
    expect([soft.hold.amounts.t, soft.hold.amounts.r, soft.outputCeiling]).toEqual([
      100,
      8010,
      undefined,
    ])
    const hard = demand(limited({ tokensPerMinute: 100 }, { ...budgets, hard: true }), {
      outputTokens: null,
    })
    expect(admit(world(), hard).outputCeiling).toBe(512)
    expect(admit(world(), { ...hard, outputTokens: 32000 }).outputCeiling).toBe(8960)
  })
})

describe('S: learnOutput', () => {
  test('moves by a tenth from 1024, within its bounds', () => {
    const counters = zone()
    expect(usualOutput(counters, modelBucket('m'))).toBeUndefined()
    learnOutput(counters, modelBucket('m'), 24, false)
    expect(usualOutput(counters, modelBucket('m'))).toBe(924)
    for (let i = 0; i < 200; i++) learnOutput(counters, modelBucket('m'), 1, false)
    expect(usualOutput(counters, modelBucket('m'))).toBe(17)
    for (let i = 0; i < 200; i++) learnOutput(counters, modelBucket('m'), 1e9, false)
    expect(usualOutput(counters, modelBucket('m'))).toBe(16384)
  })

  test('an answer that its maximum cut teaches nothing but that answers are longer', () => {
    const counters = zone()
    learnOutput(counters, modelBucket('m'), 5, true)
    expect(counters.entries).toEqual({})
    learnOutput(counters, modelBucket('m'), 2024, true)
    expect(usualOutput(counters, modelBucket('m'))).toBe(1124)
  })

  test('has a bounded number of entries', () => {
    const counters = zone()
    for (let i = 0; i < 5000; i++) learnOutput(counters, modelBucket(`model-${i}`), 50, false)
    expect(Object.keys(counters.entries).length).toBeLessThanOrEqual(256)
    expect(Object.keys(counters.entries).every((name) => /^l\d{1,3}$/.test(name))).toBe(true)
  })
})

describe('S: a spent budget is told before anything else', () => {
  const spent = (budgets: Budgets, used: number, kind = 'd') => {
    const zones = world()
    zones.counters.entries[`${kind}SubjectSub${DAY}`] = used
    return (change: Partial<Demand> = {}) => refuse(zones, demand(limited({}, budgets), change))
  }
  const rows: [string, Budgets, number, Partial<Demand>, string][] = [
    [
      'a maximum above the whole of it',
      { tokensPerDay: 5 },
      5,
      { outputTokens: 32000 },
      'budget_spent',
    ],
    ['a prompt that it can never hold', { tokensPerDay: 30, hard: true }, 30, {}, 'budget_spent'],
    [
      'such a prompt while some is left',
      { tokensPerDay: 30, hard: true },
      29,
      {},
      'parameter_denied',
    ],
    ['a prompt that fits another day', { tokensPerDay: 50, hard: true }, 15, {}, 'budget_spent'],
    [
      'a model without a price',
      { tokensPerDay: 30, costPerDay: 9 },
      30,
      { unpriced: 'x' },
      'budget_spent',
    ],
    [
      'such a model while some is left',
      { tokensPerDay: 90, costPerDay: 9 },
      9,
      { unpriced: 'x' },
      'parameter_denied',
    ],
  ]
  test.each(rows)('%s', (_, budgets, used, change, outcome) => {
    expect(spent(budgets, used)(change).outcome).toBe(outcome)
  })
})

describe('S: words for people', () => {
  const zones = world()
  zones.counters.entries[`dSubjectSub${DAY}`] = 4990
  zones.counters.entries[`DSubjectSub${DAY}`] = 12.5e9
  const rows: [string, Limited, Partial<Demand>, string][] = [
    [
      'requestsPerMinute of client',
      limited({ requestsPerMinute: 0 }),
      {},
      'Rate limit reached: 0 requests a minute for this client; retry in 60 s',
    ],
    [
      'tokensPerMinute of key',
      limited({ tokensPerMinute: 0 }, undefined, 'key'),
      {},
      'Rate limit reached: 0 tokens a minute for this key; retry in 60 s',
    ],
    [
      'inputTokensPerMinute of group',
      limited({ inputTokensPerMinute: 0 }, undefined, 'group'),
      {},
      'Rate limit reached: 0 input tokens a minute for this group; retry in 60 s',
    ],
    [
      'outputTokensPerMinute of client',
      limited({ outputTokensPerMinute: 0 }),
      {},
      'Rate limit reached: 0 output tokens a minute for this client; retry in 60 s',
    ],
    [
      'concurrency of client',
      limited({ concurrency: 0 }),
      {},
      'Rate limit reached: 0 requests at once for this client; retry in 1 s',
    ],
    [
      'maxInFlight',
      limited({}),
      { maxInFlight: -1 },
      'Rate limit reached: -1 requests at once for all clients together; retry in 1 s',
    ],
    [
      'tokensPerDay of client',
      limited({}, { tokensPerDay: 4990 }),
      {},
      'Your daily budget of 4,990 tokens is spent; it renews at 00:00 +00:00',
    ],
    [
      'tokensPerDay of key',
      limited({}, { tokensPerDay: 5000 }, 'key'),
      {},
      'Your key’s daily budget of 5,000 tokens has 10 left, too few for this request; it renews at 00:00 +00:00',
    ],
    [
      'tokensPerMonth of group',
      limited({}, { tokensPerMonth: 0 }, 'group'),
      {},
      'Your group’s monthly budget of 0 tokens is spent; it renews on 2026-12-01 at 00:00 +00:00',
    ],
    [
      'costPerDay of client',
      limited({}, { costPerDay: 12.5e9 }),
      { price: PRICE },
      'Your daily cost budget of 12.5 is spent; it renews at 00:00 +00:00',
    ],
    [
      'costPerMonth of client',
      limited({}, { costPerMonth: 0 }),
      { price: PRICE },
      'Your monthly cost budget of 0 is spent; it renews on 2026-12-01 at 00:00 +00:00',
    ],
    [
      'tokensPerDay of client',
      limited({}, { tokensPerDay: 20000, hard: true }),
      { inputTokensMax: 30256 },
      'Your daily budget of 20,000 tokens can never hold a prompt of up to 30,256 tokens: shorten it',
    ],
    [
      'tokensPerDay of client',
      limited({}, { tokensPerDay: 50, hard: true }),
      { choices: 16, outputTokens: 16 },
      'Your daily budget of 50 tokens can never hold 16 answers: ask for fewer',
    ],
    [
      'costPerDay of client',
      limited({}, { costPerDay: 99e9 }),
      { unpriced: 'small' },
      'The model "small" has no price: name one that has, since your budget is in cost',
    ],
    [
      'costPerDay of client',
      limited({}, { costPerDay: 99e9 }),
      { unpriced: '' },
      'A request without a model has no price: name one that has, since your budget is in cost',
    ],
    [
      'costPerDay of client',
      limited({}, { costPerDay: 99e9 }),
      { unpriced: '', isMetered: false, isCharged: true },
      'Audio has no price here: it cannot be used, since your budget is in cost',
    ],
  ]
  test.each(rows)('%s', (limit, subject, change, message) => {
    const fresh = limit.startsWith('tokensPerDay') && subject.budgets?.hard
    const refusal = refuse(fresh ? world() : zones, demand(subject, change))
    expect(say(refusal)).toBe(message.replace('’', "'"))
    expect(refusal.limit).toBe(limit)
  })

  test('what is only reserved is told as such', () => {
    const zones = world()
    const asked = demand(limited({}, { tokensPerDay: 1234567 }), { outputTokens: 2e6 })
    admit(zones, asked)
    expect(say(refuse(zones, asked))).toBe(
      'Your daily budget of 1,234,567 tokens is reserved by requests that run; retry in 1 s',
    )
  })

  test('parameter_denied names what is at fault', () => {
    const hard = limited({}, { tokensPerDay: 50, hard: true })
    expect(refuse(world(), demand(hard, { inputTokensMax: 60 })).param).toBe('prompt')
    expect(refuse(world(), demand(hard, { choices: 16, outputTokens: 16 })).param).toBe('n')
    expect(refuse(world(), demand(limited({}, { costPerDay: 1e9 }), { unpriced: '' })).param).toBe(
      'model',
    )
  })

  test.each([
    [0, true, 'at 00:00 +00:00'],
    [0, false, 'on 2026-11-23 at 00:00 +00:00'],
    [480, true, 'at 08:00 +08:00'],
    [-210, false, 'on 2026-11-22 at 20:30 -03:30'],
  ])('formatRenewal at %i minutes', (offset, isDay, text) => {
    expect(formatRenewal(NOW, isDay, offset)).toBe(text)
  })
})

test('I: in shadow a model without a price is told, and admitted', () => {
  const asked = demand(limited({}, { costPerDay: 1e9 }), { unpriced: 'x', isShadow: true })
  expect(admit(world(), asked).shadow).toMatchObject({
    outcome: 'parameter_denied',
    limit: 'costPerDay of client',
  })
})
