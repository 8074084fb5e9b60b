import { NANOS } from '../../core/limits/cost.ts'

/**
 * What a terminal acts on or does not show: control characters, marks of direction, line separators,
 * halves of a pair, and characters without a width. Callers choose the names of models, so that none
 * of these may get through.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of somebody else's for the terminal: what is unsafe is written as `\u001b`. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (found) => {
    const units = Array.from({ length: found.length }, (_, at) => found.charCodeAt(at))
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

/** JSON in one line, of which nothing but ASCII's own control characters was escaped so far. */
export function toJson(value: unknown): string {
  return safe(JSON.stringify(value))
}

/** Cuts a text to a width, with `…` at its end. */
export function clip(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  return `${characters.slice(0, Math.max(0, width - 1)).join('')}…`
}

/**
 * A cell of CSV (RFC 4180). A spreadsheet takes what begins with = + - @ for a formula, so such a
 * text gets an apostrophe before it, by which spreadsheets know text.
 */
export function csvCell(cell: string | number | boolean): string {
  if (typeof cell !== 'string') return String(cell)
  const text = safe(cell)
  const harmless = /^\s*[=+\-@|%]/.test(text) ? `'${text}` : text
  return /[",']|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** `12,345,678`. */
export function exact(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',')
}

const UNITS: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

/** At most five characters: `999`, `12.3k`, `1.25M`. Rounded down, so that nothing looks like more. */
export function short(number: number): string {
  const whole = Math.round(number)
  const unit = UNITS.find(([size]) => whole >= size)
  if (!unit) return String(whole)
  const value = whole / unit[0]
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2
  const factor = 10 ** decimals
  return `${(Math.floor(value * factor) / factor).toFixed(decimals)}${unit[1]}`
}

/** A cost in the unit of the prices, as exact as it is stored. */
export function costOfNanos(nanos: number): number {
  return nanos / NANOS
}

/** As many decimals as tell costs of this size apart; with less room fewer. */
export function costDecimals(nanosMax: number, isShort: boolean): number {
  const units = nanosMax / NANOS
  if (units >= 100) return 2
  if (units >= 1) return isShort ? 2 : 4
  return isShort ? 4 : 6
}
