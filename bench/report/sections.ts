import type { MemoryRow, RequestRow, Results, ReuseRow, StreamRow } from '../results.ts'
import type { Figure } from '../stats.ts'
import { labelOf } from '../subjects.ts'
import { formatTable, show } from './table.ts'

/** Places in Times.at: half, 99 % and 99.9 % of all. */
const PLACES = [3, 7, 9]

export function requestSection(results: Results): string[] {
  const head = ['400 bytes, 10 keys', 'requests/s', 'CPU us', 'x plain', 'x map', 'busy']
  const counted = new Map(results.instructions.map((row) => [row.subject, row]))
  const rows = results.requests.map((row) => [
    ...requestCells(row),
    show(counted.get(row.subject)?.perRequest, 0),
    show(counted.get(row.subject)?.requestRatio, 2),
    show(counted.get(row.subject)?.perAgent, 0),
    show(counted.get(row.subject)?.perStream, 0),
  ])
  return formatTable(
    [...head, 'instructions', 'x plain', "an agent's 12 KB", 'a stream but for its events'],
    rows,
  )
}

function requestCells(row: RequestRow): string[] {
  return [
    labelOf(row.subject),
    show(row.perSecond.median, 0),
    spread(row.cpuUs),
    show(row.ratio, 2),
    show(row.mapRatio, 2),
    `${show(row.busy * 100, 0)} %`,
  ]
}

/** Bodies by size, and keys by number. */
export function loadSection(rows: readonly RequestRow[], by: 'bytes' | 'keys'): string[] {
  const head = [by, 'subject', 'requests/s', 'CPU us', 'x plain', 'x map', 'busy', 'errors']
  return formatTable(
    head,
    rows.map((row) => [show(row[by], 0), ...requestCells(row), show(row.errors, 0)]),
  )
}

export function foldingSection(results: Results): string[] {
  const rows = results.folding.map(({ world, clients, isFloor, lineUs, instructions }) => [
    `${isFloor ? 'the least that it could be' : "the gate's housekeeping"} (${world})`,
    show(clients, 0),
    spread(lineUs),
    show(instructions, 0),
  ])
  return formatTable(['20,000 lines', 'clients', 'CPU us a line', 'instructions'], rows)
}

export function streamSection(results: Results): string[] {
  const counted = new Map(results.instructions.map((row) => [row.subject, row]))
  const head = ['streams', 'subject', 'counts', 'CPU us/event', 'x plain', 'busy']
  const ends = ['instructions', 'x plain', 'finished', 'lost', 'stalled', 'charged exactly']
  return formatTable(
    [...head, ...ends],
    results.streams.map((row) => {
      const count = row.streams === 256 && !row.asks ? counted.get(row.subject) : undefined
      return [
        ...streamCells(row),
        spread(row.cpuUs),
        show(row.ratio, 2),
        `${show(row.busy * 100, 0)} %`,
        show(count?.perEvent, 0),
        show(count?.eventRatio, 2),
        ...[row.finished, row.lost, row.stalled, row.charged].map((value) => show(value, 0)),
      ]
    }),
  )
}

function streamCells(row: StreamRow): string[] {
  const load = `${show(row.streams, 0)} x ${row.perSecond}/s`
  return [load, labelOf(row.subject), row.asks ? 'asked for' : 'not asked for']
}

/** Times in ms, and in parentheses what they are more than those of plain proxy_pass. */
export function latencySection(results: Results): string[] {
  const names = ['first token', 'between tokens', 'on the way']
  const head = names.flatMap((name) => [`${name} p50`, 'p99', 'p99.9'])
  const rows = results.streams.map((row) => [
    ...streamCells(row),
    ...[row.first, row.gaps, row.transit].flatMap(({ at, added }) =>
      PLACES.map((place) => `${show(at[place], 2)} (${signed(added[place])})`),
    ),
  ])
  return formatTable(['streams', 'subject', 'counts', ...head], rows)
}

export function memorySection(rows: readonly MemoryRow[]): string[] {
  const head = ['streams', 'subject', 'KB per open stream', 'KB more per event', 'worker RSS, MB']
  return formatTable(
    head,
    rows.map((row) => [
      show(row.streams, 0),
      labelOf(row.subject),
      show(row.kbPerStream, 0),
      show(row.kbPerEvent, 2),
      show(row.rssKb / 1024, 0),
    ]),
  )
}

export function reuseSection(rows: readonly ReuseRow[]): string[] {
  const [first] = rows
  const callers = first?.cpuUs.map((one) => `CPU us a request, ${one.callers} callers`) ?? []
  const times = ['before, MB', `${first?.streams} streams open`, 'after them']
  return formatTable(
    ['js_context_reuse', 'memory by', ...times, `${first?.minutes} minutes later`, ...callers],
    rows.map((row) => [
      show(row.reuse, 0),
      row.allocator,
      ...[row.freshMb, row.openMb, row.afterMb, row.laterMb].map((mb) => show(mb, 0)),
      ...row.cpuUs.map(({ us }) => show(us, 1)),
    ]),
  )
}

export function loadingSection(results: Results): string[] {
  const head = ['100,000 keys', 'start to first answer, s', 'reload, s', 'longest wait, ms']
  return formatTable(
    [...head, 'without reload, ms'],
    results.loading.map((row) => [
      labelOf(row.subject),
      show(row.firstMs / 1000, 1),
      show(row.reloadMs / 1000, 1),
      show(row.stallMaxMs, 1),
      show(row.quietMaxMs, 1),
    ]),
  )
}

export function startupSection(results: Results): string[] {
  return formatTable(
    ['start to first answer, 10 keys', 'ms'],
    results.startup.map(({ subject, startMs }) => [labelOf(subject), spread(startMs, 0)]),
  )
}

export function bundleSection(results: Results): string[] {
  return formatTable(
    ['bundle', 'bytes'],
    results.bundles.map(({ file, bytes }) => [`\`${file}\``, show(bytes, 0)]),
  )
}

export function soakSection(results: Results): string[] {
  const head = [
    'subject',
    'minutes',
    'requests',
    'streams',
    'lost',
    'errors',
    'MB after 1 min',
    'MB at the end',
  ]
  return formatTable(
    head,
    results.soak.map((row) => [
      labelOf(row.subject),
      show(row.points.length, 0),
      show(row.requests, 0),
      show(row.streams, 0),
      show(
        row.points.reduce((sum, { lost }) => sum + lost, 0),
        0,
      ),
      show(row.errors, 0),
      show((row.points[0]?.rssKb ?? Number.NaN) / 1024, 0),
      show((row.points.at(-1)?.rssKb ?? Number.NaN) / 1024, 0),
    ]),
  )
}

/** The median, and in parentheses the least and the most of all rounds. */
function spread(figure: Figure, digits = 1): string {
  const { median, min, max } = figure
  return `${show(median, digits)} (${show(min, digits)}–${show(max, digits)})`
}

function signed(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  return `${value < 0 ? '' : '+'}${value.toFixed(2)}`
}
