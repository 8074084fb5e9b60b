import { countSoFar } from '../../core/meter/meter.ts'
import { markName, runningName, runningText } from '../../core/running.ts'
import { runningZone, WORKER } from './registry.ts'
import type { GateRequest } from './ticket.ts'

/** Shows that a request runs, and how far it is. A full zone shows fewer, and stops nobody. */
export function showRunning(r: GateRequest): void {
  const active = r.metering && r.metering.meter
  const usage = active ? countSoFar(active) : null
  const ticket = r.variables['tollgate_ticket'] || ''
  try {
    runningZone().set(nameOf(r), runningText(r.remoteAddress, usage, ticket))
  } catch (_) {
    // What has to be right stands in other zones.
  }
}

/** Takes a request that has ended off the list. */
export function hideRunning(r: GateRequest): void {
  const zone = runningZone()
  if (zone) zone.delete(nameOf(r))
}

/** Whether an operator wants the request to end. */
export function isMarked(r: GateRequest): boolean {
  return runningZone().has(markName(r.variables['request_id'] || ''))
}

function nameOf(r: GateRequest): string {
  return runningName(WORKER, r.variables['request_id'] || '')
}
