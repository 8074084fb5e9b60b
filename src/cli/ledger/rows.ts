import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BalanceFile, BalanceHead } from '../../core/ledger/balancefile.ts'
import type { Sums } from '../../core/ledger/fold.ts'
import type { LedgerLine } from '../../core/ledger/line.ts'
import { dayOf } from '../../core/time.ts'
import {
  closedFile,
  formatPage,
  formatRow,
  formatStamp,
  hasStamp,
  openFile,
  parsePage,
  parseRows,
  type UsageHead,
} from '../../core/usage/file.ts'
import {
  addRow,
  type Batch,
  boundName,
  clientInRow,
  gather,
  hourOf,
  isKept,
  type RowSums,
  type Windows,
  windowsOf,
} from '../../core/usage/rows.ts'
import { readBalance } from './balancefile.ts'

/** Adds up lines to rows of usage over time, as the edge does it; for gigabytes. */
export function createRows(nowMs: number, zoneMinutes: number) {
  const batches = new Map<number, Batch>()
  return {
    add(line: LedgerLine, timeMs: number, used: Sums): void {
      const hour = hourOf(timeMs)
      const isSummary = (line as { summary?: unknown }).summary === true
      // Of what has no rows by hour any more there is one batch a day.
      const isOfHour = !isSummary && isKept(`h${hour}`, nowMs)
      const day = dayOf(timeMs, zoneMinutes)
      // A day may begin within an hour: of that there are two.
      const key = isOfHour ? 2 * hour + (day % 2) : -day
      let batch = batches.get(key)
      if (!batch) {
        batch = { hour, day, isSummary: !isOfHour, isFresh: false, rows: {} }
        batches.set(key, batch)
      }
      gather(batch, line, used, isSummary)
    },
    end: (): Windows => bound(windowsOf([...batches.values()], nowMs, zoneMinutes)),
  }
}

/** No more rows than the edge would make. */
function bound(windows: Windows): Windows {
  const bounded: Windows = {}
  for (const [window, rows] of Object.entries(windows)) {
    const clients = new Map<string, number>()
    let count = 0
    for (const [name, sums] of Object.entries(rows)) {
      const allowed = boundName(name, sums, clients.get(clientInRow(name)) ?? 0, count)
      if (bounded[window]?.[allowed] === undefined) {
        count++
        const client = clientInRow(allowed)
        clients.set(client, (clients.get(client) ?? 0) + 1)
      }
      addRow(bounded, window, allowed, sums)
    }
  }
  return bounded
}

/** Files of rows, and what balance.json says of them. */
export type RowFiles = { head: UsageHead; files: { name: string; text: string }[] }

/**
 * All rows as closed ones, which the edge goes on adding to, in the files that a balance does not name
 * yet: it may be read until the new one takes its place.
 */
export function formatRows(windows: Windows, before: BalanceHead | null): RowFiles {
  const open = before?.usage ? 1 - before.usage.open : 0
  const closed = before?.usage ? 1 - before.usage.closed : 0
  // Nothing that stands there already may be taken for it.
  const stamp = Date.now() * 1000 + randomInt(1000)
  let text = formatStamp(stamp)
  for (const [window, rows] of Object.entries(windows)) {
    const page = Object.entries(rows).map(([name, sums]) =>
      formatRow(window, name, JSON.stringify(sums)),
    )
    text += formatPage(window, page.join(''), Buffer.byteLength(page.join('')))
  }
  const files = [
    { name: closedFile(closed), text },
    { name: openFile(open), text: formatStamp(stamp) },
  ]
  const [closedBytes = 0, openBytes = 0] = files.map((file) => Buffer.byteLength(file.text))
  const stamps = { openStamp: stamp, closedStamp: stamp }
  return { head: { open, openBytes, closed, closedBytes, ...stamps, sinceMs: 0 }, files }
}

const TRIES = 5
const PAUSE_MS = 200

/**
 * Reads a balance and the rows that belong to it. nginx may write both anew while they are read, and then
 * they are read again.
 */
export async function readKept(path: string) {
  for (let i = 1; ; i++) {
    const balance = await readBalance(path)
    const rows = balance && 'version' in balance ? await readRows(path, balance) : null
    if (typeof rows !== 'string' || i === TRIES) return { balance, rows }
    await sleep(PAUSE_MS)
  }
}

/** Reads the rows that belong to a balance; a text says why not, null that there are none yet. */
async function readRows(path: string, balance: BalanceFile): Promise<Windows | string | null> {
  const { usage } = balance
  if (!usage) return null
  const windows: Windows = {}
  const open = await readText(join(dirname(path), openFile(usage.open)))
  const isWhole = Buffer.byteLength(open) === usage.openBytes
  if (!isWhole || !hasStamp(open, usage.openStamp)) return `${openFile(usage.open)} is another one`
  let bad = parseRows(open.slice(open.indexOf('\n') + 1), windows)
  if (usage.closedBytes > 0) {
    const bytes = Buffer.from(await readText(join(dirname(path), closedFile(usage.closed))))
    const closed = bytes.toString('utf8', 0, usage.closedBytes)
    if (!hasStamp(closed, usage.closedStamp)) return `${closedFile(usage.closed)} is another one`
    const lines = closed.split('\n').slice(1)
    bad += parseRows(lines.filter((line) => parsePage(line) === null).join('\n'), windows)
  }
  return bad > 0 ? `${bad} lines of it are no rows` : windows
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** The sums over all rows of a window. */
export function totalOf(windows: Windows, window: string): RowSums {
  const total: Windows = {}
  for (const sums of Object.values(windows[window] ?? {})) addRow(total, window, '', sums)
  return total[window]?.[''] ?? []
}
