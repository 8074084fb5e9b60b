import type { Dimension, UsageRow } from '../../api/types.ts'
import type { Measure } from './query.ts'

/** What is added up of rows. */
export const COUNTED = [
  'requests',
  'refused',
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'reasoningTokens',
  'audioSeconds',
  'cost',
] as const

/** The sums of one client, model, key or group over the whole period. */
export type Sum = { name: string; isEstimated: boolean } & Record<(typeof COUNTED)[number], number>

/** What is drawn: for each time one value of each series. */
export type Stack = { times: number[]; series: Series[] }
export type Series = { name: string; isRest: boolean; values: number[] }

export function emptySum(name: string): Sum {
  return {
    name,
    requests: 0,
    refused: 0,
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    audioSeconds: 0,
    cost: 0,
    isEstimated: false,
  }
}

/** Sums of the rows by what `nameOf` says. */
export function sumBy(rows: UsageRow[], nameOf: (row: UsageRow) => string): Sum[] {
  const sums = new Map<string, Sum>()
  for (const row of rows) {
    const name = nameOf(row)
    const sum = sums.get(name) ?? emptySum(name)
    for (const field of COUNTED) sum[field] += row[field] ?? 0
    if (row.estimated) sum.isEstimated = true
    sums.set(name, sum)
  }
  return [...sums.values()]
}

export function nameIn(row: UsageRow, by: Dimension): string {
  return row[by] ?? ''
}

export function measured(sum: Omit<Sum, 'name' | 'isEstimated'>, measure: Measure): number {
  return measure === 'tokens' ? sum.promptTokens + sum.completionTokens : sum[measure]
}

/** The largest first; where they are even, by name. */
export function rank(sums: Sum[], measure: Measure): Sum[] {
  return [...sums].sort(
    (a, b) => measured(b, measure) - measured(a, measure) || (a.name < b.name ? -1 : 1),
  )
}

/**
 * The values of the first few names over time, and of all others together as the rest, which comes
 * last. `ranked` gives the order.
 */
export function stackOf(
  rows: UsageRow[],
  by: Dimension,
  ranked: Sum[],
  times: number[],
  measure: Measure,
  seriesMax: number,
): Stack {
  const own = ranked.length > seriesMax + 1 ? ranked.slice(0, seriesMax) : ranked
  const places = new Map(own.map(({ name }, place) => [name, place]))
  const series: Series[] = own.map(({ name }) => ({ name, isRest: false, values: zeros(times) }))
  if (own.length < ranked.length) series.push({ name: '', isRest: true, values: zeros(times) })
  const columns = new Map(times.map((ms, column) => [ms, column]))
  for (const row of rows) {
    const column = columns.get(Date.parse(row.time ?? ''))
    const one = series[places.get(nameIn(row, by)) ?? own.length]
    if (column === undefined || one === undefined) continue
    one.values[column] = (one.values[column] ?? 0) + measured(row, measure)
  }
  return { times, series }
}

function zeros(times: number[]): number[] {
  return times.map(() => 0)
}
