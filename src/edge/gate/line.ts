import type { Ticket } from '../../core/admit/admit.ts'
import { endOf, type LedgerLine } from '../../core/ledger/line.ts'
import { runningZone } from './registry.ts'
import type { GateRequest, MeterState } from './request.ts'
import { settle } from './settle.ts'

/**
 * `$tollgate_ledger`: the line of the ledger. It runs in the log phase, on every exit, and so it is
 * here that a request is settled.
 */
export function ledger(r: GateRequest): string {
  const ending = r.ending
  const text = lineOf(r, r.ticket || null, r.metering || null)
  if (ending) {
    ending.isSettled = true
    if (ending.name) runningZone().delete(ending.name)
  }
  return text
}

/** Writes the line of a request whose ticket is known, or null, and settles what it holds. */
export function lineOf(r: GateRequest, ticket: Ticket | null, state: MeterState | null): string {
  const variables = r.variables
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
  line.outcome = endOf(ticket, {
    status: Number(variables['status']) || 0,
    isComplete: variables['request_completion'] === 'OK',
    isMetered: variables['tollgate_metered'] === '1',
    sawLast: r.sawLast === true,
  })
  variables['tollgate_outcome'] = line.outcome
  line.status = Number(variables['status'])
  // Our own server has told why, and nobody behind was asked.
  let upstream = variables['upstream_addr']
  if (ticket) {
    if (ticket.shadow) line.shadow = ticket.shadow
    if (ticket.limit) line.limit = ticket.limit
    if (ticket.spentMs !== undefined) line.admissionMs = Math.max(0, ticket.spentMs)
    if (ticket.atMs !== undefined || ticket.hold) settleSafely(ticket, state, line, endMs)
    if (ticket.isAnswered) upstream = undefined
  }
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
  ticket: Ticket,
  state: MeterState | null,
  line: Partial<LedgerLine>,
  endMs: number,
): void {
  try {
    settle(ticket, state, line, endMs)
  } catch (error) {
    ngx.log(ngx.ERR, `Tollgate cannot settle: ${(error as Error).message}`)
  }
}
