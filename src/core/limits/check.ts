import type { Limited } from '../config/record.ts'
import type { Budgets, Limits } from '../config/shapes.ts'
import { type CounterKind, counterName, dayOf, EVERYBODY, minuteOf, monthOf } from './counters.ts'
import type { Demand, Zones } from './types.ts'

/** One limit or budget that a request has to fit into. */
export type Check = {
  /** Kind and id of the counter that moves, without its minute: `qAbCdEfGhIj`, see counters.ts. */
  move: string
  /** Its whole name now, and for a window that of the minute before. Made once, since it takes 1.5 us. */
  at: string
  before?: string
  /** Budgets: kind and id of the counter of what is used, and its whole name. */
  used?: string
  usedAt?: string
  /** `requestsPerMinute of client`. */
  name: string
  /** Cost in nano-units. */
  limit: number
  /** Nothing may go beyond it, see reserve(). */
  isHard: boolean
}

const MINUTE_MS = 60000

/** Checks, and the counters that they move, each once, by movesOf(). */
export type CheckList = Check[] & { moves?: string[] }

/** All that holds for a request: what needs no body to be asked, requests and places, and the rest. */
export type Checks = { all: CheckList; first: CheckList; rest: CheckList }

/** Whose checks were made last, for a minute: where a record stays in its context, so do they. */
type Kept = Limited[] & {
  kept?: { minute: number; zone: number | undefined; flags: number; checks: Checks }
}

/**
 * All that holds for a request: of its client, its key and its group, and for everybody. Names of counters are dear, and
 * change once a minute. Nobody may change what is returned.
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
  const all = listChecks(demand)
  const checks: Checks = { all, first: [], rest: [] }
  for (let i = 0; i < all.length; i++) {
    const check = all[i] as Check
    const kind = check.move.charAt(0)
    checks[kind === 'q' || kind === 'f' ? 'first' : 'rest'].push(check)
  }
  if (isKept) limited.kept = { minute, zone: demand.zoneMinutes, flags, checks }
  return checks
}

/** The counters that some checks move, each once. */
export function movesOf(demand: Demand, checks: CheckList): string[] {
  if (checks.moves) return checks.moves
  const moves: string[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    // What is used of each budget has a counter of its own, and so has who shares maxInFlight.
    if (isOfAll(check)) moves.push(ownMove(demand))
    if (!moves.includes(check.move)) moves.push(check.move)
    if (check.used) moves.push(check.used)
  }
  checks.moves = moves
  return moves
}

export function isOfAll(check: Check): boolean {
  return check.move.startsWith(`f${EVERYBODY}`)
}

/** The counter of what the client has in flight, for its share of maxInFlight. */
export function ownMove(demand: Demand): string {
  return `a${demand.upstream}/${demand.clientId}`
}

function listChecks(demand: Demand): Check[] {
  const checks: Check[] = []
  const limited = demand.limited
  let isHard = false
  for (let i = 0; i < limited.length; i++) {
    const budgets = (limited[i] as Limited).budgets
    if (demand.isMetered && budgets && budgets.hard) isHard = true
  }
  for (let i = 0; i < limited.length; i++) {
    const subject = limited[i] as Limited
    if (subject.limits) addChecks(checks, demand, subject, subject.limits, false)
    if (subject.budgets) addChecks(checks, demand, subject, subject.budgets, isHard)
  }
  if (demand.maxInFlight !== undefined) {
    const check = checkOf(`f${EVERYBODY}${demand.upstream}`, demand.nowMs)
    check.name = 'maxInFlight'
    check.limit = demand.maxInFlight
    checks.push(check)
  }
  return checks
}

/** Adds the checks of the limits, or of the budgets, of one client, key or group. */
function addChecks(
  checks: Check[],
  demand: Demand,
  subject: Limited,
  ceilings: Limits | Budgets,
  isHard: boolean,
): void {
  const fields = Object.keys(ceilings) as (keyof Limits & keyof Budgets)[]
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as keyof Limits & keyof Budgets
    const kinds = kindsOf(field)
    const move = kinds.charAt(0)
    const isCounted = demand.isMetered || (demand.isCharged && kinds.length > 1)
    if (!move || (!isCounted && move !== 'q' && move !== 'f')) continue
    const check = checkOf(move + subject.id, demand.nowMs)
    check.name = `${field} of ${subject.of}`
    check.limit = ceilings[field]
    if (kinds.length > 1) {
      check.used = kinds.charAt(1) + subject.id
      check.usedAt = nameAt(check.used, demand.nowMs, demand.zoneMinutes)
      check.isHard = isHard
    }
    checks.push(check)
  }
}

/** A check over one counter, by its kind and id; what it allows is still to be said. */
export function checkOf(move: string, nowMs: number): Check {
  const check: Check = { move, at: nameAt(move, nowMs), name: '', limit: 0, isHard: false }
  if (isWindow(move)) check.before = nameAt(move, nowMs - MINUTE_MS)
  return check
}

/** The counter that a limit moves and, for a budget, the one of what is used. Empty for `hard`. */
function kindsOf(field: string): string {
  switch (field) {
    case 'requestsPerMinute':
      return 'q'
    case 'tokensPerMinute':
      return 't'
    case 'inputTokensPerMinute':
      return 'i'
    case 'outputTokensPerMinute':
      return 'o'
    case 'concurrency':
      return 'f'
    case 'tokensPerDay':
      return 'rd'
    case 'tokensPerMonth':
      return 'rm'
    case 'costPerDay':
      return 'RD'
    case 'costPerMonth':
      return 'RM'
    default:
      return ''
  }
}

/** The whole name of a counter, with the minute of a time, or with its day or month in a time zone. */
export function nameAt(move: string, timeMs: number, zoneMinutes?: number): string {
  const kind = move.charAt(0) as CounterKind
  const at = 'qtiodDmM'.indexOf(kind)
  if (at < 0) return move
  const id = move.slice(1)
  if (at < 4) return counterName(kind, id, minuteOf(timeMs))
  const window = at < 6 ? dayOf(timeMs, zoneMinutes) : monthOf(timeMs, zoneMinutes)
  return counterName(kind, id, window, zoneMinutes)
}

/** Whether a counter is of a minute, and so in the zone of windows. */
export function isWindow(move: string): boolean {
  return 'qtio'.indexOf(move.charAt(0)) >= 0
}

/**
 * How much of a limit is taken, when its moving counter is at `held`. What is used of a budget is read
 * here, after what is reserved: a settlement adds to the first before it takes from the second, so
 * that the sum is never too small.
 */
export function levelOf(zones: Zones, check: Check, held: number, nowMs: number): number {
  if (check.usedAt) return held + usedOf(zones, check)
  return check.before ? held + slidOf(previousOf(zones, check), nowMs) : held
}

/** How much of a budget is used, by what has ended. */
export function usedOf(zones: Zones, check: Check): number {
  return zones.counters.get(check.usedAt as string) || 0
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
  const previous = previousOf(zones, check)
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

function previousOf(zones: Zones, check: Check): number {
  return zones.windows.get(check.before as string) || 0
}

/** What still counts of the minute before. Rounded up, so that a limit is never exceeded. */
function slidOf(previous: number, nowMs: number): number {
  return Math.ceil((previous * (MINUTE_MS - (nowMs % MINUTE_MS))) / MINUTE_MS)
}
