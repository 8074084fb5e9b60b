import { applyEdits } from '../../core/body/body.ts'
import type { GateRequest } from './request.ts'

/** The body as it goes on, see body() in quick.ts. A refusal goes without any. */
export function bodyLong(r: GateRequest): Buffer | string {
  const ticket = r.ticket
  // Of a refused one that stands in a file, njs before 0.8.10 would throw.
  const bytes = ticket && ticket.outcome === 'ok' ? r.requestBuffer : null
  if (!ticket || !bytes || !bytes.length) return ''
  return ticket.edits ? applyEdits(bytes, ticket.edits) : bytes
}
