import fs from 'fs'
import {
  closedFile,
  formatRow,
  formatStamp,
  hasStamp,
  openFile,
  parseRows,
  type UsageHead,
} from '../../core/usage/file.ts'
import type { Windows } from '../../core/usage/rows.ts'
import { readLines } from '../ledger/file.ts'
import { type RowsState, readRow, readRowNames } from './rows.ts'

/** Pages of rows that are written in one go, 1,000 rows. */
const SLICE_PAGES = 10

/**
 * Writes some more of the open rows into the file that balance.json does not name, from a page on, and
 * returns the next one; -1 at the end, when balance.json may name it. `stamp` tells it from what else
 * may stand there. Nothing may be added to the rows until then.
 */
export function writeOpenRows(
  stateDir: string,
  state: RowsState,
  stamp: number,
  from: number,
): number {
  const path = `${stateDir}/${openFile(1 - state.openSlot)}`
  let text = from === 0 ? formatStamp(stamp) : ''
  let at = 0
  Object.keys(state.windows).forEach((window) => {
    const pages = (state.windows[window] as [number, number])[1]
    for (let page = 0; page < pages; page++, at++) {
      if (at >= from && at < from + SLICE_PAGES) text += formatPageRows(window, page)
    }
  })
  // nginx runs with a umask of 0.
  if (from === 0) fs.writeFileSync(path, text, { mode: 0o640 })
  else fs.appendFileSync(path, text)
  return from + SLICE_PAGES < at ? from + SLICE_PAGES : -1
}

/** The rows of one page, as they stand in files. */
export function formatPageRows(window: string, page: number): string {
  let text = ''
  readRowNames(window, page).forEach((name) => {
    const sums = readRow(window, name)
    if (sums !== undefined) text += formatRow(window, name, sums)
  })
  return text
}

/** What balance.json says of the files of rows, once the open ones are written. */
export function usageHead(stateDir: string, state: RowsState, stamp: number): UsageHead {
  const open = 1 - state.openSlot
  return {
    open,
    openStamp: stamp,
    openBytes: fs.statSync(`${stateDir}/${openFile(open)}`).size,
    closed: state.closed.slot,
    closedStamp: state.closed.stamp,
    closedBytes: state.closed.bytes,
    sinceMs: state.sinceMs,
  }
}

/**
 * Reads some of the open rows, from an offset on. Returns them and the next offset, -1 at the end.
 * Throws when they are not those that balance.json names.
 */
export function readOpenRows(
  stateDir: string,
  head: UsageHead,
  from: number,
): { windows: Windows; next: number } {
  const lines = readLines(`${stateDir}/${openFile(head.open)}`, from)
  if (from === 0 && !hasStamp(lines.text, head.openStamp)) throw new Error('It is another one')
  if (lines.size !== head.openBytes || lines.next === from) throw new Error('It is not whole')
  const text = from === 0 ? lines.text.slice(lines.text.indexOf('\n') + 1) : lines.text
  const windows: Windows = {}
  if (parseRows(text, windows) > 0) throw new Error('It has lines that are no rows')
  return { windows, next: lines.next < lines.size ? lines.next : -1 }
}

/** Whether the closed rows that balance.json names are there. */
export function hasClosedRows(stateDir: string, head: UsageHead): boolean {
  if (head.closedBytes === 0) return true
  try {
    const path = `${stateDir}/${closedFile(head.closed)}`
    const first = readLines(path, 0)
    return hasStamp(first.text, head.closedStamp) && first.size >= head.closedBytes
  } catch (_) {
    return false
  }
}
