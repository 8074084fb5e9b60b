import type { Ticket } from '../../core/admit/admit.ts'
import type { Outcome } from '../../core/admit/outcome.ts'
import { endOf, whoOf } from '../../core/ledger/line.ts'
import type { Metered } from '../../core/meter/meter.ts'
import { isMetered } from './meter.ts'
import { runningZone } from './registry.ts'
import type { GateRequest } from './request.ts'
import { finish, settle, tellUnsettled } from './settle.ts'

/** Settles a request, and says what of the ledger's line only the gate knows, see settled() in quick.ts. */
export function settledLong(r: GateRequest): string {
  const ticket = r.ticket || null
  const variables = r.variables
  const state = r.metering || r.whole || null
  let metered: Metered | null = null
  try {
    metered = finish(state)
  } catch (error) {
    tellUnsettled(error as Error)
  }
  const outcome = endOf(ticket, r, metered !== null && metered.hasFailed === true)
  variables['tollgate_outcome'] = outcome
  let text: string
  if (ticket) {
    const spentMs = ticket.spentMs
    // The clock may have been set back.
    text = whoOf(outcome, ticket, spentMs !== undefined && spentMs < 0 ? 0 : spentMs)
    if (ticket.atMs !== undefined || ticket.hold) {
      // The time of the line: what is used counts for its day.
      const endMs = Math.round(Number(variables['msec']) * 1000)
      try {
        text += settle(ticket, state, metered, outcome, endMs, isLeft(r, ticket, outcome))
      } catch (error) {
        // A line that lacks something is better than none, and so is one that tells of it.
        tellUnsettled(error as Error)
      }
    }
  } else text = whoOf(outcome, {})
  const ending = r.ending
  if (ending) {
    if (ending.name) runningZone().delete(ending.name)
    ending.isSettled = true
  }
  return text
}

/** Whether its caller has left before anything came of an answer whose tokens count. */
function isLeft(r: GateRequest, ticket: Ticket, outcome: Outcome): boolean {
  const hasBegun = r.metering !== undefined || r.whole !== undefined
  return outcome === 'client_aborted' && !hasBegun && isMetered(r, ticket)
}
