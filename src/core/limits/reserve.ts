import { kindOf, type Reservation, reservationOf } from './amounts.ts'
import { type Check, checksOf, isWindow, levelOf, usedOf, waitOf } from './check.ts'
import { BIRTH_COUNTER, EVERYBODY, minuteOf } from './counters.ts'
import {
  type Amounts,
  activeName,
  countFull,
  type Hold,
  heldSteps,
  type Step,
  shift,
  undo,
} from './hold.ts'
import { type Figures, type LimitRefusal, noteFigure, tellBudget, tellRate } from './refusal.ts'
import type { Demand, Zones } from './types.ts'

export { estimateInput, learnRatio } from './estimate.ts'
export { extendHold, type Hold, settleHold } from './hold.ts'
export { type Figures, type LimitRefusal, limitVariables } from './refusal.ts'
export type { Demand, Zones } from './types.ts'

/** An admitted request. */
export type Reserved = {
  hold: Hold
  /** What the headers say. */
  figures: Figures
  /** In shadow: what would have been refused. */
  shadow?: LimitRefusal
  /** Hard budgets: the engine has to be told this maximum per choice, lower than the caller's or where there is none. */
  outputCeiling?: number
}

/** When others take at the same moment what was free on asking, it is asked anew so often. */
const TRIES = 3

/** In flight, nothing tells when a place becomes free. */
const IN_FLIGHT_RETRY_MS = 1000

/**
 * Takes from all limits and budgets what a request needs, or from none of them: ask all, commit all,
 * undo all. Counters move by one atomic `incr` each, whose result decides: add first, then look.
 *
 * What is reserved: the prompt as estimated, and the maximum that the caller names, or the default
 * within the free part of the smallest limit.
 * - A limit admits into an empty window whatever may fit: an estimate of the prompt that is larger is
 *   reserved as the limit. A maximum that is larger can never fit: `parameter_denied`.
 * - A budget is not closed to callers that name a huge maximum: they reserve its free part. Where the
 *   maximum is above the whole of a soft budget: `parameter_denied`.
 * - With one hard budget all budgets of the request are hard: the prompt is reserved at its upper bound,
 *   and the engine must be told a maximum that was reserved (`outputCeiling`).
 *
 * maxInFlight, of each server behind: with N in flight at most, and A clients that have any, this request and its client
 * included, a client's share is N / A, rounded down, but 1 at least. Up to N in flight all are
 * admitted. Beyond it only who stays within its share is, up to 2 N in all. So one greedy client fills
 * N places and no more; who comes later gets its share at once, while the greedy one gets none of its own back
 * until the total is below N.
 *
 * A full zone throws, with everything undone.
 */
export function reserve(zones: Zones, demand: Demand): Reserved | LimitRefusal {
  const checks = checksOf(demand)
  if (checks.some(isBudget) && zones.counters.get(BIRTH_COUNTER) === undefined) {
    const message = 'What was used of the budgets is not known yet: retry in a moment'
    return { outcome: 'gate_error', limit: '', message, figures: {}, loading: true }
  }
  for (let left = TRIES; ; left--) {
    const levels = askAll(zones, checks, demand.nowMs)
    const plan = reservationOf(demand, checks, levels)
    if (!demand.isShadow && (plan.denied || isAnyOver(zones, demand, checks, plan, levels))) {
      const asked = judge(zones, demand, checks, plan, levels, false)
      if (asked.refusal) return asked.refusal
    }
    const moves = movesOf(demand, checks)
    const steps: Step[] = []
    const taken = commit(zones, demand, checks, moves, plan.amounts, steps)
    const verdict = judge(zones, demand, checks, plan, taken, true)
    if (!verdict.refusal || demand.isShadow) {
      return admitted(zones, demand, checks, moves, plan, verdict)
    }
    undo(zones, steps)
    if (left <= 1) return verdict.refusal
  }
}

function isBudget(check: Check): boolean {
  return check.used !== undefined
}

/** How much of each limit is taken. */
function askAll(zones: Zones, checks: Check[], nowMs: number): number[] {
  return checks.map((check) => {
    const zone = check.before ? zones.windows : zones.counters
    return levelOf(zones, check, zone.get(check.at) || 0, nowMs)
  })
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
function commit(
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

type Verdict = { refusal?: LimitRefusal; figures: Figures }

/**
 * Compares every limit with what others have taken and this request takes. Of several that refuse it
 * tells the one that lasts longest. `isMoved`: the request is in the counters already.
 */
function judge(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  plan: Reservation,
  levels: number[],
  isMoved: boolean,
): Verdict {
  const nowMs = demand.nowMs
  const figures: Figures = {}
  const verdict: Verdict = { figures }
  let longest = -1
  checks.forEach((check, i) => {
    const level = levels[i] as number
    const amount = plan.amounts[kindOf(check)]
    noteFigure(figures, check, isMoved ? level + amount : level, nowMs)
    if (!isOver(zones, demand, check, level, amount, isMoved)) return
    let waitMs = IN_FLIGHT_RETRY_MS
    const isSpent = check.used !== undefined && usedOf(zones, check) + amount > check.limit
    if (isSpent) waitMs = Infinity
    else if (check.before) waitMs = waitOf(zones, check, level, amount, nowMs)
    if (waitMs <= longest) return
    longest = waitMs
    // What is only reserved by requests in flight may be free again in a moment.
    verdict.refusal = isSpent
      ? tellBudget(check, level, nowMs, figures)
      : tellRate(check, waitMs, nowMs, figures)
  })
  if (plan.denied) verdict.refusal = plan.denied
  return verdict
}

/** Whether a limit has not as much as a request takes of it, beside what others have taken. */
function isOver(
  zones: Zones,
  demand: Demand,
  check: Check,
  level: number,
  amount: number,
  isMoved: boolean,
): boolean {
  if (level + amount <= check.limit) return false
  return !isOfAll(check) || isUnfair(zones, demand, check.limit, level + 1, isMoved)
}

/** Before anything is taken. Most requests are within all limits, and nothing has to be told of them. */
function isAnyOver(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  plan: Reservation,
  levels: number[],
): boolean {
  return checks.some((check, i) =>
    isOver(zones, demand, check, levels[i] as number, plan.amounts[kindOf(check)], false),
  )
}

/** Whether a request that is the `total`-th in flight, beyond maxInFlight, has to go, see reserve(). */
function isUnfair(
  zones: Zones,
  demand: Demand,
  limit: number,
  total: number,
  isMoved: boolean,
): boolean {
  const move = ownMove(demand)
  const own = (zones.counters.get(move) || 0) + (isMoved ? 0 : 1)
  const active = (zones.counters.get(activeName(move)) || 0) + (isMoved || own > 1 ? 0 : 1)
  return own > Math.max(1, Math.floor(limit / active)) || total > 2 * limit
}

function isOfAll(check: Check): boolean {
  return check.move.startsWith(`f${EVERYBODY}`)
}

/** The counter of what the client has in flight, for its share of maxInFlight. */
function ownMove(demand: Demand): string {
  return `a${demand.upstream}/${demand.clientId}`
}

function admitted(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  moves: string[],
  plan: Reservation,
  verdict: Verdict,
): Reserved {
  const hold: Hold = {
    pid: demand.pid,
    birth: zones.counters.get(BIRTH_COUNTER) || 0,
    minute: minuteOf(demand.nowMs),
    moves,
    amounts: plan.amounts,
  }
  const result: Reserved = { hold, figures: verdict.figures }
  if (verdict.refusal) result.shadow = verdict.refusal
  if (plan.outputCeiling !== undefined) result.outputCeiling = plan.outputCeiling
  if (!demand.isShadow && checks.some((check) => check.isHard)) {
    hold.hard = checks
      .filter(isBudget)
      .map((check) => ({ used: check.used as string, limit: check.limit }))
  }
  return result
}
