import { formatRowSums } from '../../core/ledger/sumtext.ts'
import {
  addSums,
  type Batch,
  boundName,
  clientInRow,
  type Gathered,
  type RowSums,
  type Rows,
  rowName,
  spanOf,
  spansOf,
  type Windows,
} from '../../core/usage/rows.ts'

/**
 * The rows of windows that are not closed yet, in zone `tollgate_usage`, a string zone that housekeeping
 * alone writes:
 *
 * - `<window>\t<names>` the sums of one row, JSON: `h491234\tapp\tk7q2m9xa\t\tllama`
 * - `p<window>:<page>` the names of its rows, in pages
 * - `n<window>\t<client>` how many of these are of one client
 * - `state` see RowsState
 */
export type RowsState = {
  /** Rows and pages of each window. */
  windows: { [window: string]: [rows: number, pages: number] }
  /** Rows of all windows. */
  open: number
  /** From when on there are rows of all lines, ms since 1970. */
  sinceMs: number
  /** The zone was full: some requests are in no row, so that `sinceMs` had to move on. */
  isFull: boolean
  /** The file of the rows of windows that are over, and how far it is valid; 0: there is none. */
  closed: { slot: number; stamp: number; bytes: number }
  /** Which file of open rows balance.json names, and which closed one. */
  openSlot: number
  keptSlot: number
  /** While a new file of closed rows is being made: where in the old one the next page begins. */
  compact: { from: number; stamp: number; bytes: number } | null
  compactedDay: number
  /** Moves on with every change, for readers in other workers. */
  moves: number
}

/** Of all windows that are not closed: many only while a ledger is added up from its beginning. */
const OPEN_ROWS_MAX = 100000

/** Names in one page, 5 KB of them. */
const PAGE_NAMES = 100

/** A window is closed when no line of it can still come: the ledger is written as requests end. */
const CLOSE_DELAY_MS = 600000

const STATE_ENTRY = 'state'

export function rowsZone(): NgxSharedDict<string> {
  return ngx.shared['tollgate_usage'] as NgxSharedDict<string>
}

/** Null in a new zone. */
export function readRowsState(): RowsState | null {
  const kept = rowsZone().get(STATE_ENTRY)
  return kept === undefined ? null : JSON.parse(kept)
}

export function keepRowsState(state: RowsState): void {
  try {
    rowsZone().set(STATE_ENTRY, JSON.stringify(state))
  } catch (_) {
    // In a full zone it has its room, unless it has grown.
    rowsZone().delete(STATE_ENTRY)
    rowsZone().set(STATE_ENTRY, JSON.stringify(state))
  }
}

/** Begins without any rows: those of lines from then on will be there. */
export function clearRows(sinceMs: number, nowMs: number): RowsState {
  const before = readRowsState()
  rowsZone().clear()
  const state: RowsState = {
    windows: {},
    open: 0,
    sinceMs,
    isFull: false,
    closed: { slot: before ? 1 - before.keptSlot : 0, stamp: nowMs, bytes: 0 },
    openSlot: before ? before.openSlot : 0,
    keptSlot: before ? before.keptSlot : 0,
    compact: null,
    compactedDay: 0,
    moves: before ? before.moves + 1 : 0,
  }
  keepRowsState(state)
  return state
}

/** Adds to rows. The caller keeps the state, and sees to it that nobody finds this done by halves. */
export function addToRows(state: RowsState, windows: Windows): void {
  const zone = rowsZone()
  state.moves++
  Object.keys(windows).forEach((window) => {
    const rows = windows[window] as Rows
    const fresh: string[] = []
    Object.keys(rows).forEach((name) => {
      addToRow(zone, state, window, name, rows[name] as RowSums, fresh)
    })
    while (fresh.length > 0) noteRows(zone, state, window, fresh)
  })
}

/** A window, and the names of the rows that it has got. */
type Span = { window: string; fresh: string[] }

/** Adds lines to their rows, likewise. */
export function addBatchesToRows(
  state: RowsState,
  batches: Batch[],
  nowMs: number,
  zoneMinutes: number,
): void {
  const zone = rowsZone()
  state.moves++
  batches.forEach((batch) => {
    const spans = spansOf(batch, nowMs, zoneMinutes).map((window) => ({
      window,
      fresh: [] as string[],
    }))
    const names = Object.keys(batch.rows)
    for (let i = 0; i < names.length; i++) {
      const row = batch.rows[names[i] as string] as Gathered
      const name = rowName(row.line)
      for (let j = 0; j < spans.length; j++) {
        const span = spans[j] as Span
        addToRow(zone, state, span.window, name, row.sums, span.fresh)
      }
    }
    spans.forEach((span) => {
      while (span.fresh.length > 0) noteRows(zone, state, span.window, span.fresh)
    })
  })
}

/** Adds to a row, or makes it, and then adds its name to `fresh`. */
function addToRow(
  zone: NgxSharedDict<string>,
  state: RowsState,
  window: string,
  name: string,
  more: RowSums,
  fresh: string[],
): void {
  const entry = `${window}\t${name}`
  const kept = zone.get(entry)
  if (kept !== undefined) {
    const sums: RowSums = JSON.parse(kept)
    addSums(sums, more)
    if (!put(zone, entry, formatRowSums(sums))) noteLoss(state)
    return
  }
  const counter = countEntry(window, name)
  const ofClient = Number(zone.get(counter) || 0)
  const allowed = boundName(name, more, ofClient, rowsIn(state, window) + fresh.length)
  if (allowed !== name) addToRow(zone, state, window, allowed, more, fresh)
  else if (put(zone, entry, formatRowSums(more)) && put(zone, counter, `${ofClient + 1}`))
    fresh.push(name)
  else dropRow(zone, state, entry)
}

/** Whether there was room. */
function put(zone: NgxSharedDict<string>, entry: string, value: string): boolean {
  try {
    zone.set(entry, value)
    return true
  } catch (_) {
    return false
  }
}

function dropRow(zone: NgxSharedDict<string>, state: RowsState, entry: string): void {
  noteLoss(state)
  zone.delete(entry)
}

function noteLoss(state: RowsState): void {
  state.isFull = true
  state.sinceMs = Date.now()
}

function rowsIn(state: RowsState, window: string): number {
  const count = state.windows[window]
  return state.open >= OPEN_ROWS_MAX ? Infinity : count ? count[0] : 0
}

function countEntry(window: string, name: string): string {
  return `n${window}\t${clientInRow(name)}`
}

/** Puts as many names as it has room for into the last page of a window, or a new one. */
function noteRows(
  zone: NgxSharedDict<string>,
  state: RowsState,
  window: string,
  fresh: string[],
): void {
  const count = state.windows[window] || [0, 0]
  const inLast = count[0] % PAGE_NAMES
  const some = fresh.splice(0, PAGE_NAMES - inLast)
  const page = pageEntry(window, inLast === 0 ? count[1] : count[1] - 1)
  const before = inLast === 0 ? [] : [zone.get(page) as string]
  try {
    zone.set(page, before.concat(some).join('\n'))
  } catch (_) {
    some.forEach((name) => {
      dropRow(zone, state, `${window}\t${name}`)
    })
    return
  }
  count[0] += some.length
  if (inLast === 0) count[1]++
  state.windows[window] = count
  state.open += some.length
}

function pageEntry(window: string, page: number): string {
  return `p${window}:${page}`
}

/** The names of one page of a window. */
export function readRowNames(window: string, page: number): string[] {
  const names = rowsZone().get(pageEntry(window, page))
  return names === undefined ? [] : names.split('\n')
}

/** The sums of a row, as JSON. */
export function readRow(window: string, name: string): string | undefined {
  return rowsZone().get(`${window}\t${name}`)
}

/** A window that is over, and can be closed; null when there is none. */
export function findClosable(state: RowsState, nowMs: number, zoneMinutes: number): string | null {
  const found = Object.keys(state.windows).find(
    (window) => spanOf(window, zoneMinutes).endMs + CLOSE_DELAY_MS < nowMs,
  )
  return found === undefined ? null : found
}

/** Removes the last page of a window, which stands in the file now. */
export function dropPage(state: RowsState, window: string): void {
  const count = state.windows[window]
  if (!count) return
  const zone = rowsZone()
  const page = count[1] - 1
  const names = readRowNames(window, page)
  names.forEach((name) => {
    zone.delete(`${window}\t${name}`)
    zone.delete(countEntry(window, name))
  })
  zone.delete(pageEntry(window, page))
  state.open -= names.length
  count[0] -= names.length
  count[1]--
  if (count[1] <= 0) delete state.windows[window]
}
