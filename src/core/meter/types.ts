import type { Taken } from '../body/body.ts'
import type { Scan } from '../body/scan.ts'

/** What the meter is told of a stream before its first piece. */
export type MeterPlan = {
  /** The name of the route. */
  route: string
  /** What the caller did not ask for, and must not see. */
  taken: Taken
  /** How many the answer has: `n`, times the prompts. Those of the first prompt come first (index = prompt x n + i). */
  choices: number
  prompts: number
  /** The caller asked for usage in the stream. */
  wantsUsage: boolean
  /**
   * Asked with a hard budget, at every event that brings tokens: whether so many may be used. The
   * prompt is null where the server has not told it; the meter may tell what is served. Null: everything may.
   */
  mayUse: ((prompt: number | null, completion: number, meter: Meter) => boolean) | null
}

/** The meter of one stream. Buffers are references into it, never more than a few events. */
export type Meter = {
  plan: MeterPlan
  /** Something has to be taken out, so that pieces are sent after they were fed. */
  takesOut: boolean
  /** Pieces of the event that is not complete yet. */
  open: Buffer[]
  openBytes: number
  /** The event at hand is beyond the bound: it is passed on as it comes, and only scanned. */
  isPassing: boolean
  /** Of the last event beyond the bound. */
  scan: Scan | null
  /** The finish chunk, until the usage chunk is there. */
  waiting: Buffer | null
  /** Events with a token, for where nothing else is known. */
  events: number
  /** The stream has said that it is at its end. */
  isDone: boolean
  /** The event in which the server has told an error. */
  error: Buffer | null
  /** message_start, response.created. */
  first: Buffer | null
  /** The last chunk with choices; the block of a message that is open; the last event of a response. */
  last: Buffer | null
  /** The event with the usage of the whole answer. */
  final: Buffer | null
  /** Those before it, of an answer with several choices. */
  totals: Buffer[]
  /** By choice, the last running count, see countIn(); and, with a hard budget, the counts. */
  running: Buffer[]
  counts: number[]
  promptCounts: number[]
  /** The choices that have ended, how many these are, and the chunk that ended the last one. */
  finished: boolean[]
  ended: number
  end: Buffer | null
  completion: number
  prompt: number
  /** An event was not allowed to come: it and all behind it are dropped, and the stream has to end. */
  isSpent: boolean
  /** The server writes null where usage was not asked for; null until that is known. */
  hasNulls: boolean | null
  /** What stands around a count that was taken out; the same list for every event. */
  around: Buffer[]
}
