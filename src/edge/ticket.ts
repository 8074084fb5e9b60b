import { admit, type Ticket } from '../core/admit.ts'
import type { Answer } from '../core/answer.ts'
import { openRegistry } from './registry.ts'

/** What the gate keeps on `r`. It lasts until a redirect, which only the js_var survives. */
export type GateRequest = NginxHTTPRequest & {
  ticket?: Ticket
  answer?: Answer
  sawLast?: boolean
}

/** The ticket of this request, admitting it where that has not happened yet. */
export function ticketFor(r: GateRequest): Ticket {
  const held = heldTicket(r)
  // A request that came too early is judged anew.
  return held && !held.loading ? held : admitAnew(r)
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

function admitAnew(r: GateRequest): Ticket {
  const headers = r.headersIn
  const ticket = admit(
    {
      method: r.method,
      requestLine: r.variables['request'] || '',
      authorization: headers['Authorization'],
      xApiKey: headers['x-api-key'],
      apiKey: headers['api-key'],
      hasBody: () => hasBody(headers),
      address: r.remoteAddress,
      nowMs: Date.now(),
    },
    openRegistry(),
  )
  keepTicket(r, ticket)
  return ticket
}

function hasBody(headers: NginxHeadersIn): boolean {
  return Number(headers['Content-Length']) > 0 || headers['Transfer-Encoding'] !== undefined
}
