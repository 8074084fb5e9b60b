import { hasOwn } from '../../core/config/interpret.ts'
import type { Mark } from '../../core/ledger/balancefile.ts'
import type { Gathering } from '../../core/ledger/fold.ts'
import { type KnownModels, labelModel } from '../../core/metrics/models.ts'
import { type Series, seriesOf } from '../../core/metrics/series.ts'
import { readPrices, readRules } from '../gate/registry.ts'

/**
 * The zone `tollgate_metrics` of numbers: the counters of series.ts, and these. It begins with nginx:
 * lines that are older do not count, so that adding up a ledger anew is no spike.
 *
 * - `start` when that was, ms since 1970
 * - `turn` when housekeeping was last at work
 * - `series` how many there are
 * - `m\t<model>` present for a model that has series of its own
 * - `n\t<word>` how many have them by the word of the `server`, and of the `policy`
 * - `at\t<ledger>` bytes of a ledger that are counted: what is read once more after a worker has died
 *   within a turn does not count twice
 * - `lines`, `skipped`, `errors`, `dropped` counters: lines read, lines that are none, errors of
 *   housekeeping, and what could not be counted because the zone is full
 */
export const METRICS_ZONE = 'tollgate_metrics'

/** Beyond these, further clients are counted as `(other)`, as models are by models.ts. */
const SERIES_MAX = 10000

/** The rest has no client, so that it is few; what is more all the same is dropped. */
const REST_MAX = 2000

export function metricsZone(): NgxSharedDict<number> {
  return ngx.shared[METRICS_ZONE] as NgxSharedDict<number>
}

/** From when on lines count, ms since 1970. */
export function startOfMetrics(nowMs: number): number {
  const zone = metricsZone()
  const start = zone.get('start')
  if (start !== undefined) return start
  zone.add('start', nowMs)
  return nowMs
}

/** Notes that housekeeping is at work. */
export function noteTurn(nowMs: number): void {
  startOfMetrics(nowMs)
  bump('turn', nowMs, true)
}

/** Counts an error of housekeeping. */
export function countError(): void {
  bump('errors', 1, false)
}

function bump(name: string, value: number, isSet: boolean): void {
  const zone = metricsZone()
  try {
    if (isSet) zone.set(name, value)
    else zone.incr(name, value, 0)
  } catch (_) {
    // The zone is full: other zones count what has to be right.
  }
}

function markEntry(mark: Mark): string {
  return `at\t${(mark.head || '').slice(0, 32)}`
}

/** Whether the lines behind a mark are counted already. */
export function isCounted(mark: Mark): boolean {
  return (metricsZone().get(markEntry(mark)) || 0) > mark.offset
}

/** A ledger of which nothing more can come. */
export function forgetMark(mark: Mark): void {
  metricsZone().delete(markEntry(mark))
}

/** Counts a portion, up to an offset of its ledger. That comes first: at worst a portion is lost. */
export function flushTally(mark: Mark, next: number, found: Gathering): void {
  if (isCounted(mark)) return
  bump(markEntry(mark), next, true)
  const zone = metricsZone()
  // Lines that cannot be read have no time: those behind the first fresh one count.
  const isFresh = found.tally.lines > 0 || zone.get('lines') !== undefined
  if (isFresh && found.skipped > 0) bump('skipped', found.skipped, false)
  if (found.tally.lines === 0) return
  bump('lines', found.tally.lines, false)
  seriesOf(found, (model, isSaid) => labelModel(known, model, isSaid)).forEach(count)
}

const known: KnownModels = {
  has: (model) => metricsZone().has(`m\t${model}`),
  count: (by) => metricsZone().get(`n\t${by}`) || 0,
  add(model, by) {
    bump(`n\t${by}`, 1, false)
    bump(`m\t${model}`, 1, true)
  },
  isOfPolicy(model) {
    // A pattern is no model, though somebody may ask for it.
    const isPattern = model.indexOf('*') >= 0
    return model === readRules().defaultModel || (!isPattern && hasOwn(readPrices(), model))
  },
}

function count(series: Series): void {
  const zone = metricsZone()
  const name = series.name
  try {
    // What is by model alone is bounded by that.
    if (series.other === name || zone.has(name)) zone.incr(name, series.delta, 0)
    else if (!add(name, series.delta, SERIES_MAX)) countOther(series)
  } catch (_) {
    bump('dropped', 1, false)
  }
}

function countOther(series: Series): void {
  const zone = metricsZone()
  if (zone.has(series.other)) zone.incr(series.other, series.delta, 0)
  else if (!add(series.other, series.delta, SERIES_MAX + REST_MAX)) bump('dropped', 1, false)
}

/** Begins a series, where there are not too many. */
function add(name: string, delta: number, max: number): boolean {
  const zone = metricsZone()
  if ((zone.get('series') || 0) >= max) return false
  zone.incr(name, delta, 0)
  zone.incr('series', 1, 0)
  return true
}
