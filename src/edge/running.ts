import type { Ticket } from '../core/admit.ts'
import { pidName } from '../core/counters.ts'
import { countSoFar } from '../core/meter.ts'
import { type Running, runningName } from '../core/running.ts'
import { runningZone } from './registry.ts'
import type { GateRequest } from './ticket.ts'

/** Shows that a request runs, and how far it is. A full zone shows fewer, and stops nobody. */
export function showRunning(r: GateRequest, ticket: Ticket): void {
  const running: Running = {
    client: ticket.client || '',
    key: ticket.key || '',
    route: ticket.route || '',
    atMs: ticket.atMs || 0,
    remote: r.remoteAddress,
  }
  if (ticket.group !== undefined) running.group = ticket.group
  if (ticket.model !== undefined) running.model = ticket.model
  if (ticket.isStream) running.stream = true
  if (ticket.hold) {
    running.heldTokens = ticket.hold.amounts.r
    running.heldCost = ticket.hold.amounts.R
  }
  const active = r.metering && r.metering.meter
  if (active) Object.assign(running, countSoFar(active))
  try {
    runningZone().set(nameOf(r), JSON.stringify(running))
  } catch (_) {
    // What has to be right stands in other zones.
  }
}

/** Takes a request that has ended off the list. */
export function hideRunning(r: GateRequest): void {
  const zone = runningZone()
  if (zone) zone.delete(nameOf(r))
}

function nameOf(r: GateRequest): string {
  return runningName(pidName(process.pid), r.variables['request_id'] || '')
}
