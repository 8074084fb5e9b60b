import { checkOf, levelOf } from './check.ts'
import type { CounterKind, HeldKind } from './counters.ts'
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
  const level = (kind: CounterKind | HeldKind) => {
    const check = checkOf(kind + id, nowMs)
    const zone = check.before ? zones.windows : zones.counters
    return levelOf(zones, check, zone.get(check.at) || 0, nowMs)
  }
  return {
    inFlight: level('f'),
    heldTokens: level('r'),
    heldCost: level('R'),
    requestsPerMinute: level('q'),
    tokensPerMinute: level('t'),
    inputTokensPerMinute: level('i'),
    outputTokensPerMinute: level('o'),
  }
}
