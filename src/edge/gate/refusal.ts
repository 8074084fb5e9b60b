import type { Ticket } from '../../core/admit/admit.ts'
import { answerRefusal } from '../../core/admit/answer.ts'
import { findRoute } from '../../core/admit/route.ts'
import { outcomeOfStatus } from '../../core/ledger/line.ts'
import { type GateRequest, heldTicket, keepTicket } from './ticket.ts'

type Headers = { [name: string]: string }

/** Answers a refused request with the status of its outcome. */
export function sendRefusal(r: GateRequest, ticket: Ticket): void {
  const answer = answerRefusal(ticket, 0, r.variables['request_id'] || '')
  setHeaders(r, answer.headers)
  r.return(answer.status, answer.body)
}

/**
 * `$tollgate_refusal`, the body of the error page in server.conf: every error that nginx itself would
 * answer, in the caller's dialect. nginx's status comes as the arguments of the internal location,
 * because $status is not set in there. A request that was refused at admission (`return 403` in
 * enter.conf, or in the site's own `if`) is answered by its ticket.
 */
export function refusal(r: GateRequest): string {
  const status = Number(r.variables['args']) || 500
  const held = heldTicket(r)
  const isRefused = held !== null && held.outcome !== 'ok'
  const ticket = isRefused ? held : blame(r, held, status)
  r.answer = answerRefusal(ticket, isRefused ? 0 : status, r.variables['request_id'] || '')
  return r.answer.body
}

/**
 * Status and headers of the error page, as a js_header_filter. A js_content would do it all at once,
 * but reads the body of the request first, to the disk, and of callers that have no key.
 */
export function refuse(r: GateRequest): void {
  // Without an answer the gate is broken, and the status stays 500.
  if (!r.answer) return
  r.status = r.answer.status
  setHeaders(r, r.answer.headers)
}

/** The ticket of a request that nginx refused by itself, before or after admission. */
function blame(r: GateRequest, held: Ticket | null, status: number): Ticket {
  const path = (r.variables['request_uri'] || '').split('?')[0] || ''
  const route = findRoute(path)
  const ticket: Ticket = held || { outcome: 'ok', dialect: route ? route.dialect : 'openai' }
  ticket.outcome = outcomeOfStatus(status)
  keepTicket(r, ticket)
  return ticket
}

/** Sets headers of the answer. */
function setHeaders(r: GateRequest, headers: Headers): void {
  Object.keys(headers).forEach((name) => {
    r.headersOut[name] = headers[name]
  })
}
