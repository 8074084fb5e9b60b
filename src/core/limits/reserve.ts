import { type Check, type Checks, checksOf } from './check.ts'
import { minuteOf } from './counters.ts'
import { type Early, withoutOwn } from './early.ts'
import type { Hold } from './hold.ts'
import type { Figures, LimitRefusal } from './refusal.ts'
import { birthOf, type Grant, holdOf, take } from './take.ts'
import type { Amounts, Demand, Zones } from './types.ts'

export { type Early, reserveEarly, UPLOAD_BYTES_MAX } from './early.ts'
export { estimateInput } from './estimate.ts'
export { countsTokens, extendHold, giveBack, type Hold, settleHold } from './hold.ts'
export { type Figures, type LimitRefusal, tellLimits } from './refusal.ts'
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

/**
 * Takes from all limits and budgets what a request needs, or from none of them: ask all, commit all,
 * undo all. Counters move by one atomic `incr` each, whose result decides: add first, then look.
 * With `early` it takes the rest; who is refused then gives that back too, see giveBack().
 *
 * What is reserved: the prompt as estimated, and the maximum that the caller names, or the default
 * within what is free.
 * - A limit of the minute takes no more for the answer than the model usually gives: agents name 32,000 whatever
 *   they need. It admits into an empty window whatever comes: what is larger is reserved as the limit, and
 *   what was used beyond it is added when it ends, see settleHold().
 * - A budget is not closed to callers that name a huge maximum: they reserve its free part.
 * - With one hard budget all budgets of the request are hard: the prompt is reserved at its upper bound,
 *   and the engine must be told a maximum that was reserved (`outputCeiling`). A prompt that one of them can
 *   never hold is `parameter_denied`, unless that one is spent: this is told first.
 * - So is a model without a price under a budget in cost, soft or hard.
 *
 * maxInFlight, of each server behind: with N in flight at most, and A clients that have any, this request and its client
 * included, a client's share is N / A, rounded down, but 1 at least. Up to N in flight all are
 * admitted. Beyond it only who stays within its share is, up to 2 N in all. So one greedy client fills
 * N places and no more; who comes later gets its share at once, while the greedy one gets none of its own back
 * until the total is below N.
 *
 * A full zone throws, with everything undone.
 */
export function reserve(
  zones: Zones,
  demand: Demand,
  early?: Early | null,
): Reserved | LimitRefusal {
  // A body may have taken longer than the minute that stands in the names.
  const isOld = !early || minuteOf(demand.nowMs) !== early.hold.minute
  const lists = (!isOld && early && early.checks) || checksOf(demand)
  const checks = early ? lists.rest : lists.all
  const birth = (early && early.hold.birth) || birthOf(zones)
  if (birth === 0 && hasBudget(checks)) {
    // What was used of the budgets is not known yet.
    return { outcome: 'starting', limit: '', retryAfterMs: 1000, figures: {} }
  }
  const amounts: Amounts = early
    ? early.hold.amounts
    : { q: 1, a: 1, f: 1, t: 0, i: 0, o: 0, r: 0, R: 0 }
  const grant = take(zones, demand, checks, amounts, early ? early.figures : null)
  if ('outcome' in grant) return early ? withoutOwn(grant, early) : grant
  if (!early) return admitted(demand, grant, holdOf(demand, checks, amounts, birth), null)
  const hold = early.hold
  hold.checks = joined(hold.checks, lists)
  hold.birth = birth
  hold.minute = minuteOf(demand.nowMs)
  return admitted(demand, grant, hold, early)
}

/** What was taken before the body, and with it. A list is that of other requests too: nobody may change it. */
function joined(taken: Check[], lists: Checks): Check[] {
  return taken === lists.first ? lists.all : taken.concat(lists.rest)
}

function hasBudget(checks: Check[]): boolean {
  for (let i = 0; i < checks.length; i++) if ((checks[i] as Check).usedAt) return true
  return false
}

function admitted(demand: Demand, grant: Grant, hold: Hold, early: Early | null): Reserved {
  const plan = grant.plan
  const result: Reserved = { hold, figures: grant.figures }
  let shadow = grant.refusal
  if (early) {
    // Of two the one that lasts longer: a spent budget.
    if (early.shadow && !(shadow && shadow.outcome === 'budget_spent')) shadow = early.shadow
  }
  if (shadow) result.shadow = shadow
  if (plan.outputCeiling !== undefined) result.outputCeiling = plan.outputCeiling
  if (plan.isHard && !demand.isShadow) hold.isHard = true
  return result
}
