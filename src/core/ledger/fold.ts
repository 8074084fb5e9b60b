import { subjectName } from '../limits/counters.ts'
import { newTally, type Tally, tallyLine } from '../metrics/tally.ts'
import { dayOf, monthOf, startOfDay } from '../time.ts'
import { type Batch, batchOf, type Gathered, gather, hourOf } from '../usage/rows.ts'
import { amount, type LedgerLine } from './line.ts'
import { readLine } from './read.ts'
import type { Balance, Sums } from './types.ts'

export type { Balance, Sums } from './types.ts'

/** Lines of the ledger, put together. */
export type Gathering = {
  /** By hour, client, key, group and model. */
  batches: Batch[]
  /** What the metrics count, of the lines that are not older than this nginx. */
  tally: Tally
  /** Those of them that tell tokens, of which averages are learned. */
  counted: LedgerLine[]
  lines: number
  /** Lines that cannot be read, in whole or at their beginning. */
  skipped: number
}

/** And what they come to. Subjects are named as by subjectName(). */
export type Folded = Gathering & { subjects: { [name: string]: Balance } }

/** No month is longer; a day of it more, because days are told by their beginning. */
const MONTH_MS = 32 * 86400000

/**
 * Puts whole lines of the ledger together. Lines from `freshMs` on are those of the metrics; left out, none
 * are. Days are those of a time zone.
 */
export function gatherLines(text: string, freshMs?: number, zoneMinutes?: number): Gathering {
  const found: Gathering = { batches: [], tally: newTally(), counted: [], lines: 0, skipped: 0 }
  const since = freshMs === undefined ? Infinity : freshMs
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const one = lines[i] as string
    if (one === '') continue
    found.lines++
    const read = readLine(one)
    if (!read.isWhole) found.skipped++
    if (read.line) addLine(found, read.line, read.timeMs, since, zoneMinutes)
  }
  return found
}

/** Adds them up as well. Days and months that were over at `nowMs` are in `all` only. */
export function foldLines(
  text: string,
  nowMs: number,
  freshMs?: number,
  zoneMinutes?: number,
): Folded {
  const found = gatherLines(text, freshMs, zoneMinutes)
  const subjects: Folded['subjects'] = {}
  found.batches.forEach((batch) => {
    const period = periodOf(batch.day, nowMs, zoneMinutes)
    const used = usedIn(batch)
    Object.keys(used).forEach((name) => {
      const balance = subjects[name] || emptyBalance()
      subjects[name] = balance
      addUsed(balance, used[name] as Sums, period)
    })
  })
  return Object.assign(found, { subjects })
}

/** What each subject used in the lines of a batch. */
export function usedIn(batch: Batch): { [name: string]: Sums } {
  const used: { [name: string]: Sums } = {}
  const names = Object.keys(batch.rows)
  for (let i = 0; i < names.length; i++) {
    const row = batch.rows[names[i] as string] as Gathered
    const line = row.line
    if (isName(line.client)) addUse(used, subjectName('client', line.client), row.used)
    if (isName(line.key)) addUse(used, subjectName('key', line.key), row.used)
    if (isName(line.group)) addUse(used, subjectName('group', line.group), row.used)
  }
  return used
}

function addUse(used: { [name: string]: Sums }, name: string, more: Sums): void {
  const sums = used[name]
  if (sums) addTo(sums, more)
  else used[name] = [more[0], more[1], more[2]]
}

/** The day of a batch and its month, each -1 where it is over. */
export function periodOf(day: number, nowMs: number, zoneMinutes?: number): Today {
  const timeMs = startOfDay(day, zoneMinutes)
  const isOfToday = day >= dayOf(nowMs, zoneMinutes)
  // A month that runs has all the days from today on.
  const month = isOfToday || timeMs > nowMs - MONTH_MS ? monthOf(timeMs, zoneMinutes) : -1
  return {
    day: isOfToday ? day : -1,
    month: month >= monthOf(nowMs, zoneMinutes) ? month : -1,
  }
}

/** What one line adds to the sums of each of its subjects. */
export function sumsOf(line: LedgerLine): Sums {
  // Of most lines that a limit has refused, or that are not metered.
  if (isBare(line)) return [0, 0, 1]
  const tokens = amount(line.promptTokens) + amount(line.completionTokens)
  // A line of `tollgate ledger compact` stands for many.
  const many = line as { summary?: unknown; requests?: unknown }
  const requests = many.summary === true ? amount(many.requests) : 1
  return [Math.round(tokens), Math.round(amount(line.cost) * 1e9), requests]
}

function isBare(line: LedgerLine): boolean {
  const isUsed = line.promptTokens || line.completionTokens || line.cost
  return !isUsed && (line as { summary?: unknown }).summary === undefined
}

/** The subjects that a line counts for, by their names. */
export function subjectsOf(line: LedgerLine): string[] {
  const names: string[] = []
  if (isName(line.client)) names.push(subjectName('client', line.client))
  if (isName(line.key)) names.push(subjectName('key', line.key))
  if (isName(line.group)) names.push(subjectName('group', line.group))
  return names
}

function isName(name: unknown): name is string {
  return typeof name === 'string' && name !== '' && name.indexOf('\n') < 0
}

/** Lines are added up by their names first: for each line and subject it took twice as long. */
function addLine(
  found: Gathering,
  line: LedgerLine,
  timeMs: number,
  freshMs: number,
  zoneMinutes?: number,
): void {
  const hour = hourOf(timeMs)
  const day = dayOf(timeMs, zoneMinutes)
  const isSummary = (line as { summary?: unknown }).summary === true
  const isFresh = timeMs >= freshMs && !isSummary
  let batch = found.batches[found.batches.length - 1]
  const isSame =
    batch !== undefined &&
    batch.hour === hour &&
    batch.day === day &&
    batch.isFresh === isFresh &&
    batch.isSummary === isSummary
  if (!batch || !isSame) batch = batchOf(found.batches, hour, day, isSummary, isFresh)
  gather(batch, line, sumsOf(line), isSummary)
  if (!isFresh) return
  tallyLine(found.tally, line)
  // On njs's own engine all that is kept stays until the portions are done.
  if (line.promptTokens !== undefined || line.completionTokens !== undefined)
    found.counted.push(line)
}

/** Adds in place what was used in a day and month of periodOf(). */
export function addUsed(balance: Balance, used: Sums, period: Today): void {
  addTo(balance.all, used)
  if (period.day >= 0) addWithin(balance.days, period.day, used)
  if (period.month >= 0) addWithin(balance.months, period.month, used)
}

function addWithin(periods: Periods, period: string | number, more: Sums): void {
  const sums: Sums = periods[period] || [0, 0, 0]
  periods[period] = sums
  addTo(sums, more)
}

function addTo(sums: Sums, more: Sums): void {
  sums[0] += more[0]
  sums[1] += more[1]
  sums[2] += more[2]
}

/** Nothing was used. */
export function emptyBalance(): Balance {
  return { all: [0, 0, 0], days: {}, months: {} }
}

/** The day and the month of a time, by their numbers. */
export type Today = { day: number; month: number }

/** Takes ms since 1970, and the time zone of the balances. */
export function todayOf(nowMs: number, zoneMinutes?: number): Today {
  return { day: dayOf(nowMs, zoneMinutes), month: monthOf(nowMs, zoneMinutes) }
}

/** Adds `more` to a balance in place, and takes the days and months out of it that are over. */
export function addBalance(balance: Balance, more: Balance, today: Today): void {
  addTo(balance.all, more.all)
  addPeriods(balance.days, more.days, today.day)
  addPeriods(balance.months, more.months, today.month)
}

type Periods = { [period: string]: Sums }

function addPeriods(periods: Periods, more: Periods, first: number): void {
  const over = Object.keys(periods)
  for (let i = 0; i < over.length; i++) {
    const period = over[i] as string
    if (Number(period) < first) delete periods[period]
  }
  const added = Object.keys(more)
  for (let i = 0; i < added.length; i++) {
    const period = added[i] as string
    addWithin(periods, period, more[period] as Sums)
  }
}
