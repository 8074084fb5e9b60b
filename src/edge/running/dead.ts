import { BIRTH_COUNTER, PID_LENGTH } from '../../core/limits/counters.ts'
import { shiftSafely } from '../../core/limits/hold.ts'
import type { Zones } from '../../core/limits/types.ts'
import { isRequestName, readHeld } from '../../core/running.ts'
import { runningZone } from '../gate/registry.ts'
import { isWorker } from './workers.ts'

/** Up to here the zone is looked through at every turn, 2 ms; beyond it every ten seconds. */
const SMALL = 2000
const LIST_MS = 10000

/** What is given back in one turn. */
const SLICE = 2000

/** The workers that have requests, and when they were looked for; kept from turn to turn. */
type Holders = { pids: string[]; listedMs: number }

/** Takes the requests of workers that have died off the list, and gives back what they held. */
export function releaseDead(zones: Zones, holders: Holders, nowMs: number): void {
  const zone = runningZone()
  const size = zone.size()
  if (size === 0) return
  let names: string[] | null = null
  if (size <= SMALL || nowMs - holders.listedMs > LIST_MS) {
    names = zone.keys(size)
    holders.pids = workersIn(names)
    holders.listedMs = nowMs
  }
  const dead = holders.pids.filter((pid) => !isWorker(parseInt(pid, 36)))
  if (dead.length === 0) return
  const all = names || zone.keys(size)
  dead.forEach((pid) => {
    release(zones, pid, all)
  })
}

function workersIn(names: string[]): string[] {
  const found: { [pid: string]: true } = {}
  names.forEach((name) => {
    if (isRequestName(name)) found[name.slice(0, PID_LENGTH)] = true
  })
  return Object.keys(found)
}

function release(zones: Zones, pid: string, names: string[]): void {
  const left = names.filter((name) => isRequestName(name) && name.startsWith(pid))
  left.slice(0, SLICE).forEach((name) => {
    const text = runningZone().pop(name)
    if (text !== undefined) giveBack(zones, text)
  })
  if (left.length === 0 || left.length > SLICE) return
  ngx.log(ngx.WARN, `Tollgate gave back what worker ${parseInt(pid, 36)} held, which has died`)
}

function giveBack(zones: Zones, text: string): void {
  const said = readHeld(text)
  // In a new zone of counters nothing is left of it.
  if (said.birth !== 0 && zones.counters.get(BIRTH_COUNTER) !== said.birth) return
  said.held.forEach((one) => {
    if (zones.counters.get(one[0]))
      shiftSafely(zones, 'counters', one[0].charAt(0), one[0], -one[1])
  })
}
