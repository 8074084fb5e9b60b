import type { Ticket } from '../../core/admit/admit.ts'
import { refund } from '../../core/limits/claim.ts'
import { UNLOGGED_COUNTER } from '../../core/limits/counters.ts'
import { countsTokens } from '../../core/limits/reserve.ts'
import { endFlow, flowing } from './flow.ts'
import { flowed } from './meter.ts'
import { countersZone, openZones, runningZone } from './registry.ts'
import type { Ending, GateRequest } from './request.ts'
import { finish, settle, tellUnsettled } from './settle.ts'

/**
 * Has njs tell of the end of this request, which it does once, after the log phase, however the request ended
 * and whether or not it was logged. What no line has settled is settled there.
 */
export function watchEnding(r: GateRequest, ticket: Ticket): void {
  const ending: Ending = { ticket, name: '', isSettled: false, metered: null }
  r.ending = ending
  njs.on('exit', () => {
    settleEnding(ending)
    if (flowing !== null) endFlow()
  })
}

/** `r` is gone by now. */
export function settleEnding(ending: Ending): void {
  if (ending.isSettled) return
  const ticket = ending.ticket
  try {
    if (flowing !== null) ending.metered = flowed(ticket)
    if (ticket.atMs === undefined) {
      refund(ticket, openZones())
      if (ending.name) runningZone().delete(ending.name)
      return
    }
    // The line of an error page stands in another context, and has taken it off the list: what that is charged is settled.
    const isUnlogged = ending.name !== '' && runningZone().has(ending.name)
    const isCounted = isUnlogged && ticket.hold !== undefined && countsTokens(ticket.hold)
    const state = ending.metered
    settle(ticket, state, finish(state), 'gate_error', Date.now(), isCounted)
    if (isUnlogged && runningZone().delete(ending.name)) countUnlogged(ticket)
  } catch (error) {
    tellUnsettled(error as Error)
  }
}

/** The ledger is what sums are made of: a request that is not in it is in no budget after a restart. */
function countUnlogged(ticket: Ticket): void {
  ngx.log(ngx.ERR, `Tollgate settled a request of client ${ticket.client} that no ledger has`)
  countersZone().incr(UNLOGGED_COUNTER, 1, 0)
}
