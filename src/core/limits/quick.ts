import type { KeyRecord, Limited, Rules } from '../config/record.ts'
import type { Price } from '../config/shapes.ts'
import { costOfTokens } from './cost.ts'
import { BIRTH_COUNTER, dayOf, EVERYBODY, monthOf, zoneSuffix } from './counters.ts'
import { UPLOAD_BYTES_MAX } from './early.ts'
import { countFull, shiftOfClient } from './hold.ts'
import { durationOf, renewalOf } from './refusal.ts'
import type { Amounts, Zones } from './types.ts'

/*
 * The quick way of limits and budgets: of soft ones that all have room, which are nearly all. It moves the counters that
 * reserve() and settleHold() would move, by as much; of anything else it takes nothing and says so, and they decide.
 * What it has taken for the request at hand stands here until that ends: objects of it would take more
 * instructions than the counting. A context of njs has one request at a time.
 */

const MINUTE_MS = 60000

/** Kinds of counters, in the order of `amounts`: windows first, budgets last. */
const Q = 0
const T = 1
const I = 2
const O = 3
const F = 4
const R = 5
const C = 6
/** A client's part of maxInFlight, see shiftOfClient() in hold.ts. */
const A = 7

/**
 * What a request moves, as one flat list. An entry has four places: kind; name of the counter; of a window the name of the
 * minute before, of a budget that of what is used, else empty; limit.
 * A budget that shares its counter with the entry before has no names of its own.
 */
const STRIDE = 4
/**
 * What stands before the entries: minute and time zone of the names; where those begin that need the body; and whether a
 * limit of the minute counts the answer, a budget counts cost, and anything counts tokens; the names of what is held
 * before the body, and in all, with a space before each; and of maxInFlight the limit, the server behind and the client.
 */
const HEAD = 11
type Plan = (string | number | boolean | undefined)[]

/** Of who has no limits: one list, so that its plan stays too. */
const NOBODY: Limited[] = []

/** Where a record stays in its context, its last plan does too. */
type Kept = Limited[] & { plan?: Plan }

let plan: Plan = []
let birth = 0
/** The same as a text, which takes as long to make as all names. */
let birthText = ''
/** What stands in the plan before this has been moved. */
let end = 0
/** Bytes that are announced and not read yet, and their counter. */
export let unread = 0
let unreadName = ''
const amounts: number[] = [1, 0, 0, 0, 1, 0, 0, 1]

/** The tightest limit of requests and of tokens, for the headers; -1: there is none. */
let requestsLimit = -1
let requestsLeft = 0
let tokensLimit = -1
let tokensLeft = 0
/** By what: a window, or the letter of what is used of a budget. */
let tokensBy = ''

/** Whether the quick way knows such limits: no budget is hard. */
export function areSoft(limited: Limited[]): boolean {
  for (let i = 0; i < limited.length; i++) {
    const budgets = (limited[i] as Limited).budgets
    if (budgets && budgets.hard) return false
  }
  return true
}

/**
 * Takes what needs no body: a request of the minute, and places; of `maxInFlight` too, as long as there is one for
 * everybody; and the bytes that are announced, 0 where they are too few to count. False: nothing is taken, since
 * one of them has no room, or what was used is not known yet.
 */
export function takeFirst(
  zones: Zones,
  record: Pick<KeyRecord, 'client' | 'key' | 'limited'>,
  rules: Pick<Rules, 'zoneMinutes' | 'maxInFlight'>,
  upstream: string,
  uploadBytes: number,
  nowMs: number,
): boolean {
  const limited = record.limited || NOBODY
  const client = record.client
  const zoneMinutes = rules.zoneMinutes
  const most = rules.maxInFlight
  const minute = (nowMs - (nowMs % MINUTE_MS)) / MINUTE_MS
  const kept = (limited as Kept).plan
  const isKept =
    kept !== undefined && kept[0] === minute && kept[1] === zoneMinutes && kept[8] === most
  if (isKept && (most === undefined || (kept[9] === upstream && kept[10] === client))) plan = kept
  else {
    plan = planOf(limited, minute, zoneMinutes, nowMs, most, upstream, client)
    ;(limited as Kept).plan = plan
  }
  end = HEAD
  requestsLimit = tokensLimit = -1
  unread = 0
  // Of who has no limits the rest may not be asked.
  if (limited === NOBODY) amounts[T] = amounts[R] = amounts[C] = 0
  const now = zones.counters.get(BIRTH_COUNTER) || 0
  if (now !== birth) birthText = ''
  birth = now
  if (birth === 0 || !take(zones, plan[2] as number, nowMs)) return false
  if (uploadBytes === 0) return true
  unreadName = 'u' + record.key
  try {
    const level = zones.counters.incr(unreadName, uploadBytes, 0)
    unread = uploadBytes
    // A single body is let in whatever its size.
    if (level <= UPLOAD_BYTES_MAX || level === uploadBytes) return true
  } catch (_) {
    // The zone is full: the other way tells so.
  }
  return giveBack(zones)
}

/** Its body is there: nothing of it is unread any more. */
export function endUpload(zones: Zones): void {
  try {
    zones.counters.incr(unreadName, -unread, 0)
  } catch (_) {
    countFull(zones)
  }
  unread = 0
}

/** Whether a limit of the minute counts the answer. */
export function isPaced(): boolean {
  return plan[3] === true
}

/** Whether a budget counts cost. */
export function isPriced(): boolean {
  return plan[4] === true
}

/** Whether anything counts tokens. */
export function isCounted(): boolean {
  return plan[5] === true
}

/**
 * Takes the rest, when the body is there: for a prompt of `input` tokens and answers of `output` in all, of which limits of the
 * minute count no more than is `usual`. False: nothing more is taken.
 */
export function takeRest(
  zones: Zones,
  input: number,
  output: number,
  usual: number,
  price: Price | null,
  nowMs: number,
): boolean {
  const perMinute = plan[3] === true && usual < output ? usual : output
  const cost = price ? costOfTokens(input, output, price) : 0
  amounts[T] = input + perMinute
  amounts[I] = input
  amounts[O] = perMinute
  amounts[R] = input + output
  amounts[C] = cost > 1 ? cost : 1
  // The names are those of a minute.
  return (nowMs - (nowMs % MINUTE_MS)) / MINUTE_MS === plan[0] && take(zones, plan.length, nowMs)
}

/** Moves what stands in the plan up to a place. Where one has no room, or a zone is full, all is moved back. */
function take(zones: Zones, to: number, nowMs: number): boolean {
  const start = end
  let held = 0
  try {
    while (end < to) {
      const kind = plan[end] as number
      const name = plan[end + 1] as string
      const other = plan[end + 2] as string
      const limit = plan[end + 3] as number
      const amount = amounts[kind] as number
      // What is larger than a limit would be cut down to it. The last unit of cost is left to who rounds it.
      if (amount > limit || (kind === C && amount === limit)) return giveBackTo(zones, start)
      let level = held
      if (kind < F) {
        level = zones.windows.incr(name, amount, 0)
        const before = zones.windows.get(other)
        if (before) level += Math.ceil((before * (MINUTE_MS - (nowMs % MINUTE_MS))) / MINUTE_MS)
      } else {
        if (kind === A) shiftOfClient(zones.counters, name, amount)
        else if (name !== '') level = held = zones.counters.incr(name, amount, 0)
        if (other !== '') level += zones.counters.get(other) || 0
      }
      end += STRIDE
      if (level > limit) return giveBackTo(zones, start)
      if (kind === Q) noteRequests(limit, limit - level)
      else if (kind === T || kind === R) noteTokens(limit, limit - level, kind === T ? '' : other)
    }
    return true
  } catch (_) {
    // A zone is full: the other way tells which.
    return giveBackTo(zones, start)
  }
}

/** Keeps the tighter limit, the one of which the smaller part is left. */
function noteRequests(limit: number, left: number): void {
  if (requestsLimit >= 0 && requestsLeft / requestsLimit <= left / limit) return
  requestsLimit = limit
  requestsLeft = left
}

/** Budgets are told only where no limit of the minute is. */
function noteTokens(limit: number, left: number, by: string): void {
  if (tokensLimit >= 0) {
    if (by !== '' && tokensBy === '') return
    const isSame = (by === '') === (tokensBy === '')
    if (isSame && tokensLeft / tokensLimit <= left / limit) return
  }
  tokensLimit = limit
  tokensLeft = left
  tokensBy = by
}

/** What the headers say of them, as tellLimits() writes it on a route of OpenAI's. */
export function tellTaken(nowMs: number): string {
  if (requestsLimit < 0 && tokensLimit < 0) return ''
  // When all that is in the window has slid away, at the end of the next minute.
  const leftMs = MINUTE_MS - (nowMs % MINUTE_MS)
  const seconds = (leftMs - (leftMs % 1000)) / 1000 + (leftMs % 1000 > 0 ? 1 : 0)
  const window = seconds < 60 ? '1m' + seconds + 's' : '2m0s'
  let text = '   '
  if (requestsLimit >= 0) text = requestsLimit + ' ' + requestsLeft + ' ' + window + ' '
  if (tokensLimit < 0) return text + '  '
  text += tokensLimit + ' ' + tokensLeft + ' '
  if (tokensBy === '') return text + window
  const isDaily = tokensBy.charAt(0) === 'd'
  return text + durationOf(renewalOf(isDaily, nowMs, plan[1] as number | undefined) - nowMs)
}

/** Gives back what was taken, as if it had never been there. Never throws. Returns false. */
export function giveBack(zones: Zones): false {
  if (unread > 0) endUpload(zones)
  return giveBackTo(zones, HEAD)
}

/** The same of what was taken with the body. */
export function giveBackRest(zones: Zones): void {
  giveBackTo(zones, plan[2] as number)
}

function giveBackTo(zones: Zones, start: number): false {
  while (end > start) {
    end -= STRIDE
    const kind = plan[end] as number
    const name = plan[end + 1] as string
    if (name === '') continue
    try {
      if (kind === A) shiftOfClient(zones.counters, name, -1)
      else (kind < F ? zones.windows : zones.counters).incr(name, -(amounts[kind] as number), 0)
    } catch (_) {
      countFull(zones)
    }
  }
  return false
}

/** The tokens that limits of the minute count for it as long as it runs. */
export function reservedTokens(): number {
  return amounts[T] as number
}

/** What it holds by now, for its entry among those that run: see heldOf(). */
export function heldNow(): string {
  let names = plan[end > (plan[2] as number) ? 7 : 6] as string
  if (unread !== 0) names += ' ' + unreadName + ':' + unread
  if (names === '') return ''
  if (birthText === '') birthText = String(birth)
  return birthText + names
}

/** How much of it: tokens and cost of budgets, tokens of the minute. */
export function heldAmounts(): string {
  return amounts[R] + ' ' + amounts[C] + ' ' + amounts[T]
}

/** What was taken, for the hold of a request that goes on by the other way; and when, by the minute. */
export type Taken = {
  amounts: Amounts
  birth: number
  minuteMs: number
  isWhole: boolean
  unread: number
  /** The tightest limit of requests; -1: there is none. */
  requestsLimit: number
  requestsLeft: number
}

export function takenSoFar(): Taken {
  const of = (kind: number) => amounts[kind] as number
  const bytes = unread
  // From here on it is the hold's.
  unread = 0
  return {
    amounts: { q: of(Q), a: 1, f: of(F), t: of(T), i: of(I), o: of(O), r: of(R), R: of(C) },
    birth,
    minuteMs: (plan[0] as number) * MINUTE_MS,
    isWhole: end === plan.length,
    unread: bytes,
    requestsLimit,
    requestsLeft,
  }
}

/**
 * Counts what a request used, and gives back what it held, as settleHold() does; `cost` in nano-units. False: nothing was
 * moved, since its minute is over, or the counters are others; then settleHold() has to.
 */
export function settleTaken(
  zones: Zones,
  prompt: number,
  completion: number,
  cost: number,
  endMs: number,
): boolean {
  const counters = zones.counters
  if ((endMs - (endMs % MINUTE_MS)) / MINUTE_MS !== plan[0]) return false
  if (counters.get(BIRTH_COUNTER) !== birth) return false
  const tokens = prompt + completion
  const from = plan[2] as number
  // What is used first: for a moment both count, which is never too little.
  for (let at = from; at < end; at += STRIDE) {
    const kind = plan[at] as number
    const used = kind === C ? cost : tokens
    if (kind < R || !used) continue
    try {
      counters.incr(plan[at + 2] as string, used, 0)
    } catch (_) {
      countFull(zones)
    }
  }
  for (let at = HEAD; at < end; at += STRIDE) {
    const kind = plan[at] as number
    const name = plan[at + 1] as string
    const amount = amounts[kind] as number
    try {
      if (kind >= F) {
        if (kind === A) shiftOfClient(zones.counters, name, -1)
        else if (name !== '') counters.incr(name, -amount, 0)
      } else if (kind !== Q) {
        const used = kind === T ? tokens : kind === I ? prompt : completion
        if (used !== amount) zones.windows.incr(name, used - amount, 0)
      }
    } catch (_) {
      countFull(zones)
    }
  }
  end = HEAD
  return true
}

/** The plan of a record with the names of a minute, in the order of checksOf(). What does not hold costs no name. */
function planOf(
  limited: Limited[],
  minute: number,
  zoneMinutes: number | undefined,
  nowMs: number,
  most: number | undefined,
  upstream: string,
  client: string,
): Plan {
  const made: Plan = [
    minute,
    zoneMinutes,
    HEAD,
    false,
    false,
    false,
    '',
    '',
    most,
    upstream,
    client,
  ]
  let held = ''
  const now = minute.toString(36)
  const before = (minute - 1).toString(36)
  for (let i = 0; i < limited.length; i++) {
    const one = limited[i] as Limited
    const limits = one.limits
    if (!limits) continue
    const requests = limits.requestsPerMinute
    if (requests !== undefined) addWindow(made, Q, 'q' + one.id, now, before, requests)
    if (limits.concurrency === undefined) continue
    const name = 'f' + one.id
    made.push(F, name, '', limits.concurrency)
    held += ' ' + name
  }
  if (most !== undefined) {
    const own = 'a' + upstream + '/' + client
    const all = 'f' + EVERYBODY + upstream
    made.push(A, own, '', Infinity, F, all, '', most)
    held += ' ' + encodeURIComponent(own) + ' ' + encodeURIComponent(all)
  }
  made[2] = made.length
  made[6] = held
  let day = ''
  let month = ''
  for (let i = 0; i < limited.length; i++) {
    const one = limited[i] as Limited
    const id = one.id
    const limits = one.limits
    if (limits) {
      const tokens = limits.tokensPerMinute
      const input = limits.inputTokensPerMinute
      const output = limits.outputTokensPerMinute
      if (tokens !== undefined || output !== undefined) made[3] = true
      if (tokens !== undefined) addWindow(made, T, 't' + id, now, before, tokens)
      if (input !== undefined) addWindow(made, I, 'i' + id, now, before, input)
      if (output !== undefined) addWindow(made, O, 'o' + id, now, before, output)
    }
    const budgets = one.budgets
    if (!budgets) continue
    const costPerDay = budgets.costPerDay
    const costPerMonth = budgets.costPerMonth
    if (costPerDay !== undefined || costPerMonth !== undefined) made[4] = true
    let name = 'r' + id
    if (budgets.tokensPerDay !== undefined || costPerDay !== undefined)
      day = day || dayOf(nowMs, zoneMinutes).toString(36) + zoneSuffix(zoneMinutes)
    if (budgets.tokensPerMonth !== undefined || costPerMonth !== undefined)
      month = month || monthOf(nowMs, zoneMinutes).toString(36) + zoneSuffix(zoneMinutes)
    if (budgets.tokensPerDay !== undefined) {
      made.push(R, name, 'd' + id + day, budgets.tokensPerDay)
      held += ' ' + name
      name = ''
    }
    if (budgets.tokensPerMonth !== undefined) {
      made.push(R, name, 'm' + id + month, budgets.tokensPerMonth)
      if (name !== '') held += ' ' + name
    }
    name = 'R' + id
    if (costPerDay !== undefined) {
      made.push(C, name, 'D' + id + day, costPerDay)
      held += ' ' + name
      name = ''
    }
    if (costPerMonth !== undefined) {
      made.push(C, name, 'M' + id + month, costPerMonth)
      if (name !== '') held += ' ' + name
    }
  }
  made[7] = held
  made[5] = made.length > (made[2] as number)
  return made
}

function addWindow(
  made: Plan,
  kind: number,
  name: string,
  now: string,
  before: string,
  limit: number,
): void {
  made.push(kind, name + now, name + before, limit)
}
