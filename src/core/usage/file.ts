import { addRow, ROW_FIELDS, type RowSums, type Windows } from './rows.ts'

/**
 * Rows in files: JSON, one row a line. What stands in them holds together with balance.json, which
 * names them, their stamps, and how much of the closed rows is valid.
 *
 * - `usage-open-0.jsonl`, `-1`: rows of windows that are not over; written anew with each balance.json,
 *   by turns, so that the one which the balance on the disk names is never touched
 * - `usage-closed-0.jsonl`, `-1`: rows of windows that are over, in pages, appended; the other one is
 *   taken when old rows are left out, once a day
 */
export type UsageHead = {
  open: number
  openStamp: number
  openBytes: number
  closed: number
  closedStamp: number
  /** So much of the closed rows is valid. */
  closedBytes: number
  /** From when on there are rows of all lines, ms since 1970. */
  sinceMs: number
}

/** The first line of each file. */
export type UsageStamp = { version: 1; stamp: number }

export function openFile(slot: number): string {
  return `usage-open-${slot}.jsonl`
}

export function closedFile(slot: number): string {
  return `usage-closed-${slot}.jsonl`
}

export function formatStamp(stamp: number): string {
  return `${JSON.stringify({ version: 1, stamp })}\n`
}

/** Whether a file is the one of that stamp, by its beginning. */
export function hasStamp(text: string, stamp: number): boolean {
  return text.startsWith(formatStamp(stamp))
}

/** One row: its window, the names of rowName(), and its sums as they stand in JSON. */
export function formatRow(window: string, name: string, sums: string): string {
  const parts = [window].concat(name.split('\t'))
  return `${JSON.stringify(parts).slice(0, -1)},${sums.slice(1)}\n`
}

const NAMES = 5

/** Reads whole lines of rows and adds them up. Returns how many were none. */
export function parseRows(text: string, windows: Windows): number {
  let bad = 0
  text.split('\n').forEach((line) => {
    if (line === '') return
    const row = parse(line)
    if (!row) bad++
    else
      addRow(windows, row[0] as string, row.slice(1, NAMES).join('\t'), row.slice(NAMES) as RowSums)
  })
  return bad
}

function parse(line: string): (string | number)[] | null {
  try {
    const row = JSON.parse(line)
    const isRow = Array.isArray(row) && row.length === NAMES + ROW_FIELDS.length
    return isRow && row.every((one, at) => typeof one === (at < NAMES ? 'string' : 'number'))
      ? row
      : null
  } catch (_) {
    return null
  }
}

/** What stands before a page of closed rows: their window, and their bytes. */
export function formatPage(window: string, rows: string, bytes: number): string {
  return `${JSON.stringify([window, bytes])}\n${rows}`
}

/** Reads the line before a page; null when it is none. */
export function parsePage(line: string): { window: string; bytes: number } | null {
  try {
    const page = JSON.parse(line)
    const isPage = Array.isArray(page) && page.length === 2 && page[1] >= 0
    return isPage && typeof page[0] === 'string' ? { window: page[0], bytes: page[1] } : null
  } catch (_) {
    return null
  }
}
