import { admit, type Ticket } from '../../core/admit/admit.ts'
import type { Answer } from '../../core/admit/answer.ts'
import type { Route } from '../../core/admit/route.ts'
import type { KeyRecord } from '../../core/config/record.ts'
import type { Cut } from '../../core/meter/cut.ts'
import type { Meter } from '../../core/meter/meter.ts'
import { areBudgetsReady, openRegistry } from './registry.ts'

/** What the gate keeps on `r`. It lasts until a redirect, which only the js_var survives. */
export type GateRequest = NginxHTTPRequest & {
  ticket?: Ticket
  /** Of a request that was admitted by its line and headers, for the second half of admission. */
  route?: Route
  record?: KeyRecord
  /** SHA-256 of the secret, the name of its record. */
  hash?: string
  /** The body, where the access door has read it. */
  body?: Buffer
  answer?: Answer
  metering?: Metering
  sawLast?: boolean
}

/** What the meter keeps of an answer that is under way. */
export type Metering = {
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

/** The ticket of this request, admitting it where that has not happened yet. */
export function ticketFor(r: GateRequest): Ticket {
  const held = heldTicket(r)
  // A request that came too early is judged anew.
  if (held && !held.loading) return held
  const ticket = admitAnew(r)
  keepTicket(r, ticket)
  return ticket
}

/** The ticket that an earlier handler of this request left, or null. */
export function heldTicket(r: GateRequest): Ticket | null {
  if (r.ticket) return r.ticket
  const kept = r.variables['tollgate_ticket']
  if (!kept) return null
  r.ticket = JSON.parse(kept) as Ticket
  return r.ticket
}

/** Keeps a ticket for the later handlers, also over a redirect. */
export function keepTicket(r: GateRequest, ticket: Ticket): void {
  r.ticket = ticket
  r.variables['tollgate_ticket'] = JSON.stringify(ticket)
}

/** Admits a request of which nothing is known yet. The ticket is not kept, see keepTicket(). */
export function admitAnew(r: GateRequest): Ticket {
  const headers = r.headersIn
  const registry = openRegistry(r)
  const nowMs = Date.now()
  const ticket = admit(
    {
      method: r.method,
      requestLine: r.variables['request'] || '',
      authorization: headers['Authorization'],
      xApiKey: headers['x-api-key'],
      apiKey: headers['api-key'],
      hasBody: () => hasBody(headers),
      address: r.remoteAddress,
      nowMs,
    },
    registry,
  )
  if (r.hash && r.record) ticket.hash = r.hash
  if (r.record && !areBudgetsReady(r.record)) {
    ticket.outcome = 'gate_error'
    ticket.loading = true
  }
  ticket.spentMs = Date.now() - nowMs
  return ticket
}

function hasBody(headers: NginxHeadersIn): boolean {
  return Number(headers['Content-Length']) > 0 || headers['Transfer-Encoding'] !== undefined
}
