import type { Ticket } from '../../core/admit/admit.ts'
import type { Route } from '../../core/admit/route.ts'
import type { KeyRecord, Rules } from '../../core/config/record.ts'
import type { Early } from '../../core/limits/early.ts'
import type { Cut } from '../../core/meter/cut.ts'
import type { Meter } from '../../core/meter/types.ts'

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
  ending?: Ending
  metering?: MeterState
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
  metering: MeterState | null
}

/** What the meter keeps of an answer that is under way. */
export type MeterState = {
  /** null: the pieces pass unread. */
  meter: Meter | null
  /** The next event may be one for takeQuickly(). */
  isQuick: boolean
  /** The pieces of GET /v1/models, which is filtered as a whole. */
  list: Buffer[] | null
  /** Why the stream is to be ended, found when the epoch last moved. */
  why: Cut | null
  /** When the gate has ended the stream, after which nothing goes out any more; 0: not yet. */
  cutMs: number
  /** What of the answer had been sent then. */
  cutBytes: number
  epoch: number
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
