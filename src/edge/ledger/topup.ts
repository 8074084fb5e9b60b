import type { Balance, Sums, Today } from '../../core/ledger/fold.ts'
import {
  BIRTH_COUNTER,
  type CounterKind,
  counterName,
  EPOCH_COUNTER,
  FULL_COUNTER,
} from '../../core/limits/counters.ts'
import { monthOf, startOfDay } from '../../core/time.ts'
import { idOf } from '../config/subject.ts'
import { countersZone } from '../gate/registry.ts'

/** Days whose counters are looked for at most, should nobody have removed any for long. */
const DAYS_MAX = 40

/** Keeps a place for the birth, which comes last into its zone. */
const SPARE_COUNTER = 'spare'

/** Makes the counters that must not find the zone full. */
export function createCounters(): void {
  const counters = countersZone()
  counters.add(EPOCH_COUNTER, 0)
  counters.add(FULL_COUNTER, 0)
  counters.add(SPARE_COUNTER, 0)
}

/** Says that the counters are what the ledger says, and may be relied on. */
export function declareBirth(nowMs: number): void {
  const counters = countersZone()
  counters.delete(SPARE_COUNTER)
  try {
    counters.set(BIRTH_COUNTER, nowMs)
  } catch (_) {
    counters.incr(FULL_COUNTER, 1, 0)
  }
}

/**
 * Brings the counters of a subject up to its sums, never down. The gate counts before nginx writes the
 * line, so that a counter is below the sum only where its zone is new: in a race between the two, what
 * the gate adds in between is not in the sum yet, and stays added.
 */
export function topUp(
  name: string,
  days: Balance['days'],
  months: Balance['months'],
  today: Today,
  zoneMinutes: number,
): void {
  // Of who has used nothing there is nothing to count, and each day is of a month.
  if (!hasUsed(days) && !hasUsed(months)) return
  const counters = countersZone()
  const id = idOf(name)
  raise(counters, ['d', 'D'], id, days, today.day, zoneMinutes)
  raise(counters, ['m', 'M'], id, months, today.month, zoneMinutes)
}

function hasUsed(windows: { [window: string]: Sums }): boolean {
  return Object.keys(windows).some((window) => {
    const sums = windows[window] as Sums
    return sums[0] > 0 || sums[1] > 0
  })
}

/** The counters of tokens and of cost. */
function raise(
  counters: NgxSharedDict<number>,
  kinds: [CounterKind, CounterKind],
  id: string,
  windows: { [window: string]: Sums },
  first: number,
  zoneMinutes: number,
): void {
  const names = Object.keys(windows)
  for (let i = 0; i < names.length; i++) {
    const sums = windows[names[i] as string] as Sums
    const window = Number(names[i])
    if (window < first) continue
    const of = (kind: CounterKind) => counterName(kind, id, window, zoneMinutes)
    if (sums[0] > 0) raiseTo(counters, of(kinds[0]), sums[0])
    if (sums[1] > 0) raiseTo(counters, of(kinds[1]), sums[1])
  }
}

function raiseTo(counters: NgxSharedDict<number>, name: string, sum: number): void {
  const count = counters.get(name) || 0
  if (count >= sum) return
  try {
    counters.incr(name, sum - count, 0)
  } catch (_) {
    counters.incr(FULL_COUNTER, 1, 0)
  }
}

/** Removes the counters of a subject for the days, and months, from one day up to those given. */
export function removeCounters(
  name: string,
  sinceDay: number,
  until: Today,
  zoneMinutes: number,
): void {
  const id = idOf(name)
  const counters = countersZone()
  const firstDay = Math.max(sinceDay, until.day - DAYS_MAX)
  for (let day = firstDay; day < until.day; day++) {
    counters.delete(counterName('d', id, day, zoneMinutes))
    counters.delete(counterName('D', id, day, zoneMinutes))
  }
  const firstMonth = monthOf(startOfDay(firstDay, zoneMinutes), zoneMinutes)
  for (let month = firstMonth; month < until.month; month++) {
    counters.delete(counterName('m', id, month, zoneMinutes))
    counters.delete(counterName('M', id, month, zoneMinutes))
  }
}
