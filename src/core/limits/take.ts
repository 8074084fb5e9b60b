import { type Reservation, reservationOf } from './amounts.ts'
import { type Check, type CheckList, isWindow, levelOf, movesOf } from './check.ts'
import { BIRTH_COUNTER, minuteOf } from './counters.ts'
import { type Amounts, countFull, type Hold, shift, shiftHeld, shiftSafely } from './hold.ts'
import { askAll, isAnyOver, judge, type Verdict } from './judge.ts'
import type { LimitRefusal } from './refusal.ts'
import type { Demand, Zones } from './types.ts'

/** What a request has taken. */
export type Grant = { moves: string[]; plan: Reservation; verdict: Verdict }

/** When others take at the same moment what was free on asking, it is asked anew so often. */
const TRIES = 3

/**
 * Moves the counters, and looks at what it has got; or takes all of it back. Without a plan it reserves as if nothing
 * were taken; where that does not fit, it asks first, and reserves by what is free.
 */
export function take(
  zones: Zones,
  demand: Demand,
  checks: CheckList,
  early?: Reservation,
): Grant | LimitRefusal {
  const moves = movesOf(demand, checks)
  for (let left = TRIES; ; left--) {
    const isFirst = left === TRIES && !demand.isShadow
    const levels = isFirst ? null : askAll(zones, checks, demand.nowMs)
    const plan = early || reservationOf(demand, checks, levels)
    if (plan.denied && !levels) continue
    if (
      levels &&
      !demand.isShadow &&
      (plan.denied || isAnyOver(zones, demand, checks, plan, levels))
    ) {
      const asked = judge(zones, demand, checks, plan, levels, false)
      if (asked.refusal) return asked.refusal
    }
    const taken = commit(zones, demand, checks, moves, plan.amounts)
    const verdict = judge(zones, demand, checks, plan, taken, true)
    if (!verdict.refusal || demand.isShadow) return { moves: moves.slice(), plan, verdict }
    undo(zones, demand, checks, moves, plan.amounts, moves.length)
    if (left < 1) return verdict.refusal
  }
}

/** Moves all counters, and returns how much of each limit others have taken. A full zone throws, with all undone. */
export function commit(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  moves: string[],
  amounts: Amounts,
): number[] {
  const before: number[] = []
  let zone: keyof Zones = 'slots'
  let at = 0
  let isMarked = false
  try {
    for (; at < moves.length; at++) {
      const move = moves[at] as string
      const delta = amounts[move.charAt(0) as keyof Amounts]
      before.push(0)
      if (!delta) continue
      if (isWindow(move)) {
        zone = 'windows'
        before[at] = zones.windows.incr(nameFor(checks, move), delta, 0) - delta
        continue
      }
      zone = 'counters'
      before[at] = shift(zones, zone, move, delta) - delta
      zone = 'slots'
      // Tells that there is something to clean up when this worker dies.
      if (!isMarked) zones.slots.incr(demand.pid, 0, 1)
      isMarked = true
      zones.slots.incr(demand.pid + move, delta, 0)
    }
  } catch (error) {
    // Of the last one the worker's part was not counted, where that was the zone.
    const move = moves[at] as string
    const delta = amounts[move.charAt(0) as keyof Amounts] || 0
    if (zone === 'slots') shiftSafely(zones, 'counters', move, -delta)
    undo(zones, demand, checks, moves, amounts, at)
    countFull(zones)
    throw new Error(
      `Cannot count in the zone tollgate_${zone}, which is full: give it more memory in its ` +
        `js_shared_dict_zone (${(error as Error).message})`,
    )
  }
  const levels: number[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    let move = 0
    while (moves[move] !== check.move) move++
    levels.push(levelOf(zones, check, before[move] as number, demand.nowMs))
  }
  return levels
}

/** Takes back what the first so many counters were moved by. */
export function undo(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  moves: string[],
  amounts: Amounts,
  count: number,
): void {
  for (let i = count - 1; i >= 0; i--) {
    const move = moves[i] as string
    const delta = amounts[move.charAt(0) as keyof Amounts]
    if (!delta) continue
    if (isWindow(move)) shiftSafely(zones, 'windows', nameFor(checks, move), -delta)
    else shiftHeld(zones, demand.pid, move, -delta)
  }
}

/** The whole name of the counter that one of the checks moves. */
function nameFor(checks: Check[], move: string): string {
  let i = 0
  while ((checks[i] as Check).move !== move) i++
  return (checks[i] as Check).at
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
    moves: grant.moves,
    amounts: grant.plan.amounts,
  }
  if (demand.zoneMinutes) hold.zoneMinutes = demand.zoneMinutes
  return hold
}
