import { isWindow, nameAt } from './check.ts'
import { BIRTH_COUNTER, FULL_COUNTER, minuteOf } from './counters.ts'
import type { Zones } from './types.ts'

/**
 * How far a request moves the counters of each kind: requests `q`, in flight `a` and `f`, tokens of
 * the minute `t` `i` `o`, tokens `r` and cost `R` (nano-units) of budgets.
 */
export type Amounts = {
  q: number
  a: number
  f: number
  t: number
  i: number
  o: number
  r: number
  R: number
  /** Bytes that are announced and not read yet. */
  u?: number
}

/** What a request in flight holds. Plain JSON: it travels in the ticket. */
export type Hold = {
  /** The worker, base 36. */
  pid: string
  /** The birth of the counters that were moved; 0: none was needed. */
  birth: number
  /** When it was reserved. */
  minute: number
  /** Kind and id of the counters it moved, or will move: `fAbCdEfGhIj`. */
  moves: string[]
  amounts: Amounts
  /** Where days and months of its budgets begin, minutes east of UTC; left out: UTC. */
  zoneMinutes?: number | undefined
  /** Hard budgets, for extendHold(): kind and id of the counter of what is used. */
  hard?: { used: string; limit: number }[]
}

const MINUTE_MS = 60000

/**
 * Moves one counter. Whoever takes the in-flight count of a client from 0 to 1, or back, moves the
 * number of active clients with it. A slot's entry at 0 is deleted: only its own worker touches it, or,
 * when that is dead, the one that cleans up after it.
 */
export function shift(zones: Zones, zone: keyof Zones, name: string, delta: number): number {
  const isOfClient = zone === 'counters' && name.charAt(0) === 'a'
  // Made first, so that it cannot be the one for which there is no room.
  if (isOfClient) zones.counters.incr(activeName(name), 0, 0)
  const value = zones[zone].incr(name, delta, 0)
  if (zone === 'slots' && value <= 0) zones.slots.delete(name)
  if (isOfClient && value === Math.max(delta, 0)) {
    zones.counters.incr(activeName(name), delta > 0 ? 1 : -1, 0)
  }
  return value
}

/** The counter of active clients beside that of one of them: `avllm/` beside `avllm/app`. */
export function activeName(name: string): string {
  return name.slice(0, name.indexOf('/') + 1)
}

/** As shift(), where nothing may throw: what does not fit into a full zone is lost, and counted as such. */
export function shiftSafely(zones: Zones, zone: keyof Zones, name: string, delta: number): void {
  try {
    shift(zones, zone, name, delta)
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

/** Moves what is in flight or reserved, for all and for the worker. Never throws. */
export function shiftHeld(zones: Zones, pid: string, move: string, delta: number): void {
  shiftSafely(zones, 'counters', move, delta)
  shiftSafely(zones, 'slots', pid + move, delta)
}

/**
 * Gives back what a request holds of some kinds, as if it had never been there, its place in the minute
 * too. A second call for the same hold does nothing. Never throws.
 */
export function giveBack(zones: Zones, hold: Hold, kinds: string): void {
  const isGone = isOfOther(zones, hold)
  const moves = hold.moves
  hold.moves = []
  for (let i = 0; i < moves.length; i++) {
    const move = moves[i] as string
    const kind = move.charAt(0)
    if (kinds.indexOf(kind) < 0) {
      hold.moves.push(move)
      continue
    }
    const held = hold.amounts[kind as keyof Amounts]
    if (!held) continue
    if (isWindow(move)) {
      shiftSafely(zones, 'windows', nameAt(move, hold.minute * MINUTE_MS), -held)
    } else if (!isGone) shiftHeld(zones, hold.pid, move, -held)
  }
}

/** Whether the counters that were moved are gone, and others in their place. */
function isOfOther(zones: Zones, hold: Hold): boolean {
  return hold.birth !== 0 && zones.counters.get(BIRTH_COUNTER) !== hold.birth
}

/**
 * Gives back what a request holds, and counts what it used, at its end. What it did not use of a
 * minute goes back to the minute it was taken from, as long as that counts; what exceeded it is added
 * to the running one. Budgets count in the day and month of `endMs`, which is the ledger line's time.
 * Cost in nano-units. A second call for the same hold does nothing. Never throws. Returns whether a limit of
 * the minute counts its answer, which is then worth learning from.
 */
export function settleHold(
  zones: Zones,
  hold: Hold,
  used: { input: number; output: number; cost: number },
  endMs: number,
): boolean {
  const moves = hold.moves
  let isPaced = false
  const isGone = isOfOther(zones, hold)
  hold.moves = []
  // What is used first: for a moment both count, which is never too little.
  for (let i = 0; i < moves.length; i++) {
    const move = moves[i] as string
    const kind = move.charAt(0)
    const isCost = kind === 'D' || kind === 'M'
    if (!isCost && kind !== 'd' && kind !== 'm') continue
    const delta = isCost ? used.cost : used.input + used.output
    if (delta) shiftSafely(zones, 'counters', nameAt(move, endMs, hold.zoneMinutes), delta)
  }
  for (let i = 0; i < moves.length; i++) {
    const move = moves[i] as string
    const kind = move.charAt(0) as keyof Amounts
    const held = hold.amounts[kind] || 0
    if (isWindow(move)) {
      if (kind === 't' || kind === 'o') isPaced = true
      if (kind !== 'q') settleWindow(zones, hold, move, tokensIn(kind, used) - held, endMs)
    } else if (held && !isGone) shiftHeld(zones, hold.pid, move, -held)
  }
  return isPaced
}

function tokensIn(kind: string, used: { input: number; output: number }): number {
  return (kind === 'o' ? 0 : used.input) + (kind === 'i' ? 0 : used.output)
}

function settleWindow(zones: Zones, hold: Hold, move: string, delta: number, endMs: number): void {
  const isOld = delta < 0 && minuteOf(endMs) > hold.minute + 1
  if (!delta || isOld) return
  const name = nameAt(move, delta < 0 ? hold.minute * MINUTE_MS : endMs)
  shiftSafely(zones, 'windows', name, delta)
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
  const hard = hold.hard
  const more = { r: tokens - hold.amounts.r, R: cost - hold.amounts.R }
  if (!hard || (more.r <= 0 && more.R <= 0)) return true
  if (zones.counters.get(BIRTH_COUNTER) !== hold.birth) return true
  const moved: string[] = []
  let isLeft = true
  let counted = ''
  try {
    for (let i = 0; i < hold.moves.length; i++) {
      const move = hold.moves[i] as string
      const kind = move.charAt(0)
      if ((kind !== 'r' && kind !== 'R') || more[kind] <= 0) continue
      const value = shift(zones, 'counters', move, more[kind])
      counted = move
      if (!fits(zones, hold, hard, move, value, nowMs)) isLeft = false
      shift(zones, 'slots', hold.pid + move, more[kind])
      counted = ''
      moved.push(move)
    }
  } catch (_) {
    countFull(zones)
    isLeft = false
  }
  if (!isLeft) {
    if (counted) shiftSafely(zones, 'counters', counted, -more[counted.charAt(0) as 'r' | 'R'])
    for (let i = 0; i < moved.length; i++) {
      const move = moved[i] as string
      shiftHeld(zones, hold.pid, move, -more[move.charAt(0) as 'r' | 'R'])
    }
    return false
  }
  hold.amounts.r += Math.max(0, more.r)
  hold.amounts.R += Math.max(0, more.R)
  return true
}

/** Whether what is reserved beside what is used is within the hard budgets of one subject. */
function fits(
  zones: Zones,
  hold: Hold,
  hard: { used: string; limit: number }[],
  move: string,
  reserved: number,
  nowMs: number,
): boolean {
  for (let i = 0; i < hard.length; i++) {
    const budget = hard[i] as { used: string; limit: number }
    const kind = budget.used.charAt(0)
    const held = kind === 'd' || kind === 'm' ? 'r' : 'R'
    if (held + budget.used.slice(1) !== move) continue
    const used = zones.counters.get(nameAt(budget.used, nowMs, hold.zoneMinutes)) || 0
    if (reserved + used > budget.limit) return false
  }
  return true
}
