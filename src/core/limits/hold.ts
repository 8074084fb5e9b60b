import { type Check, isSame } from './check.ts'
import {
  BIRTH_COUNTER,
  type CounterKind,
  counterName,
  dayOf,
  FULL_COUNTER,
  minuteOf,
  monthOf,
} from './counters.ts'
import type { Amounts, Zones } from './types.ts'

/** What a request in flight holds. */
export type Hold = {
  /** The birth of the counters that were moved; 0: none was needed. */
  birth: number
  /** When it was reserved. */
  minute: number
  /** Whose counters it has moved. The list is that of other requests too: nobody may change it. */
  checks: Check[]
  amounts: Amounts
  /** Where days and months of its budgets begin, minutes east of UTC; left out: UTC. */
  zoneMinutes?: number | undefined
  /** The same as it stands in the names that the checks have. */
  namedZone?: number | undefined
  /** It has hard budgets, see extendHold(). */
  isHard?: true
}

const NOTHING: Check[] = []

/** Moves one counter, of a kind. */
export function shift(
  zones: Zones,
  zone: keyof Zones,
  kind: string,
  name: string,
  delta: number,
): number {
  if (kind === 'a') return shiftOfClient(zones.counters, name, delta)
  return zones[zone].incr(name, delta, 0)
}

/**
 * What a client has in flight of maxInFlight. Whoever takes it from 0 to 1, or back, moves the number of active clients
 * with it.
 */
export function shiftOfClient(counters: Zones['counters'], name: string, delta: number): number {
  const active = activeName(name)
  // Made first, so that it cannot be the one for which there is no room.
  counters.incr(active, 0, 0)
  const value = counters.incr(name, delta, 0)
  if (value === (delta > 0 ? delta : 0)) counters.incr(active, delta > 0 ? 1 : -1, 0)
  return value
}

/** The counter of active clients beside that of one of them: `avllm/` beside `avllm/app`. */
export function activeName(name: string): string {
  return name.slice(0, name.indexOf('/') + 1)
}

/** As shift(), where nothing may throw: what does not fit into a full zone is lost, and counted as such. */
export function shiftSafely(
  zones: Zones,
  zone: keyof Zones,
  kind: string,
  name: string,
  delta: number,
): void {
  try {
    shift(zones, zone, kind, name, delta)
  } catch (_) {
    countFull(zones)
  }
}

/** Notes that a zone is full, for the state. */
export function countFull(zones: Zones): void {
  try {
    zones.counters.incr(FULL_COUNTER, 1, 0)
  } catch (_) {
    // Housekeeping has not made the entry yet, and now cannot.
  }
}

/**
 * The counters that a request has moved, as they stand in its entry among those that run: their birth, and names with a
 * space before each: a site may give a server any name. Of unread bytes the amount stands behind a colon. Empty where
 * nothing is held.
 */
export function heldOf(hold: Hold): string {
  const checks = hold.checks
  let names = ''
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    if (check.before || !hold.amounts[check.kind] || isSame(checks, i)) continue
    names += ' ' + encodeURIComponent(check.move)
    if (check.kind === 'u') names += ':' + hold.amounts.u
  }
  return names === '' ? '' : hold.birth + names
}

/**
 * Gives back what a request holds of some kinds, as if it had never been there, its place in the minute
 * too. A second call for the same hold does nothing. Never throws.
 */
export function giveBack(zones: Zones, hold: Hold, kinds: string): void {
  const isGone = isOfOther(zones, hold)
  const checks = hold.checks
  const kept: Check[] = []
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    if (kinds.indexOf(check.kind) < 0) {
      kept.push(check)
      continue
    }
    const held = hold.amounts[check.kind]
    if (!held || isSame(checks, i)) continue
    if (check.before) shiftSafely(zones, 'windows', check.kind, check.at, -held)
    else if (!isGone) shiftSafely(zones, 'counters', check.kind, check.move, -held)
  }
  hold.checks = kept
}

/** Whether a limit or budget of it counts tokens or cost, and not requests and places alone. */
export function countsTokens(hold: Hold): boolean {
  const checks = hold.checks
  for (let i = 0; i < checks.length; i++) {
    if ('tiorR'.indexOf((checks[i] as Check).kind) >= 0) return true
  }
  return false
}

/** Whether the counters that were moved are gone, and others in their place. */
function isOfOther(zones: Zones, hold: Hold): boolean {
  return hold.birth !== 0 && zones.counters.get(BIRTH_COUNTER) !== hold.birth
}

/**
 * Gives back what a request holds, and counts what it used, at its end. What it did not use of a
 * minute goes back to the minute it was taken from, as long as that counts; what exceeded it is added
 * to the running one. Budgets count in the day and month of `endMs`, which is the ledger line's time.
 * Cost in nano-units. A second call for the same hold does nothing. Never throws.
 */
export function settleHold(
  zones: Zones,
  hold: Hold,
  used: { input: number; output: number; cost: number },
  endMs: number,
): void {
  const checks = hold.checks
  const amounts = hold.amounts
  const tokens = used.input + used.output
  const isGone = isOfOther(zones, hold)
  hold.checks = NOTHING
  // What is used first: for a moment both count, which is never too little.
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    if (!check.usedAt) continue
    const delta = check.kind === 'R' ? used.cost : tokens
    if (delta) shiftSafely(zones, 'counters', 'd', usedName(check, hold, endMs), delta)
  }
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const kind = check.kind
    const held = amounts[kind] || 0
    if (!check.before) {
      if (held && !isGone && !isSame(checks, i))
        shiftSafely(zones, 'counters', kind, check.move, -held)
      continue
    }
    if (kind === 'q') continue
    const delta = (kind === 't' ? tokens : kind === 'i' ? used.input : used.output) - held
    // A minute that does not count any more takes nothing back.
    if (!delta || (delta < 0 && minuteOf(endMs) > hold.minute + 1)) continue
    const isLater = delta > 0 && minuteOf(endMs) !== hold.minute
    const name = isLater ? check.move + minuteOf(endMs).toString(36) : check.at
    shiftSafely(zones, 'windows', kind, name, delta)
  }
}

/** The counter of what is used of a budget, in the day or month of a time. */
function usedName(check: Check, hold: Hold, timeMs: number): string {
  const zone = hold.zoneMinutes
  // Days begin with a minute.
  if (minuteOf(timeMs) === hold.minute && zone === hold.namedZone) return check.usedAt
  const kind = check.usedAt.charAt(0) as CounterKind
  const isDaily = kind === 'd' || kind === 'D'
  const window = isDaily ? dayOf(timeMs, zone) : monthOf(timeMs, zone)
  return counterName(kind, check.move.slice(1), window, zone)
}

/**
 * A running request with hard budgets has used `tokens` and `cost` (nano-units) by now, or wants to:
 * takes what that is more than it holds. False when the budget has not that much, and nothing was
 * taken: the answer has to end. The hold that is settled must be the one that was extended. It may
 * be asked for some more than was used, so that not every event has to ask.
 */
export function extendHold(
  zones: Zones,
  hold: Hold,
  tokens: number,
  cost: number,
  nowMs: number,
): boolean {
  const more: Partial<Amounts> & { r: number; R: number } = {
    r: tokens - hold.amounts.r,
    R: cost - hold.amounts.R,
  }
  if (!hold.isHard || (more.r <= 0 && more.R <= 0)) return true
  if (zones.counters.get(BIRTH_COUNTER) !== hold.birth) return true
  const checks = hold.checks
  let isLeft = true
  let value = 0
  let end = 0
  try {
    for (; end < checks.length; end++) {
      const check = checks[end] as Check
      const delta = more[check.kind] || 0
      if (delta <= 0) continue
      if (!isSame(checks, end)) value = zones.counters.incr(check.move, delta, 0)
      const used = zones.counters.get(usedName(check, hold, nowMs)) || 0
      if (check.isHard && value + used > check.limit) isLeft = false
    }
  } catch (_) {
    countFull(zones)
    isLeft = false
  }
  if (!isLeft) {
    for (let i = 0; i < end; i++) {
      const check = checks[i] as Check
      const delta = more[check.kind] || 0
      if (delta > 0 && !isSame(checks, i))
        shiftSafely(zones, 'counters', check.kind, check.move, -delta)
    }
    return false
  }
  hold.amounts.r += Math.max(0, more.r)
  hold.amounts.R += Math.max(0, more.R)
  return true
}
