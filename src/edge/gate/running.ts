import { heldOf } from '../../core/limits/hold.ts'
import { tellFull } from '../../core/limits/take.ts'
import { countSoFar } from '../../core/meter/meter.ts'
import { runningName, runningText } from '../../core/running.ts'
import { flowing, usedSoFar } from './flow.ts'
import { openZones, runningZone, workerOf } from './registry.ts'
import type { Ending, GateRequest } from './request.ts'

/** Puts a request whose body is not there yet among those that run, where it holds anything. Throws as enlist(). */
export function enlistEarly(r: GateRequest): void {
  const names = namesOf(r)
  if (names !== '') write(r, names, true)
}

/**
 * Puts a request among those that run, with what it holds. Where the zone is full it throws, if nothing else would
 * give that back should this worker die.
 */
export function enlist(r: GateRequest): void {
  const names = namesOf(r)
  write(r, names, names !== '')
}

/** Shows how far a request is, and what it holds by now. A full zone keeps what it said before. */
export function showRunning(r: GateRequest): void {
  write(r, namesOf(r), false)
}

/** What it holds, by name. */
function namesOf(r: GateRequest): string {
  const hold = (r.ending as Ending).ticket.hold
  return hold ? heldOf(hold) : ''
}

function write(r: GateRequest, names: string, mayThrow: boolean): void {
  const ending = r.ending as Ending
  const active = r.metering && r.metering.meter
  const flowed = flowing === r ? usedSoFar() : null
  const usage = flowed || (active ? countSoFar(active) : null)
  const name = ending.name || nameOf(r)
  ending.name = name
  try {
    runningZone().set(name, runningText(r.remoteAddress, usage, ending.ticket, names))
  } catch (error) {
    // The one that was there before still stands.
    if (mayThrow) throw tellFull(openZones(), 'running', error as Error)
  }
}

/** The name of a request in the zone, by which another context finds what it holds. */
export function nameOf(r: GateRequest): string {
  return runningName(workerOf(r), r.variables['request_id'] || '')
}
