import { RULES_ENTRY, type Rules } from '../../core/config/record.ts'
import { foldLines, type Today, todayOf } from '../../core/ledger/fold.ts'
import type { Balance, Sums } from '../../core/ledger/types.ts'
import { dayOf, formatZone, startOfDay, startOfMonth } from '../../core/time.ts'
import { putFirst } from '../config/publish.ts'
import { clientsZone } from '../gate/registry.ts'
import { moveEpoch } from '../running/epoch.ts'
import { zoneInForce, zoneWanted } from '../timezone.ts'
import { findLedger, listRotated, newestCompressedMs, readLines } from './file.ts'
import { note, setProblem } from './notices.ts'
import { addToSums, type Cursor, changeTogether, putSums, readPage, readSums } from './sums.ts'
import { topUp } from './topup.ts'
import type { LedgerPlaces, Recount, RecountMark } from './types.ts'

/*
 * Another time zone: what is used of the running day and month is added up anew from the ledger, in steps
 * of the fold, which goes on with new lines afterwards. Sums over all stay as they are, and so do rows of
 * usage over time. Counters of another time zone have other names, so that requests go by the old ones
 * until the new ones are there. balance.json is not written meanwhile: after a restart it begins anew.
 */

/** Names that are handled in one go are those of so many pages. */
export const SLICE_PAGES = 2

/** Begins to count in the time zone that policy.json says, where that is another one; whether it did. */
export function changeZone(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  const wanted = zoneWanted()
  if (wanted === null) return false
  if (wanted === cursor.zoneMinutes) {
    putInForce(wanted)
    return false
  }
  if (cursor.lines === 0) {
    cursor.zoneMinutes = wanted
    return true
  }
  const recount = planRecount(places, cursor, wanted, nowMs)
  if (!recount) {
    tellWait(cursor, wanted)
    return false
  }
  const before = cursor.zoneMinutes
  cursor.zonesBefore = cursor.zonesBefore
    .filter((zone) => zone !== wanted && zone !== before)
    .concat([before])
  cursor.zoneMinutes = wanted
  cursor.zoneSinceMs = nowMs
  cursor.sweptDay = Math.min(cursor.sweptDay, dayOf(nowMs, wanted))
  cursor.recount = recount
  return true
}

/**
 * What has to be read for the days and months of another time zone; null while that would lack something.
 * Files that were compressed are not read. Where they are part of the running month, or day, that goes on
 * with the sum it has; where it is another one than before, there is none, and it has to be waited for.
 */
function planRecount(
  places: LedgerPlaces,
  cursor: Cursor,
  wanted: number,
  nowMs: number,
): Recount | null {
  const before = todayOf(nowMs, cursor.zoneMinutes)
  const today = todayOf(nowMs, wanted)
  const dayMs = startOfDay(today.day, wanted)
  const monthMs = startOfMonth(today.month, wanted)
  const compressedMs = newestCompressedMs(places.ledger)
  const lacksDay = compressedMs >= dayMs
  const lacksMonth = compressedMs >= monthMs
  if ((lacksDay && today.day < before.day) || (lacksMonth && today.month < before.month))
    return null
  const keptDay = lacksDay && today.day === before.day ? today.day : -1
  const keptMonth = lacksMonth && today.month === before.month ? today.month : -1
  const marks = listMarks(places, cursor, keptMonth < 0 ? monthMs : dayMs)
  return { marks, emptyAt: 0, fillAt: 0, keptDay, keptMonth, lacks: lacksMonth }
}

/** The files that may have lines since a time, each as far as it is in the sums. */
function listMarks(places: LedgerPlaces, cursor: Cursor, sinceMs: number): RecountMark[] {
  const marks: RecountMark[] = []
  const ofHead = (head: string) => cursor.marks.some((mark) => mark.head === head)
  listRotated(places.ledger).forEach((file) => {
    if (file.changedMs < sinceMs || ofHead(file.head)) return
    marks.push({ head: file.head, offset: 0, to: file.size })
  })
  cursor.marks.forEach((mark) => {
    if (mark.head !== null) marks.push({ head: mark.head, offset: 0, to: mark.offset })
  })
  return marks
}

/** Does one step of a recount; whether there may be more to do. */
export function recountSome(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  const recount = cursor.recount as Recount
  try {
    if (recount.emptyAt >= 0) emptySome(cursor, recount)
    else if (recount.marks.length > 0) readSome(places, cursor, recount, nowMs)
    else if (recount.fillAt < cursor.pages) {
      fillPages(cursor, recount.fillAt, nowMs)
      recount.fillAt += SLICE_PAGES
    } else end(cursor, recount)
    setProblem(cursor, 'readProblem', null)
    return true
  } catch (error) {
    const why = `Cannot add up ${places.ledger} anew: ${(error as Error).message}`
    setProblem(cursor, 'readProblem', why)
    return false
  }
}

/** Takes the days and months of the old time zone out of some sums. */
function emptySome(cursor: Cursor, recount: Recount): void {
  changeTogether(cursor, () => {
    eachName(recount.emptyAt, (name) => {
      const balance = readSums(name)
      if (!balance) return
      balance.days = only(balance.days, recount.keptDay)
      balance.months = only(balance.months, recount.keptMonth)
      putSums(cursor, name, balance)
    })
    recount.emptyAt += SLICE_PAGES
    if (recount.emptyAt >= cursor.pages) recount.emptyAt = -1
  })
}

function only(periods: { [period: string]: Sums }, kept: number): { [period: string]: Sums } {
  const sums = periods[kept]
  return sums ? { [kept]: sums } : {}
}

/** Adds one portion to the days and months. */
function readSome(places: LedgerPlaces, cursor: Cursor, recount: Recount, nowMs: number): void {
  const mark = recount.marks[0] as RecountMark
  const path = findLedger(places.ledger, mark.head)
  const lines = path === null ? null : readLines(path, mark.offset, mark.to)
  if (!lines) recount.lacks = true
  if (!lines || lines.next === mark.offset) {
    recount.marks.shift()
    return
  }
  const folded = foldLines(lines.text, nowMs, undefined, cursor.zoneMinutes).subjects
  const more: { [name: string]: Balance } = {}
  Object.keys(folded).forEach((name) => {
    const found = folded[name] as Balance
    const days = recount.keptDay < 0 ? found.days : {}
    const months = recount.keptMonth < 0 ? found.months : {}
    const isNone = Object.keys(days).length + Object.keys(months).length === 0
    if (!isNone) more[name] = { all: [0, 0, 0], days, months }
  })
  changeTogether(cursor, () => {
    addToSums(cursor, more, nowMs)
    mark.offset = lines.next
  })
}

/** Brings the counters of some subjects up to their sums. */
export function fillPages(cursor: Cursor, page: number, nowMs: number): void {
  const today: Today = todayOf(nowMs, cursor.zoneMinutes)
  eachName(page, (name) => {
    const balance = readSums(name)
    if (balance) topUp(name, balance, today, cursor.zoneMinutes)
  })
}

export function eachName(page: number, act: (name: string) => void): void {
  for (let i = page; i < page + SLICE_PAGES; i++) readPage(i).forEach(act)
}

function end(cursor: Cursor, recount: Recount): void {
  cursor.recount = null
  cursor.isChanged = true
  // A balance.json with it at once.
  cursor.wroteMs = 0
  putInForce(cursor.zoneMinutes)
  const without = recount.lacks
    ? '; compressed files, which are not read, are part of this month, which goes on with what it had: stop nginx and run tollgate ledger rebuild to have it exact'
    : ''
  note(
    cursor,
    `Days and months begin by the time zone ${formatZone(cursor.zoneMinutes)} now, and were added up anew from the ledger${without}`,
  )
}

function tellWait(cursor: Cursor, wanted: number): void {
  const notice = `The time zone ${formatZone(wanted)} waits until it is in the same day and month as the one before: compressed files of the ledger are part of these, and are not read`
  if (cursor.notice !== notice) note(cursor, notice)
}

/** Lets requests go by a time zone; running streams are told, because hard budgets are asked again. */
function putInForce(zoneMinutes: number): void {
  if (zoneInForce() === zoneMinutes) return
  const zone = clientsZone()
  const rules = JSON.parse(zone.get(RULES_ENTRY) || '{}') as Rules
  if (zoneMinutes) rules.zoneMinutes = zoneMinutes
  else delete rules.zoneMinutes
  const text = JSON.stringify(rules)
  putFirst(zone, RULES_ENTRY, text === '{}' ? '' : text)
  moveEpoch()
}
