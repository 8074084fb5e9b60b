import type { Ticket } from '../../core/admit/admit.ts'
import { answerRefusal } from '../../core/admit/answer.ts'
import type { GateRequest } from './request.ts'

/** Leaves what @tollgate_refused says, of who is refused before the body: nginx answers without a script. */
export function setRefusal(r: GateRequest, ticket: Ticket): void {
  const variables = r.variables
  const answer = answerRefusal(ticket, 0, variables['request_id'] || '')
  const headers = answer.headers
  variables['tollgate_outcome'] = ticket.outcome
  variables['tollgate_refused_client'] = ticket.client || ''
  variables['tollgate_refused_limit'] = ticket.limit || ''
  variables['tollgate_status'] = `${answer.status}`
  variables['tollgate_refusal'] = answer.body
  variables['tollgate_challenge'] = headers['www-authenticate'] || ''
  variables['tollgate_allow'] = headers['allow'] || ''
  variables['tollgate_retry_after'] = headers['retry-after'] || ''
  variables['tollgate_retry_after_ms'] = headers['retry-after-ms'] || ''
  variables['tollgate_should_retry'] = headers['x-should-retry'] || ''
}
