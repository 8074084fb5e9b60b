import type { Ticket } from '../../core/admit/admit.ts'
import { answerRefusal, type RefusalAnswer } from '../../core/admit/answer.ts'
import type { Outcome } from '../../core/admit/outcome.ts'
import { findRoute } from '../../core/admit/route.ts'
import { outcomeOfStatus } from '../../core/ledger/line.ts'
import { readTicket } from '../../core/running.ts'
import { lineOf } from '../gate/line.ts'
import { runningZone } from '../gate/registry.ts'
import type { GateRequest } from '../gate/request.ts'
import { nameOf } from '../gate/running.ts'
import { setHeaders } from './headers.ts'

type FailedRequest = GateRequest & { answer?: RefusalAnswer }

/**
 * `$tollgate_failure`, the body of the error page in server.conf: every error that nginx itself would
 * answer, in the caller's dialect. nginx's status comes as the arguments of the internal location,
 * because $status is not set in there.
 */
export function failure(r: FailedRequest): string {
  const variables = r.variables
  // Who was refused after its body, and got no answer: our own server cannot be reached.
  const status = variables['tollgate_reason'] ? 500 : Number(variables['args']) || 500
  const path = (variables['request_uri'] || '').split('?')[0] || ''
  const route = findRoute(path)
  const ticket: Ticket = {
    outcome: outcomeOfStatus(status),
    dialect: route ? route.dialect : 'openai',
  }
  variables['tollgate_outcome'] = ticket.outcome
  r.answer = answerRefusal(ticket, status, variables['request_id'] || '')
  return r.answer.body
}

/**
 * Status and headers of the error page, as a js_header_filter. A js_content would do it all at once,
 * but reads the body of the request first, to the disk, and of callers that have no key.
 */
export function fail(r: FailedRequest): void {
  // Without an answer the gate is broken, and the status stays 500.
  if (!r.answer) return
  r.status = r.answer.status
  setHeaders(r, r.answer.headers)
}

/** `$tollgate_settled` of our own pages: what the request held is given back here, if it still stands. */
export function settled(r: GateRequest): string {
  const variables = r.variables
  const name = nameOf(r)
  const text = runningZone().get(name)
  const ticket = text === undefined ? ticketOf(r) : readTicket(text)
  if (text !== undefined) runningZone().delete(name)
  ticket.outcome = (variables['tollgate_outcome'] as Outcome | undefined) || 'gate_error'
  return lineOf(r, ticket, null)
}

/** What variables know of a request that had not been admitted. */
function ticketOf(r: GateRequest): Ticket {
  const variables = r.variables
  const ticket: Ticket = { outcome: 'gate_error', dialect: 'openai' }
  const client = variables['tollgate_client']
  if (client) ticket.client = client
  if (variables['tollgate_key']) ticket.key = variables['tollgate_key']
  if (variables['tollgate_route']) ticket.route = variables['tollgate_route']
  return ticket
}
