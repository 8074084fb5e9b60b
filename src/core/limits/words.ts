import { NANOS } from './cost.ts'
import type { Cause } from './refusal.ts'
import { LIMITS } from './table.ts'

const MINUTE_MS = 60000

/** What the caller of a refused request reads: which limit, its value, and when it frees or renews. */
export function wordsOf(limit: string, cause: Cause, retryAfterMs?: number): string {
  const of = ownerOf(limit)
  switch (cause.why) {
    case 'rate':
    case 'held': {
      const what =
        cause.why === 'held'
          ? `${nameBudget(of, cause)} is reserved by requests that run`
          : `Rate limit reached: ${nameRate(of, cause)}`
      const retry = `${what}; retry in ${Math.ceil((retryAfterMs || 0) / 1000)} s`
      return cause.kind === 'u' ? `${retry}. ${UPLOADS}` : retry
    }
    case 'spent': {
      const left = cause.amount || 0
      const what =
        left > 0 ? `has ${formatAmount(cause, left)} left, too few for this request` : 'is spent'
      const renews = formatRenewal(cause.renewsMs || 0, cause.isDaily, cause.zoneMinutes)
      return `${nameBudget(of, cause)} ${what}; it renews ${renews}`
    }
    case 'never': {
      const what = cause.choices
        ? `${cause.choices} answers: ask for fewer`
        : `a prompt of up to ${formatNumber(cause.amount || 0)} tokens: shorten it`
      return `${nameBudget(of, cause)} can never hold ${what}`
    }
    case 'unpriced': {
      const what = cause.model
        ? `The model ${JSON.stringify(cause.model)}`
        : 'A request without a model'
      return `${what} has no price: name one that has, since your budget is in cost`
    }
    default:
      return 'Audio has no price here: it cannot be used, since your budget is in cost'
  }
}

const UPLOADS =
  'That is of all bodies on their way, and one without Content-Length counts as 8 MiB: send it, or fewer at once'

/** When a budget renews, by the clock of an offset in minutes: `at 00:00 +00:00`, `on 2026-12-01 at 00:00 +00:00`. */
export function formatRenewal(ms: number, isDay: boolean, offsetMinutes?: number): string {
  const offset = offsetMinutes || 0
  const local = new Date(ms + offset * MINUTE_MS).toISOString()
  // The time of day of an offset, counted from 1970.
  const zone = new Date(Math.abs(offset) * MINUTE_MS).toISOString().slice(11, 16)
  const time = `at ${local.slice(11, 16)} ${offset < 0 ? '-' : '+'}${zone}`
  return isDay ? time : `on ${local.slice(0, 10)} ${time}`
}

/** `60 requests a minute for this client`, by the limit's own name. */
function nameRate(of: string, cause: Cause): string {
  const unit = unitOf(cause)
  return `${formatNumber(cause.limit)} ${unit} for ${of ? `this ${of}` : 'all clients together'}`
}

/** `tokens a minute`, `request at once`. */
function unitOf(cause: Cause): string {
  const row = LIMITS.filter((one) => one.kind === cause.kind)[0]
  if (!row) return 'unread bytes'
  const unit = cause.limit === 1 && row.unit === 'requests' ? 'request' : row.unit
  return `${unit} ${row.per === 'minute' ? 'a minute' : 'at once'}`
}

/** `Your daily budget of 5,000 tokens`, `Your group's monthly cost budget of 12.5`. */
function nameBudget(of: string, cause: Cause): string {
  const whose = of === 'client' ? 'Your' : `Your ${of}'s`
  const span = cause.isDaily ? 'daily' : 'monthly'
  const amount = formatAmount(cause, cause.limit)
  return cause.kind === 'R'
    ? `${whose} ${span} cost budget of ${amount}`
    : `${whose} ${span} budget of ${amount} tokens`
}

/** `client`, `key` or `group`; empty for maxInFlight. */
function ownerOf(limit: string): string {
  const at = limit.indexOf(' of ')
  return at < 0 ? '' : limit.slice(at + 4)
}

/** Tokens, or cost in the unit of the prices. */
function formatAmount(cause: Cause, amount: number): string {
  return formatNumber(cause.kind === 'R' ? amount / NANOS : amount)
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
