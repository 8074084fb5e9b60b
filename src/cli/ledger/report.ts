import { count } from '../output.ts'
import { type LedgerFile, listLedger } from './files.ts'
import { parseLine } from './line.ts'
import { type FileEnd, readLines } from './lines.ts'
import { isWithin, type Period } from './period.ts'
import { showProgress } from './progress.ts'
import { addGrouped, type Dimension, type Grouped, noGroups } from './totals.ts'

/** What is to be summed up. */
export type Wanted = {
  by: Dimension
  period: Period
  client: string | undefined
  /** Where days begin, minutes east of UTC. */
  zoneMinutes: number
}

/** The sums, and what could not be counted. */
export type Reading = { grouped: Grouped; notices: string[] }

/** A file that was last written before the period is not opened; clocks differ by less than this. */
const CLOCK_SLACK_MS = 3_600_000

/** Sums up a ledger and its rotated files. */
export async function sumUp(ledger: string, wanted: Wanted): Promise<Reading> {
  const { sinceMs } = wanted.period
  const files = (await listLedger(ledger)).filter(
    ({ changedMs }) => sinceMs === null || changedMs >= sinceMs - CLOCK_SLACK_MS,
  )
  return readUsage(files, wanted)
}

async function readUsage(files: LedgerFile[], wanted: Wanted): Promise<Reading> {
  const { by, period, client, zoneMinutes } = wanted
  const grouped = noGroups()
  const notices: string[] = []
  const progress = showProgress(files.reduce((sum, { bytes }) => sum + bytes, 0))
  for (const file of files) {
    let unreadable = 0
    const end = await readLines(
      file,
      (text) => {
        const entry = parseLine(text)
        if (entry.kind === 'unreadable') unreadable++
        else if (
          isWithin(entry.timeMs, period) &&
          (client === undefined || entry.line.client === client)
        ) {
          addGrouped(grouped, entry, by, zoneMinutes)
        }
      },
      progress,
    )
    notices.push(...describeLosses(file, unreadable, end))
  }
  progress.end()
  return { grouped, notices }
}

function describeLosses(file: LedgerFile, unreadable: number, end: FileEnd): string[] {
  const notices: string[] = []
  if (unreadable > 0) {
    const lines = count(unreadable, 'line')
    notices.push(`${file.path}: ${lines} not counted, see: tollgate ledger verify`)
  }
  if (end.broken !== null) notices.push(`${file.path}: cannot be unpacked: ${end.broken}`)
  return notices
}
