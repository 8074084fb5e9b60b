import { formatZone, parseZone } from '../core/time.ts'
import { status } from './status.ts'

/** Where days of usage and budgets begin, as the gate tells it: minutes east of UTC. */
export function zoneMinutes(): number {
  return parseZone(status.value?.timeZone ?? 'Z') ?? 0
}

/** `UTC`, `+08:00`. */
export function zoneName(minutes: number): string {
  return minutes === 0 ? 'UTC' : formatZone(minutes)
}
