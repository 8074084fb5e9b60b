import { fateOf, modelOf } from '../ledger/fate.ts'
import type { LedgerLine } from '../ledger/line.ts'
import type { Sums } from '../ledger/types.ts'
import { dayOf, startOfDay } from '../time.ts'

/**
 * Usage over time: one row for each hour, and one for each day, of a client, key, group and model that
 * had a request in it. Windows are named `h491234` and `d20451`: the hours since 1970 in UTC, and the days
 * of a time zone. When that changes, days keep what they have: a request stands in one hour and one day.
 */

/** What a row sums up, in this order. Whole numbers, so that sums of them are exact. */
export const ROW_FIELDS = [
  'requests',
  'refused',
  'errors',
  'aborted',
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'reasoningTokens',
  'audioMs',
  'costNanos',
  'estimated',
]

/** One number for each of ROW_FIELDS; `estimated` counts requests. */
export type RowSums = number[]

/** Sums by the names of rows, see rowName(). */
export type Rows = { [name: string]: RowSums }

/** Rows by their windows. */
export type Windows = { [window: string]: Rows }

/** The lines of a portion that have hour and names in common, with that of the model that answered. */
export type Gathered = { line: LedgerLine; used: Sums; sums: RowSums }

/** Lines of one hour, and of one day where that begins within an hour. Those of `tollgate ledger compact` are of a day and have no hour. */
export type Batch = {
  hour: number
  day: number
  /** Of a day alone. */
  isSummary: boolean
  /** Its lines are not older than this nginx, see tally.ts. */
  isFresh: boolean
  rows: { [name: string]: Gathered }
}

/** Rows are kept for so long. */
export const HOURS_KEPT = 8 * 24
export const DAYS_KEPT = 400

/** What takes the place of a name beyond the bounds. */
export const OTHER = '(other)'

/** Beyond these a row goes on under another name: its model is OTHER, then all of it. */
const CLIENT_ROWS_MAX = 200
/** Of those that begin with nothing used: names that a caller makes up, and no server knows, are among them. */
const UNUSED_ROWS_MAX = 100
const WINDOW_ROWS_MAX = 10000
const OTHER_NAME = `${OTHER}\t\t\t${OTHER}`

const HOUR_MS = 3600000

/** As tollgate usage cuts them: callers choose the names of models. */
const NAME_CHARACTERS_MAX = 200
const PLAIN = /^[ -~]*$/
/** Four such names between tabs. */
const PLAIN_FOUR = /^[ -~]*\t[ -~]*\t[ -~]*\t[ -~]*$/

/** The hour of a time, counted from 1970. Takes ms since 1970. */
export function hourOf(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS)
}

/** When a window begins and ends, in ms since 1970; a day in a time zone. */
export function spanOf(window: string, zoneMinutes?: number): { startMs: number; endMs: number } {
  const number = Number(window.slice(1))
  const isHour = window.charAt(0) === 'h'
  const startMs = isHour ? number * HOUR_MS : startOfDay(number, zoneMinutes)
  return { startMs, endMs: startMs + (isHour ? HOUR_MS : 24 * HOUR_MS) }
}

/** Whether the rows of a window are kept at that time. */
export function isKept(window: string, nowMs: number, zoneMinutes?: number): boolean {
  const number = Number(window.slice(1))
  return window.charAt(0) === 'h'
    ? number > hourOf(nowMs) - HOURS_KEPT
    : number > dayOf(nowMs, zoneMinutes) - DAYS_KEPT
}

/** The batch that a line belongs to; a new one is put into `batches`. */
export function batchOf(
  batches: Batch[],
  hour: number,
  day: number,
  isSummary: boolean,
  isFresh: boolean,
): Batch {
  const found = batches.find(
    (one) =>
      one.hour === hour &&
      one.day === day &&
      one.isSummary === isSummary &&
      one.isFresh === isFresh,
  )
  if (found) return found
  const batch: Batch = { hour, day, isSummary, isFresh, rows: {} }
  batches.push(batch)
  return batch
}

/** Adds a line to the row that it belongs to. `used` is what it adds to the sums of its subjects. */
export function gather(batch: Batch, line: LedgerLine, used: Sums, isSummary: boolean): void {
  const name = `${line.client || ''}\t${line.key || ''}\t${line.group || ''}\t${line.model || ''}\t${line.served || ''}`
  let row = batch.rows[name]
  if (!row) {
    row = { line, used: [0, 0, 0], sums: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }
    batch.rows[name] = row
  }
  row.used[0] += used[0]
  row.used[1] += used[1]
  row.used[2] += used[2]
  addLine(row.sums, line, used, isSummary)
}

function addLine(sums: RowSums, line: LedgerLine, used: Sums, isSummary: boolean): void {
  add(sums, 0, used[2])
  if (isSummary) {
    const many = line as unknown as { [field: string]: unknown }
    for (let i = 1; i < 4; i++) add(sums, i, whole(many[ROW_FIELDS[i] as string]))
  } else {
    const fate = fateOf(line.outcome, line.status)
    if (fate !== 'ok') add(sums, fate === 'refused' ? 1 : fate === 'errors' ? 2 : 3, 1)
  }
  if (line.promptTokens) add(sums, 4, whole(line.promptTokens))
  if (line.cachedTokens) add(sums, 5, whole(line.cachedTokens))
  if (line.completionTokens) add(sums, 6, whole(line.completionTokens))
  if (line.reasoningTokens) add(sums, 7, whole(line.reasoningTokens))
  if (line.audioSeconds) add(sums, 8, whole(line.audioSeconds * 1000))
  add(sums, 9, used[1])
  if (line.estimated) add(sums, 10, used[2])
}

function add(sums: RowSums, at: number, more: number): void {
  sums[at] = (sums[at] as number) + more
}

function whole(value: unknown): number {
  return typeof value === 'number' && value > 0 && value < Infinity ? Math.round(value) : 0
}

/** Adds in place. */
export function addSums(sums: RowSums, more: RowSums): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (more[i] || 0)
}

/** The rows of some batches, by hour and by day; what is older than rows are kept is left out. */
export function windowsOf(batches: Batch[], nowMs: number, zoneMinutes?: number): Windows {
  const windows: Windows = {}
  batches.forEach((batch) => {
    const spans = spansOf(batch, nowMs, zoneMinutes)
    Object.keys(batch.rows).forEach((one) => {
      const row = batch.rows[one] as Gathered
      const name = rowName(row.line)
      spans.forEach((window) => {
        addRow(windows, window, name, row.sums)
      })
    })
  })
  return windows
}

/** The hour and the day of a batch, as far as their rows are kept. */
export function spansOf(batch: Batch, nowMs: number, zoneMinutes?: number): string[] {
  const hour = `h${batch.hour}`
  const day = `d${batch.day}`
  const spans = batch.isSummary || !isKept(hour, nowMs) ? [] : [hour]
  return isKept(day, nowMs, zoneMinutes) ? spans.concat([day]) : spans
}

/** Adds to a row in place. */
export function addRow(windows: Windows, window: string, name: string, more: RowSums): void {
  const rows = windows[window] || {}
  windows[window] = rows
  const sums = rows[name]
  if (sums) addSums(sums, more)
  else rows[name] = more.slice()
}

/** Client, key, group and model, between tabs: empty where the line names none. */
export function rowName(line: LedgerLine): string {
  const client = line.client || ''
  const key = line.key || ''
  const group = line.group || ''
  const model = modelOf(line) || ''
  // A line may hold anything. A call for each takes longer than all of this.
  const isText =
    typeof client === 'string' &&
    typeof key === 'string' &&
    typeof group === 'string' &&
    typeof model === 'string'
  const name = `${client}\t${key}\t${group}\t${model}`
  return isText && isCleanFour(name) ? name : [client, key, group, model].map(clean).join('\t')
}

/** Four names between tabs as clean() has them. */
export function cleanFour(names: string): string {
  return isCleanFour(names) ? names : names.split('\t').map(clean).join('\t')
}

function isCleanFour(names: string): boolean {
  return names.length <= NAME_CHARACTERS_MAX && PLAIN_FOUR.test(names)
}

/** The name under which a new row with these sums may be made where its client and its window have so many. */
export function boundName(
  name: string,
  sums: RowSums,
  clientRows: number,
  windowRows: number,
): string {
  if (windowRows >= WINDOW_ROWS_MAX) return OTHER_NAME
  if (clientRows < (hasUsed(sums) ? CLIENT_ROWS_MAX : UNUSED_ROWS_MAX)) return name
  // Also of keys there may be many.
  return clientRows < 2 * CLIENT_ROWS_MAX
    ? name.slice(0, name.lastIndexOf('\t') + 1) + OTHER
    : `${clientInRow(name)}\t\t\t${OTHER}`
}

/** Tokens, audio or cost. */
export function hasUsed(sums: RowSums): boolean {
  for (let i = 4; i < 10; i++) if (sums[i]) return true
  return false
}

/** The client in the name of a row. */
export function clientInRow(name: string): string {
  return name.slice(0, name.indexOf('\t'))
}

/** A name without control characters, since rows stand in lines, and not longer than people read. */
export function clean(name: unknown): string {
  if (typeof name !== 'string') return ''
  if (PLAIN.test(name) && name.length <= NAME_CHARACTERS_MAX) return name
  let text = name
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 32 || code === 127) text = `${text.slice(0, i)}\ufffd${text.slice(i + 1)}`
  }
  return text.length > NAME_CHARACTERS_MAX ? `${text.slice(0, NAME_CHARACTERS_MAX)}…` : text
}
