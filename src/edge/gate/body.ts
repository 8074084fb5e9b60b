import { applyEdits } from '../../core/body/body.ts'
import type { GateRequest } from './request.ts'

/**
 * `$tg_body`: the body as it goes on. Bytes that are not touched are the caller's own. A refusal goes without any.
 * nginx's own $request_body behind a map would be one copy more of a large one.
 */
export function body(r: GateRequest): Buffer | string {
  const ticket = r.ticket
  // Of a refused one that stands in a file, njs before 0.8.10 would throw.
  const bytes = ticket && ticket.outcome === 'ok' ? r.requestBuffer : null
  if (!ticket || !bytes || !bytes.length) return ''
  return ticket.edits ? applyEdits(bytes, ticket.edits) : bytes
}
