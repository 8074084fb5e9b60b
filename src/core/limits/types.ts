import type { Counters } from '../admit/lockout.ts'
import type { Limited } from '../config/record.ts'
import type { Price } from '../config/shapes.ts'

/** The number zones, see counters.ts. */
export type Zones = {
  windows: Counters
  counters: Counters
}

/** What a request asks of limits and budgets. */
export type Demand = {
  limited: Limited[]
  /** All is counted and evaluated, nothing refused. */
  isShadow: boolean
  /** Tokens are produced or read: else only requests and concurrency are limited. */
  isMetered: boolean
  /** Without tokens it may cost all the same, as audio does: a spent budget refuses it too. */
  isCharged?: boolean
  /** Tokens of the prompt: the learned estimate, and what it cannot exceed. */
  inputTokens: number
  inputTokensMax: number
  /** The most that the answer may have, all choices together; null: the caller names none. */
  outputTokens: number | null
  /** What is reserved then, per choice. */
  defaultOutputTokens: number
  /** What the model usually gives, per choice; undefined as long as nothing is known. */
  usualOutputTokens?: number | undefined
  choices: number
  /** With a hard budget it takes more when it needs more, and can be ended when there is none. */
  isStream: boolean
  /** Null: unknown, and so not reserved as cost. */
  price: Price | null
  /** The model, where it has no price and a budget in cost holds; empty: none was named. */
  unpriced?: string | undefined
  maxInFlight?: number | undefined
  /** Which of several servers behind, for maxInFlight; usually empty. */
  upstream: string
  /** What tells clients apart for their share of maxInFlight. */
  clientId: string
  nowMs: number
  /** Where days and months of budgets begin, minutes east of UTC; left out: UTC. */
  zoneMinutes?: number | undefined
}

/**
 * How far a request moves the counters of each kind: requests `q`, in flight `a` and `f`, tokens of
 * the minute `t` `i` `o`, tokens `r` and cost `R` (nano-units) of budgets.
 */
export type Amounts = {
  q: number
  a: number
  f: number
  t: number
  i: number
  o: number
  r: number
  R: number
  /** Bytes that are announced and not read yet. */
  u?: number
}
