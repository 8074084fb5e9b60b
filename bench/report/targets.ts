import type { LoadingRow, RequestRow, Results, StreamRow } from '../results.ts'
import { labelOf } from '../subjects.ts'

/** One target of the design and what was measured. */
export type Target = { what: string; target: string; measured: string; isMet: boolean | null }

/** Places in Times.at. */
const P99 = 7

/** All targets that this run has figures for. */
export function listTargets(results: Results): Target[] {
  return [
    ...results.requests.flatMap(requestTargets),
    ...results.streams.flatMap(streamTargets),
    ...results.memory.filter(({ subject }) => / all /.test(subject)).flatMap(memoryTargets),
    ...keyTargets(results.keys),
    ...results.loading.map(stallTarget),
  ]
}

/** The targets as a table. */
export function formatTargets(results: Results): string[] {
  const rows = listTargets(results).map(({ what, target, measured, isMet }) => {
    const verdict = isMet === null ? 'not measured' : isMet ? 'met' : '**missed**'
    return `| ${what} | ${target} | ${measured} | ${verdict} |`
  })
  return ['| what | target | measured | |', '|---|---|---|---|', ...rows]
}

function requestTargets(row: RequestRow): Target[] {
  const what = `small request, ${labelOf(row.subject)}`
  if (/ identity /.test(row.subject)) {
    return [
      atMost(what, row.ratio, 1.4, 'x plain'),
      ...(row.mapRatio === null ? [] : [atMost(what, row.mapRatio, 1.25, 'x map')]),
    ]
  }
  return / all /.test(row.subject) ? [atMost(what, row.ratio, 2.2, 'x plain')] : []
}

function streamTargets(row: StreamRow): Target[] {
  if (row.streams === 1024) return / all /.test(row.subject) ? [wholeTarget(row)] : []
  if (row.streams !== 256) return []
  const what = labelOf(row.subject)
  if (row.asks) {
    return / body /.test(row.subject)
      ? [atMost(`one event, metered, ${what}`, row.ratio, 1.35, 'x plain')]
      : []
  }
  if (!/ all /.test(row.subject)) return []
  const taken = `one event, counts put in and taken out, ${what}`
  return [
    atMost(taken, row.ratio, 1.8, 'x plain'),
    atMost(`first token, added p99, ${what}`, row.first.added[P99] ?? Number.NaN, 1, 'ms'),
    atMost(`between tokens, added p99, ${what}`, row.gaps.added[P99] ?? Number.NaN, 1, 'ms'),
  ]
}

function wholeTarget(row: StreamRow): Target {
  const { finished, lost, stalled, charged } = row
  return {
    what: `1,024 streams, ${labelOf(row.subject)}`,
    target: 'none stalled or lost, all charged exactly',
    measured: `${finished} finished, ${lost} lost, ${stalled} stalled, ${charged ?? 0} charged`,
    isMet: lost === 0 && stalled === 0 && charged === finished,
  }
}

function memoryTargets(row: Results['memory'][number]): Target[] {
  const what = `memory per open stream, ${row.streams} streams, ${labelOf(row.subject)}`
  if (row.subject.startsWith('newest')) return [atMost(what, row.kbPerStream, 350, 'KB')]
  return [
    atMost(what, row.kbPerStream, 140, 'KB'),
    atMost(
      `memory per event, ${row.streams} streams, ${labelOf(row.subject)}`,
      row.kbPerEvent,
      1,
      'KB',
    ),
  ]
}

function keyTargets(rows: readonly RequestRow[]): Target[] {
  const many = rows.filter(({ keys, subject }) => keys === 100_000 && / identity /.test(subject))
  return many.flatMap((row) => {
    const few = rows.find(({ keys, subject }) => keys === 10 && subject === row.subject)
    if (few === undefined) return []
    const ratio = row.cpuUs.median / few.cpuUs.median
    return [atMost(`100,000 keys, ${labelOf(row.subject)}`, ratio, 1.05, 'x 10 keys')]
  })
}

function stallTarget(row: LoadingRow): Target {
  const what = `longest stall while 100,000 keys are reloaded, ${labelOf(row.subject)}`
  return atMost(what, row.stallMaxMs, 100, 'ms')
}

function atMost(what: string, measured: number, most: number, unit: string): Target {
  return {
    what,
    target: `at most ${most} ${unit}`,
    measured: `${measured.toFixed(measured < 10 ? 2 : 0)} ${unit}`,
    isMet: Number.isFinite(measured) ? measured <= most : null,
  }
}
