import type { Reservation } from './amounts.ts'
import { type Check, isOfAll, levelOf, usedOf, waitOf } from './check.ts'
import { activeName } from './hold.ts'
import {
  type Figures,
  isTold,
  type LimitRefusal,
  noteFigure,
  tellBudget,
  tellRate,
} from './refusal.ts'
import type { Demand, Zones } from './types.ts'

/** In flight, nothing tells when a place becomes free. */
export const IN_FLIGHT_RETRY_MS = 1000

/** How much of each limit is taken. */
export function askAll(zones: Zones, checks: Check[], nowMs: number): number[] {
  const levels: number[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const zone = check.before ? zones.windows : zones.counters
    levels.push(levelOf(zones, check, zone.get(check.at) || 0, nowMs))
  }
  return levels
}

/**
 * Compares every limit with what others have taken and this request takes, and notes in the figures what the headers
 * tell. Of several that refuse it returns the one that lasts longest. `isMoved`: the request is in the counters
 * already.
 */
export function judge(
  zones: Zones,
  demand: Demand,
  checks: Check[],
  plan: Reservation,
  levels: number[],
  isMoved: boolean,
  figures: Figures,
): LimitRefusal | null {
  const nowMs = demand.nowMs
  let refusal: LimitRefusal | null = null
  let longest = -1
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const level = levels[i] as number
    const amount = plan.amounts[check.kind] as number
    if (isTold(check, figures)) {
      noteFigure(figures, check, isMoved ? level + amount : level, nowMs, demand.zoneMinutes)
    }
    if (level + amount <= check.limit) continue
    if (isOfAll(check) && !isUnfair(zones, checks, i, level + 1, isMoved)) continue
    let waitMs = IN_FLIGHT_RETRY_MS
    const used = check.usedAt ? usedOf(zones, check) : -1
    // Who can never be admitted is told so, unless there is nothing left for anybody.
    const isSpent = used >= 0 && used + (plan.denied ? 1 : amount) > check.limit
    if (isSpent) waitMs = Infinity
    else if (check.before) waitMs = waitOf(zones, check, level, amount, nowMs)
    if (waitMs <= longest) continue
    longest = waitMs
    // What is only reserved by requests in flight may be free again in a moment.
    refusal = isSpent
      ? tellBudget(check, used, nowMs, figures, demand.zoneMinutes)
      : tellRate(check, waitMs, figures)
  }
  return plan.denied && longest < Infinity ? plan.denied : refusal
}

/** Before anything is taken. Most requests are within all limits, and nothing has to be told of them. */
export function isAnyOver(
  zones: Zones,
  checks: Check[],
  plan: Reservation,
  levels: number[],
): boolean {
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const level = levels[i] as number
    if (level + (plan.amounts[check.kind] as number) <= check.limit) continue
    if (!isOfAll(check) || isUnfair(zones, checks, i, level + 1, false)) return true
  }
  return false
}

/** Whether a request that is the `total`-th in flight, beyond maxInFlight, has to go, see reserve(). */
function isUnfair(
  zones: Zones,
  checks: Check[],
  index: number,
  total: number,
  isMoved: boolean,
): boolean {
  const move = (checks[index - 1] as Check).move
  const limit = (checks[index] as Check).limit
  const own = (zones.counters.get(move) || 0) + (isMoved ? 0 : 1)
  const active = (zones.counters.get(activeName(move)) || 0) + (isMoved || own > 1 ? 0 : 1)
  return own > Math.max(1, Math.floor(limit / active)) || total > 2 * limit
}
