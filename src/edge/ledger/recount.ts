import { RULES_ENTRY, type Rules } from '../../core/config/record.ts'
import { foldLines, type Today, todayOf } from '../../core/ledger/fold.ts'
import { readLine } from '../../core/ledger/read.ts'
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
 * What has to be read for the days and months of another time zone. The files may not have all of the running
 * day or month: compressed ones are not read, others may be gone. Then it goes on with the sum that it has,
 * where that is larger. Null: compressed files are part of one that was over before, of which there is no
 * sum any more, so that its end has to be waited for.
 */
function planRecount(
  places: LedgerPlaces,
  cursor: Cursor,
  wanted: number,
  nowMs: number,
): Recount | null {
  const before = todayOf(nowMs, cursor.zoneMinutes)
  const today = todayOf(nowMs, wanted)
  const compressedMs = newestCompressedMs(places.ledger)
  const isCut = (ms: number) => compressedMs >= ms
  const monthMs = startOfMonth(today.month, wanted)
  const cutDay = isCut(startOfDay(today.day, wanted))
  const cutMonth = isCut(monthMs)
  if ((cutDay && today.day < before.day) || (cutMonth && today.month < before.month)) return null
  const marks = listMarks(places, cursor)
  const firstMs = marks.reduce((first, mark) => Math.min(first, mark.firstMs), Infinity)
  return {
    marks: marks.filter((mark) => mark.lastMs >= monthMs),
    emptyAt: 0,
    fillAt: 0,
    day: today.day === before.day ? today.day : -1,
    month: today.month === before.month ? today.month : -1,
    cutDay,
    cutMonth,
    isWhole: firstMs < monthMs,
    lines: 0,
  }
}

/** The files that are read, each as far as it is in the sums. */
function listMarks(places: LedgerPlaces, cursor: Cursor): RecountMark[] {
  const marks: RecountMark[] = []
  const add = (path: string, head: string, to: number, lastMs: number) => {
    marks.push({ head, offset: 0, to, firstMs: firstTimeOf(path), lastMs })
  }
  listRotated(places.ledger).forEach((file) => {
    const isLater = cursor.marks.some((mark) => mark.head === file.head)
    if (!isLater) add(file.path, file.head, file.size, file.changedMs)
  })
  cursor.marks.forEach((mark) => {
    const path = mark.head === null ? null : findLedger(places.ledger, mark.head)
    if (path !== null) add(path, mark.head as string, mark.offset, Infinity)
  })
  return marks
}

/** The time of the first line that can be read; Infinity where there is none at the beginning. */
function firstTimeOf(path: string): number {
  const lines = readLines(path, 0).text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const found = readLine(lines[i] as string)
    if (found.line) return found.timeMs
  }
  return Infinity
}

/** Does one step of a recount; whether there may be more to do. */
export function recountSome(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  const recount = cursor.recount as Recount
  try {
    if (recount.emptyAt >= 0) emptySome(cursor, recount)
    else if (recount.marks.length > 0) readSome(places, cursor, recount, nowMs)
    else if (recount.fillAt < cursor.pages) finishSome(cursor, recount, nowMs)
    else end(cursor, recount)
    setProblem(cursor, 'readProblem', null)
    return true
  } catch (error) {
    const why = `Cannot add up ${places.ledger} anew: ${(error as Error).message}`
    setProblem(cursor, 'readProblem', why)
    return false
  }
}

/** Puts the days and months of the old time zone aside in some sums. */
function emptySome(cursor: Cursor, recount: Recount): void {
  changeTogether(cursor, () => {
    eachName(recount.emptyAt, (name) => {
      const balance = readSums(name)
      if (!balance) return
      balance.before = { day: balance.days[recount.day], month: balance.months[recount.month] }
      balance.days = {}
      balance.months = {}
      putSums(cursor, name, balance)
    })
    recount.emptyAt += SLICE_PAGES
    if (recount.emptyAt >= cursor.pages) recount.emptyAt = -1
  })
}

/** Adds one portion to the days and months. */
function readSome(places: LedgerPlaces, cursor: Cursor, recount: Recount, nowMs: number): void {
  const mark = recount.marks[0] as RecountMark
  const path = findLedger(places.ledger, mark.head)
  const lines = path === null ? null : readLines(path, mark.offset, mark.to)
  // It has been compressed meanwhile.
  if (!lines) recount.cutDay = recount.cutMonth = true
  if (!lines || lines.next === mark.offset) {
    recount.marks.shift()
    return
  }
  const folded = foldLines(lines.text, nowMs, undefined, cursor.zoneMinutes)
  const more: { [name: string]: Balance } = {}
  Object.keys(folded.subjects).forEach((name) => {
    const found = folded.subjects[name] as Balance
    const isNone = Object.keys(found.days).length + Object.keys(found.months).length === 0
    if (!isNone) more[name] = { all: [0, 0, 0], days: found.days, months: found.months }
  })
  changeTogether(cursor, () => {
    addToSums(cursor, more, nowMs)
    recount.lines += folded.lines
    mark.offset = lines.next
  })
}

/** Lets some days and months go on with what they had, where files are lacking; then fills their counters. */
function finishSome(cursor: Cursor, recount: Recount, nowMs: number): void {
  const lacks = lacksLines(cursor, recount)
  changeTogether(cursor, () => {
    eachName(recount.fillAt, (name) => {
      const balance = readSums(name)
      if (!balance) return
      const before = balance.before || {}
      if (recount.cutDay) keepLarger(balance.days, recount.day, before.day)
      if (lacks) keepLarger(balance.months, recount.month, before.month)
      delete balance.before
      putSums(cursor, name, balance)
    })
  })
  fillPages(cursor, recount.fillAt, nowMs)
  recount.fillAt += SLICE_PAGES
}

/** Whether some lines of the month are in no file that was read. */
function lacksLines(cursor: Cursor, recount: Recount): boolean {
  return recount.cutMonth || (!recount.isWhole && recount.lines < cursor.lines)
}

function keepLarger(periods: Balance['days'], period: number, before: Sums | undefined): void {
  if (!before) return
  const sums = periods[period] || [0, 0, 0]
  periods[period] = [
    Math.max(sums[0], before[0]),
    Math.max(sums[1], before[1]),
    Math.max(sums[2], before[2]),
  ]
}

/** Brings the counters of some subjects up to their sums. */
export function fillPages(cursor: Cursor, page: number, nowMs: number): void {
  const today: Today = todayOf(nowMs, cursor.zoneMinutes)
  eachName(page, (name) => {
    const balance = readSums(name)
    if (balance) topUp(name, balance.days, balance.months, today, cursor.zoneMinutes)
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
  const without = lacksLines(cursor, recount)
    ? '; files of this month are compressed, which are not read, or gone, so that it goes on with what it had: stop nginx and run tollgate ledger rebuild to have it exact'
    : ''
  note(
    cursor,
    `Days and months begin by the time zone ${formatZone(cursor.zoneMinutes)} now, and were added up anew from the ledger${without}`,
  )
}

function tellWait(cursor: Cursor, wanted: number): void {
  const notice = `The time zone ${formatZone(wanted)} waits until it is in the same day and month as the one before: compressed files of the ledger, which are not read, are part of these`
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
