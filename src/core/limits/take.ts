import { kindOf, type Reservation } from './amounts.ts'
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

/** Whether a limit needs no body to be asked: those of requests and of places. */
export function isEarly(check: Check): boolean {
  const kind = kindOf(check)
  return kind === 'q' || kind === 'f'
}

/** Asks, commits, and looks at what it has got; or undoes it. */
export function take(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  planFor: (levels: number[]) => Reservation,
): Grant | LimitRefusal {
  for (let left = TRIES; ; left--) {
    const levels = askAll(zones, checks, demand.nowMs)
    const plan = planFor(levels)
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
  const add = (move: string) => {
    if (!moves.includes(move)) moves.push(move)
  }
  checks.forEach((check) => {
    if (isOfAll(check)) add(ownMove(demand))
    add(check.move)
    if (check.used) add(check.used)
  })
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
  const take = (step: Step) => {
    zone = step[0]
    const value = shift(zones, step)
    done.push(step)
    return value - step[2]
  }
  try {
    moves.forEach((move) => {
      const delta = amounts[move.charAt(0) as keyof Amounts]
      if (!delta) return
      if (isWindow(move)) {
        const check = checks.find((one) => one.move === move) as Check
        before[move] = take(['windows', check.at, delta])
        return
      }
      const steps = heldSteps(demand.pid, move, delta)
      before[move] = take(steps[0] as Step)
      // Tells that there is something to clean up when this worker dies.
      zone = 'slots'
      zones.slots.incr(demand.pid, 0, 1)
      take(steps[1] as Step)
    })
  } catch (error) {
    undo(zones, done)
    countFull(zones)
    throw new Error(
      `Cannot count in the zone tollgate_${zone}, which is full: give it more memory in its ` +
        `js_shared_dict_zone (${(error as Error).message})`,
    )
  }
  return checks.map((check) => levelOf(zones, check, before[check.move] || 0, nowMs))
}

/** When the counters were filled; 0: they are not, which matters to who has a budget alone. */
export function birthOf(zones: Zones): number {
  return zones.counters.get(BIRTH_COUNTER) || 0
}

/** The hold of what was taken, `birth` being that of the counters. */
export function holdOf(demand: Demand, grant: Grant, birth: number): Hold {
  return {
    pid: demand.pid,
    birth,
    minute: minuteOf(demand.nowMs),
    moves: grant.moves,
    amounts: grant.plan.amounts,
  }
}
