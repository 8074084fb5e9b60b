import type { Ticket } from '../../core/admit/admit.ts'
import type { Counters } from '../../core/admit/lockout.ts'
import type { LineFragment } from '../../core/ledger/line.ts'
import { refund } from '../../core/limits/claim.ts'
import { costOf, NANOS, priceOf } from '../../core/limits/cost.ts'
import { estimateInput, learnOutput, learnRatio, settleHold } from '../../core/limits/reserve.ts'
import { finishMeter, finishWhole, type Metered } from '../../core/meter/meter.ts'
import type { Usage } from '../../core/meter/usage.ts'
import { openZones, readPrices, readRules } from './registry.ts'
import type { Metering, MeterState } from './request.ts'

/**
 * Settles a request at its end, once: what it used goes into the line of the ledger and into the
 * counters, and what it held goes back. `endMs` is the time of the line.
 */
export function settle(ticket: Ticket, state: Metering, line: LineFragment, endMs: number): void {
  const zones = openZones()
  // It ended before it was admitted: its caller has left, or nginx has refused the body.
  if (ticket.atMs === undefined) {
    refund(ticket, zones)
    return
  }
  const metered = state ? meteredOf(state) : null
  const usage: Usage = (metered && metered.usage) || {}
  // The policy is asked again only for who has limits, and so may have a budget in cost. What model a form of
  // audio names is not known, and not the one of all others.
  const hasDefault = ticket.hold && !(ticket.route || '').startsWith('trans')
  const model = ticket.model || (hasDefault && readRules().defaultModel) || ''
  if (metered && metered.isEstimated) estimate(ticket, model, usage, zones.counters)
  describe(ticket, line, metered, usage)
  const cost = costLine(model, line, usage)
  if (metered && state && 'meter' in state) time(ticket, line, state)
  if (ticket.hold) {
    const used = { input: usage.promptTokens || 0, output: usage.completionTokens || 0, cost }
    if (ticket.hold.amounts.t) line.reservedTokens = ticket.hold.amounts.t
    const isPaced = settleHold(zones, ticket.hold, used, endMs)
    if (isPaced && line.outcome === 'ok' && used.output > 0 && !line.estimated) {
      const reason = line.finishReason
      const isCut = reason === 'length' || reason === 'max_tokens' || reason === 'incomplete'
      const tokens = used.output / (ticket.choices || 1)
      learnOutput(zones.counters, model, tokens, isCut)
    }
  }
  if (ticket.textBytes && usage.promptTokens && !line.estimated) {
    learnRatio(zones.counters, model, usage.promptTokens, ticket.textBytes)
  }
}

function meteredOf(state: NonNullable<Metering>): Metered | null {
  if ('pieces' in state) return finishWhole(state)
  return 'meter' in state && state.meter ? finishMeter(state.meter) : null
}

/** The prompt of a server that tells no counts: by what was learned of the model. */
function estimate(ticket: Ticket, model: string, usage: Usage, counters: Counters): void {
  if (usage.promptTokens !== undefined) return
  // What is no text was estimated at admission.
  if (ticket.textBytes) usage.promptTokens = estimateInput(counters, model, ticket.textBytes, 0)
  else if (ticket.hold && ticket.hold.amounts.i) usage.promptTokens = ticket.hold.amounts.i
}

function describe(ticket: Ticket, line: LineFragment, metered: Metered | null, usage: Usage): void {
  if (ticket.model !== undefined) line.model = ticket.model
  if (metered && metered.served !== undefined) line.served = metered.served
  if (ticket.isStream) line.stream = true
  if (usage.promptTokens !== undefined) line.promptTokens = usage.promptTokens
  if (usage.cachedTokens !== undefined) line.cachedTokens = usage.cachedTokens
  if (usage.completionTokens !== undefined) line.completionTokens = usage.completionTokens
  if (usage.reasoningTokens !== undefined) line.reasoningTokens = usage.reasoningTokens
  if (usage.audioSeconds !== undefined) line.audioSeconds = usage.audioSeconds
  if (metered && metered.isEstimated) line.estimated = true
  if (metered && metered.finishReason !== undefined) line.finishReason = metered.finishReason
}

/** Notes the cost where the model has a price, and returns it in nano-units. */
function costLine(asked: string, line: LineFragment, usage: Usage): number {
  if (usage.completionTokens === undefined && usage.promptTokens === undefined) {
    if (usage.audioSeconds === undefined) return 0
  }
  const price = priceOf(line.served || '', asked, readPrices())
  if (!price) return 0
  const cost = costOf(usage, price)
  line.cost = cost / NANOS
  return cost
}

function time(ticket: Ticket, line: LineFragment, state: MeterState): void {
  if (!ticket.isStream || !ticket.atMs || !state.firstMs) return
  line.ttftMs = Math.max(0, state.firstMs - ticket.atMs)
  const seconds = (state.lastMs - state.firstMs) / 1000
  // The first token came with the first piece, so its time is not among these.
  const tokens = (line.completionTokens || 0) - 1
  if (tokens > 0 && seconds > 0) line.tokensPerSecond = Math.round((tokens / seconds) * 10) / 10
}
