import type { Ticket } from '../../core/admit/admit.ts'
import type { Outcome } from '../../core/admit/outcome.ts'
import { routeOf } from '../../core/admit/route.ts'
import { usedOf } from '../../core/ledger/line.ts'
import { refund } from '../../core/limits/claim.ts'
import { costIn, NANOS } from '../../core/limits/cost.ts'
import { estimateInput, estimateOutput, modelBucket } from '../../core/limits/estimate.ts'
import { settleHold } from '../../core/limits/reserve.ts'
import { finishMeter, finishWhole, type Metered } from '../../core/meter/meter.ts'
import type { Usage } from '../../core/meter/usage.ts'
import { countersZone, openZones, readPrices, readRules } from './registry.ts'
import type { Metering, MeterState } from './request.ts'

/** What the meter has found of an answer at its end; null where nothing was read. */
export function finish(state: Metering): Metered | null {
  if (!state) return null
  if ('pieces' in state) return finishWhole(state)
  return 'meter' in state && state.meter ? finishMeter(state.meter) : null
}

/**
 * Settles a request at its end, once: what it used goes into the counters, what it held goes back, and what of that
 * belongs into the line of the ledger is returned. `endMs` is the time of the line. Tokens that nobody
 * has counted are estimated, also where nothing was read of the answer if `isLeft` says so.
 */
export function settle(
  ticket: Ticket,
  state: Metering,
  metered: Metered | null,
  outcome: Outcome,
  endMs: number,
  isLeft: boolean,
): string {
  const hold = ticket.hold
  // It ended before it was admitted: its caller has left, or nginx has refused the body.
  if (ticket.atMs === undefined) {
    if (hold) refund(ticket, openZones())
    return ''
  }
  // Nothing was held, metered or read.
  if (!hold && !state && ticket.model === undefined && !ticket.isStream) return ''
  const usage: Usage = (metered && metered.usage) || {}
  // The policy is asked again only for who has limits, and so may have a budget in cost. What model a form of
  // audio names is not known, and not the one of all others.
  const hasDefault = hold && !(ticket.route || '').startsWith('trans')
  const model = ticket.model || (hasDefault && readRules().defaultModel) || ''
  // llama.cpp may tell of a message what it made, and nothing of its prompt.
  const isUnknown = metered ? metered.isEstimated || usage.promptTokens === undefined : isLeft
  const ranMs = endMs - ticket.atMs
  const isEstimated = isUnknown && estimate(ticket, model, metered, usage, outcome, ranMs)
  const served = metered ? metered.served : undefined
  // Undefined where the model has no price, and where nothing is known.
  const cost = costIn(served || '', model, usage, readPrices())
  const stream = streamOf(ticket, state)
  const line = usedOf(
    usage,
    ticket.model,
    served,
    ticket.isStream,
    ticket.textBytes,
    ticket.choices,
    isEstimated,
    cost === undefined ? cost : cost / NANOS,
    (hold && hold.amounts.t) || undefined,
    stream ? Math.max(0, stream.firstMs - ticket.atMs) : undefined,
    stream ? speedOf(stream, usage) : undefined,
    metered ? metered.finishReason : undefined,
  )
  if (hold) {
    const output = usage.completionTokens || 0
    const used = { input: usage.promptTokens || 0, output, cost: cost || 0 }
    settleHold(openZones(), hold, used, endMs)
  }
  return line
}

/**
 * Fills in what nobody has counted of a request that took `ranMs`; false where that is nothing. Of a stream that has not
 * told a token there is none, so that only its prompt is in doubt.
 */
function estimate(
  ticket: Ticket,
  model: string,
  metered: Metered | null,
  usage: Usage,
  outcome: Outcome,
  ranMs: number,
): boolean {
  const route = routeOf(ticket.route || '')
  if (!route || route.name === 'count_tokens') return false
  const isTold = metered !== null && !metered.isEstimated && usage.completionTokens !== undefined
  if (!isTold && !usage.completionTokens) {
    // What broke behind the gate is charged by what was counted.
    if (outcome.startsWith('upstream_')) return false
    if (route.scope === 'inference') {
      const tokens = estimateOutput(countersZone(), modelBucket(model), ranMs)
      // Its prompt may be known.
      if (tokens < 0 && outcome !== 'ok') return usage.promptTokens !== undefined
      usage.completionTokens = ticket.isStream ? 0 : within(ticket, tokens)
    } else if (route.scope !== 'embeddings') return false
  }
  if (usage.promptTokens !== undefined) return true
  // What is no text was estimated at admission.
  if (ticket.textBytes)
    usage.promptTokens = estimateInput(countersZone(), modelBucket(model), ticket.textBytes, 0)
  else if (ticket.hold && ticket.hold.amounts.i) usage.promptTokens = ticket.hold.amounts.i
  return true
}

/** Of all choices, each within the maximum that the server was told. */
function within(ticket: Ticket, tokens: number): number {
  const most = ticket.maxOutputTokens || tokens
  return Math.max(0, Math.min(tokens, most)) * (ticket.choices || 1)
}

/** Tokens a second. The first token came with the first piece, so its time is not among these. */
function speedOf(stream: MeterState, usage: Usage): number | undefined {
  const seconds = (stream.lastMs - stream.firstMs) / 1000
  const tokens = (usage.completionTokens || 0) - 1
  return tokens > 0 && seconds > 0 ? Math.round((tokens / seconds) * 10) / 10 : undefined
}

/** Says in the error log that something of a request could not be settled. */
export function tellUnsettled(error: Error): void {
  ngx.log(ngx.ERR, `Tollgate cannot settle: ${error.message}`)
}

/** What is kept of a stream that was metered. */
function streamOf(ticket: Ticket, state: Metering): MeterState | null {
  if (!ticket.isStream || !ticket.atMs || !state || !('meter' in state)) return null
  return state.meter && state.firstMs ? state : null
}
