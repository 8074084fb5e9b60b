import type { Ticket } from '../../core/admit/admit.ts'
import { applyEdits } from '../../core/body/body.ts'
import { endOf, type LedgerLine } from '../../core/ledger/line.ts'
import { settle } from './settle.ts'
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

/**
 * `$tollgate_ledger`: the line of the ledger. It runs in the log phase, on every exit, and so it is
 * here that a request is settled.
 */
export function ledger(r: GateRequest): string {
  const variables = r.variables
  const ticket = heldTicket(r)
  const endMs = Math.round(Number(variables['msec']) * 1000)
  const line: Partial<LedgerLine> = {
    version: 1,
    time: new Date(endMs).toISOString(),
    id: variables['request_id'] || '',
  }
  if (ticket) {
    if (ticket.client) line.client = ticket.client
    if (ticket.key) line.key = ticket.key
    if (ticket.group) line.group = ticket.group
    if (ticket.route) line.route = ticket.route
  }
  line.outcome = outcome(r) as LedgerLine['outcome']
  line.status = Number(variables['status'])
  if (ticket) {
    if (ticket.shadow) line.shadow = ticket.shadow
    if (ticket.limit) line.limit = ticket.limit
    if (ticket.spentMs !== undefined) line.admissionMs = Math.max(0, ticket.spentMs)
    if (ticket.atMs !== undefined || ticket.hold) settleSafely(r, ticket, line, endMs)
  }
  const upstream = variables['upstream_addr']
  if (upstream) {
    line.upstream = upstream
    const status = Number(variables['upstream_status'])
    if (status > 0) line.upstreamStatus = status
  }
  line.durationMs = Math.round(Number(variables['request_time']) * 1000)
  line.bytesIn = Number(variables['request_length'])
  line.bytesOut = Number(variables['bytes_sent'])
  line.remote = r.remoteAddress
  return JSON.stringify(line)
}

/** A line that lacks something is better than none, and so is one that tells of it. */
function settleSafely(
  r: GateRequest,
  ticket: Ticket,
  line: Partial<LedgerLine>,
  endMs: number,
): void {
  try {
    settle(r, ticket, line, endMs)
  } catch (error) {
    ngx.log(ngx.ERR, `Tollgate cannot settle: ${(error as Error).message}`)
  }
}

/**
 * `$tollgate_edited`: the body as it goes upstream where the gate changes it. Bytes that are not
 * touched are the caller's own; what passes whole is nginx's $request_body, see http.conf.
 */
export function edited(r: GateRequest): Buffer {
  const ticket = heldTicket(r)
  const body = r.body || r.requestBuffer
  if (!ticket || !ticket.edits || !body) throw new Error('No body to edit')
  delete r.body
  return applyEdits(body, ticket.edits)
}

/**
 * The ticket, with admission made up for where a configuration uses only a variable. Not in the log
 * phase, where a request that nginx refused by itself would come out as admitted: $status is "000"
 * until there is an answer.
 */
function judge(r: GateRequest): Ticket | null {
  return heldTicket(r) || (r.variables['status'] === '000' ? ticketFor(r) : null)
}
