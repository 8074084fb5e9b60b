import { parseTime } from '../time.ts'
import type { LedgerLine } from './line.ts'

/** One line of the ledger that was read; `timeMs` is its time, 0 where there is no line. */
export type FoundLine = { line: LedgerLine | null; timeMs: number; isWhole: boolean }

/** What says when a line was. */
type Times = { time: string; at?: number }

/** How a line begins, in these versions and in the one before. */
const BEGINNINGS = ['{"version":', '{"time":']

/** 10000-01-01: no text of a time is later. */
const TIME_MS_MAX = 253402300800000

/**
 * Reads one line, of either version. What a full disk or a power cut has left of a line stands in front
 * of the next one, without an end of line between them: that one is found all the same.
 */
export function readLine(text: string): FoundLine {
  const whole = parse(text, true)
  if (whole.line) return whole
  let at = 0
  BEGINNINGS.forEach((beginning) => {
    // In a string of JSON the quotes would stand behind backslashes.
    at = Math.max(at, text.lastIndexOf(beginning))
  })
  return at > 0 ? parse(text.slice(at), false) : { line: null, timeMs: 0, isWhole: false }
}

/**
 * A line in the words of version 1, whichever it was written in: for people, and for those who were
 * promised UTC and milliseconds in `time`.
 */
export function normalise<Line extends Times>(line: Line, timeMs: number): Line {
  if (line.at === undefined) return line
  line.time = new Date(timeMs).toISOString()
  delete line.at
  return line
}

function parse(text: string, isWhole: boolean): FoundLine {
  try {
    const line = JSON.parse(text)
    const time = line && line.time
    if (typeof time === 'string') {
      const timeMs = line.at === undefined ? parseTime(time) : momentOf(line.at, time)
      if (timeMs !== null) return { line, timeMs, isWhole }
    }
  } catch (_) {
    // Torn, or no JSON at all.
  }
  return { line: null, timeMs: 0, isWhole: false }
}

/** nginx takes both from one reading of the clock, and a number is read in a fraction of the time. */
function momentOf(at: unknown, time: string): number | null {
  const timeMs = typeof at === 'number' && at > 0 ? Math.round(at * 1000) : Infinity
  return timeMs < TIME_MS_MAX ? timeMs : parseTime(time)
}
