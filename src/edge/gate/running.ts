import { countSoFar } from '../../core/meter/meter.ts'
import { markName, runningName, runningText } from '../../core/running.ts'
import { runningZone, workerOf } from './registry.ts'
import type { Ending, GateRequest } from './request.ts'

/** Shows that a request runs, and how far it is. A full zone shows fewer, and stops nobody. */
export function showRunning(r: GateRequest): void {
  const ending = r.ending as Ending
  const active = r.metering && r.metering.meter
  const usage = active ? countSoFar(active) : null
  const name = ending.name || nameOf(r)
  try {
    runningZone().set(name, runningText(r.remoteAddress, usage, ending.ticket))
    ending.name = name
  } catch (_) {
    // What has to be right stands in other zones. A failed set may have dropped the entry that was there.
    ending.name = ''
  }
}

/** Whether an operator wants the request to end. */
export function isMarked(r: GateRequest): boolean {
  return runningZone().has(markName(r.variables['request_id'] || ''))
}

/** The name of a request in the zone, by which another context finds what it holds. */
export function nameOf(r: GateRequest): string {
  return runningName(workerOf(r), r.variables['request_id'] || '')
}
