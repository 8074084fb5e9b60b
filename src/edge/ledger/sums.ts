import type { Mark } from '../../core/ledger/balancefile.ts'
import {
  addBalance,
  addUsed,
  type Balance,
  emptyBalance,
  periodOf,
  type Sums,
  type Today,
  todayOf,
  usedIn,
} from '../../core/ledger/fold.ts'
import { addToBalance, newBalance, type Running, runningOf } from '../../core/ledger/sumtext.ts'
import type { UsageHead } from '../../core/usage/file.ts'
import type { Batch } from '../../core/usage/rows.ts'
import { readRowsState } from '../usage/rows.ts'
import { topUp } from './topup.ts'
import type { Recount } from './types.ts'

/** How far housekeeping is with the ledger. It stands in the zone, because njs keeps nothing else. */
export type Cursor = {
  /** The ledgers that may hold lines which are not in the sums, the running one last. */
  marks: Mark[]
  lines: number
  skipped: number
  behindBytes: number
  /** How many subjects have sums, and over how many entries their names stand. */
  count: number
  pages: number
  isPartial: boolean
  /** Where the next portion of balance.json is read or written, the next page counted; -1: not. */
  restoreAt: number
  writeAt: number
  fillAt: number
  sweepAt: number
  /** The same of the file of open rows, see ../usage/openfile.ts, and the stamp of that which is being written. */
  rowsRestoreAt: number
  rowsWriteAt: number
  rowsStamp: number
  /** What balance.json says of the files of rows, until the open ones are in the zone. */
  usage: UsageHead | null
  /** Where the days and months of the sums begin, minutes east of UTC; see timezone.ts. */
  zoneMinutes: number
  /** When that was changed last, ms since 1970; 0: never. */
  zoneSinceMs: number
  /** Time zones of which there may be counters yet. */
  zonesBefore: number[]
  /** While days and months are added up anew for another time zone. */
  recount: Recount | null
  /** The day whose counters are there yet. */
  sweptDay: number
  isChanged: boolean
  /** When balance.json was written last, and the time that took of the worker. */
  wroteMs: number
  tookMs: number
  notice: string | null
  /** Each stands until its cause is gone, and is logged once. */
  readProblem: string | null
  writeProblem: string | null
  stateProblem: string | null
  rowsProblem: string | null
  /** When the error log was last told how much is left to do. */
  toldMs: number
  /** Something that people should find in state.json, and when that was written last. */
  isNews: boolean
  stateMs: number
  /** The workers that have requests, and when they were looked for. */
  pids: string[]
  listedMs: number
}

const CURSOR_ENTRY = 'cursor'
/** `1` while sums are changing, else `0`: what is found half changed has to be made anew. */
const CHANGING_ENTRY = 'changing'

/** The cursor is filled up to so many characters, so that a longer one has its room in a full zone. */
const CURSOR_CHARS = 3900

/** The worker that is at it, and since when. */
const TURN_ENTRY = 'turn'
const PAGE_PREFIX = 'page:'

/** No turn takes longer. */
const TURN_MS_MAX = 2000

/** Names in one page, 4 KB of them. */
const PAGE_NAMES = 200

/** The zone of the sums: JSON of Balance by the names of subjects, their names in pages, the cursor. */
export function sumsZone(): NgxSharedDict<string> {
  return ngx.shared['tollgate_balance'] as NgxSharedDict<string>
}

/**
 * Whether this worker may change the sums now. After a reload the old worker 0 may still be in the
 * middle of its last turn; one that was ended there, or has died, is not waited for.
 */
export function takeTurn(nowMs: number): boolean {
  const zone = sumsZone()
  const turn = `${process.pid} ${nowMs}`
  const other = zone.get(TURN_ENTRY)
  if (other === undefined) return addTurn(turn)
  const cut = other.indexOf(' ')
  const isOwn = other.slice(0, cut) === `${process.pid}`
  if (!isOwn && nowMs - Number(other.slice(cut)) < TURN_MS_MAX) return false
  put(TURN_ENTRY, turn)
  return true
}

/** In a full zone nobody waits for anybody: that is told, and the configuration has to be loaded. */
function addTurn(turn: string): boolean {
  try {
    return sumsZone().add(TURN_ENTRY, turn)
  } catch (_) {
    return true
  }
}

export function endTurn(): void {
  sumsZone().delete(TURN_ENTRY)
}

/** The cursor; null in a new zone, also of rows, and after a worker died while it changed the sums. */
export function readCursor(): Cursor | null {
  const zone = sumsZone()
  const kept = zone.get(CURSOR_ENTRY)
  if (kept === undefined || zone.get(CHANGING_ENTRY) === '1') return null
  if (readRowsState() === null) return null
  // That of an older version has no time zone.
  const inUtc = { zoneMinutes: 0, zoneSinceMs: 0, zonesBefore: [], recount: null }
  return Object.assign(inUtc, JSON.parse(kept))
}

export function keepCursor(cursor: Cursor): void {
  put(CURSOR_ENTRY, JSON.stringify(cursor).padEnd(CURSOR_CHARS))
}

/**
 * Changes sums, rows and cursor in one step: a worker that dies within it leaves a mark, and all is made
 * anew from balance.json.
 */
export function changeTogether(cursor: Cursor, change: () => void): void {
  put(CHANGING_ENTRY, '1')
  change()
  keepCursor(cursor)
  put(CHANGING_ENTRY, '0')
}

/** Whether a change is half done: another worker is at it, or has died. */
export function isChanging(): boolean {
  return sumsZone().get(CHANGING_ENTRY) === '1'
}

/** Adds lines to the sums of their subjects. For changeTogether(). */
export function addBatches(cursor: Cursor, batches: Batch[], nowMs: number): void {
  const today = todayOf(nowMs, cursor.zoneMinutes)
  const fresh: string[] = []
  batches.forEach((batch) => {
    const period = periodOf(batch.day, nowMs, cursor.zoneMinutes)
    const runs = period.day >= 0 && period.month >= 0
    const running = runs ? runningOf(period.day, period.month) : null
    const used = usedIn(batch)
    const names = Object.keys(used)
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string
      const sums = used[name] as Sums
      if (running && addToText(cursor, name, sums, running, fresh)) continue
      const balance = emptyBalance()
      addUsed(balance, sums, period)
      addToSum(cursor, name, balance, today, fresh)
    }
  })
  noteNames(cursor, fresh)
}

/** Adds to the sums of subjects. For changeTogether(). */
export function addToSums(cursor: Cursor, more: { [name: string]: Balance }, nowMs: number): void {
  const today = todayOf(nowMs, cursor.zoneMinutes)
  const fresh: string[] = []
  Object.keys(more).forEach((name) => {
    addToSum(cursor, name, more[name] as Balance, today, fresh)
  })
  noteNames(cursor, fresh)
}

/** The short way: of nearly all balances one day and one month run. Whether it was one of these. */
function addToText(
  cursor: Cursor,
  name: string,
  used: Sums,
  running: Running,
  fresh: string[],
): boolean {
  const kept = sumsZone().get(name)
  const added = kept === undefined ? newBalance(used, running) : addToBalance(kept, used, running)
  if (!added) return false
  if (used[0] > 0 || used[1] > 0) {
    const days = { [running.day]: added.day }
    const months = { [running.month]: added.month }
    topUp(name, days, months, running, cursor.zoneMinutes)
  }
  keepSum(cursor, name, added.text, kept === undefined, fresh)
  return true
}

function addToSum(
  cursor: Cursor,
  name: string,
  more: Balance,
  today: Today,
  fresh: string[],
): void {
  const kept = sumsZone().get(name)
  const balance: Balance = kept === undefined ? emptyBalance() : JSON.parse(kept)
  addBalance(balance, more, today)
  // What comes out of balance.json may yet prove wrong.
  if (cursor.restoreAt < 0) topUp(name, balance.days, balance.months, today, cursor.zoneMinutes)
  keepSum(cursor, name, JSON.stringify(balance), kept === undefined, fresh)
}

/** Puts the names of new ones into `fresh`. */
function keepSum(
  cursor: Cursor,
  name: string,
  text: string,
  isNew: boolean,
  fresh: string[],
): void {
  // nginx logs every failure.
  if (isNew && cursor.isPartial) return
  try {
    sumsZone().set(name, text)
    if (isNew) fresh.push(name)
  } catch (_) {
    cursor.isPartial = true
  }
}

/** Removes all sums. What must not find the zone full takes its room at once. */
export function clearSums(): void {
  sumsZone().clear()
  put(CHANGING_ENTRY, '0')
}

/** The sums of a subject; null when there are none. */
export function readSums(name: string): Balance | null {
  const kept = sumsZone().get(name)
  return kept === undefined ? null : JSON.parse(kept)
}

/** Keeps the sums of a subject that has some. For changeTogether(). */
export function putSums(cursor: Cursor, name: string, balance: Balance): void {
  try {
    sumsZone().set(name, JSON.stringify(balance))
  } catch (_) {
    cursor.isPartial = true
  }
}

/** The names in one page; empty behind the last. */
export function readPage(page: number): string[] {
  const names = sumsZone().get(PAGE_PREFIX + page)
  return names === undefined ? [] : names.split('\n')
}

function noteNames(cursor: Cursor, names: string[]): void {
  while (names.length > 0) addNames(cursor, names)
}

/** Puts as many names as it has room for into the last page, or a new one. */
function addNames(cursor: Cursor, names: string[]): void {
  const inLast = cursor.count % PAGE_NAMES
  const some = names.splice(0, PAGE_NAMES - inLast)
  const page = PAGE_PREFIX + (inLast === 0 ? cursor.pages : cursor.pages - 1)
  const before = inLast === 0 ? [] : [sumsZone().get(page)]
  try {
    sumsZone().set(page, before.concat(some).join('\n'))
    if (inLast === 0) cursor.pages++
    cursor.count += some.length
  } catch (_) {
    cursor.isPartial = true
    some.forEach((name) => {
      sumsZone().delete(name)
    })
  }
}

/** Writes an entry that has to be there: in a full zone into the room that it had. */
function put(name: string, value: string): void {
  try {
    sumsZone().set(name, value)
  } catch (_) {
    sumsZone().delete(name)
    sumsZone().set(name, value)
  }
}
