import { endOf, whoOf } from '../../core/ledger/line.ts'
import { runningZone } from './registry.ts'
import type { GateRequest } from './request.ts'
import { settle } from './settle.ts'

/** Settles a request, and says what of the ledger's line only the gate knows, see settled() in quick.ts. */
export function settledLong(r: GateRequest): string {
  const ticket = r.ticket || null
  const variables = r.variables
  const outcome = endOf(ticket, r)
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
        text += settle(ticket, r.metering || r.whole || null, outcome, endMs)
      } catch (error) {
        // A line that lacks something is better than none, and so is one that tells of it.
        ngx.log(ngx.ERR, `Tollgate cannot settle: ${(error as Error).message}`)
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
