import type { Check } from './check.ts'
import { costOfTokens } from './cost.ts'
import { type LimitRefusal, tellNever, tellUnpriced } from './refusal.ts'
import type { Amounts, Demand } from './types.ts'

/** What a request is going to reserve. */
export type Reservation = {
  amounts: Amounts
  /** It can never fit, or has no price. */
  denied?: LimitRefusal
  /** One of its budgets is hard, and so all of them. */
  isHard?: true
  outputCeiling?: number
}

/** Cost is rounded to whole nano-units: up to here it is rounded down. */
const ROUNDED_DOWN = 0.49

/** What a stream takes of a hard budget to begin with, so that many can run beside one another. */
const STREAM_TOKENS = 64

/** Prices are per million tokens. */
const NANOS_PER_PRICE = 1000

/**
 * How much the request takes of each kind, written into `amounts`; `levels` is what is taken already, null
 * where that is not asked. Of a limit of the minute it
 * takes what the model usually gives where the caller names more: what it uses beyond that is added at
 * its end, and the next one waits. Of a budget it takes the whole maximum, as far as there is room.
 */
export function reservationOf(
  demand: Demand,
  checks: Check[],
  levels: number[] | null,
  amounts: Amounts,
): Reservation {
  const plan: Reservation = { amounts }
  amounts.t = amounts.i = amounts.o = amounts.r = amounts.R = 0
  const choices = demand.choices
  const named = demand.outputTokens
  const least = named === null || named > choices ? choices : named
  const usual = (demand.usualOutputTokens || demand.defaultOutputTokens) * choices
  let output = named === null ? demand.defaultOutputTokens * choices : named
  let perMinute = output < usual ? output : usual
  let isPaced = false
  let isHard = false
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const limit = check.limit
    const free = levels ? limit - (levels[i] as number) : limit
    let room = Infinity
    if (check.usedAt) {
      if (check.kind === 'R' && demand.unpriced !== undefined) {
        plan.denied = plan.denied || tellUnpriced(check, demand)
      }
      if (check.isHard) {
        isHard = true
        const most = roomOf(demand, check, limit)
        if (most < least) plan.denied = plan.denied || tellNever(check, demand, most)
      }
      room = roomOf(demand, check, free)
      if (room < output) output = room > least ? room : least
      continue
    }
    if (check.kind === 't') {
      // What is named has to fit into an empty window, beside the shortest prompt; what is not named into what is free.
      room = named === null ? free - demand.inputTokens : limit - 1
    } else if (check.kind === 'o') room = named === null ? free : limit
    else continue
    isPaced = true
    if (room < perMinute) perMinute = room > least ? room : least
  }
  // What a hard budget leaves is the most that can come.
  if (!isPaced || (isHard && output < perMinute)) perMinute = output
  if (demand.isMetered) fill(plan.amounts, demand, checks, output, perMinute, isHard)
  // What it is going to cost only the answer tells.
  else if (demand.isCharged) plan.amounts.r = plan.amounts.R = 1
  if (!isHard || demand.isShadow) return plan
  plan.isHard = true
  if (named === null || output < named) plan.outputCeiling = Math.floor(output / choices)
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
  let first = output
  if (isHard && demand.isStream) first = Math.min(output, STREAM_TOKENS * demand.choices)
  const price = demand.price
  const cost = price ? costOfTokens(input, first, price) : 0
  amounts.t = demand.inputTokens + perMinute
  amounts.i = demand.inputTokens
  amounts.o = perMinute
  amounts.r = input + first
  amounts.R = cost > 1 ? cost : 1
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    const most = check.limit > 1 ? check.limit : 1
    if (!check.isHard && (amounts[check.kind] as number) > most) amounts[check.kind] = most
  }
}

/** How many tokens of an answer fit into `free` of a budget, beside the prompt. */
function roomOf(demand: Demand, check: Check, free: number): number {
  const input = check.isHard ? demand.inputTokensMax : demand.inputTokens
  if (check.kind === 'r') return free - input
  const price = demand.price
  if (!price || !(price.output > 0)) return Infinity
  const left = (free + ROUNDED_DOWN) / NANOS_PER_PRICE - input * price.input
  return Math.floor(left / price.output)
}
