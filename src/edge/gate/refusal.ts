import type { Ticket } from '../../core/admit/admit.ts'
import { tellWait } from '../../core/admit/wait.ts'
import type { GateRequest } from './request.ts'

/** Leaves what refusals.conf makes an answer of: nginx refuses before the body without another script. */
export function setRefusal(r: GateRequest, ticket: Ticket): void {
  const variables = r.variables
  variables['tg_fate'] = ticket.outcome
  variables['tollgate_outcome'] = ticket.outcome
  if (ticket.client) variables['tg_caller'] = ticket.client
  if (ticket.group) variables['tollgate_group'] = ticket.group
  if (ticket.allow) variables['tg_allow'] = ticket.allow
  if (ticket.message) variables['tg_detail'] = JSON.stringify(ticket.message).slice(1, -1)
  const limit = ticket.limit
  const cause = ticket.cause
  const retryAfterMs = ticket.retryAfterMs
  if (cause) variables['tg_cause'] = JSON.stringify({ limit, cause, retryAfterMs })
  if (retryAfterMs) variables['tg_wait'] = tellWait(retryAfterMs)
  if (!limit) return
  variables['tollgate_limit'] = limit
  if (ticket.outcome === 'rate_limited' && limit.indexOf('okens') >= 0)
    variables['tg_kind'] = 'tokens'
}
