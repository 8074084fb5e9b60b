import { language, tagOf } from './text/language.ts'

/** Everything here writes for the chosen language, in the browser's own kind of English, and its zone. */
function tag(): string {
  const prefix = language.value
  const own = navigator.languages.find((one) => one.toLowerCase().startsWith(prefix))
  return own && prefix === 'en' ? own : tagOf(language.value)
}

/** 1,234,567 */
export function exact(value: number): string {
  return new Intl.NumberFormat(tag(), { maximumFractionDigits: 0 }).format(value)
}

/** 1.23M: for tiles and axes, where the digits behind say nothing. */
export function short(value: number): string {
  if (Math.abs(value) < 1000) return trim(value, value < 10 ? 2 : 1)
  const [divisor, unit] =
    Math.abs(value) < 999_500
      ? [1e3, 'k']
      : Math.abs(value) < 999_500_000
        ? [1e6, 'M']
        : Math.abs(value) < 999_500_000_000
          ? [1e9, 'G']
          : [1e12, 'T']
  const scaled = value / divisor
  return `${trim(scaled, Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0)}${unit}`
}

function trim(value: number, digits: number): string {
  return new Intl.NumberFormat(tag(), { maximumFractionDigits: digits }).format(value)
}

/** Cost has no currency: it is in the unit of the prices. Small sums keep what tells them apart. */
export function cost(value: number): string {
  if (value === 0) return '0'
  if (Math.abs(value) >= 1) {
    const format = { minimumFractionDigits: 2, maximumFractionDigits: 2 }
    return new Intl.NumberFormat(tag(), format).format(value)
  }
  return new Intl.NumberFormat(tag(), { maximumSignificantDigits: 3 }).format(value)
}

/** A cost where there is little room, with the exact one in a title: 0.42, 8.00, 52.7, 194. */
export function shortCost(value: number): string {
  return Math.abs(value) < 10 ? cost(value) : short(value)
}

/** A part of a whole, 0 to 1. What is there at all is never shown as nothing. */
export function percent(part: number): string {
  if (part > 0 && part < 0.01) return '<1%'
  if (part < 1 && part > 0.99) return '>99%'
  return `${Math.round(part * 100)}%`
}

/** 4.2 kB */
export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let scaled = value
  let unit = 0
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024
    unit++
  }
  return `${trim(scaled, scaled < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`
}

/** 0.4 s, 12 s, 3 min 20 s, 2 h 5 min */
export function duration(ms: number): string {
  if (ms < 100) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = ms / 1000
  const zh = language.value === 'zh'
  const [s, min, h, d] = zh ? ['秒', '分', '小時', '天'] : ['s', 'min', 'h', 'd']
  if (seconds < 10) return `${seconds.toFixed(1)} ${s}`
  if (seconds < 60) return `${Math.floor(seconds)} ${s}`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} ${min} ${Math.floor(seconds % 60)} ${s}`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} ${h} ${minutes % 60} ${min}`
  return `${Math.floor(hours / 24)} ${d} ${hours % 24} ${h}`
}

/** A date with its time, in the zone of the browser. */
export function dateTime(ms: number): string {
  const cycle = language.value === 'zh' ? ({ hourCycle: 'h23' } as const) : {}
  return format(ms, { dateStyle: 'medium', timeStyle: 'short', ...cycle })
}

export function dayOnly(ms: number): string {
  return format(ms, { month: 'short', day: 'numeric' })
}

/** The day of a time zone, in minutes east of UTC, as days of usage and budgets are. */
export function dayIn(ms: number, zoneMinutes: number): string {
  return format(ms + zoneMinutes * 60_000, { month: 'short', day: 'numeric', timeZone: 'UTC' })
}

export function timeOnly(ms: number): string {
  return format(ms, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
}

export function clock(ms: number): string {
  return format(ms, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
}

/** 2026-11-25 09:14:02 UTC */
export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** in 3 days, 2 hours ago */
export function relative(ms: number, nowMs: number): string {
  const seconds = Math.round((ms - nowMs) / 1000)
  const steps = [
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ] as const
  const formatter = new Intl.RelativeTimeFormat(tag(), { numeric: 'auto' })
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return formatter.format(Math.round(seconds / size), unit)
  }
  return formatter.format(seconds, 'second')
}

function format(ms: number, options: Intl.DateTimeFormatOptions): string {
  return Number.isFinite(ms) ? new Intl.DateTimeFormat(tag(), options).format(ms) : '–'
}
