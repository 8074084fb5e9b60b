import type {
  FoldingRow,
  InstructionRow,
  LoadingRow,
  MemoryRow,
  RequestRow,
  Results,
  StreamRow,
} from '../results.ts'
import { type Kind, labelOf } from '../subjects.ts'
import { formatTable } from './table.ts'

/** Which of the targets: what stands above its floor is told by this name, see why.ts. */
export type About =
  | 'request'
  | 'event'
  | 'first'
  | 'open'
  | 'memory'
  | 'growth'
  | 'keys'
  | 'line'
  | 'stall'

/** One target of the design, what was measured, and how low it could have come. */
export type Target = {
  about: About
  what: string
  subject: string
  unit: string
  most: number
  measured: number
  /** Handlers that do nothing, and the configuration without JavaScript; null where neither would tell anything. */
  empty: number | null
  bare: number | null
  /** What was measured where that is more than a number. */
  told?: string
  isMet: boolean | null
}

/** Of both engines: QuickJS, and njs's own. */
type Most = [newest: number, debian13: number]

/** What the design wants of the kinds of requests: thousands of instructions, and times plain proxy_pass. */
const REQUESTS: { [kind: string]: { instructions: Most; ratio: Most } } = {
  identity: { instructions: [110, 125], ratio: [3, 2.5] },
  body: { instructions: [215, 220], ratio: [6, 4.5] },
  all: { instructions: [310, 330], ratio: [8, 6] },
}

/** And of an event whose counts are taken out, or asked for. */
const TAKEN = { instructions: [16, 15] as Most, ratio: [2.2, 1.9] as Most }
const ASKED: Most = [1.9, 1.6]

/** Streams that the targets are about, and those of first tokens. */
const STREAMS = 256
const STREAMS_OF_FIRST = 64

/** Places in Times.at. */
const P50 = 3
const P99 = 7

/** All targets that this run has figures for. */
export function listTargets(results: Results): Target[] {
  const { requests, streams, memory, keys, loading, instructions, folding } = results
  return [
    ...instructions.flatMap((row) => instructionTargets(row, instructions)),
    ...requests.flatMap((row) => requestTargets(row, requests)),
    ...streams.flatMap((row) => streamTargets(row, streams)),
    ...memory.flatMap((row) => memoryTargets(row, memory)),
    ...keys.flatMap(keyTargets),
    ...folding.flatMap(lineTargets),
    ...loading.map(stallTarget),
  ]
}

/** The targets as a table. */
export function formatTargets(results: Results): string[] {
  const rows = listTargets(results).map((target) => {
    const { what, subject, most, unit, measured, empty, bare, told, isMet } = target
    return [
      `${what}, ${labelOf(subject)}`,
      told === undefined ? `at most ${most} ${unit}` : 'none stalled or lost, all charged exactly',
      told ?? `${number(measured)} ${unit}`,
      number(empty),
      number(bare),
      isMet === null ? 'not measured' : isMet ? 'met' : '**missed**',
    ]
  })
  return formatTable(['what', 'target', 'measured', 'empty handlers', 'no JavaScript', ''], rows)
}

/** Three digits, or all that stand before the point. */
export function number(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–'
  return value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)
}

function instructionTargets(row: InstructionRow, rows: readonly InstructionRow[]): Target[] {
  const kind = kindOf(row)
  const limit = REQUESTS[kind]
  if (limit === undefined) return []
  const like = floorsOf(row, rows)
  const most = ofEngine(limit.instructions, row)
  const unit = 'k instructions'
  const request = atMost('request', 'small request', row, { most, unit }, like, (one) => {
    return one.perRequest / 1000
  })
  if (kind !== 'body') return [request]
  const mostOfEvent = ofEngine(TAKEN.instructions, row)
  const event = atMost('event', EVENT, row, { most: mostOfEvent, unit }, like, (one) => {
    return one.perEvent / 1000
  })
  return [request, event]
}

const EVENT = 'one event, counts put in and taken out'

function requestTargets(row: RequestRow, rows: readonly RequestRow[]): Target[] {
  const limit = REQUESTS[kindOf(row)]
  if (limit === undefined) return []
  const most = { most: ofEngine(limit.ratio, row), unit: 'x plain' }
  const like = floorsOf(row, rows)
  return [atMost('request', 'small request', row, most, like, ({ ratio }) => ratio)]
}

function streamTargets(row: StreamRow, rows: readonly StreamRow[]): Target[] {
  const kind = kindOf(row)
  if (row.streams === 1024) return kind === 'all' ? [wholeTarget(row)] : []
  if (kind !== (row.asks ? 'body' : 'all')) return []
  const same = rows.filter(({ streams, asks }) => streams === row.streams && asks === row.asks)
  const like = floorsOf(row, same)
  if (row.streams === STREAMS) {
    const most = { most: ofEngine(row.asks ? ASKED : TAKEN.ratio, row), unit: 'x plain' }
    const what = row.asks ? 'one event, counts asked for' : EVENT
    return [atMost('event', what, row, most, like, ({ ratio }) => ratio)]
  }
  if (row.streams !== STREAMS_OF_FIRST) return []
  const first = (name: string, most: number, place: number) => {
    const what = `first token of 64 streams, added ${name}`
    const figure = (one: StreamRow) => one.first.added[place] ?? null
    return atMost('first', what, row, { most, unit: 'ms' }, like, figure)
  }
  return [first('p50', 0.6, P50), first('p99', 3, P99)]
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
  if (kindOf(row) !== 'all' || row.streams !== STREAMS) return []
  const same = rows.filter(({ streams }) => streams === row.streams)
  const like = floorsOf(row, same)
  const most = ofEngine([360, 75], row)
  const limit = { most, unit: 'KB' }
  const open = atMost('memory', 'memory per open stream', row, limit, like, (one) => {
    return one.kbPerStream
  })
  const event = atMost(
    'growth',
    'memory per event',
    row,
    { most: 1.2, unit: 'KB' },
    like,
    (one) => {
      return one.kbPerEvent
    },
  )
  return [open, event]
}

function keyTargets(row: RequestRow): Target[] {
  if (row.keys !== 100_000 || kindOf(row) !== 'identity') return []
  const limit = { most: 1.1, unit: 'x 10 keys' }
  return [atMost('keys', '100,000 keys', row, limit, NO_FLOORS, ({ fewRatio }) => fewRatio)]
}

function lineTargets(row: FoldingRow): Target[] {
  if (row.isFloor || row.clients < 1000) return []
  const what = 'a line of the ledger folded, 20,000 clients'
  const subject = `${row.world} housekeeping`
  const limit = { most: ofEngine([30, 40], { subject }), unit: 'us' }
  return [atMost('line', what, { subject }, limit, NO_FLOORS, () => row.lineUs.median)]
}

function stallTarget(row: LoadingRow): Target {
  const what = 'longest stall while 100,000 keys are reloaded'
  const limit = { most: 100, unit: 'ms' }
  return atMost('stall', what, row, limit, NO_FLOORS, ({ stallMaxMs }) => stallMaxMs)
}

/** The rows of the same nginx for what does nothing. */
type Floors<Row> = { empty: Row | undefined; bare: Row | undefined }
const NO_FLOORS = { empty: undefined, bare: undefined }

function floorsOf<Row extends { subject: string }>(row: Row, rows: readonly Row[]): Floors<Row> {
  const find = (kind: Kind) => rows.find(({ subject }) => subject === withKind(row.subject, kind))
  return { empty: find('floor'), bare: find('bare') }
}

function ofEngine([newest, debian13]: Most, { subject }: { subject: string }): number {
  return subject.startsWith('debian13') ? debian13 : newest
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
  const { empty, bare } = floors
  return {
    about,
    what,
    subject: row.subject,
    ...limit,
    measured,
    empty: empty === undefined ? null : figure(empty),
    bare: bare === undefined ? null : figure(bare),
    isMet: Number.isFinite(measured) ? measured <= limit.most : null,
  }
}
