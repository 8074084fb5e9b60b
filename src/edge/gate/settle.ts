import type { Ticket } from '../../core/admit/admit.ts'
import type { Counters } from '../../core/admit/lockout.ts'
import type { Outcome } from '../../core/admit/outcome.ts'
import { usedOf } from '../../core/ledger/line.ts'
import { refund } from '../../core/limits/claim.ts'
import { costIn, NANOS } from '../../core/limits/cost.ts'
import { modelBucket } from '../../core/limits/estimate.ts'
import { estimateInput, learnOutput, learnRatio, settleHold } from '../../core/limits/reserve.ts'
import { finishMeter, finishWhole, type Metered } from '../../core/meter/meter.ts'
import type { Usage } from '../../core/meter/usage.ts'
import { countersZone, openZones, readPrices, readRules } from './registry.ts'
import type { Metering, MeterState } from './request.ts'

/**
 * Settles a request at its end, once: what it used goes into the counters, what it held goes back, and what of that
 * belongs into the line of the ledger is returned. `endMs` is the time of the line.
 */
export function settle(ticket: Ticket, state: Metering, outcome: Outcome, endMs: number): string {
  const hold = ticket.hold
  // It ended before it was admitted: its caller has left, or nginx has refused the body.
  if (ticket.atMs === undefined) {
    if (hold) refund(ticket, openZones())
    return ''
  }
  // Nothing was held, metered or read.
  if (!hold && !state && ticket.model === undefined && !ticket.isStream) return ''
  const metered = state ? meteredOf(state) : null
  const usage: Usage = (metered && metered.usage) || {}
  const isEstimated = metered !== null && metered.isEstimated
  // The policy is asked again only for who has limits, and so may have a budget in cost. What model a form of
  // audio names is not known, and not the one of all others.
  const hasDefault = hold && !(ticket.route || '').startsWith('trans')
  const model = ticket.model || (hasDefault && readRules().defaultModel) || ''
  if (isEstimated) estimate(ticket, model, usage, countersZone())
  const served = metered ? metered.served : undefined
  const reason = metered ? metered.finishReason : undefined
  // Undefined where the model has no price, and where nothing is known.
  const cost = costIn(served || '', model, usage, readPrices())
  const stream = streamOf(ticket, state)
  const line = usedOf(
    usage,
    ticket.model,
    served,
    ticket.isStream,
    isEstimated,
    cost === undefined ? cost : cost / NANOS,
    (hold && hold.amounts.t) || undefined,
    stream ? Math.max(0, stream.firstMs - ticket.atMs) : undefined,
    stream ? speedOf(stream, usage) : undefined,
    reason,
  )
  if (hold) {
    const output = usage.completionTokens || 0
    const used = { input: usage.promptTokens || 0, output, cost: cost || 0 }
    const isPaced = settleHold(openZones(), hold, used, endMs)
    if (isPaced && outcome === 'ok' && output > 0 && !isEstimated) {
      const isCut = reason === 'length' || reason === 'max_tokens' || reason === 'incomplete'
      learnOutput(countersZone(), modelBucket(model), output / (ticket.choices || 1), isCut)
    }
  }
  if (ticket.textBytes && usage.promptTokens && !isEstimated) {
    learnRatio(countersZone(), modelBucket(model), usage.promptTokens, ticket.textBytes)
  }
  return line
}

function meteredOf(state: NonNullable<Metering>): Metered | null {
  if ('pieces' in state) return finishWhole(state)
  return 'meter' in state && state.meter ? finishMeter(state.meter) : null
}

/** The prompt of a server that tells no counts: by what was learned of the model. */
function estimate(ticket: Ticket, model: string, usage: Usage, counters: Counters): void {
  if (usage.promptTokens !== undefined) return
  // What is no text was estimated at admission.
  if (ticket.textBytes)
    usage.promptTokens = estimateInput(counters, modelBucket(model), ticket.textBytes, 0)
  else if (ticket.hold && ticket.hold.amounts.i) usage.promptTokens = ticket.hold.amounts.i
}

/** Tokens a second. The first token came with the first piece, so its time is not among these. */
function speedOf(stream: MeterState, usage: Usage): number | undefined {
  const seconds = (stream.lastMs - stream.firstMs) / 1000
  const tokens = (usage.completionTokens || 0) - 1
  return tokens > 0 && seconds > 0 ? Math.round((tokens / seconds) * 10) / 10 : undefined
}

/** What is kept of a stream that was metered. */
function streamOf(ticket: Ticket, state: Metering): MeterState | null {
  if (!ticket.isStream || !ticket.atMs || !state || !('meter' in state)) return null
  return state.meter && state.firstMs ? state : null
}
