import type { Dialect } from '../admit/route.ts'
import { dayOf, formatTime, monthOf } from '../time.ts'
import type { Check } from './check.ts'
import { minuteOf } from './counters.ts'
import type { Demand } from './types.ts'

/** What the headers say of one kind of limit. */
export type Figure = {
  limit: number
  left: number
  resetMs: number
  /** Of budgets: the time zone in which that is told. */
  zoneMinutes?: number
}

/**
 * The tightest limit of each kind, by its counter: `q` requests, `t` tokens, `i` input, `o` output
 * tokens of a minute, `r` tokens of a day or month.
 */
export type Figures = { [kind: string]: Figure }

/**
 * Why, for the words that words.ts makes of it: those are of refusals alone, and the gate's bundle has none. `rate`
 * and `held` by requests that run, `spent`, what can `never` be held, and what has no price.
 */
export type Cause = {
  why: 'rate' | 'held' | 'spent' | 'never' | 'unpriced' | 'audio'
  /** The limit: its letter among the counters, its value, and whether it is one of a day. */
  kind: string
  limit: number
  isDaily: boolean
  /** Of a budget that is spent, what is left; of what can never be held, the tokens of the prompt. */
  amount?: number
  /** More answers than can ever be held. */
  choices?: number
  /** When the budget renews, ms since 1970, and the time zone in which that is told. */
  renewsMs?: number
  zoneMinutes?: number
  model?: string
}

/** A request that limits or budgets do not admit. */
export type LimitRefusal = {
  outcome: 'rate_limited' | 'budget_spent' | 'parameter_denied' | 'starting'
  /** `requestsPerMinute of client`; empty for starting. */
  limit: string
  /** Absent for starting. */
  cause?: Cause
  /** With parameter_denied: the parameter at fault. `prompt` stands for whatever holds it. */
  param?: 'model' | 'prompt' | 'n'
  /** Rates only: 1 to 60000. */
  retryAfterMs?: number
  figures: Figures
}

const MINUTE_MS = 60000
const DAY_MS = 86400000

/** A refusal by a rate: after `retryAfterMs` the request would fit, as far as is known. */
export function tellRate(check: Check, retryAfterMs: number, figures: Figures): LimitRefusal {
  const cause = causeOf(check.usedAt ? 'held' : 'rate', check)
  return { outcome: 'rate_limited', limit: nameOf(check), cause, retryAfterMs, figures }
}

/** A refusal by a budget, of which `used` is used for good. */
export function tellBudget(
  check: Check,
  used: number,
  nowMs: number,
  figures: Figures,
  zoneMinutes?: number,
): LimitRefusal {
  const cause = causeOf('spent', check)
  cause.amount = check.limit - used
  cause.renewsMs = renewalOf(isDaily(check), nowMs, zoneMinutes)
  if (zoneMinutes) cause.zoneMinutes = zoneMinutes
  return { outcome: 'budget_spent', limit: nameOf(check), cause, figures }
}

/**
 * A request that a hard budget can never hold, of which `most` tokens are left for the answer beside the
 * prompt. `param` is `n` where fewer choices would fit, else `prompt`, whatever its name in the body is.
 */
export function tellNever(check: Check, demand: Demand, most: number): LimitRefusal {
  const cause = causeOf('never', check)
  if (most > 0) cause.choices = demand.choices
  else cause.amount = demand.inputTokensMax
  const param = most > 0 ? 'n' : 'prompt'
  return { outcome: 'parameter_denied', limit: nameOf(check), cause, param, figures: {} }
}

/** A request under a budget in cost whose model has no price. */
export function tellUnpriced(check: Check, demand: Demand): LimitRefusal {
  // What model a form of audio names is not read.
  const cause = causeOf(demand.isMetered ? 'unpriced' : 'audio', check)
  if (demand.unpriced) cause.model = demand.unpriced
  return { outcome: 'parameter_denied', limit: nameOf(check), cause, param: 'model', figures: {} }
}

/** `requestsPerMinute of client`. */
function nameOf(check: Check): string {
  return check.of ? `${fieldOf(check)} of ${check.of}` : 'maxInFlight'
}

function fieldOf(check: Check): string {
  switch (check.usedAt.charAt(0) || check.kind) {
    case 'q':
      return 'requestsPerMinute'
    case 't':
      return 'tokensPerMinute'
    case 'i':
      return 'inputTokensPerMinute'
    case 'o':
      return 'outputTokensPerMinute'
    case 'f':
      return 'concurrency'
    case 'd':
      return 'tokensPerDay'
    case 'm':
      return 'tokensPerMonth'
    case 'D':
      return 'costPerDay'
    case 'M':
      return 'costPerMonth'
    default:
      return 'unreadBytes'
  }
}

function causeOf(why: Cause['why'], check: Check): Cause {
  return { why, kind: check.kind, limit: check.limit, isDaily: isDaily(check) }
}

function isDaily(check: Check): boolean {
  return check.usedAt.charAt(0).toLowerCase() === 'd'
}

/** No header tells of places and of cost; of the tokens of a budget only where no rate limits them. */
export function isTold(check: Check, figures: Figures): boolean {
  return check.before !== '' || (check.kind === 'r' && !figures['t'])
}

/** Keeps the tighter of two limits of a kind: the one of which the smaller part is left. */
export function noteFigure(
  figures: Figures,
  check: Check,
  level: number,
  nowMs: number,
  zoneMinutes?: number,
): void {
  const kind = check.kind
  const left = check.limit > level ? check.limit - level : 0
  const best = figures[kind]
  if (best && partOf(best.left, best.limit) <= partOf(left, check.limit)) return
  const resetMs = check.usedAt
    ? renewalOf(isDaily(check), nowMs, zoneMinutes)
    : resetOf(minuteOf(nowMs))
  const figure: Figure = { limit: check.limit, left, resetMs }
  if (check.usedAt && zoneMinutes) figure.zoneMinutes = zoneMinutes
  figures[kind] = figure
}

/** When all that is in the window of a minute has slid away. */
export function resetOf(minute: number): number {
  return (minute + 2) * MINUTE_MS
}

function partOf(left: number, limit: number): number {
  return limit > 0 ? left / limit : 0
}

/** When the day or month of a budget is over. */
export function renewalOf(isDaily: boolean, nowMs: number, zoneMinutes?: number): number {
  const next = isDaily
    ? (dayOf(nowMs, zoneMinutes) + 1) * DAY_MS
    : Date.UTC(1970, monthOf(nowMs, zoneMinutes) + 1, 1)
  return next - (zoneMinutes || 0) * MINUTE_MS
}

/**
 * What the headers say of the tightest limit of each kind, as one text, which limits.conf takes apart: OpenAI's on
 * every answer, Anthropic's as well on its routes (sdk-contract.md, Limit headers). A window is told as reset
 * when all that is in it now has slid away; a budget stands in for tokens where no rate limits them. There is one space between two fields, a field is empty where there is no such limit,
 * and the text where there is none at all. In this order:
 *
 *   limit left reset   of requests, the reset as a duration
 *   limit left reset   of tokens
 *   time time          on Anthropic's routes only: when requests and tokens are reset
 *   limit left time    and of input tokens
 *   limit left time    and of output tokens
 */
export function tellLimits(figures: Figures, dialect: Dialect, nowMs: number): string {
  const isAnthropic = dialect === 'anthropic'
  const requests = figures['q']
  const tokens = figures['t'] || figures['r']
  const input = isAnthropic ? figures['i'] : undefined
  const output = isAnthropic ? figures['o'] : undefined
  if (!requests && !tokens && !input && !output) return ''
  const usual = `${tellFigure(requests, nowMs)} ${tellFigure(tokens, nowMs)}`
  if (!isAnthropic) return usual
  const times = `${timeOf(requests)} ${timeOf(tokens)}`
  return `${usual} ${times} ${tellFigure(input)} ${tellFigure(output)}`
}

/** The reset is a duration from `nowMs` on, and a time where that is not given. */
function tellFigure(figure: Figure | undefined, nowMs?: number): string {
  if (!figure) return '  '
  const reset = nowMs === undefined ? timeOf(figure) : durationOf(figure.resetMs - nowMs)
  return `${figure.limit} ${figure.left} ${reset}`
}

function timeOf(figure: Figure | undefined): string {
  return figure ? formatTime(figure.resetMs, figure.zoneMinutes) : ''
}

/** `1s`, `6m0s`, `5h0m30s`. */
export function durationOf(ms: number): string {
  const over = ms % 1000
  const seconds = ms > 0 ? (ms - over) / 1000 + (over ? 1 : 0) : 0
  const minutes = (seconds - (seconds % 60)) / 60
  const hours = (minutes - (minutes % 60)) / 60
  const end = `${seconds % 60}s`
  return hours ? `${hours}h${minutes % 60}m${end}` : minutes ? `${minutes}m${end}` : end
}
