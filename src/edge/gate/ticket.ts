import { admit, type Ticket } from '../../core/admit/admit.ts'
import { areBudgetsReady, openRegistry } from './registry.ts'
import type { GateRequest } from './request.ts'

export type { GateRequest, MeterState } from './request.ts'

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
