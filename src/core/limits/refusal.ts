import type { Dialect } from '../admit/route.ts'
import { formatTime } from '../time.ts'
import type { Check } from './check.ts'
import { NANOS } from './cost.ts'
import { dayOf, minuteOf, monthOf } from './counters.ts'

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
  /** For the caller: which limit, its value, and when it frees or renews. */
  message: string
  /** Rates only: 1 to 60000. */
  retryAfterMs?: number
  figures: Figures
}

const MINUTE_MS = 60000
const DAY_MS = 86400000

/** A refusal by a rate: after `retryAfterMs` the request would fit, as far as is known. */
export function tellRate(
  check: Check,
  retryAfterMs: number,
  nowMs: number,
  figures: Figures,
): LimitRefusal {
  const time = formatTime(nowMs + retryAfterMs + 999)
  const message = `Rate limit reached: ${check.name} is ${check.limit}; retry at ${time}`
  return { outcome: 'rate_limited', limit: check.name, message, retryAfterMs, figures }
}

/** A refusal by a budget, of which `level` is used or reserved. */
export function tellBudget(
  check: Check,
  level: number,
  nowMs: number,
  figures: Figures,
): LimitRefusal {
  const unit = check.move.charAt(0) === 'R' ? NANOS : 1
  const time = formatTime(renewalOf(check, nowMs))
  const message =
    `Budget spent: ${check.name} is ${check.limit / unit}, of which ${level / unit} is used or ` +
    `reserved; it renews at ${time}`
  return { outcome: 'budget_spent', limit: check.name, message, figures }
}

/** A request that can never fit: it names `output` tokens, and `most` would be right; 0: the prompt alone is too long. */
export function tellNever(check: Check, output: number, most: number): LimitRefusal {
  const message =
    most > 0
      ? `The request may give ${output} tokens, ${output - most} more than ${check.name} can ever ` +
        `admit: lower its maximum (max_tokens times n) to at most ${most}`
      : `The prompt may be longer than ${check.name} can ever admit: shorten it`
  return { outcome: 'parameter_denied', limit: check.name, message, figures: {} }
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
  const isDay = (check.used || '').charAt(0).toLowerCase() === 'd'
  return isDay ? (dayOf(nowMs) + 1) * DAY_MS : Date.UTC(1970, monthOf(nowMs) + 1, 1)
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
