import { BIRTH_COUNTER } from '../../../src/core/limits/counters.ts'
import type { LimitRefusal } from '../../../src/core/limits/reserve.ts'
import { wordsOf } from '../../../src/core/limits/words.ts'

/** A zone of numbers in which every call is atomic, as in nginx. */
export function zone(room = Infinity) {
  const entries: { [name: string]: number } = {}
  return {
    entries,
    get: (name: string) => entries[name],
    set(name: string, value: number) {
      entries[name] = value
    },
    incr(name: string, delta: number, init?: number) {
      if (!(name in entries) && Object.keys(entries).length >= room) throw new Error('no memory')
      entries[name] = (entries[name] ?? init ?? 0) + delta
      return entries[name]
    },
    delete(name: string) {
      const had = name in entries
      delete entries[name]
      return had
    },
  }
}

/** The zones of counters, with room for so many entries, after the first fold. */
export function world(rooms: { windows?: number; counters?: number } = {}) {
  const zones = {
    windows: zone(rooms.windows),
    counters: zone(rooms.counters),
  }
  zones.counters.entries[BIRTH_COUNTER] = 7
  return zones
}

/** The words of a refusal; none where it has no cause. */
export function say(refusal: LimitRefusal): string {
  return refusal.cause ? wordsOf(refusal.limit, refusal.cause, refusal.retryAfterMs) : ''
}
