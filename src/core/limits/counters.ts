/**
 * The names of all counters in shared memory. They are short because an entry whose name has at most
 * 16 bytes takes half the memory of a longer one (njs.md, section 3), and windows stand in the name,
 * because `incr` does not heed an expiry.
 *
 * A subject is a client, key or group; its id has ten characters, see subjectName() and resolve.ts.
 *
 * Zone `tollgate_windows`, left to its timeout of three minutes:
 * - `q<id><minute>` requests admitted in a minute
 * - `t<id><minute>`, `i<id><minute>`, `o<id><minute>` tokens: all, of prompts, of answers; what runs
 *   is in there as reserved, what has ended as used
 *
 * Zone `tollgate_counters`, for good, but for days and months that are over:
 * - `d<id><day>`, `m<id><month>` tokens used, by the time of the ledger's line; in another time zone than UTC
 *   this stands behind the day or month
 * - `D<id><day>`, `M<id><month>` the same in cost, nano-units
 * - `f<id>` requests in flight
 * - `a<upstream>/<client>` requests in flight of a client by its name, kept where `maxInFlight` is set; the upstream is
 *   empty unless a site names it. `f*<upstream>` those of all, and `a<upstream>/` how many clients have any: it moves
 *   with the first, see shift() in hold.ts
 * - `u<key>` bytes that a key, by its public id, has announced and not sent yet; small bodies are left out
 * - `r<id>`, `R<id>` tokens and cost that are reserved by what is in flight
 * - `p<bucket>` learned prompt tokens per byte of text, `l<bucket>` learned output tokens per choice, `w<bucket>` and
 *   `g<bucket>` ms to the first token of a stream, and from one to the next: see learn.ts
 * - `birth`, `epoch`, ... see the constants
 *
 * What a request holds of `a`, `f`, `u`, `r` and `R` stands in its entry in `tollgate_running`, so that it goes back
 * when its worker dies, see core/running.ts.
 */
export { dayOf, monthOf } from '../time.ts'

export type CounterKind = 'q' | 't' | 'i' | 'o' | 'd' | 'm' | 'D' | 'M'
export type HeldKind = 'a' | 'f' | 'r' | 'R' | 'u'

const MINUTE_MS = 60000

/** Characters of pidName(). */
export const PID_LENGTH = 5

/**
 * When this zone was filled, ms since 1970. Absent: the balances are not in yet, and who has a budget
 * waits. A hold of another birth is not given back: its counters are gone.
 */
export const BIRTH_COUNTER = 'birth'

/** Moves on whenever a running stream should look whether its key still holds. */
export const EPOCH_COUNTER = 'epoch'

/** How often a counter could not be kept because its zone is full. */
export const FULL_COUNTER = 'full'

/** How many requests were settled that no line of the ledger tells of. */
export const UNLOGGED_COUNTER = 'lost'

/** What the subject begins with that stands for all clients together, for `maxInFlight`. */
export const EVERYBODY = '*'

/** The minute of a time, as it stands in names. Takes ms since 1970. */
export function minuteOf(timeMs: number): number {
  // A call of Math takes more than all of this.
  return (timeMs - (timeMs % MINUTE_MS)) / MINUTE_MS
}

/**
 * The counter of a subject in a window: `q` + id + minute in base 36, for instance `qAbCdEfGhIjhqk3f`. Of a
 * day or month in another time zone than UTC its quarter hours, from -12:00 on, stand behind it in base 36:
 * days of two zones are not the same, though their numbers are.
 */
export function counterName(
  kind: CounterKind,
  id: string,
  window: number,
  zoneMinutes?: number,
): string {
  return kind + id + window.toString(36) + zoneSuffix(zoneMinutes)
}

/** What stands behind a day or month of a time zone in the name of its counter. */
export function zoneSuffix(zoneMinutes: number | undefined): string {
  return zoneMinutes ? (zoneMinutes / 15 + 48).toString(36) : ''
}

/**
 * A worker in the names of its requests: its process id in base 36, always five characters, so that what
 * follows can be told from it. The largest that Linux gives has five.
 */
export function pidName(pid: number): string {
  return pid.toString(36).padStart(PID_LENGTH, '0')
}

/** What a subject's id is the hash of: `client:app`, `key:k7q2m9xa`, `group:web`. */
export function subjectName(of: 'client' | 'key' | 'group', name: string): string {
  return `${of}:${name}`
}
