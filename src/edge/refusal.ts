import type { Ticket } from '../core/admit.ts'
import { answerRefusal } from '../core/answer.ts'
import { findRoute } from '../core/route.ts'
import { outcomeOfStatus } from '../core/settle.ts'
import { type GateRequest, heldTicket, keepTicket } from './ticket.ts'

/** Answers a refused request; `status` as in answerRefusal(). */
export function sendRefusal(r: GateRequest, ticket: Ticket, status: number): void {
  const answer = answerRefusal(ticket, status, r.variables['request_id'] || '')
  Object.keys(answer.headers).forEach((name) => {
    r.headersOut[name] = answer.headers[name]
  })
  r.return(answer.status, answer.body)
}

/**
 * The error page of server.conf: every error that nginx itself would answer, in the caller's
 * dialect. nginx's status comes as the arguments of the internal location, because $status is not
 * set in there. A request that was refused at admission (`return 403` in the caller's own `if`) is
 * answered by its ticket.
 */
export function refuse(r: GateRequest): void {
  const status = Number(r.variables['args']) || 500
  const held = heldTicket(r)
  if (held && held.outcome !== 'ok') {
    sendRefusal(r, held, 0)
    return
  }
  const path = (r.variables['request_uri'] || '').split('?')[0] || ''
  const route = findRoute(path)
  const ticket: Ticket = held || { outcome: 'ok', dialect: route ? route.dialect : 'openai' }
  ticket.outcome = outcomeOfStatus(status)
  keepTicket(r, ticket)
  sendRefusal(r, ticket, status)
}
