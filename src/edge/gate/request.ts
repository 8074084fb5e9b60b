import type { Ticket } from '../../core/admit/admit.ts'
import type { Route } from '../../core/admit/route.ts'
import type { BodyFacts, BodyRefusal } from '../../core/body/body.ts'
import type { KeyRecord, Rules } from '../../core/config/record.ts'
import type { Early } from '../../core/limits/early.ts'
import type { Cut } from '../../core/meter/cut.ts'
import type { Meter, Whole } from '../../core/meter/meter.ts'

/**
 * What the gate keeps on `r`, which all handlers of a request share. It lasts until nginx sends the request to
 * another location, an error page say; then Ending looks after what is held.
 */
export type GateRequest = NginxHTTPRequest & {
  ticket?: Ticket
  /** Of a request that was admitted by its line and headers, for the second half of admission. */
  found?: { route: Route; record: KeyRecord }
  rules?: Rules
  /** What was taken before the body was read. */
  early?: Early
  /** What the quick way has found in the body, which is read once. */
  read?: BodyFacts | BodyRefusal
  ending?: Ending
  /** Of an answer that is a stream. */
  metering?: MeterState
  /** Of any other: it is metered, or filtered as a whole; null passes unread. */
  whole?: Whole | { list: Buffer[] } | null
  sawLast?: boolean
}

/**
 * What the end of a request has to know, which njs tells of without `r`, after the log phase, however it ended.
 */
export type Ending = {
  ticket: Ticket
  /** Its name in `tollgate_running`; empty while it does not stand there. */
  name: string
  /** A line of the ledger has settled it. */
  isSettled: boolean
  metered: Metering
}

/** What was metered of an answer; null: nothing. */
export type Metering = MeterState | Whole | { list: Buffer[] } | null

/** What the meter keeps of a stream that is under way. */
export type MeterState = {
  /** null: the pieces pass unread. */
  meter: Meter | null
  /** Of one that passes unread, and is to be ended: see startEnd(). */
  end?: Meter
  /** Why the stream is to be ended, found when the epoch last moved. */
  why: Cut | null
  /** When the gate has ended the stream, after which nothing goes out any more; 0: not yet. */
  cutMs: number
  /** What of the answer had been sent then. */
  cutBytes: number
  epoch: number
  /** When its key expires, ms since 1970; Infinity: never. */
  untilMs: number
  /** When the first and the last piece came, ms since 1970. */
  firstMs: number
  lastMs: number
  /** When it was last shown how far the answer is. */
  shownMs: number
  /** When look() is due, ms since 1970. */
  lookMs: number
  /** What was sent on, and what nginx has put around it at most. */
  passedBytes: number
  frameBytes: number
}
