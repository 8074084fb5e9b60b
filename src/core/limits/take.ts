import { kindOf, type Reservation, reservationOf } from './amounts.ts'
import { type Check, isWindow, levelOf } from './check.ts'
import { BIRTH_COUNTER, minuteOf } from './counters.ts'
import { type Amounts, countFull, type Hold, heldSteps, type Step, shift, undo } from './hold.ts'
import { askAll, isAnyOver, isOfAll, judge, ownMove, type Verdict } from './judge.ts'
import type { LimitRefusal } from './refusal.ts'
import type { Demand, Zones } from './types.ts'

/** What a request has taken. */
export type Grant = { moves: string[]; plan: Reservation; verdict: Verdict }

/** When others take at the same moment what was free on asking, it is asked anew so often. */
const TRIES = 3

/** The limits that need no body to be asked, those of requests and of places; or the others. */
export function checksAt(checks: Check[], isEarly: boolean): Check[] {
  const found: Check[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const kind = kindOf(check)
    if ((kind === 'q' || kind === 'f') === isEarly) found.push(check)
  }
  return found
}

/** Asks, commits, and looks at what it has got; or undoes it. Without a plan it reserves by what is taken. */
export function take(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  early?: Reservation,
): Grant | LimitRefusal {
  for (let left = TRIES; ; left--) {
    const levels = askAll(zones, checks, demand.nowMs)
    const plan = early || reservationOf(demand, checks, levels)
    if (!demand.isShadow && (plan.denied || isAnyOver(zones, demand, checks, plan, levels))) {
      const asked = judge(zones, demand, checks, plan, levels, false)
      if (asked.refusal) return asked.refusal
    }
    const moves = movesOf(demand, checks)
    const steps: Step[] = []
    const taken = commit(zones, demand, checks, moves, plan.amounts, steps)
    const verdict = judge(zones, demand, checks, plan, taken, true)
    if (!verdict.refusal || demand.isShadow) return { moves, plan, verdict }
    undo(zones, steps)
    if (left <= 1) return verdict.refusal
  }
}

/** The counters of a request, each once. */
function movesOf(demand: Demand, checks: Check[]): string[] {
  const moves: string[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    // What is used of each budget has a counter of its own, and so has who shares maxInFlight.
    if (isOfAll(check)) moves.push(ownMove(demand))
    if (!moves.includes(check.move)) moves.push(check.move)
    if (check.used) moves.push(check.used)
  }
  return moves
}

/** Moves all counters, and returns how much of each limit others have taken. */
export function commit(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  moves: string[],
  amounts: Amounts,
  done: Step[],
): number[] {
  const nowMs = demand.nowMs
  const before: { [move: string]: number } = {}
  let zone: keyof Zones = 'slots'
  let isMarked = false
  try {
    for (let i = 0; i < moves.length; i++) {
      const move = moves[i] as string
      const delta = amounts[move.charAt(0) as keyof Amounts]
      if (!delta) continue
      const isInWindow = isWindow(move)
      const steps = isInWindow
        ? [['windows', nameFor(checks, move), delta] as Step]
        : heldSteps(demand.pid, move, delta)
      const first = steps[0] as Step
      zone = first[0]
      before[move] = shift(zones, first) - delta
      done.push(first)
      if (isInWindow) continue
      zone = 'slots'
      // Tells that there is something to clean up when this worker dies.
      if (!isMarked) zones.slots.incr(demand.pid, 0, 1)
      isMarked = true
      shift(zones, steps[1] as Step)
      done.push(steps[1] as Step)
    }
  } catch (error) {
    undo(zones, done)
    countFull(zones)
    throw new Error(
      `Cannot count in the zone tollgate_${zone}, which is full: give it more memory in its ` +
        `js_shared_dict_zone (${(error as Error).message})`,
    )
  }
  const levels: number[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    levels.push(levelOf(zones, check, before[check.move] || 0, nowMs))
  }
  return levels
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
