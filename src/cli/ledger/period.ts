import { formatTime, formatZone, parseTime } from '../../core/time.ts'
import { parseDuration } from '../duration.ts'
import { Misused } from '../output.ts'

/** From when until when, in ms since 1970: the end does not belong to it. null is without a limit. */
export type Period = { sinceMs: number | null; untilMs: number | null }

/** Reads --since and --until: a time back from now (7d), a date of the time zone, or a date and time. */
export function parsePeriod(
  since: string | undefined,
  until: string | undefined,
  nowMs: number,
  zoneMinutes: number,
): Period {
  const sinceMs = since === undefined ? null : parsePoint('--since', since, nowMs, zoneMinutes)
  const untilMs = until === undefined ? null : parsePoint('--until', until, nowMs, zoneMinutes)
  if (sinceMs !== null && untilMs !== null && sinceMs >= untilMs) {
    throw new Misused(`--since ${since} is not before --until ${until}`)
  }
  return { sinceMs, untilMs }
}

export function parsePoint(
  option: string,
  text: string,
  nowMs: number,
  zoneMinutes: number,
): number {
  const durationMs = parseDuration(text)
  if (durationMs !== null) return nowMs - durationMs
  const timeMs = parseTime(text) ?? parseTime(`${text}T00:00:00${formatZone(zoneMinutes)}`)
  if (timeMs !== null) return timeMs
  throw new Misused(
    `Cannot read ${option} ${text}; write 7d, 24h, 2026-11-24 or 2026-11-24T09:00:00Z`,
  )
}

export function isWithin(timeMs: number, { sinceMs, untilMs }: Period): boolean {
  return (sinceMs === null || timeMs >= sinceMs) && (untilMs === null || timeMs < untilMs)
}

export function formatPoint(timeMs: number | null, zoneMinutes?: number): string | null {
  return timeMs === null ? null : formatTime(timeMs, zoneMinutes)
}
