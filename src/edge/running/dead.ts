import { PID_LENGTH } from '../../core/limits/counters.ts'
import { shiftSafely } from '../../core/limits/hold.ts'
import type { Zones } from '../../core/limits/types.ts'
import { isWorker } from './workers.ts'

/** Up to here the zone is looked through at every turn, 2 ms; beyond it every ten seconds. */
const SMALL = 2000
const LIST_MS = 10000

/** What is given back in one turn. */
const SLICE = 2000

/** The workers that hold slots, and when they were looked for; kept from turn to turn. */
type Holders = { pids: string[]; listedMs: number }

/** Gives back what workers held that have died. */
export function releaseDead(zones: Zones, holders: Holders, nowMs: number): void {
  const slots = zones.slots as NgxSharedDict<number>
  const size = slots.size()
  if (size === 0) return
  let names: string[] | null = null
  if (size <= SMALL || nowMs - holders.listedMs > LIST_MS) {
    names = slots.keys(size)
    holders.pids = names.filter((name) => name.length === PID_LENGTH)
    holders.listedMs = nowMs
  }
  const dead = holders.pids.filter((pid) => !isWorker(parseInt(pid, 36)))
  if (dead.length === 0) return
  const all = names || slots.keys(size)
  dead.forEach((pid) => {
    release(zones, pid, all)
  })
}

function release(zones: Zones, pid: string, names: string[]): void {
  const slots = zones.slots as NgxSharedDict<number>
  const held = names.filter((name) => name.length > PID_LENGTH && name.startsWith(pid))
  held.slice(0, SLICE).forEach((slot) => {
    const name = slot.slice(PID_LENGTH)
    const count = slots.pop(slot) || 0
    // In a new zone of counters nothing is left of it.
    if (!zones.counters.get(name)) return
    shiftSafely(zones, 'counters', name.charAt(0), name, -count)
  })
  if (held.length > SLICE) return
  slots.delete(pid)
  ngx.log(ngx.WARN, `Tollgate gave back what worker ${parseInt(pid, 36)} held, which has died`)
}
