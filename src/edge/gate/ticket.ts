import { admit, type Ticket } from '../../core/admit/admit.ts'
import { areBudgetsReady, openRegistry } from './registry.ts'
import type { GateRequest } from './request.ts'

export type { GateRequest, MeterState } from './request.ts'

/**
 * What a body counts for that comes without a length, chunked or over HTTP/2: a quarter of the largest. 16 of
 * them fill the bound of a key, so that at worst they are 512 MB; counted as the largest, four would fill it, and
 * of 20 small requests that one connection of HTTP/2 begins at once 16 were refused.
 */
const OPEN_BYTES = 8388608

/**
 * Bodies up to here are not counted while they are on their way: a request takes more by itself, 128 KB
 * on njs's own engine and 600 KB on QuickJS, and how many of them a client has is `concurrency`.
 */
const SMALL_BYTES_MAX = 16384

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
      hasBody: () => hasBody(r),
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

/** HTTP/2 and 3 announce no length; there nginx knows it when it has read the body, see body.conf. */
function hasBody(r: GateRequest): boolean {
  return Number(r.variables['content_length']) > 0 || r.headersIn['Transfer-Encoding'] !== undefined
}

/**
 * What a request announces to send, as far as it is counted. 0 is a small one, which costs less than the
 * request itself.
 */
export function uploadOf(r: GateRequest): number {
  const length = r.variables['content_length']
  if (length !== undefined) return Number(length) > SMALL_BYTES_MAX ? Number(length) : 0
  const isOpen = r.httpVersion >= '2' || r.headersIn['Transfer-Encoding'] !== undefined
  return isOpen ? OPEN_BYTES : 0
}
