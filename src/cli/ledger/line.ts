import type { LedgerLine } from '../../core/ledger/line.ts'
import { readLine } from '../../core/ledger/read.ts'

export { modelOf } from '../../core/ledger/fate.ts'

/**
 * What `tollgate ledger compact` leaves of many lines: their sums, for one client, key, group and
 * model on one day. Its time is that of the last of them, so it stays in their day and month. The
 * schema is docs/ledger.md.
 */
export type LedgerSummary = {
  version: 1
  summary: true
  time: string
  client?: string
  key?: string
  group?: string
  /** The model that was asked for, else the one that answered. */
  model?: string
  requests: number
  refused: number
  errors: number
  aborted: number
  promptTokens?: number
  cachedTokens?: number
  completionTokens?: number
  reasoningTokens?: number
  audioSeconds?: number
  cost?: number
  /** At least one of the requests was estimated. */
  estimated?: true
  durationMs: number
  bytesIn: number
  bytesOut: number
}

/**
 * One entry of the ledger, whatever its kind, and when it was, in ms since 1970. `problem` is what is
 * wrong with a line that counts all the same.
 */
export type Entry = { timeMs: number; problem: string | null } & (
  | { kind: 'request'; line: LedgerLine }
  | { kind: 'summary'; line: LedgerSummary }
)

/** What is wrong with a line that cannot be counted. */
export type Unreadable = { kind: 'unreadable'; problem: string }

const NUMBERS = [
  'at',
  'promptBytes',
  'choices',
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'reasoningTokens',
  'audioSeconds',
  'cost',
  'reservedTokens',
  'admissionMs',
  'ttftMs',
  'tokensPerSecond',
  'status',
  'upstreamStatus',
  'durationMs',
  'bytesIn',
  'bytesOut',
  'requests',
  'refused',
  'errors',
  'aborted',
] as const
const SUMMARY_NUMBERS = ['requests', 'refused', 'errors', 'aborted'] as const
const NAMES = ['client', 'key', 'group', 'model', 'served', 'outcome', 'shadow', 'route'] as const

/** The versions of the schema that this command reads. The first lines had none, and are of the first. */
const VERSIONS: unknown[] = [undefined, 1, 2]

/**
 * Reads one line. What counts is decided by core/ledger/fold.ts, so that all sums agree. A field that is not
 * of its type is unknown, as it is there, and is taken away for those who read the line here.
 */
export function parseLine(text: string | null): Entry | Unreadable {
  if (text === null) return unreadable('it is too long')
  // What nginx writes when the gate's handler broke.
  if (text === '') return unreadable('it is empty')
  const { line, timeMs, isWhole } = readLine(text)
  if (line === null) return unreadable('it is no JSON object with a "time"')
  const problem = mend(line) ?? (isWhole ? null : 'it stands behind a piece of another line')
  const isSummary = (line as { summary?: unknown }).summary === true
  return isSummary
    ? { kind: 'summary', timeMs, problem, line: line as unknown as LedgerSummary }
    : { kind: 'request', timeMs, problem, line }
}

/** Takes away what is not of its type, and tells the first of it; null when all is well. */
function mend(known: object): string | null {
  const line = known as Record<string, unknown>
  let problem: string | null = null
  if (!VERSIONS.includes(line.version)) {
    problem = 'its version is not 1 or 2, so this command may misread it'
  }
  for (const name of NUMBERS) {
    if (isAmount(line[name])) continue
    delete line[name]
    problem ??= `"${name}" is no number of 0 or more`
  }
  for (const name of NAMES) {
    if (line[name] === undefined || typeof line[name] === 'string') continue
    delete line[name]
    problem ??= `"${name}" is no text`
  }
  if (line.summary === true) {
    for (const name of SUMMARY_NUMBERS) {
      if (line[name] !== undefined) continue
      line[name] = 0
      problem ??= `it is a sum without "${name}"`
    }
  } else if (line.outcome === undefined) problem ??= 'it has no "outcome"'
  return problem
}

function isAmount(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity)
}

function unreadable(problem: string): Unreadable {
  return { kind: 'unreadable', problem }
}
