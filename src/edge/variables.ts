import type { Ticket } from '../core/admit.ts'
import { endOf, type LedgerLine } from '../core/settle.ts'
import { type GateRequest, heldTicket, ticketFor } from './ticket.ts'

/**
 * `$tollgate_verdict`: `ok`, `loading` right after a cold start, or the outcome that refuses. Test it
 * for `ok` alone: nginx makes the variable of a broken handler an empty string and goes on.
 */
export function verdict(r: GateRequest): string {
  const ticket = ticketFor(r)
  return ticket.loading ? 'loading' : ticket.outcome
}

/** `$tollgate_client`: who is calling; empty unless the request was admitted under a key. */
export function client(r: GateRequest): string {
  const ticket = judge(r)
  return ticket && ticket.outcome === 'ok' ? ticket.client || '' : ''
}

/** `$tollgate_key`: the public id of the key, also of one that was refused. */
export function key(r: GateRequest): string {
  const ticket = judge(r)
  return ticket ? ticket.key || '' : ''
}

/** `$tollgate_route`: the name of the route; empty when it is unknown. */
export function route(r: GateRequest): string {
  const ticket = judge(r)
  return ticket ? ticket.route || '' : ''
}

/** `$tollgate_outcome`: how the request ended. For log formats: it is final in the log phase only. */
export function outcome(r: GateRequest): string {
  return endOf(heldTicket(r), {
    status: Number(r.variables['status']) || 0,
    isComplete: r.variables['request_completion'] === 'OK',
    isMetered: r.variables['tollgate_metered'] === '1',
    sawLast: r.sawLast === true,
  })
}

/** `$tollgate_ledger`: the line of the ledger. It runs in the log phase, on every exit. */
export function ledger(r: GateRequest): string {
  const variables = r.variables
  const ticket = heldTicket(r)
  const line: Partial<LedgerLine> = {
    time: new Date(Math.round(Number(variables['msec']) * 1000)).toISOString(),
    id: variables['request_id'] || '',
  }
  if (ticket) {
    if (ticket.client) line.client = ticket.client
    if (ticket.key) line.key = ticket.key
    if (ticket.route) line.route = ticket.route
  }
  line.outcome = outcome(r) as LedgerLine['outcome']
  line.status = Number(variables['status'])
  line.durationMs = Math.round(Number(variables['request_time']) * 1000)
  line.bytesIn = Number(variables['request_length'])
  line.bytesOut = Number(variables['bytes_sent'])
  line.remote = r.remoteAddress
  return JSON.stringify(line)
}

/**
 * The ticket, with admission made up for where a configuration uses only a variable. Not in the log
 * phase, where a request that nginx refused by itself would come out as admitted: $status is "000"
 * until there is an answer.
 */
function judge(r: GateRequest): Ticket | null {
  return heldTicket(r) || (r.variables['status'] === '000' ? ticketFor(r) : null)
}
