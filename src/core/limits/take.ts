import { type Reservation, reservationOf } from './amounts.ts'
import { type Check, isSame, levelOf } from './check.ts'
import { BIRTH_COUNTER, minuteOf } from './counters.ts'
import { countFull, type Hold, shift, shiftHeld, shiftSafely } from './hold.ts'
import { askAll, isAnyOver, judge, type Verdict } from './judge.ts'
import type { LimitRefusal } from './refusal.ts'
import type { Amounts, Demand, Zones } from './types.ts'

/** What a request has taken. */
export type Grant = { checks: Check[]; plan: Reservation; verdict: Verdict }

/** When others take at the same moment what was free on asking, it is asked anew so often. */
const TRIES = 3

/**
 * Moves the counters, and looks at what it has got; or takes all of it back. Without a plan it reserves as if nothing
 * were taken; where that does not fit, it asks first, and reserves by what is free.
 */
export function take(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  early?: Reservation,
): Grant | LimitRefusal {
  for (let left = TRIES; ; left--) {
    const isFirst = left === TRIES && !demand.isShadow
    const levels = isFirst ? null : askAll(zones, checks, demand.nowMs)
    const plan = early || reservationOf(demand, checks, levels)
    if (plan.denied && !levels) continue
    if (levels && !demand.isShadow) {
      if (plan.denied || isAnyOver(zones, checks, plan, levels)) {
        const asked = judge(zones, demand, checks, plan, levels, false)
        if (asked.refusal) return asked.refusal
      }
    }
    const taken = commit(zones, demand, checks, plan.amounts)
    const verdict = judge(zones, demand, checks, plan, taken, true)
    if (!verdict.refusal || demand.isShadow) return { checks, plan, verdict }
    undo(zones, demand.pid, checks, plan.amounts, checks.length)
    if (left < 1) return verdict.refusal
  }
}

/** Moves all counters, and returns how much of each limit others have taken. A full zone throws, with all undone. */
export function commit(zones: Zones, demand: Demand, checks: Check[], amounts: Amounts): number[] {
  const levels: number[] = []
  const nowMs = demand.nowMs
  let zone: keyof Zones = 'slots'
  let held = 0
  let at = 0
  try {
    for (; at < checks.length; at++) {
      const check = checks[at] as Check
      const delta = amounts[check.kind] as number
      if (!delta) held = 0
      else if (check.before) {
        zone = 'windows'
        held = zones.windows.incr(check.at, delta, 0) - delta
      } else if (!isSame(checks, at)) {
        zone = 'counters'
        held = shift(zones, zone, check.move, delta) - delta
        zone = 'slots'
        // Tells that there is something to clean up when this worker dies.
        if (!demand.isMarked) zones.slots.incr(demand.pid, 0, 1)
        demand.isMarked = true
        zones.slots.incr(demand.pid + check.move, delta, 0)
      }
      levels.push(levelOf(zones, check, held, nowMs))
    }
  } catch (error) {
    // Of the last one the worker's part was not counted, where that was the zone.
    const check = checks[at] as Check
    const delta = amounts[check.kind] as number
    if (zone === 'slots') shiftSafely(zones, 'counters', check.move, -delta)
    undo(zones, demand.pid, checks, amounts, at)
    countFull(zones)
    throw new Error(
      `Cannot count in the zone tollgate_${zone}, which is full: give it more memory in its ` +
        `js_shared_dict_zone (${(error as Error).message})`,
    )
  }
  return levels
}

/** Takes back what the first so many checks have moved. */
export function undo(
  zones: Zones,
  pid: string,
  checks: Check[],
  amounts: Amounts,
  count: number,
): void {
  for (let i = count - 1; i >= 0; i--) {
    const check = checks[i] as Check
    const delta = amounts[check.kind] as number
    if (!delta) continue
    if (check.before) shiftSafely(zones, 'windows', check.at, -delta)
    else if (!isSame(checks, i)) shiftHeld(zones, pid, check.move, -delta)
  }
}

/** When the counters were filled; 0: they are not, which matters to who has a budget alone. */
export function birthOf(zones: Zones): number {
  return zones.counters.get(BIRTH_COUNTER) || 0
}

/** The hold of what was taken, `birth` being that of the counters. */
export function holdOf(demand: Demand, grant: Grant, birth: number): Hold {
  const hold: Hold = {
    pid: demand.pid,
    birth,
    minute: minuteOf(demand.nowMs),
    checks: grant.checks,
    amounts: grant.plan.amounts,
  }
  if (demand.zoneMinutes) hold.zoneMinutes = hold.namedZone = demand.zoneMinutes
  return hold
}
