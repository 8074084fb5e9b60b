import { endOf, fragmentOf, type LineFragment } from '../../core/ledger/line.ts'
import { runningZone } from './registry.ts'
import type { GateRequest } from './request.ts'
import { settle } from './settle.ts'

/**
 * `$tollgate_settled`: what of the ledger's line only the gate knows; nginx writes the rest, see ledger.conf. It
 * runs in the log phase, on every exit, and so it is here that a request is settled.
 */
export function settled(r: GateRequest): string {
  const ticket = r.ticket || null
  const variables = r.variables
  const outcome = endOf(ticket, r)
  variables['tollgate_outcome'] = outcome
  const line: LineFragment = { outcome }
  if (ticket) {
    if (ticket.client) line.client = ticket.client
    if (ticket.key) line.key = ticket.key
    if (ticket.group) line.group = ticket.group
    if (ticket.route) line.route = ticket.route
    if (ticket.shadow) line.shadow = ticket.shadow
    if (ticket.limit) line.limit = ticket.limit
    if (ticket.spentMs !== undefined) line.admissionMs = Math.max(0, ticket.spentMs)
    if (ticket.atMs !== undefined || ticket.hold) {
      // The time of the line: what is used counts for its day.
      const endMs = Math.round(Number(variables['msec']) * 1000)
      try {
        settle(ticket, r.metering || r.whole || null, line, endMs)
      } catch (error) {
        // A line that lacks something is better than none, and so is one that tells of it.
        ngx.log(ngx.ERR, `Tollgate cannot settle: ${(error as Error).message}`)
      }
    }
  }
  const ending = r.ending
  if (ending) {
    ending.isSettled = true
    if (ending.name) runningZone().delete(ending.name)
  }
  return fragmentOf(line)
}
