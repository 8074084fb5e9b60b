import { type Check, type Checks, checksOf, heldCheck } from './check.ts'
import { giveBack, type Hold } from './hold.ts'
import { askAll, IN_FLIGHT_RETRY_MS, judge } from './judge.ts'
import { type Figures, type LimitRefusal, tellRate } from './refusal.ts'
import { birthOf, commit, holdOf, take, undo } from './take.ts'
import type { Amounts, Demand, Zones } from './types.ts'

/** What was taken before the body was read. It stands beside the request, and its hold in the ticket. */
export type Early = {
  hold: Hold
  figures: Figures
  /** All that holds for the request, those included that are asked when its body is there; null: to be asked for again. */
  checks: Checks | null
  /** In shadow: what would have been refused. */
  shadow?: LimitRefusal
}

/**
 * What one key may have announced and not sent yet, over all workers: four of the largest bodies. nginx
 * makes the buffer of a body as large as was announced, and 40 halves of 33 MB at once, of a client
 * without limits, were 770 MB. A single body is let in whatever its size.
 */
export const UPLOAD_BYTES_MAX = 134217728

/**
 * Takes what needs no body: requests of the minute, places of those in flight, and the bytes of `key`
 * that are announced (0: they are too few to count). Who is refused here is told what reserve()
 * would tell, a spent budget too.
 */
export function reserveEarly(
  zones: Zones,
  demand: Demand,
  key: string,
  uploadBytes: number,
): Early | LimitRefusal {
  const checks = checksOf(demand)
  const amounts: Amounts = { q: 1, a: 1, f: 1, t: 1, i: 1, o: 0, r: 1, R: 1 }
  const plan = { amounts }
  const grant = take(zones, demand, checks.first, amounts, null, plan)
  if ('outcome' in grant) {
    const all = checks.all
    const figures: Figures = {}
    const levels = askAll(zones, all, demand.nowMs)
    const refusal = judge(zones, demand, all, plan, levels, false, figures)
    return Object.assign(refusal || grant, { figures })
  }
  // That of tokens and cost the least was asked for is nothing that it holds.
  amounts.t = amounts.r = amounts.R = 0
  const hold = holdOf(demand, checks.first, amounts, birthOf(zones))
  const early: Early = { hold, figures: grant.figures, checks }
  if (grant.refusal) early.shadow = grant.refusal
  const refusal = uploadBytes ? takeUpload(zones, demand, hold, key, uploadBytes) : null
  if (!refusal) return early
  giveBack(zones, hold, 'qaf')
  return withoutOwn(refusal, early)
}

/** Adds what a request is going to send to its hold; also in shadow, since the gate guards itself. */
function takeUpload(
  zones: Zones,
  demand: Demand,
  hold: Hold,
  key: string,
  bytes: number,
): LimitRefusal | null {
  const check = uploadCheck(key)
  hold.amounts.u = bytes
  let level: number
  try {
    level = commit(zones, demand, [check], hold.amounts, {}).levels[0] as number
  } catch (error) {
    giveBack(zones, hold, 'qaf')
    throw error
  }
  if (level > 0 && level + bytes > check.limit) {
    undo(zones, [check], hold.amounts, 1)
    return tellRate(check, IN_FLIGHT_RETRY_MS, {})
  }
  hold.checks = hold.checks.concat(check)
  return null
}

/** The bound of what a key, by its public id, has announced and not sent yet. */
export function uploadCheck(key: string): Check {
  return heldCheck('u', `u${key}`, 'key', UPLOAD_BYTES_MAX)
}

/** What the headers say when a request is refused that is in the counters of requests already. */
export function withoutOwn(refusal: LimitRefusal, early: Early): LimitRefusal {
  const requests = early.figures['q']
  if (!requests) return refusal
  requests.left++
  if (refusal.outcome !== 'parameter_denied') refusal.figures['q'] = requests
  return refusal
}
