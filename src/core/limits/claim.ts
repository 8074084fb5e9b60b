import type { Ticket } from '../admit/admit.ts'
import type { Route } from '../admit/route.ts'
import {
  type BodyFacts,
  type BodyRefusal,
  type BodyRules,
  isAsked,
  limitOutput,
  readBody,
} from '../body/body.ts'
import type { KeyRecord, Limited, Rules } from '../config/record.ts'
import type { Price } from '../config/shapes.ts'
import { checksOf } from './check.ts'
import { priceOf } from './cost.ts'
import { uploadCheck } from './early.ts'
import { modelBucket, OUTPUT_TOKENS_DEFAULT, usualOutput } from './estimate.ts'
import type { Hold } from './hold.ts'
import type { Taken } from './quick.ts'
import { resetOf } from './refusal.ts'
import {
  type Demand,
  type Early,
  estimateInput,
  type Figures,
  giveBack,
  type LimitRefusal,
  reserve,
  reserveEarly,
  type Zones,
} from './reserve.ts'
import { holdOf } from './take.ts'

/** What a claim asks of the platform. */
export type Till = Zones & {
  rules: Rules
  /** Prices by model; read only where a budget in cost asks for them. */
  prices(): { [pattern: string]: Price }
  /** The name that the site gives the server behind, where there are several; else empty. */
  upstream: string
}

/** Tokens that a chat template may put around a prompt, for the upper bound of hard budgets. */
const TEMPLATE_TOKENS = 256

/**
 * Whether the gate has to read the body of a request that was admitted by its line and headers: with
 * nothing to meter, to permit or to limit it passes unread.
 */
export function needsBody(route: Route, record: KeyRecord, rules: Rules): boolean {
  if (route.body !== 'json') return false
  const isBound = record.models || record.request || record.limited || record.salt
  return isAsked(rules.metering) || isBound !== undefined || record.priority !== undefined
}

/** Whether there is nothing to read, to limit or to filter: then neither half of admission has anything to claim. */
export function isFree(route: Route, record: KeyRecord, rules: Rules): boolean {
  return (
    !isLimited(record, rules) &&
    !record.request &&
    !record.models &&
    !needsBody(route, record, rules)
  )
}

/**
 * What is known before the body: requests of the minute, places, unread bytes. Call it before the body
 * is read. What was taken stands in the ticket, and is given back by refund() or claim(); null where
 * nothing is limited. Who is refused has it in the ticket, and gets the figures for the headers.
 */
export function claimEarly(
  ticket: Ticket,
  route: Route,
  record: KeyRecord,
  uploadBytes: number,
  till: Till,
  nowMs: number,
): Early | Figures | null {
  if (!isLimited(record, till.rules) && !uploadBytes) return null
  const demand = demandOf(route, record, needsBody(route, record, till.rules), till, nowMs)
  const result = reserveEarly(till, demand, record.key, uploadBytes)
  if ('outcome' in result) {
    refuse(ticket, result)
    return result.figures
  }
  ticket.hold = result.hold
  return result
}

/**
 * The second half of admission: what the body asks for, and whether limits and budgets have it. Both
 * stand in the ticket afterwards. `body` is null where the route has none that is read, `early` is what
 * claimEarly() gave, null where it was not asked, and `read` what readBody() said where that was asked already.
 * Returns what the limits say, for the headers of the answer; null where there are none.
 */
export function claim(
  ticket: Ticket,
  route: Route,
  record: KeyRecord,
  body: Buffer | null,
  early: Early | null,
  till: Till,
  nowMs: number,
  read?: BodyFacts | BodyRefusal,
): Figures | null {
  ticket.atMs = nowMs
  if (record.models && route.name === 'models') ticket.models = record.models
  // What a handler before a redirect took is taken anew.
  if (!early) refund(ticket, till)
  const facts = body ? examine(ticket, route, record, body, till.rules, read) : null
  const needsHold = isLimited(record, till.rules) || record.request
  const figures =
    ticket.outcome === 'ok' && needsHold
      ? hold(ticket, route, record, body, facts, early, till, nowMs)
      : null
  if (ticket.outcome !== 'ok') refund(ticket, till)
  else if (facts && facts.edits.length > 0) ticket.edits = facts.edits
  return figures
}

/** Gives back what a request holds that was not admitted after all, or ended before it was. */
export function refund(ticket: Ticket, zones: Zones): void {
  if (ticket.hold) giveBack(zones, ticket.hold, 'qafu')
  delete ticket.hold
}

function isLimited(record: KeyRecord, rules: Rules): boolean {
  const limited = record.limited
  return (limited !== undefined && limited.length > 0) || rules.maxInFlight !== undefined
}

/** Reads the body and notes in the ticket what the later handlers have to know of it. */
function examine(
  ticket: Ticket,
  route: Route,
  record: KeyRecord,
  body: Buffer,
  rules: Rules,
  read: BodyFacts | BodyRefusal | undefined,
): BodyFacts | null {
  const facts = read || readBody(route, body, bodyRulesOf(rules, record))
  if ('outcome' in facts) {
    ticket.outcome = facts.outcome
    ticket.message = facts.message
    if (facts.param !== null) ticket.param = facts.param
    return null
  }
  noteFacts(ticket, facts)
  return facts
}

/** Notes what later handlers have to know of a body, but for its edits. */
export function noteFacts(ticket: Ticket, facts: BodyFacts): void {
  if (facts.model !== undefined) ticket.model = facts.model
  if (facts.isStream) ticket.isStream = true
  const choices = facts.n * facts.prompts
  if (choices > 1) ticket.choices = choices
  if (facts.prompts > 1) ticket.prompts = facts.prompts
  if (facts.taken !== 'nothing') ticket.taken = facts.taken
  if (facts.wantsUsage) ticket.wantsUsage = true
  if (facts.maxOutputTokens) ticket.maxOutputTokens = facts.maxOutputTokens
  if (facts.media === 0 && facts.promptBytes > 0) ticket.textBytes = facts.promptBytes
}

/** The hold of what the quick way has taken, see quick.ts. */
export function holdOfTaken(route: Route, record: KeyRecord, till: Till, taken: Taken): Hold {
  const demand = demandOf(route, record, true, till, taken.minuteMs)
  const lists = checksOf(demand)
  const hold = holdOf(demand, taken.isWhole ? lists.all : lists.first, taken.amounts, taken.birth)
  if (taken.unread > 0) {
    hold.amounts.u = taken.unread
    hold.checks = hold.checks.concat(uploadCheck(record.key))
  }
  return hold
}

/** What it had before its body, as if claimEarly() had taken it. */
export function earlyOf(hold: Hold, taken: Taken): Early {
  const early: Early = { hold, figures: {}, checks: null }
  const limit = taken.requestsLimit
  const left = taken.requestsLeft
  if (limit >= 0) early.figures['q'] = { limit, left, resetMs: resetOf(hold.minute) }
  return early
}

/** What holds for the bodies of a key. */
export function bodyRulesOf(rules: Rules, record: KeyRecord): BodyRules {
  return {
    metering: rules.metering,
    defaultModel: rules.defaultModel,
    models: record.models,
    request: record.request,
    priority: record.priority,
    salt: record.salt,
  }
}

/**
 * The demand of the request at hand, filled anew for each question, which keeps nothing of it: an object of 20 fields
 * takes 15,000 instructions.
 */
let kept: Demand | null = null

/** What a request asks for before anything is known of its body. */
function demandOf(
  route: Route,
  record: KeyRecord,
  hasFacts: boolean,
  till: Till,
  nowMs: number,
): Demand {
  const rules = till.rules
  const scope = route.scope
  if (!kept) kept = {} as Demand
  const demand = kept
  demand.limited = record.limited || []
  demand.upstream = till.upstream
  demand.clientId = record.client
  demand.isShadow = record.shadow === true
  demand.isMetered = hasFacts && route.name !== 'count_tokens' && scope !== 'tokenize'
  demand.isCharged = scope === 'audio'
  demand.inputTokens = 0
  demand.inputTokensMax = 0
  demand.outputTokens = scope === 'inference' ? null : 0
  demand.defaultOutputTokens = rules.defaultOutputTokens || OUTPUT_TOKENS_DEFAULT
  demand.usualOutputTokens = undefined
  demand.isStream = false
  demand.choices = 1
  demand.price = null
  demand.unpriced = undefined
  demand.maxInFlight = rules.maxInFlight
  demand.nowMs = nowMs
  demand.zoneMinutes = rules.zoneMinutes
  return demand
}

/** What it asks for with its body, or without one where it has none. */
function fullDemand(
  route: Route,
  record: KeyRecord,
  facts: BodyFacts | null,
  model: string,
  till: Till,
  nowMs: number,
): Demand {
  const demand = demandOf(route, record, facts !== null, till, nowMs)
  const bytes = facts ? facts.promptBytes : 0
  const ids = facts ? facts.promptTokens : 0
  const input =
    estimateInput(till.counters, modelBucket(model), bytes, facts ? facts.media : 0) + ids
  demand.inputTokens = input
  demand.inputTokensMax = Math.max(input, bytes + ids + TEMPLATE_TOKENS)
  if (facts) {
    demand.isStream = facts.isStream
    demand.choices = facts.choices * facts.prompts
    // What the caller names is the most of each choice.
    if (route.scope === 'inference' && facts.maxOutputTokens) {
      demand.outputTokens = facts.maxOutputTokens * demand.choices
    }
  }
  const hasOutput = demand.outputTokens !== 0
  if (hasOutput && holds(record, 'limits', 'tokensPerMinute', 'outputTokensPerMinute')) {
    demand.usualOutputTokens = usualOutput(till.counters, modelBucket(model))
  }
  if (holds(record, 'budgets', 'costPerDay', 'costPerMonth')) {
    // What is served only the answer tells, and what a form of audio asks for nobody.
    const asked = facts ? model : ''
    demand.price = priceOf('', asked, till.prices())
    if (!demand.price) demand.unpriced = asked
  }
  return demand
}

function hold(
  ticket: Ticket,
  route: Route,
  record: KeyRecord,
  body: Buffer | null,
  facts: BodyFacts | null,
  early: Early | null,
  till: Till,
  nowMs: number,
): Figures | null {
  const model = ticket.model || till.rules.defaultModel || ''
  const promptName = (facts && facts.promptName) || 'prompt'
  const demand = fullDemand(route, record, facts, model, till, nowMs)
  const input = demand.inputTokens
  const most = record.request && record.request.maxInputTokens
  if (most !== undefined && input > most) {
    ticket.outcome = 'parameter_denied'
    ticket.param = promptName
    ticket.message = `The prompt has about ${input} tokens, and at most ${most} are allowed`
    return null
  }
  const result = reserve(till, demand, early)
  if ('outcome' in result) {
    refuse(ticket, result)
    // Answers are many by `n`, or by a list of prompts.
    const isByPrompt = result.param === 'n' && facts && facts.choices === 1
    if (result.param)
      ticket.param = isByPrompt || result.param === 'prompt' ? promptName : result.param
    return result.figures
  }
  ticket.hold = result.hold
  if (result.shadow) {
    ticket.shadow = result.shadow.outcome
    ticket.limit = result.shadow.limit
  }
  // A stream goes on as long as there is room, and is ended then; what is whole cannot be cut.
  if (result.outputCeiling !== undefined && body && facts && !facts.isStream) {
    limitOutput(route, body, facts, result.outputCeiling)
    ticket.maxOutputTokens = result.outputCeiling
  }
  return result.figures
}

function refuse(ticket: Ticket, refusal: LimitRefusal): void {
  ticket.outcome = refusal.outcome
  ticket.limit = refusal.limit
  if (refusal.cause) ticket.cause = refusal.cause
  if (refusal.retryAfterMs !== undefined) ticket.retryAfterMs = refusal.retryAfterMs
}

/** Whether one of two limits or budgets holds for a key. */
function holds(record: KeyRecord, part: 'limits' | 'budgets', one: string, other: string): boolean {
  const limited = record.limited || []
  for (let i = 0; i < limited.length; i++) {
    const ceilings = (limited[i] as Limited)[part] as { [name: string]: unknown } | undefined
    if (ceilings && (ceilings[one] !== undefined || ceilings[other] !== undefined)) return true
  }
  return false
}
