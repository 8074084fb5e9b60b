import {
  BIRTH_COUNTER,
  type CounterKind,
  counterName,
  dayOf,
  EPOCH_COUNTER,
  FULL_COUNTER,
  monthOf,
} from '../core/counters.ts'
import type { Balance, Sums } from '../core/fold.ts'
import type { Limited } from '../core/record.ts'
import { countersZone } from './registry.ts'
import { subjectId } from './subject.ts'

/** Days whose counters are looked for at most, should nobody have removed any for long. */
const DAYS_MAX = 40

/** Keeps a place for the birth, which comes last into its zone. */
const SPARE_COUNTER = 'spare'

/** Makes the counters that must not find the zone full. In a new one nobody holds anything. */
export function createCounters(): void {
  const counters = countersZone()
  if (counters.add(EPOCH_COUNTER, 0)) slotsZone().clear()
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

/** Tells running streams that keys and budgets may have changed. */
export function moveEpoch(): void {
  countersZone().incr(EPOCH_COUNTER, 1, 0)
}

function slotsZone(): NgxSharedDict<number> {
  return ngx.shared['tollgate_slots'] as NgxSharedDict<number>
}

/**
 * Brings the counters of a subject up to its sums, never down. The gate counts before nginx writes the
 * line, so that a counter is below the sum only where its zone is new: in a race between the two, what
 * the gate adds in between is not in the sum yet, and stays added.
 */
export function topUp(name: string, balance: Balance, nowMs: number): void {
  const id = idOf(name)
  raise('d', 'D', id, balance.days, dayOf(nowMs))
  raise('m', 'M', id, balance.months, monthOf(nowMs))
}

function raise(
  tokens: CounterKind,
  cost: CounterKind,
  id: string,
  windows: { [window: string]: Sums },
  first: number,
): void {
  Object.keys(windows).forEach((window) => {
    const sums = windows[window] as Sums
    if (Number(window) < first) return
    raiseTo(counterName(tokens, id, Number(window)), sums[0])
    raiseTo(counterName(cost, id, Number(window)), sums[1])
  })
}

function raiseTo(name: string, sum: number): void {
  const counters = countersZone()
  const count = counters.get(name) || 0
  if (count >= sum) return
  try {
    counters.incr(name, sum - count, 0)
  } catch (_) {
    counters.incr(FULL_COUNTER, 1, 0)
  }
}

/** Removes the counters of a subject for the days, and months, from one day up to another that runs. */
export function removeCounters(name: string, sinceDay: number, nowMs: number): void {
  const id = idOf(name)
  const counters = countersZone()
  const today = dayOf(nowMs)
  const thisMonth = monthOf(nowMs)
  const firstDay = Math.max(sinceDay, today - DAYS_MAX)
  for (let day = firstDay; day < today; day++) {
    counters.delete(counterName('d', id, day))
    counters.delete(counterName('D', id, day))
  }
  for (let month = monthOf(firstDay * 86400000); month < thisMonth; month++) {
    counters.delete(counterName('m', id, month))
    counters.delete(counterName('M', id, month))
  }
}

/** The id of a subject by its name, `client:app`. */
export function idOf(name: string): string {
  const at = name.indexOf(':')
  return subjectId(name.slice(0, at) as Limited['of'], name.slice(at + 1))
}
