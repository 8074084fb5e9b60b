import type { Ticket } from '../../core/admit/admit.ts'
import { answerRefusal, messageOf, type RefusalAnswer } from '../../core/admit/answer.ts'
import type { Outcome } from '../../core/admit/outcome.ts'
import { routeOf } from '../../core/admit/route.ts'
import { fragmentOf, type LineFragment, outcomeOfStatus } from '../../core/ledger/line.ts'
import { readShown } from '../../core/running.ts'
import { runningZone } from '../gate/registry.ts'
import type { GateRequest } from '../gate/request.ts'
import { nameOf } from '../gate/running.ts'
import { setHeaders } from './headers.ts'

type FailedRequest = GateRequest & { answer?: RefusalAnswer }

/**
 * `$tg_failure`, the body of the error page in server.conf: every error that nginx itself would
 * answer, in the caller's dialect. nginx's status comes as the arguments of the internal location,
 * because $status is not set in there.
 */
export function failure(r: FailedRequest): string {
  const variables = r.variables
  // Who was refused after its body, and got no answer: our own server cannot be reached.
  const status = variables['tg_reason'] ? 500 : Number(variables['args']) || 500
  const route = routeOf(variables['tg_at_path'] || '')
  const ticket: Ticket = {
    outcome: outcomeOfStatus(status),
    dialect: route ? route.dialect : 'openai',
  }
  variables['tollgate_outcome'] = ticket.outcome
  r.answer = answerRefusal(ticket, status, variables['request_id'] || '')
  return r.answer.body
}

/** `$tg_words`: what a limit says of who is refused before the body, as it stands in JSON. */
export function words(r: NginxHTTPRequest): string {
  const ticket = JSON.parse(r.variables['tg_cause'] || '{}') as Ticket
  return JSON.stringify(messageOf(ticket)).slice(1, -1)
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

/**
 * `$tollgate_settled` of our own pages. What the request held is given back by the context that took it, see
 * watchEnding(); here is only its line.
 */
export function settled(r: GateRequest): string {
  const variables = r.variables
  const zone = runningZone()
  const name = nameOf(r)
  const text = zone.get(name)
  const line: LineFragment = {
    outcome: (variables['tollgate_outcome'] as Outcome | undefined) || 'gate_error',
  }
  if (variables['tollgate_client']) line.client = variables['tollgate_client']
  if (variables['tollgate_key']) line.key = variables['tollgate_key']
  if (variables['tollgate_route']) line.route = variables['tollgate_route']
  if (text === undefined) return fragmentOf(line)
  zone.delete(name)
  return fragmentOf(Object.assign(line, readShown(text)))
}
