import { slidOf } from './check.ts'
import { counterName, type HeldKind, minuteOf } from './counters.ts'
import type { Zones } from './types.ts'

/** How much of its limits is taken by a subject right now; 0 also where it has no such limit. */
export type LimitsTaken = {
  inFlight: number
  heldTokens: number
  /** Nano-units. */
  heldCost: number
  requestsPerMinute: number
  tokensPerMinute: number
  inputTokensPerMinute: number
  outputTokensPerMinute: number
}

/** How much of its limits a subject has taken right now, by its id in the counters. */
export function takenOf(zones: Zones, id: string, nowMs: number): LimitsTaken {
  const minute = minuteOf(nowMs)
  const inMinute = (kind: 'q' | 't' | 'i' | 'o') => {
    const level = zones.windows.get(counterName(kind, id, minute)) || 0
    return level + slidOf(zones.windows.get(counterName(kind, id, minute - 1)) || 0, nowMs)
  }
  const held = (kind: HeldKind) => zones.counters.get(kind + id) || 0
  return {
    inFlight: held('f'),
    heldTokens: held('r'),
    heldCost: held('R'),
    requestsPerMinute: inMinute('q'),
    tokensPerMinute: inMinute('t'),
    inputTokensPerMinute: inMinute('i'),
    outputTokensPerMinute: inMinute('o'),
  }
}
