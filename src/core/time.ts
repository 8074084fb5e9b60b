/** `2026-11-23T09:00:00.000Z`. */
const ISO_LENGTH = 24

const MINUTE_MS = 60000
const DAY_MS = 86400000

/**
 * Parses an RFC 3339 date-time such as `2026-11-23T09:00:00Z` or `2026-11-23T10:00:00.5+01:00` into
 * milliseconds since 1970; null when it is none, or no day of the calendar. Leap seconds (`:60`) are
 * refused. Read digit by digit, because Date.parse of the njs engine differs from that of Node.
 */
export function parseTime(text: string): number | null {
  // As every line of the ledger has it: a time that comes out as it went in needs no further look.
  const ms = text.length === ISO_LENGTH ? Date.parse(text) : Number.NaN
  if (ms > 0 && new Date(ms).toISOString() === text) return ms
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 2)
  const day = digits(text, 8, 2)
  const hour = digits(text, 11, 2)
  const minute = digits(text, 14, 2)
  const second = digits(text, 17, 2)
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return null
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return null
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return null
  if (text[10] !== 'T' && text[10] !== 't') return null
  let end = 19
  if (text[19] === '.') {
    end = 20
    while (digits(text, end, 1) >= 0) end++
    if (end === 20) return null
  }
  const offset = offsetMinutes(text, end)
  if (offset === null) return null
  const fractionMs = end > 19 ? Math.floor(Number(`0${text.slice(19, end)}`) * 1000) : 0
  return Date.UTC(year, month - 1, day, hour, minute - offset, second) + fractionMs
}

/**
 * Writes milliseconds since 1970 as `2026-11-23T09:00:00Z`, to the second; with a time zone, in minutes east
 * of UTC, as `2026-11-23T17:00:00+08:00`.
 */
export function formatTime(ms: number, zoneMinutes?: number): string {
  const zone = zoneMinutes || 0
  const text = new Date(ms + zone * MINUTE_MS).toISOString().slice(0, 19)
  if (!zone) return `${text}Z`
  const offset = new Date(Math.abs(zone) * MINUTE_MS).toISOString().slice(11, 16)
  return text + (zone < 0 ? '-' : '+') + offset
}

/** The day of a time, counted from 1970, in a time zone of so many minutes east of UTC. */
export function dayOf(timeMs: number, zoneMinutes?: number): number {
  return Math.floor((timeMs + (zoneMinutes || 0) * MINUTE_MS) / DAY_MS)
}

/** The month of a time, counted from January 1970, in such a time zone. */
export function monthOf(timeMs: number, zoneMinutes?: number): number {
  const date = new Date(timeMs + (zoneMinutes || 0) * MINUTE_MS)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

/** When a day of dayOf() begins, ms since 1970. */
export function startOfDay(day: number, zoneMinutes?: number): number {
  return day * DAY_MS - (zoneMinutes || 0) * MINUTE_MS
}

/** When a month of monthOf() begins, ms since 1970. */
export function startOfMonth(month: number, zoneMinutes?: number): number {
  return Date.UTC(1970, month, 1) - (zoneMinutes || 0) * MINUTE_MS
}

/**
 * Reads a time zone, `+08:00` or `Z`, into minutes east of UTC; null when it is none. From -12:00 to
 * +14:00 in steps of a quarter hour, as there are: names such as Asia/Taipei would need a table of rules.
 */
export function parseZone(text: string): number | null {
  const minutes = offsetMinutes(text, 0)
  if (minutes === null || minutes < -720 || minutes > 840 || minutes % 15 !== 0) return null
  // Not -0.
  return minutes || 0
}

/** Writes a time zone as `+08:00`; `Z` for UTC. */
export function formatZone(zoneMinutes: number): string {
  return formatTime(0, zoneMinutes).slice(19)
}

/** Reads `length` digits at `at`; -1 when something else stands there. */
function digits(text: string, at: number, length: number): number {
  let value = 0
  for (let i = at; i < at + length; i++) {
    const code = text.charCodeAt(i)
    // Past the end it is NaN, which no comparison holds for.
    if (!(code >= 48 && code <= 57)) return -1
    value = value * 10 + code - 48
  }
  return value
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

/** The zone that stands from `at` to the end: `Z`, or `+hh:mm`. */
function offsetMinutes(text: string, at: number): number | null {
  const sign = text[at]
  if (sign === 'Z' || sign === 'z') return text.length === at + 1 ? 0 : null
  if ((sign !== '+' && sign !== '-') || text[at + 3] !== ':' || text.length !== at + 6) return null
  const hours = digits(text, at + 1, 2)
  const minutes = digits(text, at + 4, 2)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return null
  const offset = hours * 60 + minutes
  return sign === '+' ? offset : -offset
}
