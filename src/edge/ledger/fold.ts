import type { Mark } from '../../core/ledger/balancefile.ts'
import { todayOf } from '../../core/ledger/fold.ts'
import { BIRTH_COUNTER } from '../../core/limits/counters.ts'
import { dayOf } from '../../core/time.ts'
import { countersZone } from '../gate/registry.ts'
import { giveWay } from '../giveway.ts'
import { noteTurn } from '../metrics/tally.ts'
import { zoneWanted } from '../timezone.ts'
import {
  beginRows,
  dropRows,
  restoreRows,
  startWrite,
  tidyRows,
  writeRows,
} from '../usage/keeping.ts'
import { clearRows } from '../usage/rows.ts'
import { dropUnfinished, readHead, restoreSome, writeSome } from './balancefile.ts'
import { countCompressed, findLedger, headOf, listRotated, newestCompressedMs } from './file.ts'
import { note, setProblem, tellRest } from './notices.ts'
import { MOVED_MS, readMore } from './reading.ts'
import { changeZone, eachName, fillPages, recountSome, SLICE_PAGES } from './recount.ts'
import { type Cursor, clearSums, keepCursor, readCursor } from './sums.ts'
import { createCounters, declareBirth, removeCounters } from './topup.ts'
import type { LedgerPlaces } from './types.ts'

/** balance.json is written this often at most, and takes at most this part of the time. */
const WRITE_MS_MIN = 2000
const WRITE_PART = 100

/** Counters of a day are removed when none of its requests can still be counted. */
const DAY_DELAY_MS = 600000

/**
 * Adds up what nginx has appended to the ledger, and keeps counters and balance.json in step, until the
 * time is over or nothing is left to do. Only one may do this at a time, see takeTurn().
 */
export async function foldLedger(places: LedgerPlaces, untilMs: number): Promise<Cursor> {
  noteTurn(Date.now())
  const cursor = readCursor() || begin(places)
  // A busy worker may take long to give the time back.
  while (Date.now() < untilMs && doSome(places, cursor, Date.now())) {
    keepCursor(cursor)
    await giveWay()
  }
  tellRest(cursor, Date.now())
  keepCursor(cursor)
  return cursor
}

/** Does one step of a few milliseconds; whether there may be more to do. */
function doSome(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  if (cursor.restoreAt >= 0) return restore(places, cursor, nowMs)
  if (cursor.rowsRestoreAt >= 0) return restoreRows(places.stateDir, cursor, nowMs)
  if (cursor.recount) return recountSome(places, cursor, nowMs)
  if (cursor.writeAt < 0 && changeZone(places, cursor, nowMs)) return true
  if (cursor.writeAt >= 0 || isWriteDue(cursor, nowMs)) return write(places, cursor, nowMs)
  if (readMore(places, cursor, nowMs)) return true
  if (cursor.readProblem !== null) return false
  if (!countersZone().has(BIRTH_COUNTER)) return fill(cursor, nowMs)
  return remove(cursor, nowMs) || tidyRows(places.stateDir, cursor, nowMs)
}

function isWriteDue(cursor: Cursor, nowMs: number): boolean {
  const pause = Math.max(WRITE_MS_MIN, cursor.tookMs * WRITE_PART)
  return cursor.isChanged && nowMs - cursor.wroteMs >= pause
}

/** Starts with an empty zone: from balance.json, or from the ledger alone. */
function begin(places: LedgerPlaces): Cursor {
  clearSums()
  createCounters()
  const found = readHead(places.balance)
  if (found === null) return rebuild(places, 'There is no balance.json')
  if (found === 'bad') return rebuild(places, 'balance.json cannot be read')
  const head = found.head
  if (head.isPartial) return rebuild(places, 'balance.json has not all sums')
  const known = head.ledger.head
  const isKnown = known === null || findLedger(places.ledger, known) !== null
  // It may have been compressed while nginx stood still; then the sums have what it held.
  if (!isKnown && countCompressed(places.ledger) === 0) {
    return rebuild(places, 'balance.json is of another ledger')
  }
  const cursor = newCursor((head.previous || []).concat([head.ledger]))
  cursor.zoneMinutes = head.zoneMinutes || 0
  cursor.zoneSinceMs = head.zoneSinceMs || 0
  cursor.sweptDay = dayOf(Date.now(), cursor.zoneMinutes)
  cursor.lines = head.lines
  cursor.skipped = head.skipped
  cursor.restoreAt = found.length
  beginRows(places.stateDir, cursor, head.usage, Date.now())
  keepCursor(cursor)
  return cursor
}

function rebuild(places: LedgerPlaces, why: string): Cursor {
  clearSums()
  const nowMs = Date.now()
  const marks: Mark[] = listRotated(places.ledger).map((file) => ({
    head: file.head,
    offset: 0,
    untilMs: file.changedMs > nowMs - MOVED_MS ? nowMs + MOVED_MS : 0,
  }))
  const cursor = newCursor(marks.concat([{ head: headOf(places.ledger), offset: 0 }]))
  const hasLines = marks.length > 0 || cursor.marks[0]?.head !== null
  const compressed = countCompressed(places.ledger)
  clearRows(newestCompressedMs(places.ledger), nowMs)
  if (hasLines || compressed > 0) {
    const without = compressed > 0 ? `, without ${compressed} compressed files` : ''
    note(cursor, `${why}: the ledger is added up from its beginning${without}`)
  }
  cursor.isChanged = true
  keepCursor(cursor)
  return cursor
}

function newCursor(marks: Mark[]): Cursor {
  const nowMs = Date.now()
  const zoneMinutes = zoneWanted() || 0
  return {
    marks,
    lines: 0,
    skipped: 0,
    behindBytes: 0,
    count: 0,
    pages: 0,
    isPartial: false,
    restoreAt: -1,
    writeAt: -1,
    rowsRestoreAt: -1,
    rowsWriteAt: -1,
    rowsStamp: 0,
    usage: null,
    fillAt: 0,
    sweepAt: -1,
    zoneMinutes,
    zoneSinceMs: 0,
    zonesBefore: [],
    recount: null,
    sweptDay: dayOf(nowMs, zoneMinutes),
    isChanged: false,
    wroteMs: nowMs,
    tookMs: 0,
    notice: null,
    readProblem: null,
    writeProblem: null,
    stateProblem: null,
    rowsProblem: null,
    toldMs: nowMs,
    isNews: true,
    stateMs: nowMs,
    pids: [],
    listedMs: 0,
  }
}

function restore(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  try {
    restoreSome(places.balance, cursor, nowMs)
  } catch (error) {
    const why = `balance.json cannot be read (${(error as Error).message})`
    Object.assign(cursor, rebuild(places, why))
  }
  return true
}

function write(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  if (cursor.writeAt < 0) {
    cursor.writeAt = 0
    cursor.tookMs = 0
    startWrite(places.balance, cursor, nowMs)
  }
  try {
    if (cursor.rowsWriteAt >= 0) writeRows(places.stateDir, cursor)
    else writeSome(places.balance, cursor, nowMs)
    cursor.tookMs += Date.now() - nowMs
    if (cursor.writeAt < 0) setProblem(cursor, 'writeProblem', null)
  } catch (error) {
    dropUnfinished(places.balance)
    dropRows(places.stateDir)
    cursor.writeAt = -1
    cursor.wroteMs = nowMs
    const why = `Cannot write ${places.balance}: ${(error as Error).message}`
    setProblem(cursor, 'writeProblem', why)
  }
  if (cursor.writeAt < 0) cursor.isNews = true
  return true
}

/** Brings all counters up to the sums, when their zone is new; at the end they may be relied on. */
function fill(cursor: Cursor, nowMs: number): boolean {
  if (cursor.fillAt < 0) {
    createCounters()
    cursor.fillAt = 0
  }
  fillPages(cursor, cursor.fillAt, nowMs)
  cursor.fillAt += SLICE_PAGES
  if (cursor.fillAt < cursor.pages) return true
  cursor.fillAt = -1
  cursor.isNews = true
  // A first balance.json at once.
  cursor.wroteMs = 0
  declareBirth(nowMs)
  return true
}

/** Once a day, removes the counters of days and months that are over. */
function remove(cursor: Cursor, nowMs: number): boolean {
  const overMs = nowMs - DAY_DELAY_MS
  const today = dayOf(overMs, cursor.zoneMinutes)
  if (cursor.sweptDay >= today) return false
  if (cursor.sweepAt < 0) cursor.sweepAt = 0
  eachName(cursor.sweepAt, (name) => {
    removeCounters(name, cursor.sweptDay, todayOf(overMs, cursor.zoneMinutes), cursor.zoneMinutes)
    cursor.zonesBefore.forEach((zone) => {
      // Nobody counts in these any more: what runs there goes too.
      const running = todayOf(nowMs, zone)
      const until = { day: running.day + 1, month: running.month + 1 }
      removeCounters(name, cursor.sweptDay - 1, until, zone)
    })
  })
  cursor.sweepAt += SLICE_PAGES
  if (cursor.sweepAt < cursor.pages) return true
  cursor.sweepAt = -1
  cursor.sweptDay = today
  cursor.zonesBefore = []
  return true
}
