import { type Reservation, reservationOf } from './amounts.ts'
import { type Check, isSame, levelOf } from './check.ts'
import { BIRTH_COUNTER, minuteOf } from './counters.ts'
import { countFull, type Hold, shift, shiftSafely } from './hold.ts'
import { askAll, isAnyOver, judge } from './judge.ts'
import { type Figures, isTold, type LimitRefusal, noteFigure } from './refusal.ts'
import type { Amounts, Demand, Zones } from './types.ts'

/** What a request has taken; what the headers say of it; and, in shadow, what would have been refused. */
export type Grant = { plan: Reservation; figures: Figures; refusal?: LimitRefusal }

/** When others take at the same moment what was free on asking, it is asked anew so often. */
const TRIES = 3

/**
 * Moves the counters, and looks at what it has got; or takes all of it back. Without a plan it reserves as if nothing
 * were taken; where that does not fit, it asks first, and reserves by what is free. `amounts` is filled for that.
 * What is known of the requests of the minute stands in `known`, which is added to; null: nothing yet.
 */
export function take(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  amounts: Amounts,
  known: Figures | null,
  given?: Reservation,
): Grant | LimitRefusal {
  for (let left = TRIES; ; left--) {
    const isFirst = left === TRIES && !demand.isShadow
    const levels = isFirst ? null : askAll(zones, checks, demand.nowMs)
    const plan = given || reservationOf(demand, checks, levels, amounts)
    if (plan.denied && !levels) continue
    if (levels && !demand.isShadow) {
      if (plan.denied || isAnyOver(zones, checks, plan, levels)) {
        const refusal = judge(zones, demand, checks, plan, levels, false, requestsOf(known))
        if (refusal) return refusal
      }
    }
    // What was noted in an attempt that came to nothing is not to stay.
    const noted = left === TRIES ? known || {} : requestsOf(known)
    const taken = commit(zones, demand, checks, amounts, noted)
    // Most requests are within all limits.
    if (!taken.isOver && !plan.denied) return { plan, figures: noted }
    const figures = requestsOf(known)
    const refusal = judge(zones, demand, checks, plan, taken.levels, true, figures)
    if (!refusal) return { plan, figures }
    if (demand.isShadow) return { plan, figures, refusal }
    undo(zones, checks, amounts, checks.length)
    if (left < 1) return refusal
  }
}

/** What was known of requests alone. */
function requestsOf(known: Figures | null): Figures {
  const requests = known && known['q']
  return requests ? { q: requests } : {}
}

/** How much of each limit others have taken, and whether one of them is above its limit now. */
export type Taken = { levels: number[]; isOver: boolean }

/** Moves all counters, and notes what the headers tell. A full zone throws, with all undone. */
export function commit(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  amounts: Amounts,
  figures: Figures,
): Taken {
  const levels: number[] = []
  let isOver = false
  const nowMs = demand.nowMs
  let held = 0
  let at = 0
  try {
    for (; at < checks.length; at++) {
      const check = checks[at] as Check
      const kind = check.kind
      const before = check.before
      const delta = amounts[kind] as number
      if (!delta) held = 0
      else if (before) held = zones.windows.incr(check.at, delta, 0) - delta
      else if (!isSame(checks, at)) held = shift(zones, 'counters', kind, check.move, delta) - delta
      const level = levelOf(zones, check, held, nowMs)
      const total = level + delta
      levels[at] = level
      if (total > check.limit) isOver = true
      if (isTold(check, figures)) noteFigure(figures, check, total, nowMs, demand.zoneMinutes)
    }
  } catch (error) {
    undo(zones, checks, amounts, at)
    throw tellFull(zones, (checks[at] as Check).before ? 'windows' : 'counters', error as Error)
  }
  return { levels, isOver }
}

/** Takes back what the first so many checks have moved. */
export function undo(zones: Zones, checks: Check[], amounts: Amounts, count: number): void {
  for (let i = count - 1; i >= 0; i--) {
    const check = checks[i] as Check
    const delta = amounts[check.kind] as number
    if (!delta) continue
    if (check.before) shiftSafely(zones, 'windows', check.kind, check.at, -delta)
    else if (!isSame(checks, i)) shiftSafely(zones, 'counters', check.kind, check.move, -delta)
  }
}

/** What is thrown where a zone is full; the state tells it too. */
export function tellFull(zones: Zones, name: string, error: Error): Error {
  countFull(zones)
  return new Error(
    `Cannot count in the zone tollgate_${name}, which is full: give it more memory in its ` +
      `js_shared_dict_zone (${error.message})`,
  )
}

/** When the counters were filled; 0: they are not, which matters to who has a budget alone. */
export function birthOf(zones: Zones): number {
  return zones.counters.get(BIRTH_COUNTER) || 0
}

/** The hold of what was taken, `birth` being that of the counters. */
export function holdOf(demand: Demand, checks: Check[], amounts: Amounts, birth: number): Hold {
  const hold: Hold = { birth, minute: minuteOf(demand.nowMs), checks, amounts }
  if (demand.zoneMinutes) hold.zoneMinutes = hold.namedZone = demand.zoneMinutes
  return hold
}
