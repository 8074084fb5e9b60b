import { describe, expect, test } from 'vitest'
import type { Limited, Rules } from '../../../src/core/config/record.ts'
import type { Budgets, Limits, Price } from '../../../src/core/config/shapes.ts'
import { checksOf } from '../../../src/core/limits/check.ts'
import { earlyOf } from '../../../src/core/limits/claim.ts'
import { BIRTH_COUNTER } from '../../../src/core/limits/counters.ts'
import {
  areSoft,
  endUpload,
  giveBack,
  giveBackRest,
  heldNow,
  isPaced,
  isPriced,
  reservedTokens,
  settleTaken,
  takeFirst,
  takenSoFar,
  takeRest,
  tellTaken,
  unread,
} from '../../../src/core/limits/quick.ts'
import {
  type Demand,
  giveBack as giveBackHold,
  type Hold,
  reserve,
  reserveEarly,
  settleHold,
  tellLimits,
  UPLOAD_BYTES_MAX,
} from '../../../src/core/limits/reserve.ts'
import { holdOf } from '../../../src/core/limits/take.ts'
import { integersOf } from '../../random.ts'
import { world } from './zones.ts'

const MINUTE = 60000
const NOW = Date.UTC(2026, 10, 23, 11, 59, 20)

type World = ReturnType<typeof world>
type Pick = (below: number) => number

/** What stands in the zones, without what is 0. */
function counted(zones: World): object {
  const of = (entries: { [name: string]: number }) =>
    Object.fromEntries(Object.entries(entries).filter(([, value]) => value))
  const { windows, counters } = zones
  return [windows, counters].map(({ entries }) => of(entries))
}

function limitedOf(pick: Pick): Limited[] {
  const some = <T>(value: T): T | undefined => (pick(2) ? value : undefined)
  const rate = () => some([3, 50, 2000, 100000][pick(4)])
  return (['client', 'key', 'group'] as const).slice(0, 1 + pick(3)).map((of) => {
    const limits = {
      requestsPerMinute: rate(),
      tokensPerMinute: rate(),
      inputTokensPerMinute: pick(3) ? undefined : rate(),
      outputTokensPerMinute: pick(3) ? undefined : rate(),
      concurrency: rate(),
    }
    const budgets = {
      tokensPerDay: rate(),
      tokensPerMonth: rate(),
      costPerDay: some([1, 700, 1e6, 1e9][pick(4)]),
      costPerMonth: some([1, 700, 1e6, 1e9][pick(4)]),
    }
    const said = <T extends object>(all: T) => JSON.parse(JSON.stringify(all))
    const one: Limited = { of, id: `${of}..........`.slice(0, 10) }
    if (pick(4)) one.limits = said(limits) as Limits
    if (pick(2)) one.budgets = said(budgets) as Budgets
    return one
  })
}

/** Zones in which others have taken something, twice the same. */
function worldsOf(pick: Pick, limited: Limited[], minute: number): [World, World] {
  const zones = [world(), world()] as [World, World]
  const put = (zone: 'windows' | 'counters', name: string, value: number) => {
    for (const one of zones) if (value) one[zone].entries[name] = value
  }
  const at = (n: number) => n.toString(36)
  for (const { id } of limited) {
    for (const kind of ['q', 't', 'i', 'o']) {
      put('windows', kind + id + at(minute), pick(3) ? 0 : pick(60))
      put('windows', kind + id + at(minute - 1), pick(3) ? 0 : pick(60))
    }
    for (const kind of ['f', 'r', 'R']) put('counters', kind + id, pick(3) ? 0 : pick(40))
    const day = at(Math.floor(NOW / 86400000))
    for (const kind of ['d', 'D']) put('counters', kind + id + day, pick(3) ? 0 : pick(900))
  }
  put('counters', 'uk', pick(3) === 1 ? UPLOAD_BYTES_MAX - 25_000 : 0)
  const own = pick(3)
  put('counters', 'f*vllm', own + pick(4))
  put('counters', 'avllm/app', own)
  put('counters', 'avllm/', (own ? 1 : 0) + pick(2))
  return zones
}

describe('the quick way of limits', () => {
  test('takes, tells and settles what the long one does, and else takes nothing', () => {
    const seed = Number(process.env['TOLLGATE_SEED'] ?? Date.now() % 100_000)
    const pick = integersOf(seed)
    let quick = 0
    let settled = 0
    let handed = 0
    for (let turn = 0; turn < 6000; turn++) {
      const why = `seed ${seed}, turn ${turn}`
      const limited = limitedOf(pick)
      const nowMs = NOW + pick(2 * MINUTE)
      const zoneMinutes = pick(3) ? undefined : [480, -210][pick(2)]
      const [own, other] = worldsOf(pick, limited, Math.floor(nowMs / MINUTE))
      const before = counted(own)
      const price: Price | null = pick(4) ? { input: 0.15, output: 0.6 } : null
      const choices = 1 + pick(3)
      const named = pick(2) ? (1 + pick(300)) * choices : null
      const usualOutputTokens = pick(2) ? 16 + pick(200) : undefined
      const demand: Demand = {
        limited,
        isShadow: false,
        isMetered: true,
        inputTokens: 8 + pick(60),
        inputTokensMax: 400,
        outputTokens: named,
        defaultOutputTokens: [20, 1024][pick(2)] as number,
        usualOutputTokens,
        choices,
        isStream: false,
        price,
        unpriced: price ? undefined : 'm',
        maxInFlight: pick(3) ? undefined : [1, 4, 50][pick(3)],
        upstream: 'vllm',
        clientId: 'app',
        nowMs,
        zoneMinutes,
      }
      const uploadBytes = pick(3) ? 0 : ([20_000, 30_000_000][pick(2)] as number)
      const part = take(own, demand, uploadBytes)
      const early = reserveEarly(other, { ...demand, limited: copy(limited) }, 'k', uploadBytes)
      if (!('outcome' in early)) giveBackHold(other, early.hold, 'u')
      const rest =
        'outcome' in early ? early : reserve(other, { ...demand, limited: copy(limited) }, early)
      if (part === 'nothing') {
        expect(counted(own), why).toEqual(before)
        continue
      }
      if (part === 'first') {
        handed++
        const result = handOver(own, demand)
        expect('outcome' in result && [result.outcome, result.limit], why).toEqual(
          'outcome' in rest && [rest.outcome, rest.limit],
        )
        expect(tellLimits(result.figures, 'openai', nowMs), why).toBe(
          tellLimits(rest.figures, 'openai', nowMs),
        )
        expect(counted(own), why).toEqual(counted(other))
        continue
      }
      quick++
      if ('outcome' in rest) throw new Error(`${why}: ${rest.limit}`)
      expect(counted(own), why).toEqual(counted(other))
      expect(tellTaken(nowMs), why).toBe(tellLimits(rest.figures, 'openai', nowMs))
      expect(reservedTokens(), why).toBe(rest.hold.amounts.t)
      const used = { input: pick(90), output: pick(400), cost: pick(2) * pick(5000) }
      const endMs = nowMs + pick(2) * pick(90000)
      const hold = holdOfTaken(own, demand)
      if (settleTaken(own, used.input, used.output, used.cost, endMs)) settled++
      else settleHold(own, hold, used, endMs)
      settleHold(other, rest.hold, used, endMs)
      expect(counted(own), why).toEqual(counted(other))
    }
    // Of what is drawn here the half has no room somewhere.
    expect(quick).toBeGreaterThan(800)
    expect(settled).toBeGreaterThan(quick / 2)
    expect(handed).toBeGreaterThan(800)
  })

  test('gives a hold of what is taken so far, also before the body', () => {
    const limited: Limited[] = [
      { of: 'client', id: 'ClientClie', limits: { requestsPerMinute: 5, concurrency: 2 } },
    ]
    const [zones] = worldsOf(() => 0, limited, 0)
    expect(takeFirst(zones, { client: 'app', key: 'k', limited }, {}, '', 0, NOW)).toBe(true)
    expect(takenSoFar()).toMatchObject({ birth: 7, isWhole: true, amounts: { q: 1, f: 1 } })
    giveBack(zones)
    expect(counted(zones)).toEqual(counted(world()))
  })

  test('takes nothing while it is not known what was used, nor across a minute', () => {
    const limited: Limited[] = [{ of: 'client', id: 'ClientClie', limits: { concurrency: 2 } }]
    const zones = world()
    delete zones.counters.entries[BIRTH_COUNTER]
    expect(takeFirst(zones, { client: 'app', key: 'k', limited }, {}, '', 0, NOW)).toBe(false)
    zones.counters.entries[BIRTH_COUNTER] = 7
    expect(takeFirst(zones, { client: 'app', key: 'k', limited }, {}, '', 0, NOW)).toBe(true)
    expect(takeRest(zones, 8, 8, 8, null, NOW + MINUTE)).toBe(false)
    giveBack(zones)
    expect(counted(zones)).toEqual(counted(world()))
  })

  test.each([
    ['windows', { windows: 1 }],
    ['counters', { counters: 2 }],
    ['counters, for the second', { counters: 3 }],
  ])('gives everything back where the zone is full: %s', (_, rooms) => {
    const limits = { requestsPerMinute: 5, concurrency: 2, tokensPerMinute: 1000 }
    const limited: Limited[] = [
      { of: 'client', id: 'ClientClie', limits, budgets: { tokensPerDay: 1000 } },
      { of: 'key', id: 'KeyKeyKeyK', limits },
    ]
    const zones = world(rooms)
    const isTaken =
      takeFirst(zones, { client: 'app', key: 'k', limited }, {}, '', 0, NOW) &&
      takeRest(zones, 8, 8, 8, null, NOW)
    expect(isTaken).toBe(false)
    giveBack(zones)
    expect(counted(zones)).toEqual(counted(world()))
  })

  test('knows soft budgets alone', () => {
    const of = (budgets?: Budgets): Limited[] => [
      { of: 'client', id: 'ClientClie', ...(budgets ? { budgets } : {}) },
    ]
    expect(areSoft(of())).toBe(true)
    expect(areSoft(of({ tokensPerDay: 5 }))).toBe(true)
    expect(areSoft(of({ tokensPerDay: 5, hard: true }))).toBe(false)
  })
})

/** As src/edge/gate/quick.ts asks: what was taken. */
function take(zones: World, demand: Demand, uploadBytes: number): 'nothing' | 'first' | 'all' {
  const { limited, nowMs, choices, price, upstream } = demand
  const record = { client: demand.clientId, key: 'k', limited }
  if (!takeFirst(zones, record, demand as Rules, upstream, uploadBytes, nowMs)) return 'nothing'
  const held = uploadBytes ? ` uk:${uploadBytes}` : ''
  expect(heldNow().endsWith(held)).toBe(true)
  if (unread > 0) endUpload(zones)
  if (isPriced() && !price) return 'first'
  const output = demand.outputTokens ?? demand.defaultOutputTokens * choices
  const usual = (demand.usualOutputTokens || demand.defaultOutputTokens) * choices
  const isTaken = takeRest(zones, demand.inputTokens, output, isPaced() ? usual : 0, price, nowMs)
  return isTaken ? 'all' : 'first'
}

/** The long way goes on with what the quick one had before the body. */
function handOver(zones: World, demand: Demand) {
  giveBackRest(zones)
  const taken = takenSoFar()
  const then = { ...demand, limited: copy(demand.limited), nowMs: taken.minuteMs }
  const hold = holdOf(then, checksOf(then).first, taken.amounts, taken.birth)
  return reserve(zones, { ...demand, limited: copy(demand.limited) }, earlyOf(hold, taken))
}

function holdOfTaken(_: World, demand: Demand): Hold {
  const { amounts, birth, minuteMs, isWhole } = takenSoFar()
  expect(isWhole).toBe(true)
  const then = { ...demand, limited: copy(demand.limited), nowMs: minuteMs }
  return holdOf(then, checksOf(then).all, amounts, birth)
}

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}
