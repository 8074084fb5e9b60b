import {
  addBalance,
  type Balance,
  emptyBalance,
  foldLines,
  todayOf,
} from '../../core/ledger/fold.ts'
import { giveWay } from '../giveway.ts'
import { zoneInForce } from '../timezone.ts'
import { readLines } from './file.ts'
import { type Cursor, readCursor, readSums } from './sums.ts'

/** What subjects have used, by their names, and what the figures lack. */
export type Used = {
  subjects: { [name: string]: Balance }
  notices: string[]
  /** Where their days and months begin, minutes east of UTC. */
  zoneMinutes: number
}

/** The rest of the ledger that is added up for one call, about 600 lines: more is told as a notice. */
const REST_BYTES_MAX = 262144

/** The housekeeping may be in the middle of a portion; it takes a few milliseconds. */
const TRIES = 20

/**
 * What subjects have used by the last line of the ledger: the sums of the housekeeping, which are half a
 * second old, and the lines since.
 */
export async function collectUsed(names: string[], ledger: string, nowMs: number): Promise<Used> {
  for (let i = 0; i < TRIES; i++) {
    const cursor = readCursor()
    const subjects = cursor ? readAll(names) : {}
    const after = readCursor()
    // Else lines would count twice that were added up in between.
    if (cursor && after && offsetOf(cursor) === offsetOf(after) && cursor.lines === after.lines) {
      const used = { subjects, notices: [], zoneMinutes: cursor.zoneMinutes }
      return addRest(used, names, cursor, ledger, nowMs)
    }
    await giveWay()
  }
  const notices = ['The ledger is being added up: wait a moment']
  return { subjects: readAll(names), notices, zoneMinutes: zoneInForce() }
}

function readAll(names: string[]): Used['subjects'] {
  const subjects: Used['subjects'] = {}
  names.forEach((name) => {
    const sums = readSums(name)
    if (sums) subjects[name] = sums
  })
  return subjects
}

function addRest(used: Used, names: string[], cursor: Cursor, ledger: string, nowMs: number): Used {
  if (cursor.isPartial) used.notices.push('tollgate_balance is full: not all sums are known')
  if (cursor.recount) {
    used.notices.push('Days and months are being added up for another time zone: wait a moment')
  }
  try {
    const rest = readRest(ledger, offsetOf(cursor))
    if (rest.isMore) used.notices.push('The ledger is being added up: the figures are behind')
    const folded = foldLines(rest.text, nowMs, undefined, used.zoneMinutes).subjects
    const today = todayOf(nowMs, used.zoneMinutes)
    names.forEach((name) => {
      const more = folded[name]
      if (!more) return
      const sums = used.subjects[name] || emptyBalance()
      addBalance(sums, more, today)
      used.subjects[name] = sums
    })
  } catch (error) {
    used.notices.push(`The ledger cannot be read: ${(error as Error).message}`)
  }
  return used
}

function readRest(ledger: string, from: number): { text: string; isMore: boolean } {
  let text = ''
  let at = from
  let lines = readLines(ledger, at)
  while (lines.next > at) {
    text += lines.text
    at = lines.next
    if (text.length > REST_BYTES_MAX) return { text, isMore: true }
    lines = readLines(ledger, at)
  }
  return { text, isMore: false }
}

/** Of a ledger that was moved away a moment ago, its own offset is gone: then nothing is read. */
function offsetOf(cursor: Cursor): number {
  const mark = cursor.marks[cursor.marks.length - 1]
  return mark ? mark.offset : 0
}
