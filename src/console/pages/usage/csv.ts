import type { UsageRow } from '../../api/types.ts'
import { COUNTED } from './sums.ts'

const COLUMNS = ['time', 'client', 'model', 'key', 'group', ...COUNTED, 'estimated'] as const

/** The rows as CSV (RFC 4180), with the columns that any of them has. */
export function toCsv(rows: UsageRow[]): string {
  const columns = COLUMNS.filter((column) => rows.some((row) => row[column] !== undefined))
  const lines = rows.map((row) => columns.map((column) => cell(row[column])).join(','))
  return [columns.join(','), ...lines, ''].join('\r\n')
}

/**
 * A model can be called `=HYPERLINK(...)`, since callers choose the name: a text that a spreadsheet
 * would take for a formula gets an apostrophe before it.
 */
function cell(value: string | number | boolean | null | undefined): string {
  if (typeof value !== 'string') return String(value ?? '')
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** Has the browser save a text as a file; it never leaves the browser. */
export function saveFile(name: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'text/csv;charset=utf-8' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
