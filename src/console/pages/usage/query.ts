import { dayOf as dayNumber, formatTime, startOfDay } from '../../../core/time.ts'
import type { Dimension, Step } from '../../api/types.ts'

export type Range = '24h' | '7d' | '30d' | 'custom'
export type Measure = 'cost' | 'tokens' | 'requests'

/** What is shown; it stands in the address, so that a reload or a link shows the same. */
export type Query = {
  range: Range
  /** Days as YYYY-MM-DD, both included, of a custom range. */
  from: string
  to: string
  by: Dimension
  step: Step
  /** Empty: cost where anything has cost something, else tokens. */
  measure: Measure | ''
  client: string
  model: string
}

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Hours are kept so long; beyond it there are days. */
const HOURS_KEPT_DAYS = 8

const RANGES: Range[] = ['24h', '7d', '30d', 'custom']
const DIMENSIONS: Dimension[] = ['client', 'model', 'key', 'group']
const MEASURES: Measure[] = ['cost', 'tokens', 'requests']

/**
 * Reads the query of the address; what it does not say is the last seven days by client. Days are those of
 * a time zone, in minutes east of UTC.
 */
export function readQuery(search: URLSearchParams, nowMs: number, zoneMinutes: number): Query {
  const range = oneOf(RANGES, search.get('range')) ?? '7d'
  const query: Query = {
    range,
    from: dayOf(search.get('from')) ?? isoDay(nowMs - 6 * DAY_MS, zoneMinutes),
    to: dayOf(search.get('to')) ?? isoDay(nowMs, zoneMinutes),
    by: oneOf(DIMENSIONS, search.get('by')) ?? 'client',
    step: 'day',
    measure: oneOf(MEASURES, search.get('measure')) ?? '',
    client: search.get('client') ?? '',
    model: search.get('model') ?? '',
  }
  const wanted = search.get('step') ?? (range === '24h' ? 'hour' : 'day')
  if (wanted === 'hour' && hasHours(query, nowMs, zoneMinutes)) query.step = 'hour'
  return query
}

export function writeQuery(query: Query): Record<string, string> {
  const { range, from, to, by, step, measure, client, model } = query
  return {
    range,
    ...(range === 'custom' ? { from, to } : {}),
    by,
    step,
    ...(measure ? { measure } : {}),
    ...(client ? { client } : {}),
    ...(model ? { model } : {}),
  }
}

/** Whether the whole range is young enough to be told by the hour. */
export function hasHours(query: Query, nowMs: number, zoneMinutes: number): boolean {
  return nowMs - periodOf(query, nowMs, zoneMinutes).sinceMs <= HOURS_KEPT_DAYS * DAY_MS
}

/** The period, whole hours or whole days of the time zone: days are kept as budgets count them. */
export function periodOf(
  query: Query,
  nowMs: number,
  zoneMinutes: number,
): { sinceMs: number; untilMs: number } {
  const today = beginOf(nowMs, zoneMinutes)
  const untilMs = nowMs
  switch (query.range) {
    case '24h': {
      const isDays = query.step === 'day'
      const hour = Math.floor(nowMs / HOUR_MS) * HOUR_MS
      return { sinceMs: isDays ? today - DAY_MS : hour - 23 * HOUR_MS, untilMs }
    }
    case '7d':
      return { sinceMs: today - 6 * DAY_MS, untilMs }
    case '30d':
      return { sinceMs: today - 29 * DAY_MS, untilMs }
    case 'custom': {
      const [a, b] = [query.from, query.to].map((day) =>
        startOfDay(dayNumber(Date.parse(day)), zoneMinutes),
      ) as [number, number]
      return { sinceMs: Math.min(a, b), untilMs: Math.min(untilMs, Math.max(a, b) + DAY_MS) }
    }
  }
}

/** The beginnings of all hours or days of a period, also of those in which nothing was used. */
export function timesOf(
  sinceMs: number,
  untilMs: number,
  step: Step,
  zoneMinutes: number,
): number[] {
  const size = step === 'hour' ? HOUR_MS : DAY_MS
  const times: number[] = []
  const begin = step === 'hour' ? Math.floor(sinceMs / size) * size : beginOf(sinceMs, zoneMinutes)
  for (let ms = begin; ms < untilMs; ms += size) times.push(ms)
  return times
}

/** When the day of a time began. */
function beginOf(ms: number, zoneMinutes: number): number {
  return startOfDay(dayNumber(ms, zoneMinutes), zoneMinutes)
}

function isoDay(ms: number, zoneMinutes: number): string {
  return formatTime(ms, zoneMinutes).slice(0, 10)
}

function dayOf(text: string | null): string | null {
  return text !== null && /^\d{4}-\d\d-\d\d$/.test(text) && Date.parse(text) > 0 ? text : null
}

function oneOf<T extends string>(known: T[], text: string | null): T | null {
  return known.find((one) => one === text) ?? null
}
