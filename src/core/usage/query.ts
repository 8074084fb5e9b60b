import { dayOf, formatZone, parseTime, startOfDay } from '../time.ts'
import {
  addSums,
  DAYS_KEPT,
  HOURS_KEPT,
  hourOf,
  isKept,
  OTHER,
  ROW_FIELDS,
  type RowSums,
  spanOf,
  type Windows,
} from './rows.ts'

/** What usage can be asked by. `hour` and `day` become `time`, when they began. */
export const DIMENSIONS = ['client', 'key', 'group', 'model', 'hour', 'day']

/** What is wanted. */
export type UsageQuery = {
  by: string[]
  sinceMs: number
  untilMs: number
  /** Where days begin, minutes east of UTC. */
  zoneMinutes: number
  client?: string
  model?: string
}

/** Sums by what was asked for. */
export type UsageGroups = {
  groups: { [name: string]: { values: string[]; sums: RowSums } }
  count: number
  /** Something is in none of the groups that it belongs to. */
  isPartial: boolean
}

const BY_MAX = 3
const HOUR_MS = 3600000
const DAY_MS = 86400000
const SPAN_DEFAULT_MS = 30 * DAY_MS

/** Groups of one answer: 10 MB of JSON. What is more goes into one of OTHER. */
const GROUPS_MAX = 50000

/** Reads the query of GET /usage; a text says what is wrong. Times are ms since 1970. */
export function parseUsageQuery(
  query: { [name: string]: string },
  nowMs: number,
  zoneMinutes: number,
): UsageQuery | string {
  const by = (query['by'] || 'client').split(',')
  const unknown = by.find((one) => DIMENSIONS.indexOf(one) < 0)
  if (unknown !== undefined) return `by: "${unknown}" is none of ${DIMENSIONS.join(', ')}`
  const isTwice = by.some((one, at) => by.indexOf(one) !== at)
  if (by.length > BY_MAX || isTwice) return `by: takes up to ${BY_MAX} different ones`
  const isHourly = by.indexOf('hour') >= 0
  if (isHourly && by.indexOf('day') >= 0) return 'by: takes one of hour and day'
  const untilMs =
    query['until'] === undefined ? nowMs : parsePoint(query['until'], nowMs, zoneMinutes)
  if (untilMs === null) return `until: ${POINTS}`
  const spanMs = isHourly ? DAY_MS : SPAN_DEFAULT_MS
  const sinceMs =
    query['since'] === undefined ? untilMs - spanMs : parsePoint(query['since'], nowMs, zoneMinutes)
  if (sinceMs === null) return `since: ${POINTS}`
  if (sinceMs >= untilMs) return 'since: is not before until'
  const wanted: UsageQuery = { by, sinceMs, untilMs, zoneMinutes }
  if (query['client'] !== undefined) wanted.client = query['client']
  if (query['model'] !== undefined) wanted.model = query['model']
  return widen(wanted, nowMs)
}

const POINTS = 'write 7d, 24h, 2026-11-24 or 2026-11-24T09:00:00Z'

/** A date is that of the time zone. */
function parsePoint(text: string, nowMs: number, zoneMinutes: number): number | null {
  const back = /^(\d{1,6})([hd])$/.exec(text)
  if (back) return nowMs - Number(back[1]) * (back[2] === 'h' ? HOUR_MS : DAY_MS)
  const timeMs = parseTime(text)
  return timeMs === null ? parseTime(`${text}T00:00:00${formatZone(zoneMinutes)}`) : timeMs
}

/**
 * Moves both ends to where rows have theirs: to hours where these are kept and days are made of them, else to
 * days. An end that is not before now takes all of today, of which nothing is later.
 */
function widen(query: UsageQuery, nowMs: number): UsageQuery {
  const firstHourMs = (hourOf(nowMs) - HOURS_KEPT + 1) * HOUR_MS
  const isHourly = query.by.indexOf('hour') >= 0
  const zone = query.zoneMinutes
  const isOfHours = (ms: number) => isHourly || (ms >= firstHourMs && zone % 60 === 0)
  const floor = (ms: number, isHour: boolean) =>
    isHour ? hourOf(ms) * HOUR_MS : startOfDay(dayOf(ms, zone), zone)
  query.sinceMs = floor(query.sinceMs, isOfHours(query.sinceMs))
  const untilMs = query.untilMs
  const isNow = untilMs >= nowMs && !isHourly
  const isHour = isOfHours(untilMs) && !isNow
  query.untilMs = floor(isNow ? nowMs : untilMs, isHour)
  // All of the hour or day in which it ends.
  if (isNow || query.untilMs < untilMs) query.untilMs += isHour ? HOUR_MS : DAY_MS
  return query
}

/** Whether rows of a window are to be added: a day as a whole where it is asked for as a whole. */
export function isWanted(query: UsageQuery, window: string, nowMs: number): boolean {
  const zone = query.zoneMinutes
  if (!isKept(window, nowMs, zone)) return false
  const span = spanOf(window, zone)
  // A day that has not begun: its rows are of a time zone further east, which was changed.
  const isAhead = window.charAt(0) === 'd' && span.startMs > nowMs && span.startMs <= query.untilMs
  const isWithin = span.startMs >= query.sinceMs && (span.endMs <= query.untilMs || isAhead)
  if (query.by.indexOf('hour') >= 0) return isWithin && window.charAt(0) === 'h'
  if (window.charAt(0) === 'd') return isWithin
  const dayMs = startOfDay(dayOf(span.startMs, zone), zone)
  return isWithin && (dayMs < query.sinceMs || dayMs + DAY_MS > query.untilMs)
}

/**
 * Whether there are rows of all lines of the time that was asked for. The hour or day that has just gone
 * is not missed: who asks for all 400 days means what there is.
 */
export function isCovered(query: UsageQuery, rowsSinceMs: number, nowMs: number): boolean {
  const firstMs =
    query.by.indexOf('hour') >= 0
      ? (hourOf(nowMs) - HOURS_KEPT) * HOUR_MS
      : startOfDay(dayOf(nowMs, query.zoneMinutes) - DAYS_KEPT, query.zoneMinutes)
  return query.sinceMs >= firstMs && query.sinceMs >= rowsSinceMs
}

/** Adds rows to the groups that they belong to. */
export function groupRows(groups: UsageGroups, query: UsageQuery, windows: Windows): void {
  Object.keys(windows).forEach((window) => {
    const rows = windows[window] || {}
    Object.keys(rows).forEach((name) => {
      const names = name.split('\t')
      if (!isOf(query, names)) return
      if (names[0] === OTHER || names[3] === OTHER) groups.isPartial = true
      add(groups, valuesOf(query, names, window), rows[name] as RowSums)
    })
  })
}

function isOf(query: UsageQuery, names: string[]): boolean {
  if (query.client !== undefined && query.client !== names[0]) return false
  return query.model === undefined || query.model === names[3]
}

function valuesOf(query: UsageQuery, names: string[], window: string): string[] {
  return query.by.map((one) => {
    if (one === 'hour' || one === 'day') {
      const zone = query.zoneMinutes
      const startMs = spanOf(window, zone).startMs
      return `${one === 'hour' ? startMs : startOfDay(dayOf(startMs, zone), zone)}`
    }
    return names[DIMENSIONS.indexOf(one)] as string
  })
}

function add(groups: UsageGroups, values: string[], more: RowSums): void {
  let name = values.join('\t')
  let group = groups.groups[`.${name}`]
  if (!group && groups.count >= GROUPS_MAX) {
    groups.isPartial = true
    values = values.map(() => OTHER)
    name = values.join('\t')
    group = groups.groups[`.${name}`]
  }
  if (!group) {
    group = { values, sums: ROW_FIELDS.map(() => 0) }
    groups.groups[`.${name}`] = group
    groups.count++
  }
  addSums(group.sums, more)
}
