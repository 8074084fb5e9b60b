import type { UsageHead } from '../usage/file.ts'
import type { Balance } from './fold.ts'

/**
 * How far a ledger is in the sums. It is known by the hash of its first line (headOf() of the edge),
 * because a rotation gives it another name.
 */
export type Mark = {
  /** Null while the file has no first line. */
  head: string | null
  /** Bytes from its beginning, always whole lines. */
  offset: number
  /** Of a ledger that was moved away: until when somebody may still write into it, ms since 1970. */
  untilMs?: number
}

/** What stands before the sums in balance.json. */
export type BalanceHead = {
  version: 1
  ledger: Mark
  /** Ledgers before that one, as long as they may hold lines that are not in the sums. */
  previous?: Mark[]
  /** Lines that are in the sums, and those of them that could not be read. */
  lines: number
  skipped: number
  /** Where the days and months of the sums begin, minutes east of UTC; absent: UTC. */
  zoneMinutes?: number
  /** When that was changed last, ms since 1970: rows of days before it are of another time zone. */
  zoneSinceMs?: number
  /** How many subjects follow. */
  count: number
  /** There are subjects that did not fit into the zone: the sums are not all. */
  isPartial?: true
  /** Where the rows of usage over time stand; absent where there are none yet. */
  usage?: UsageHead
}

/** balance.json as a whole. Its subjects stand one a line, so that it can be read in portions. */
export type BalanceFile = BalanceHead & { subjects: Subjects }

/** Sums by the names of their subjects, see subjectName(). */
export type Subjects = { [name: string]: Balance }

const OPENING = ',"subjects":{\n'
const END_LINE = '}}\n'

/** The beginning of balance.json: the subjects follow. */
export function formatHead(head: BalanceHead): string {
  return JSON.stringify(head).slice(0, -1) + OPENING
}

/** One subject, whose sums are JSON. */
export function formatSubject(name: string, sums: string): string {
  return `${JSON.stringify(name)}:${sums}`
}

/** The end of balance.json. */
export function formatEnd(): string {
  return `\n${END_LINE}`
}

/** Reads the beginning of balance.json, and where it ends; null when it is none. */
export function parseHead(text: string): { head: BalanceHead; length: number } | null {
  const at = text.indexOf(OPENING)
  if (at < 0) return null
  try {
    const head = JSON.parse(`${text.slice(0, at)}}`) as BalanceHead
    const marks = [head.ledger].concat(head.previous || [])
    return head.version === 1 && head.count >= 0 && head.lines >= 0 && marks.every(isMark)
      ? { head, length: at + OPENING.length }
      : null
  } catch (_) {
    return null
  }
}

function isMark(mark: Mark): boolean {
  return (mark.head === null || mark.head.length === 64) && mark.offset >= 0
}

/** Reads whole lines of the subjects, and whether they are the last. Throws when they are none. */
export function parseSubjects(text: string): { subjects: Subjects; isEnd: boolean } {
  const isEnd = text === END_LINE || text.endsWith(`\n${END_LINE}`)
  let lines = isEnd ? text.slice(0, -END_LINE.length) : text
  while (lines.endsWith('\n') || lines.endsWith(',')) lines = lines.slice(0, -1)
  return { subjects: JSON.parse(`{${lines}}`), isEnd }
}
