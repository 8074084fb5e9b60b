import fs from 'fs'
import { closedFile, formatPage, formatStamp, parsePage } from '../../core/usage/file.ts'
import { isKept, spanOf } from '../../core/usage/rows.ts'
import { formatPageRows } from './openfile.ts'
import type { RowsState } from './rows.ts'

/** Older pages go when there are more bytes: a year of 10,000 rows a day is 400 MB. */
const CLOSED_BYTES_MAX = 268435456

/** What is read and copied in one go. */
const SLICE_BYTES = 262144

const LINE_END = 10

/** One page of closed rows: where its rows stand. */
export type ClosedPage = { window: string; start: number; end: number }

/**
 * Appends the last page of a window to the closed rows, and returns the bytes that are valid then. They
 * count only when the state says so: until then the same place can be written over.
 */
export function appendPage(stateDir: string, state: RowsState, window: string): number {
  const path = `${stateDir}/${closedFile(state.closed.slot)}`
  const pages = state.windows[window]
  const rows = formatPageRows(window, pages ? pages[1] - 1 : 0)
  let at = state.closed.bytes
  let text = formatPage(window, rows, Buffer.byteLength(rows))
  if (at === 0) text = formatStamp(state.closed.stamp) + text
  writeAt(path, at, Buffer.from(text))
  at += Buffer.byteLength(text)
  return at
}

function writeAt(path: string, at: number, bytes: Buffer): void {
  if (at === 0) fs.writeFileSync(path, '', { mode: 0o640 })
  const file = fs.openSync(path, 'r+')
  try {
    let done = 0
    while (done < bytes.length) {
      done += fs.writeSync(file, bytes, done, bytes.length - done, at + done)
    }
  } finally {
    fs.closeSync(file)
  }
}

/**
 * Reads a piece of the closed rows from a page's beginning on; 0: the first page. Hands the pages in it
 * to `onPage` with their rows, and returns where the next piece begins; -1 behind the last.
 */
export function readPages(
  path: string,
  from: number,
  validBytes: number,
  onPage: (page: ClosedPage, piece: Buffer, at: number) => void,
): number {
  if (validBytes === 0) return -1
  let length = SLICE_BYTES
  let next = from
  while (next === from) {
    const piece = readPiece(path, from, Math.min(length, validBytes - from))
    let at = from === 0 ? piece.indexOf(LINE_END) + 1 : 0
    while (at < piece.length) {
      const end = piece.indexOf(LINE_END, at)
      const page = end < 0 ? null : parsePage(piece.toString('utf8', at, end))
      if (end >= 0 && !page) throw new Error(`${path} is not whole at ${from + at}`)
      if (!page || end + 1 + page.bytes > piece.length) break
      const start = end + 1
      onPage({ window: page.window, start, end: start + page.bytes }, piece, at)
      at = start + page.bytes
    }
    next = from + at
    if (next === from && piece.length < length) throw new Error(`${path} is not whole at ${from}`)
    length = length * 4
  }
  return next < validBytes ? next : -1
}

function readPiece(path: string, from: number, length: number): Buffer {
  const file = fs.openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(length)
    const count = fs.readSync(file, buffer, 0, length, from)
    return buffer.subarray(0, count)
  } finally {
    fs.closeSync(file)
  }
}

/**
 * Copies some more of the closed rows into the other file, without those that are not kept any more, and
 * goes on with that file when all are in it. Beyond the bound the oldest go too.
 */
export function compactSome(
  stateDir: string,
  state: RowsState,
  nowMs: number,
  zoneMinutes: number,
): void {
  const from = `${stateDir}/${closedFile(state.closed.slot)}`
  const to = `${stateDir}/${closedFile(1 - state.closed.slot)}`
  const compact = state.compact || { from: 0, stamp: nowMs, bytes: 0 }
  state.compact = compact
  const parts: Buffer[] = []
  if (compact.bytes === 0) parts.push(Buffer.from(formatStamp(compact.stamp)))
  const tooMany = state.closed.bytes - CLOSED_BYTES_MAX
  const next = readPages(from, compact.from, state.closed.bytes, (page, piece, at) => {
    if (compact.from + at < tooMany) {
      state.sinceMs = Math.max(state.sinceMs, spanOf(page.window, zoneMinutes).endMs)
    } else if (isKept(page.window, nowMs, zoneMinutes)) parts.push(piece.subarray(at, page.end))
  })
  const bytes = Buffer.concat(parts)
  writeAt(to, compact.bytes, bytes)
  compact.bytes += bytes.length
  compact.from = next
  if (next >= 0) return
  state.closed = { slot: 1 - state.closed.slot, stamp: compact.stamp, bytes: compact.bytes }
  state.compact = null
  state.moves++
}
