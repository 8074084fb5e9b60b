import { applyEdits } from '../../core/body/body.ts'
import type { GateRequest } from './request.ts'

/**
 * `$tollgate_edited`: the body as it goes upstream where the gate changes it. Bytes that are not
 * touched are the caller's own; what passes whole is nginx's $request_body, see http.conf.
 */
export function edited(r: GateRequest): Buffer {
  const ticket = r.ticket
  const body = r.requestBuffer
  if (!ticket || !ticket.edits || !body) throw new Error('No body to edit')
  return applyEdits(body, ticket.edits)
}
