import type { Limited } from '../config/record.ts'
import { dayOf, EVERYBODY, minuteOf, monthOf, zoneSuffix } from './counters.ts'
import type { Amounts, Demand, Zones } from './types.ts'

/** One limit or budget that a request has to fit into, or a counter that it moves for one. */
export type Check = {
  /** What it counts: how far a request moves it. */
  kind: keyof Amounts
  /** Kind and id of its counter, see counters.ts, without the minute of a window. */
  move: string
  /** The whole name of the counter now; of a window also that of the minute before, else empty. */
  at: string
  before: string
  /** Budgets: the whole name of the counter of what is used, now. Else empty. */
  usedAt: string
  /** Whose it is; empty for what is everybody's. */
  of: string
  /** Cost in nano-units. */
  limit: number
  /** Nothing may go beyond it, see reserve(). */
  isHard: boolean
}

const MINUTE_MS = 60000

/** All that holds for a request: what needs no body to be asked, requests and places, and the rest. */
export type Checks = { all: Check[]; first: Check[]; rest: Check[] }

/** Whose checks were made last, for a minute: where a record stays in its context, so do they. */
type Kept = Limited[] & {
  kept?: { minute: number; zone: number | undefined; flags: number; checks: Checks }
}

/**
 * All that holds for a request: of its client, its key and its group, and for everybody. Checks that move one counter
 * stand together. Names of counters are dear, and change once a minute. Nobody may change what is returned.
 */
export function checksOf(demand: Demand): Checks {
  const limited: Kept = demand.limited
  const minute = minuteOf(demand.nowMs)
  const flags = (demand.isMetered ? 1 : 0) + (demand.isCharged ? 2 : 0)
  const kept = limited.kept
  // How many share maxInFlight is asked for each server.
  const isKept = demand.maxInFlight === undefined
  if (isKept && kept && kept.minute === minute && kept.flags === flags) {
    if (kept.zone === demand.zoneMinutes) return kept.checks
  }
  const checks = listChecks(demand, minute)
  if (isKept) limited.kept = { minute, zone: demand.zoneMinutes, flags, checks }
  return checks
}

function listChecks(demand: Demand, minute: number): Checks {
  const limited = demand.limited
  const first: Check[] = []
  const rest: Check[] = []
  const at = minute.toString(36)
  const before = (minute - 1).toString(36)
  const isMetered = demand.isMetered
  let isHard = false
  for (let i = 0; i < limited.length; i++) {
    const budgets = (limited[i] as Limited).budgets
    if (isMetered && budgets && budgets.hard) isHard = true
  }
  let day = ''
  let month = ''
  for (let i = 0; i < limited.length; i++) {
    const subject = limited[i] as Limited
    const id = subject.id
    const of = subject.of
    const limits = subject.limits
    if (limits) {
      addRate(first, 'q', id, at, before, of, limits.requestsPerMinute)
      if (limits.concurrency !== undefined) {
        first.push(heldCheck('f', `f${id}`, of, limits.concurrency))
      }
      if (isMetered) {
        addRate(rest, 't', id, at, before, of, limits.tokensPerMinute)
        addRate(rest, 'i', id, at, before, of, limits.inputTokensPerMinute)
        addRate(rest, 'o', id, at, before, of, limits.outputTokensPerMinute)
      }
    }
    const budgets = subject.budgets
    if (!budgets || !(isMetered || demand.isCharged)) continue
    if (day === '') {
      const suffix = zoneSuffix(demand.zoneMinutes)
      day = dayOf(demand.nowMs, demand.zoneMinutes).toString(36) + suffix
      month = monthOf(demand.nowMs, demand.zoneMinutes).toString(36) + suffix
    }
    addBudget(rest, 'd', id, day, of, budgets.tokensPerDay, isHard)
    addBudget(rest, 'm', id, month, of, budgets.tokensPerMonth, isHard)
    addBudget(rest, 'D', id, day, of, budgets.costPerDay, isHard)
    addBudget(rest, 'M', id, month, of, budgets.costPerMonth, isHard)
  }
  if (demand.maxInFlight !== undefined) {
    // What the client has in flight, for its share.
    first.push(heldCheck('a', `a${demand.upstream}/${demand.clientId}`, '', Infinity))
    first.push(heldCheck('f', `f${EVERYBODY}${demand.upstream}`, '', demand.maxInFlight))
  }
  return { all: first.concat(rest), first, rest }
}

function addRate(
  checks: Check[],
  kind: 'q' | 't' | 'i' | 'o',
  id: string,
  at: string,
  before: string,
  of: string,
  limit: number | undefined,
): void {
  if (limit === undefined) return
  const move = kind + id
  checks.push({
    kind,
    move,
    at: move + at,
    before: move + before,
    usedAt: '',
    of,
    limit,
    isHard: false,
  })
}

function addBudget(
  checks: Check[],
  used: 'd' | 'm' | 'D' | 'M',
  id: string,
  time: string,
  of: string,
  limit: number | undefined,
  isHard: boolean,
): void {
  if (limit === undefined) return
  const kind = used === 'd' || used === 'm' ? 'r' : 'R'
  const move = kind + id
  checks.push({
    kind,
    move,
    at: move,
    before: '',
    usedAt: used + id + time,
    of,
    limit,
    isHard,
  })
}

/** A check over what is in flight. */
export function heldCheck(kind: Check['kind'], move: string, of: string, limit: number): Check {
  return { kind, move, at: move, before: '', usedAt: '', of, limit, isHard: false }
}

/** Whether a check is maxInFlight, which stands behind the one of the client's own. */
export function isOfAll(check: Check): boolean {
  return check.kind === 'f' && check.of === ''
}

/** Whether the counter of a check is one that the check before it moves. */
export function isSame(checks: Check[], index: number): boolean {
  return index > 0 && (checks[index - 1] as Check).move === (checks[index] as Check).move
}

/**
 * How much of a limit is taken, when its moving counter is at `held`. What is used of a budget is read
 * here, after what is reserved: a settlement adds to the first before it takes from the second, so
 * that the sum is never too small.
 */
export function levelOf(zones: Zones, check: Check, held: number, nowMs: number): number {
  if (check.usedAt) return held + usedOf(zones, check)
  if (!check.before) return held
  const previous = zones.windows.get(check.before)
  return previous ? held + slidOf(previous, nowMs) : held
}

/** How much of a budget is used, by what has ended. */
export function usedOf(zones: Zones, check: Check): number {
  return zones.counters.get(check.usedAt) || 0
}

/**
 * How long until `amount` more fit into a window whose level is `level`, 1 to 60000 ms. The running minute counts
 * whole until it ends, the one before by what is left of it: with 50 in each at second 30, 75 are taken.
 */
export function waitOf(
  zones: Zones,
  check: Check,
  level: number,
  amount: number,
  nowMs: number,
): number {
  const previous = zones.windows.get(check.before) || 0
  const running = level - slidOf(previous, nowMs)
  const free = check.limit - amount
  const leftMs = MINUTE_MS - (nowMs % MINUTE_MS)
  const waitMs =
    running <= free
      ? leftMs - Math.floor(((free - running) * MINUTE_MS) / previous)
      : // In the next minute, when the running one has become the one before.
        leftMs + MINUTE_MS - Math.floor((free * MINUTE_MS) / running)
  return Math.min(Math.max(waitMs, 1), MINUTE_MS)
}

/** What still counts of the minute before. Rounded up, so that a limit is never exceeded. */
export function slidOf(previous: number, nowMs: number): number {
  return Math.ceil((previous * (MINUTE_MS - (nowMs % MINUTE_MS))) / MINUTE_MS)
}
