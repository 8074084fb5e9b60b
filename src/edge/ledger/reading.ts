import type { Mark } from '../../core/ledger/balancefile.ts'
import { gatherLines } from '../../core/ledger/fold.ts'
import type { LedgerLine } from '../../core/ledger/line.ts'
import { type Averages, learnLine } from '../../core/limits/learn.ts'
import { countersZone, readRules } from '../gate/registry.ts'
import { flushTally, forgetMark, isCounted, startOfMetrics } from '../metrics/tally.ts'
import { addBatchesToRows, keepRowsState, type RowsState, readRowsState } from '../usage/rows.ts'
import { findLedger, headOf, readLines } from './file.ts'
import { note, setProblem } from './notices.ts'
import { addBatches, type Cursor, changeTogether } from './sums.ts'
import type { LedgerPlaces } from './types.ts'

/** A ledger that was moved away is looked at for so long: workers open the new one at different times. */
export const MOVED_MS = 60000

/** Adds up one portion of one of the ledgers; whether there was one. */
export function readMore(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  try {
    const hasRead = readPrevious(places, cursor, nowMs) || readCurrent(places, cursor, nowMs)
    setProblem(cursor, 'readProblem', null)
    return hasRead
  } catch (error) {
    const why = `Cannot add up ${places.ledger}: ${(error as Error).message}`
    setProblem(cursor, 'readProblem', why)
    return false
  }
}

function readPrevious(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  while (cursor.marks.length > 1) {
    const waiting = cursor.marks.slice(0, -1)
    for (let i = 0; i < waiting.length; i++) {
      const mark = waiting[i] as Mark
      const path = findLedger(places.ledger, mark.head as string)
      if (path !== null && readPortion(path, cursor, mark, nowMs)) return true
      if ((mark.untilMs || 0) > nowMs) continue
      cursor.marks.splice(cursor.marks.indexOf(mark), 1)
      forgetMark(mark)
      cursor.isChanged = true
      return true
    }
    return false
  }
  return false
}

function readCurrent(places: LedgerPlaces, cursor: Cursor, nowMs: number): boolean {
  const mark = cursor.marks[cursor.marks.length - 1] as Mark
  const head = headOf(places.ledger)
  if (mark.head === null) mark.head = head
  if (mark.head === null) return false
  if (mark.head === head) return readPortion(places.ledger, cursor, mark, nowMs)
  const moved = findLedger(places.ledger, mark.head)
  if (moved !== null && readPortion(moved, cursor, mark, nowMs)) return true
  // The workers write on into the moved file until they have opened the new one.
  if (head === null) return false
  if (moved === null) {
    cursor.marks.pop()
    forgetMark(mark)
    note(cursor, `${places.ledger} is another file than before, which is not there any more`)
  } else mark.untilMs = nowMs + MOVED_MS
  cursor.marks.push({ head, offset: 0 })
  cursor.isChanged = true
  return true
}

function readPortion(path: string, cursor: Cursor, mark: Mark, nowMs: number): boolean {
  const lines = readLines(path, mark.offset)
  cursor.behindBytes = Math.max(0, lines.size - lines.next)
  if (lines.size < mark.offset) {
    note(cursor, `${path} has become shorter: what is appended from now on is added up`)
    mark.offset = lines.size
    cursor.isChanged = true
    return true
  }
  if (lines.next === mark.offset) return false
  add(cursor, mark, lines, nowMs)
  return true
}

/** Adds a portion to everything that is a sum over the ledger. */
function add(cursor: Cursor, mark: Mark, lines: { text: string; next: number }, nowMs: number) {
  const freshMs = isCounted(mark) ? undefined : startOfMetrics(nowMs)
  const found = gatherLines(lines.text, freshMs, cursor.zoneMinutes)
  const wasPartial = cursor.isPartial
  const state = readRowsState() as RowsState
  const wasFull = state.isFull
  changeTogether(cursor, () => {
    addBatches(cursor, found.batches, nowMs)
    addBatchesToRows(state, found.batches, nowMs, cursor.zoneMinutes)
    keepRowsState(state)
    learn(found.counted)
    flushTally(mark, lines.next, found)
    mark.offset = lines.next
    cursor.lines += found.lines
    cursor.skipped += found.skipped
    cursor.isChanged = true
  })
  if (cursor.isPartial && !wasPartial) noteFull(cursor, 'tollgate_balance')
  if (state.isFull && !wasFull) noteFull(cursor, 'tollgate_usage')
}

/** Requests are estimated by what those before them came to. Of all lines, an average is read and written once. */
function learn(lines: LedgerLine[]): void {
  const zone = countersZone()
  const learned: { [name: string]: number } = {}
  const averages: Averages = {
    get: (name) => (learned[name] === undefined ? zone.get(name) : learned[name]),
    set: (name, value) => {
      learned[name] = value
    },
  }
  const defaultModel = readRules().defaultModel || ''
  for (let i = 0; i < lines.length; i++) learnLine(averages, lines[i] as LedgerLine, defaultModel)
  const names = Object.keys(learned)
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    try {
      zone.set(name, learned[name] as number)
    } catch (_) {
      // The zone is full: the default has to do.
    }
  }
}

function noteFull(cursor: Cursor, zone: string): void {
  note(cursor, `The zone ${zone} is full, make it larger in http.conf`)
}
