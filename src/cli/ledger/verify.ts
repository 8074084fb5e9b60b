import type { BalanceFile } from '../../core/ledger/balancefile.ts'
import type { Balance, Sums } from '../../core/ledger/fold.ts'
import type { LedgerLine } from '../../core/ledger/line.ts'
import { dayOf, formatTime, monthOf, startOfDay, startOfMonth } from '../../core/time.ts'
import { type RowSums, spanOf, type Windows } from '../../core/usage/rows.ts'
import { parseLine } from './line.ts'
import { readLines } from './lines.ts'
import type { Progress } from './progress.ts'
import { totalOf } from './rows.ts'
import type { Counted, Subjects } from './sums.ts'
import { exact } from './text.ts'

/** One thing that is wrong in a file. Without a number it is about the file as a whole. */
export type Flaw = { file: string; line: number | null; message: string }

/** What was found. Of many flaws the first are told, and the number of all. */
export type Verified = {
  lines: number
  flaws: Flaw[]
  flawsInAll: number
  firstMs: number | null
  lastMs: number | null
}

const FLAWS_TOLD_MAX = 50
/** Clocks of workers differ by nothing; that of the machine may be set back by NTP. */
const BACKWARDS_MS_MAX = 60_000
const FUTURE_MS_MAX = 300_000
/** How far apart time zones are: 26 hours at most. */
const ZONES_MS = 93_600_000
/** 2020: there was no Tollgate. */
const EARLIEST_MS = Date.UTC(2020, 0, 1)

/**
 * Reads every line of all files, oldest first, and finds what is wrong with them by themselves. What
 * the balance has counted is handed on.
 */
export async function verifyLines(
  counted: Counted[],
  nowMs: number,
  onCounted: (line: LedgerLine, timeMs: number) => void,
  progress: Progress,
): Promise<Verified> {
  const found: Verified = { lines: 0, flaws: [], flawsInAll: 0, firstMs: null, lastMs: null }
  const newest = counted.at(-1)
  for (const one of counted) {
    const { path } = one.file
    const tell = (line: number | null, message: string) => {
      found.flawsInAll++
      if (found.flaws.length < FLAWS_TOLD_MAX) found.flaws.push({ file: path, line, message })
    }
    let number = 0
    const check = (text: string | null, isCounted: boolean) => {
      number++
      const entry = parseLine(text)
      if (entry.problem !== null) tell(number, entry.problem)
      if (entry.kind === 'unreadable') return
      const { timeMs } = entry
      if (isCounted) onCounted(entry.line as LedgerLine, timeMs)
      const problem = judgeTime(timeMs, found.lastMs, nowMs)
      if (problem !== null) tell(number, problem)
      found.firstMs = Math.min(found.firstMs ?? timeMs, timeMs)
      found.lastMs = Math.max(found.lastMs ?? timeMs, Math.min(timeMs, nowMs))
    }
    let end = await readLines(one.file, (text) => check(text, true), progress, { to: one.to })
    if (one.to < Number.POSITIVE_INFINITY) {
      if (end.torn !== null) tell(number + 1, 'the balance ends in the middle of it')
      end = await readLines(one.file, (text) => check(text, false), progress, { from: one.to })
    }
    found.lines += number
    if (end.broken !== null) tell(null, `cannot be unpacked: ${end.broken}`)
    // The newest file may be in the middle of a line.
    if (end.torn !== null && one !== newest) tell(number + 1, 'it is torn, the file ends within it')
  }
  return found
}

function judgeTime(timeMs: number, lastMs: number | null, nowMs: number): string | null {
  if (timeMs > nowMs + FUTURE_MS_MAX) return 'its time is in the future'
  if (timeMs < EARLIEST_MS) return 'its time is before 2020'
  if (lastMs !== null && timeMs < lastMs - BACKWARDS_MS_MAX) {
    return 'its time is more than a minute before that of an earlier line'
  }
  return null
}

/** Sums of one subject that are not the same in the balance and in the ledger. */
export type Difference = { subject: string; window: string; ledger: Sums; balance: Sums }

/**
 * Where the balance and the ledger differ in the windows that are running. What the ledger lacks is
 * no difference in a window that began before its first line: older files may be gone.
 */
export function compareSums(
  ledger: Subjects,
  balance: BalanceFile,
  firstMs: number | null,
  nowMs: number,
): Difference[] {
  const differences: Difference[] = []
  const names = new Set([...ledger.keys(), ...Object.keys(balance.subjects)])
  const zone = balance.zoneMinutes ?? 0
  const [day, month] = [dayOf(nowMs, zone), monthOf(nowMs, zone)]
  const [dayMs, monthMs] = [startOfDay(day, zone), startOfMonth(month, zone)]
  const windows: [string, number, (of: Balance) => Sums | undefined][] = [
    ['today', dayMs, ({ days }) => days[day]],
    ['this month', monthMs, ({ months }) => months[month]],
    ['in all', Number.NEGATIVE_INFINITY, ({ all }) => all],
  ]
  for (const subject of [...names].sort()) {
    for (const [window, beginMs, pick] of windows) {
      const counted = pickSums(ledger.get(subject), pick)
      const kept = pickSums(balance.subjects[subject], pick)
      const isWhole = firstMs !== null && firstMs < beginMs
      const isLess = counted.every((sum, at) => sum <= (kept[at] ?? 0))
      const isSame = counted.every((sum, at) => sum === kept[at])
      if (isSame || (isLess && !isWhole)) continue
      differences.push({ subject, window, ledger: counted, balance: kept })
    }
  }
  return differences
}

/**
 * Where usage over time and the ledger differ, in hours and days that began at `sinceMs` or later: of
 * what came before, neither may have all. Days that had begun somewhere when the time zone was changed
 * may have rows of another one.
 */
export function compareRows(
  ledger: Windows,
  rows: Windows,
  sinceMs: number,
  { zoneMinutes = 0, zoneSinceMs = 0 }: Pick<BalanceFile, 'zoneMinutes' | 'zoneSinceMs'>,
): Difference[] {
  const pick = (sums: RowSums): Sums => {
    const of = (at: number) => sums[at] ?? 0
    return [of(4) + of(6), of(9), of(0)]
  }
  return [...new Set([...Object.keys(ledger), ...Object.keys(rows)])]
    .filter((window) => {
      const { startMs } = spanOf(window, zoneMinutes)
      const isHour = window.startsWith('h')
      return startMs >= (isHour ? sinceMs : Math.max(sinceMs, zoneSinceMs + ZONES_MS))
    })
    .sort()
    .flatMap((window) => {
      const counted = pick(totalOf(ledger, window))
      const kept = pick(totalOf(rows, window))
      if (counted.every((sum, at) => sum === kept[at])) return []
      const time = formatTime(spanOf(window, zoneMinutes).startMs, zoneMinutes)
      const name = window.startsWith('h') ? time.slice(0, 16) : time.slice(0, 10)
      return [{ subject: 'usage', window: name, ledger: counted, balance: kept }]
    })
}

function pickSums(balance: Balance | undefined, pick: (of: Balance) => Sums | undefined): Sums {
  return (balance && pick(balance)) ?? [0, 0, 0]
}

/** `client:app today: tokens 5 in the ledger, 3 in the balance`. */
export function describeDifference({ subject, window, ledger, balance }: Difference): string {
  const names = ['tokens', 'cost (nano-units)', 'requests']
  const parts = names.flatMap((name, at) => {
    const [counted, kept] = [ledger[at] ?? 0, balance[at] ?? 0]
    if (counted === kept) return []
    return [`${name} ${exact(counted)} in the ledger, ${exact(kept)} in the balance`]
  })
  return `${subject} ${window}: ${parts.join('; ')}`
}
