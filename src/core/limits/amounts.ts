import type { Check } from './check.ts'
import { costOf } from './cost.ts'
import type { Amounts } from './hold.ts'
import { type LimitRefusal, tellNever, tellUnpriced } from './refusal.ts'
import type { Demand } from './types.ts'

/** What a request is going to reserve. `denied`: it can never fit, or has no price. */
export type Reservation = { amounts: Amounts; denied?: LimitRefusal; outputCeiling?: number }

/** Cost is rounded to whole nano-units: up to here it is rounded down. */
const ROUNDED_DOWN = 0.49

/** What a stream takes of a hard budget to begin with, so that many can run beside one another. */
const STREAM_TOKENS = 64

/** Prices are per million tokens. */
const NANOS_PER_PRICE = 1000

/**
 * How much the request takes of each kind; `levels` is what is taken already, null
 * where that is not asked. Of a limit of the minute it
 * takes what the model usually gives where the caller names more: what it uses beyond that is added at
 * its end, and the next one waits. Of a budget it takes the whole maximum, as far as there is room.
 */
export function reservationOf(
  demand: Demand,
  checks: Check[],
  levels: number[] | null,
): Reservation {
  const amounts: Amounts = { q: 1, a: 1, f: 1, t: 0, i: 0, o: 0, r: 0, R: 0 }
  const plan: Reservation = { amounts }
  const named = demand.outputTokens
  const least = named === null ? demand.choices : Math.min(demand.choices, named)
  const usual = demand.usualOutputTokens || demand.defaultOutputTokens
  let output = named === null ? demand.defaultOutputTokens * demand.choices : named
  let perMinute = Math.min(output, usual * demand.choices)
  let isPaced = false
  let isHard = false
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const kind = kindOf(check)
    const free = check.limit - (levels ? (levels[i] as number) : 0)
    if (kind === 'R' && demand.unpriced !== undefined) {
      plan.denied = plan.denied || tellUnpriced(check, demand)
    }
    if (check.used) {
      const most = check.isHard ? roomOf(demand, check, check.limit, false) : least
      if (most < least) plan.denied = plan.denied || tellNever(check, demand, most)
      output = Math.max(least, Math.min(output, roomOf(demand, check, free, false)))
      if (check.isHard) isHard = true
    } else if (kind === 't' || kind === 'o') {
      isPaced = true
      // What is named has to fit into an empty window, what is not named into what is free.
      const room = named === null ? free : check.limit
      perMinute = Math.max(least, Math.min(perMinute, roomOf(demand, check, room, named !== null)))
    }
  }
  // What a hard budget leaves is the most that can come.
  if (!isPaced || (isHard && output < perMinute)) perMinute = output
  if (demand.isMetered) fill(amounts, demand, checks, output, perMinute, isHard)
  // What it is going to cost only the answer tells.
  else if (demand.isCharged) amounts.r = amounts.R = 1
  const isLowered = named === null || output < named
  if (isHard && !demand.isShadow && isLowered) {
    plan.outputCeiling = Math.floor(output / demand.choices)
  }
  return plan
}

/** The amounts for so many tokens of output, of budgets and of the minute. */
function fill(
  amounts: Amounts,
  demand: Demand,
  checks: Check[],
  output: number,
  perMinute: number,
  isHard: boolean,
): void {
  const input = isHard ? demand.inputTokensMax : demand.inputTokens
  const isExtended = isHard && demand.isStream
  const first = isExtended ? Math.min(output, STREAM_TOKENS * demand.choices) : output
  const price = demand.price
  const cost = price ? costOf({ promptTokens: input, completionTokens: first }, price) : 0
  amounts.t = demand.inputTokens + perMinute
  amounts.i = demand.inputTokens
  amounts.o = perMinute
  amounts.r = input + first
  amounts.R = Math.max(1, cost)
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const kind = kindOf(check)
    if (!check.isHard) amounts[kind] = Math.min(amounts[kind], Math.max(1, check.limit))
  }
}

/**
 * How many tokens of an answer fit into `free` of a limit, beside the prompt or, where that is only
 * estimated, beside the shortest there is.
 */
function roomOf(demand: Demand, check: Check, free: number, isShortest: boolean): number {
  const price = demand.price
  const input = isShortest ? 1 : check.isHard ? demand.inputTokensMax : demand.inputTokens
  switch (kindOf(check)) {
    case 'o':
      return free
    case 't':
    case 'r':
      return free - input
    case 'R': {
      if (!price || !(price.output > 0)) return Infinity
      const left = (free + ROUNDED_DOWN) / NANOS_PER_PRICE - input * price.input
      return Math.floor(left / price.output)
    }
    default:
      return Infinity
  }
}

export function kindOf(check: Check): Exclude<keyof Amounts, 'u'> {
  return check.move.charAt(0) as Exclude<keyof Amounts, 'u'>
}
