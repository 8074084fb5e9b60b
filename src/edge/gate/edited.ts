import { applyEdits } from '../../core/body/body.ts'
import type { GateRequest } from './request.ts'

/**
 * `$tg_edited`: the body as it goes upstream where the gate changes it. Bytes that are not
 * touched are the caller's own; what passes whole is nginx's $request_body, and this is empty, see http.conf.
 */
export function edited(r: GateRequest): Buffer | string {
  const ticket = r.ticket
  if (!ticket || !ticket.edits || ticket.outcome !== 'ok') return ''
  return applyEdits(r.requestBuffer as Buffer, ticket.edits)
}
