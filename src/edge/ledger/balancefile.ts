import fs from 'fs'
import {
  type BalanceHead,
  formatEnd,
  formatHead,
  formatSubject,
  parseHead,
  parseSubjects,
} from '../../core/ledger/balancefile.ts'
import { exists } from '../config/files.ts'
import { usageHead } from '../usage/openfile.ts'
import { keepRowsState, type RowsState, readRowsState } from '../usage/rows.ts'
import { readLines } from './file.ts'
import { addToSums, type Cursor, changeTogether, readPage, sumsZone } from './sums.ts'

/** Pages of names that are written in one go, 2,000 subjects in 2 to 10 ms. */
const SLICE_PAGES = 10

/** The head of balance.json: null when there is no file, `bad` when it is none. */
export function readHead(path: string): { head: BalanceHead; length: number } | null | 'bad' {
  if (!exists(path)) return null
  try {
    const line = readLines(path, 0).text
    return parseHead(line.slice(0, line.indexOf('\n') + 1)) || 'bad'
  } catch (_) {
    return 'bad'
  }
}

/** Takes some more sums out of balance.json. Throws when they are none. */
export function restoreSome(path: string, cursor: Cursor, nowMs: number): void {
  const lines = readLines(path, cursor.restoreAt)
  if (lines.text === '') throw new Error('It has no end')
  const found = parseSubjects(lines.text)
  changeTogether(cursor, () => {
    addToSums(cursor, found.subjects, nowMs)
    cursor.restoreAt = found.isEnd ? -1 : lines.next
  })
}

/**
 * Writes some more of balance.json, and lets it take the place of the old one at its end. Until then
 * nothing may be added to the sums: all are of the same moment.
 */
export function writeSome(path: string, cursor: Cursor, nowMs: number): void {
  const next = `${path}.new`
  const from = cursor.writeAt
  const names = listNames(cursor, from, from + SLICE_PAGES)
  const zone = sumsZone()
  const parts = names.map((name) => formatSubject(name, zone.get(name) as string))
  let text = parts.join(',\n')
  cursor.writeAt = from + SLICE_PAGES
  const isLast = cursor.writeAt >= cursor.pages
  if (isLast) text += formatEnd()
  else text += ',\n'
  // nginx runs with a umask of 0.
  if (from === 0) fs.writeFileSync(next, formatHead(headOf(path, cursor)) + text, { mode: 0o640 })
  else fs.appendFileSync(next, text)
  if (!isLast) return
  fs.renameSync(next, path)
  keepNamed(cursor)
  cursor.writeAt = -1
  cursor.isChanged = false
  cursor.wroteMs = nowMs
}

/** Remembers which files of rows balance.json names now: the others may be written over. */
function keepNamed(cursor: Cursor): void {
  const state = readRowsState()
  if (!state || !cursor.rowsStamp) return
  state.openSlot = 1 - state.openSlot
  state.keptSlot = state.closed.slot
  keepRowsState(state)
}

/** Gives the room back that an unfinished file takes. */
export function dropUnfinished(path: string): void {
  try {
    fs.writeFileSync(`${path}.new`, '')
  } catch (_) {
    // The disk does not even take that.
  }
}

function listNames(cursor: Cursor, from: number, to: number): string[] {
  let names: string[] = []
  for (let page = from; page < Math.min(to, cursor.pages); page++) {
    names = names.concat(readPage(page))
  }
  return names.filter((name) => sumsZone().has(name))
}

function headOf(path: string, cursor: Cursor): BalanceHead {
  const marks = cursor.marks
  const head: BalanceHead = {
    version: 1,
    ledger: marks[marks.length - 1] as BalanceHead['ledger'],
    lines: cursor.lines,
    skipped: cursor.skipped,
    count: cursor.count,
  }
  const rows: RowsState | null = readRowsState()
  const stateDir = path.slice(0, path.lastIndexOf('/'))
  if (rows && cursor.rowsStamp) head.usage = usageHead(stateDir, rows, cursor.rowsStamp)
  if (cursor.zoneMinutes) head.zoneMinutes = cursor.zoneMinutes
  if (cursor.zoneSinceMs) head.zoneSinceMs = cursor.zoneSinceMs
  if (marks.length > 1) head.previous = marks.slice(0, -1)
  if (cursor.isPartial) head.isPartial = true
  return head
}
