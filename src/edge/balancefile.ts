import fs from 'fs'
import {
  type BalanceHead,
  formatEnd,
  formatHead,
  formatSubject,
  parseHead,
  parseSubjects,
} from '../core/balance.ts'
import { exists } from './files.ts'
import { readLines } from './ledgerfile.ts'
import { type Cursor, changeSums, readPage, sumsZone } from './sums.ts'

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
  changeSums(cursor, found.subjects, nowMs, () => {
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
  if (from === 0) fs.writeFileSync(next, formatHead(headOf(cursor)) + text, { mode: 0o640 })
  else fs.appendFileSync(next, text)
  if (!isLast) return
  fs.renameSync(next, path)
  cursor.writeAt = -1
  cursor.isChanged = false
  cursor.wroteMs = nowMs
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

function headOf(cursor: Cursor): BalanceHead {
  const marks = cursor.marks
  const head: BalanceHead = {
    version: 1,
    ledger: marks[marks.length - 1] as BalanceHead['ledger'],
    lines: cursor.lines,
    skipped: cursor.skipped,
    count: cursor.count,
  }
  if (marks.length > 1) head.previous = marks.slice(0, -1)
  if (cursor.isPartial) head.isPartial = true
  return head
}
