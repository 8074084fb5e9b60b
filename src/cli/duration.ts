import { parseTime } from '../core/time.ts'
import { Misused } from './output.ts'

const UNIT_MS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** A thousand years: beyond it a date has no four digits any more. */
const DURATION_MS_MAX = 1000 * 365 * 86_400_000

/** Reads `90d`, `24h`, `30m`, `45s` or `2w` as milliseconds; null when it is none. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+)([smhdw])$/.exec(text)
  const ms = match ? Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0) : null
  return ms === null || ms > DURATION_MS_MAX ? null : ms
}

/** Reads when something expires: a duration from now, or a date and time. */
export function parseExpiry(text: string, nowMs: number): number {
  const durationMs = parseDuration(text)
  const ms = durationMs === null ? parseTime(text) : nowMs + durationMs
  if (ms === null) {
    throw new Misused(`Cannot read --expires ${text}; write 90d, 24h or 2027-01-31T00:00:00Z`)
  }
  return ms
}

/** Reads a grace; `0s` is none. */
export function parseGrace(text: string): number {
  const ms = parseDuration(text)
  if (ms === null) throw new Misused(`Cannot read --grace ${text}; write 24h, 30m or 0s`)
  return ms
}
