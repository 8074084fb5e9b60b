import type { LoadingRow, MemoryRow, RequestRow, Results, StreamRow } from '../results.ts'
import { type Kind, labelOf } from '../subjects.ts'
import { formatTable } from './table.ts'

/** Which of the targets: what stands above its floor is told by this name, see why.ts. */
export type About =
  | 'identity'
  | 'all'
  | 'metered'
  | 'taken'
  | 'first'
  | 'gaps'
  | 'open'
  | 'memory'
  | 'growth'
  | 'keys'
  | 'stall'

/** One target of the design, what was measured, and how low it could have come. */
export type Target = {
  about: About
  what: string
  subject: string
  unit: string
  most: number
  measured: number
  /** The needed work, and handlers that do nothing; null where neither would tell anything. */
  floor: number | null
  empty: number | null
  /** What was measured where that is more than a number. */
  told?: string
  isMet: boolean | null
}

/** Places in Times.at. */
const P99 = 7

/** All targets that this run has figures for. */
export function listTargets(results: Results): Target[] {
  const { requests, streams, memory, keys, loading } = results
  return [
    ...requests.flatMap((row) => requestTargets(row, requests)),
    ...streams.flatMap((row) => streamTargets(row, streams)),
    ...memory.flatMap((row) => memoryTargets(row, memory)),
    ...keys.flatMap((row) => keyTargets(row, results)),
    ...loading.map(stallTarget),
  ]
}

/** The targets as a table. */
export function formatTargets(results: Results): string[] {
  const rows = listTargets(results).map((target) => {
    const { what, subject, most, unit, measured, floor, told, isMet } = target
    return [
      `${what}, ${labelOf(subject)}`,
      told === undefined ? `at most ${most} ${unit}` : 'none stalled or lost, all charged exactly',
      told ?? `${number(measured)} ${unit}`,
      number(floor),
      isMet === null ? 'not measured' : isMet ? 'met' : '**missed**',
    ]
  })
  return formatTable(['what', 'target', 'measured', 'floor', ''], rows)
}

/** Three digits, or all that stand before the point. */
export function number(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–'
  return value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)
}

function requestTargets(row: RequestRow, rows: readonly RequestRow[]): Target[] {
  const kind = kindOf(row)
  if (kind !== 'identity' && kind !== 'all') return []
  const plain = { most: kind === 'all' ? 2.2 : 1.4, unit: 'x plain' }
  const like = floorsOf(row, rows, kind === 'all' ? 'needed-all' : 'needed-identity')
  const of = (limit: typeof plain, figure: (one: RequestRow) => number | null) => {
    return atMost(kind, 'small request', row, limit, like, figure)
  }
  const targets = [of(plain, ({ ratio }) => ratio)]
  if (kind === 'all' || row.mapRatio === null) return targets
  return [...targets, of({ most: 1.25, unit: 'x map' }, ({ mapRatio }) => mapRatio)]
}

function streamTargets(row: StreamRow, rows: readonly StreamRow[]): Target[] {
  const kind = kindOf(row)
  if (row.streams === 1024) return kind === 'all' ? [wholeTarget(row)] : []
  if (row.streams !== 256 || kind !== (row.asks ? 'body' : 'all')) return []
  const same = rows.filter(({ streams, asks }) => streams === row.streams && asks === row.asks)
  const like = floorsOf(row, same, row.asks ? 'needed-body' : 'needed-all')
  const ratio = ({ ratio }: StreamRow) => ratio
  if (row.asks) {
    return [
      atMost('metered', 'one event, metered', row, { most: 1.35, unit: 'x plain' }, like, ratio),
    ]
  }
  const event = 'one event, counts put in and taken out'
  const added = { most: 1, unit: 'ms' }
  return [
    atMost('taken', event, row, { most: 1.8, unit: 'x plain' }, like, ratio),
    atMost('first', 'first token, added p99', row, added, like, (one) => p99Of(one.first)),
    atMost('gaps', 'between tokens, added p99', row, added, like, (one) => p99Of(one.gaps)),
  ]
}

/** What 99 % of times are below, more than those of plain proxy_pass. */
export function p99Of({ added }: { added: readonly number[] }): number | null {
  return added[P99] ?? null
}

function wholeTarget(row: StreamRow): Target {
  const { finished, lost, stalled, charged } = row
  return {
    ...atMost('open', '1,024 streams', row, { most: 0, unit: '' }, NO_FLOORS, () => lost + stalled),
    told: `${finished} finished, ${lost} lost, ${stalled} stalled, ${charged ?? 0} charged`,
    isMet: lost === 0 && stalled === 0 && charged === finished,
  }
}

function memoryTargets(row: MemoryRow, rows: readonly MemoryRow[]): Target[] {
  if (kindOf(row) !== 'all' || row.streams !== 256) return []
  const same = rows.filter(({ streams }) => streams === row.streams)
  const like = floorsOf(row, same, 'needed-all')
  const isOld = row.subject.startsWith('debian13')
  const most = isOld ? 140 : 350
  const open = atMost(
    'memory',
    'memory per open stream',
    row,
    { most, unit: 'KB' },
    like,
    (one) => {
      return one.kbPerStream
    },
  )
  if (!isOld) return [open]
  const limit = { most: 1, unit: 'KB' }
  const event = atMost('growth', 'memory per event', row, limit, like, (one) => one.kbPerEvent)
  return [open, event]
}

function keyTargets(row: RequestRow, results: Results): Target[] {
  if (row.keys !== 100_000 || kindOf(row) !== 'identity') return []
  const limit = { most: 1.05, unit: 'x 10 keys' }
  const figure = ({ fewRatio }: RequestRow) => fewRatio
  const target = atMost('keys', '100,000 keys', row, limit, NO_FLOORS, figure)
  return [{ ...target, floor: floorOfKeys(row, results) }]
}

/** A request with few keys, and what a line of another client takes at least, more than one of few. */
function floorOfKeys(row: RequestRow, { keys, folding }: Results): number | null {
  const few = keys.find(({ subject, keys }) => subject === row.subject && keys === 10)
  const [world] = row.subject.split(' ')
  const least = folding.filter((one) => one.world === world && one.isFloor)
  const fewUs = least.find(({ clients }) => clients === 10)?.lineUs.median
  const manyUs = least.find(({ clients }) => clients > 10)?.lineUs.median
  if (few === undefined || fewUs === undefined || manyUs === undefined) return null
  return 1 + (manyUs - fewUs) / few.cpuUs.median
}

function stallTarget(row: LoadingRow): Target {
  const what = 'longest stall while 100,000 keys are reloaded'
  const limit = { most: 100, unit: 'ms' }
  return atMost('stall', what, row, limit, NO_FLOORS, ({ stallMaxMs }) => stallMaxMs)
}

/** The rows of the same nginx for the needed work and the empty handlers. */
type Floors<Row> = { needed: Row | undefined; empty: Row | undefined }
const NO_FLOORS = { needed: undefined, empty: undefined }

function floorsOf<Row extends { subject: string }>(
  row: Row,
  rows: readonly Row[],
  needed: Kind,
): Floors<Row> {
  const find = (kind: Kind) => rows.find(({ subject }) => subject === withKind(row.subject, kind))
  return { needed: find(needed), empty: find('floor') }
}

/** The subject of the same nginx, of another kind. */
export function withKind(subject: string, kind: Kind): string {
  return `${subject.split(' ')[0]} ${kind}`
}

function kindOf({ subject }: { subject: string }): string {
  return subject.split(' ')[1] ?? ''
}

function atMost<Row extends { subject: string }>(
  about: About,
  what: string,
  row: Row,
  limit: { most: number; unit: string },
  floors: Floors<Row>,
  figure: (row: Row) => number | null,
): Target {
  const measured = figure(row) ?? Number.NaN
  const { needed, empty } = floors
  return {
    about,
    what,
    subject: row.subject,
    ...limit,
    measured,
    floor: needed === undefined ? null : figure(needed),
    empty: empty === undefined ? null : figure(empty),
    isMet: Number.isFinite(measured) ? measured <= limit.most : null,
  }
}
