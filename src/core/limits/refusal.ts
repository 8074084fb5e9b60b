import type { Dialect } from '../admit/route.ts'
import { formatTime } from '../time.ts'
import type { Check } from './check.ts'
import { NANOS } from './cost.ts'
import { dayOf, minuteOf, monthOf } from './counters.ts'
import type { Demand } from './types.ts'

/** What the headers say of one kind of limit. */
export type Figure = { limit: number; left: number; resetMs: number }

/**
 * The tightest limit of each kind, by its counter: `q` requests, `t` tokens, `i` input, `o` output
 * tokens of a minute, `r` tokens of a day or month.
 */
export type Figures = { [kind: string]: Figure }

/** A request that limits or budgets do not admit. */
export type LimitRefusal = {
  outcome: 'rate_limited' | 'budget_spent' | 'parameter_denied' | 'starting'
  /** `requestsPerMinute of client`; empty for starting. */
  limit: string
  /** For the caller, a sentence: which limit, its value, and when it frees or renews. */
  message: string
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
  const what = check.used
    ? `${nameBudget(check)} is reserved by requests that run`
    : `Rate limit reached: ${nameRate(check)}`
  const message = `${what}; retry in ${Math.ceil(retryAfterMs / 1000)} s`
  return { outcome: 'rate_limited', limit: check.name, message, retryAfterMs, figures }
}

/** A refusal by a budget, of which `used` is used for good. */
export function tellBudget(
  check: Check,
  used: number,
  nowMs: number,
  figures: Figures,
): LimitRefusal {
  const left = check.limit - used
  const what =
    left > 0 ? `has ${formatAmount(check, left)} left, too few for this request` : 'is spent'
  const renews = formatRenewal(renewalOf(check, nowMs), isDaily(check))
  const message = `${nameBudget(check)} ${what}; it renews ${renews}`
  return { outcome: 'budget_spent', limit: check.name, message, figures }
}

/** When a budget renews, by the clock of an offset in minutes: `at 00:00 +00:00`, `on 2026-12-01 at 00:00 +00:00`. */
export function formatRenewal(ms: number, isDay: boolean, offsetMinutes?: number): string {
  const offset = offsetMinutes || 0
  const local = new Date(ms + offset * MINUTE_MS).toISOString()
  // The time of day of an offset, counted from 1970.
  const zone = new Date(Math.abs(offset) * MINUTE_MS).toISOString().slice(11, 16)
  const time = `at ${local.slice(11, 16)} ${offset < 0 ? '-' : '+'}${zone}`
  return isDay ? time : `on ${local.slice(0, 10)} ${time}`
}

/**
 * A request that a hard budget can never hold, of which `most` tokens are left for the answer beside the
 * prompt. `param` is `n` where fewer choices would fit, else `prompt`, whatever its name in the body is.
 */
export function tellNever(check: Check, demand: Demand, most: number): LimitRefusal {
  const param = most > 0 ? 'n' : 'prompt'
  const what =
    most > 0
      ? `${demand.choices} answers: ask for fewer`
      : `a prompt of up to ${formatNumber(demand.inputTokensMax)} tokens: shorten it`
  const message = `${nameBudget(check)} can never hold ${what}`
  return { outcome: 'parameter_denied', limit: check.name, message, param, figures: {} }
}

/** A request under a budget in cost whose model has no price. */
export function tellUnpriced(check: Check, demand: Demand): LimitRefusal {
  const model = demand.unpriced
  // What model a form of audio names is not read.
  const what = demand.isMetered
    ? `${model ? `The model ${JSON.stringify(model)}` : 'A request without a model'} has no price: name one that has`
    : 'Audio has no price here: it cannot be used'
  const message = `${what}, since your budget is in cost`
  const outcome = 'parameter_denied'
  return { outcome, limit: check.name, message, param: 'model', figures: {} }
}

/** `60 requests a minute for this client`, by the limit's own name. */
function nameRate(check: Check): string {
  const kind = check.move.charAt(0)
  const requests = check.limit === 1 ? 'request' : 'requests'
  const unit =
    kind === 'q'
      ? `${requests} a minute`
      : kind === 'f'
        ? `${requests} at once`
        : kind === 'u'
          ? 'unread bytes'
          : `${kind === 'i' ? 'input ' : kind === 'o' ? 'output ' : ''}tokens a minute`
  const of = ownerOf(check)
  return `${formatNumber(check.limit)} ${unit} for ${of ? `this ${of}` : 'all clients together'}`
}

/** `Your daily budget of 5,000 tokens`, `Your group's monthly cost budget of 12.5`. */
function nameBudget(check: Check): string {
  const of = ownerOf(check)
  const whose = of === 'client' ? 'Your' : `Your ${of}'s`
  const span = isDaily(check) ? 'daily' : 'monthly'
  const amount = formatAmount(check, check.limit)
  return check.move.charAt(0) === 'R'
    ? `${whose} ${span} cost budget of ${amount}`
    : `${whose} ${span} budget of ${amount} tokens`
}

/** `client`, `key` or `group`; empty for maxInFlight. */
function ownerOf(check: Check): string {
  const at = check.name.indexOf(' of ')
  return at < 0 ? '' : check.name.slice(at + 4)
}

function isDaily(check: Check): boolean {
  return (check.used || '').charAt(0).toLowerCase() === 'd'
}

/** Tokens, or cost in the unit of the prices. */
function formatAmount(check: Check, amount: number): string {
  return formatNumber(check.move.charAt(0) === 'R' ? amount / NANOS : amount)
}

/** A number for people: `1,234,567.5`. */
function formatNumber(value: number): string {
  const text = `${value}`
  if (text.indexOf('e') >= 0) return text
  const point = text.indexOf('.')
  let at = point < 0 ? text.length : point
  let out = text.slice(at)
  while (at > 3) {
    out = `,${text.slice(at - 3, at)}${out}`
    at -= 3
  }
  return text.slice(0, at) + out
}

/** Keeps the tighter of two limits of a kind: the one of which the smaller part is left. */
export function noteFigure(figures: Figures, check: Check, level: number, nowMs: number): void {
  const kind = check.move.charAt(0)
  // No header tells of places and of cost.
  if (kind === 'f' || kind === 'R') return
  const left = Math.max(0, check.limit - level)
  const best = figures[kind]
  if (best && partOf(best.left, best.limit) <= partOf(left, check.limit)) return
  const resetMs = check.used ? renewalOf(check, nowMs) : (minuteOf(nowMs) + 2) * MINUTE_MS
  figures[kind] = { limit: check.limit, left, resetMs }
}

function partOf(left: number, limit: number): number {
  return limit > 0 ? left / limit : 0
}

/** When the day or month of a budget is over. */
function renewalOf(check: Check, nowMs: number): number {
  return isDaily(check) ? (dayOf(nowMs) + 1) * DAY_MS : Date.UTC(1970, monthOf(nowMs) + 1, 1)
}

/**
 * What the headers say of the tightest limit of each kind, by the variables that answer.conf makes headers
 * of: OpenAI's on every answer, Anthropic's as well on its routes (sdk-contract.md, Limit headers). A
 * window is told as reset when all that is in it now has slid away; a budget stands in for tokens where
 * no rate limits them.
 */
export function limitVariables(
  figures: Figures,
  dialect: Dialect,
  nowMs: number,
): { [variable: string]: string } {
  const values: { [variable: string]: string } = {}
  const add = (name: string, kind: string) => {
    const figure = figures[kind]
    if (!figure) return
    const limit = `${figure.limit}`
    const left = `${figure.left}`
    if (kind !== 'i' && kind !== 'o') {
      values[`tollgate_limit_${name}`] = limit
      values[`tollgate_remaining_${name}`] = left
      values[`tollgate_reset_${name}`] = durationOf(figure.resetMs - nowMs)
    }
    if (dialect !== 'anthropic') return
    values[`tollgate_anthropic_${name}_limit`] = limit
    values[`tollgate_anthropic_${name}_remaining`] = left
    values[`tollgate_anthropic_${name}_reset`] = formatTime(figure.resetMs)
  }
  add('requests', 'q')
  add('tokens', figures['t'] ? 't' : 'r')
  add('input_tokens', 'i')
  add('output_tokens', 'o')
  return values
}

/**
 * The same as one text, which limits.conf takes apart: nginx does that cheaper than a handler writes so
 * many variables. There is one space between two fields, a field is empty where there is no such limit,
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
  return figure ? formatTime(figure.resetMs) : ''
}

/** `1s`, `6m0s`, `5h0m30s`. */
function durationOf(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const end = `${seconds % 60}s`
  return hours ? `${hours}h${minutes % 60}m${end}` : minutes ? `${minutes}m${end}` : end
}
