import type { Limits } from '../config/shapes.ts'
import { slidOf } from './check.ts'
import { type CounterKind, counterName, type HeldKind, minuteOf } from './counters.ts'
import { LIMITS } from './table.ts'
import type { Zones } from './types.ts'

/** How much of its limits is taken by a subject right now; 0 also where it has no such limit. */
export type LimitsTaken = { [limit in Exclude<keyof Limits, 'concurrency'>]: number } & {
  inFlight: number
  heldTokens: number
  /** Nano-units. */
  heldCost: number
}

/** How much of its limits a subject has taken right now, by its id in the counters. */
export function takenOf(zones: Zones, id: string, nowMs: number): LimitsTaken {
  const minute = minuteOf(nowMs)
  const held = (kind: HeldKind) => zones.counters.get(kind + id) || 0
  const taken: { [name: string]: number } = {
    inFlight: held('f'),
    heldTokens: held('r'),
    heldCost: held('R'),
  }
  LIMITS.forEach((row) => {
    if (row.per !== 'minute') return
    const window = row.kind as CounterKind
    const level = zones.windows.get(counterName(window, id, minute)) || 0
    const before = zones.windows.get(counterName(window, id, minute - 1)) || 0
    taken[row.name] = level + slidOf(before, nowMs)
  })
  return taken as LimitsTaken
}

/** What of it belongs to a limit. */
export function takenFor(taken: LimitsTaken, limit: keyof Limits): number {
  return limit === 'concurrency' ? taken.inFlight : taken[limit]
}
