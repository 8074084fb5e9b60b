import type { Ticket } from '../../core/admit/admit.ts'
import { clientsZone } from './registry.ts'
import type { GateRequest } from './request.ts'

/** The entry of `tollgate_clients` with the word by which our own server knows the gate. */
const PASSWORD_ENTRY = 'password'

/** Leaves for our own server why a request is refused after its body, as a header of the gate's. */
export function setReason(r: GateRequest, ticket: Ticket): void {
  const why: Partial<Ticket> = { outcome: ticket.outcome, dialect: ticket.dialect }
  if (ticket.message !== undefined) why.message = ticket.message
  if (ticket.cause) why.cause = ticket.cause
  if (ticket.param !== undefined) why.param = ticket.param
  if (ticket.limit !== undefined) why.limit = ticket.limit
  if (ticket.retryAfterMs !== undefined) why.retryAfterMs = ticket.retryAfterMs
  if (ticket.isEncoded) why.isEncoded = true
  r.variables['tg_answered'] = '1'
  r.variables['tg_reason'] = `${password()} ${JSON.stringify(why)}`
}

/** What setReason() left; null of anybody who does not know the word. */
export function readReason(text: string): Ticket | null {
  const at = text.indexOf(' ')
  if (at < 0 || text.slice(0, at) !== password()) return null
  return JSON.parse(text.slice(at + 1)) as Ticket
}

/** Made by whoever needs it first. It never leaves this machine's memory. */
function password(): string {
  const zone = clientsZone()
  const made = zone.get(PASSWORD_ENTRY)
  if (made !== undefined) return made
  const bytes = crypto.getRandomValues(new Uint8Array(24))
  zone.add(PASSWORD_ENTRY, Buffer.from(bytes).toString('hex'))
  return zone.get(PASSWORD_ENTRY) as string
}
