import { modelOf } from '../ledger/fate.ts'
import type { Folded } from '../ledger/fold.ts'
import { clean, type Gathered, OTHER } from '../usage/rows.ts'
import { NO_MODEL } from './tally.ts'

/**
 * Counters of the metrics, as they stand in the zone `tollgate_metrics`, a number each. Names between
 * tabs are labels; what is told is in catalog.ts:
 *
 * - `r\t<client>\t<route>\t<outcome>` requests
 * - `t\t<client>\t<model>\t<kind>` tokens, kinds as in TOKEN_KINDS
 * - `c\t<client>` cost in nano-units
 * - `h\t<number>\t<model>` one number of the histograms, see NUMBERS
 */
export type Series = {
  name: string
  /** What is counted instead when there are too many, see SERIES_MAX. */
  other: string
  delta: number
}

/** Positions in RowSums. */
export const TOKEN_KINDS: { kind: string; at: number }[] = [
  { kind: 'prompt', at: 4 },
  { kind: 'cached', at: 5 },
  { kind: 'completion', at: 6 },
  { kind: 'reasoning', at: 7 },
]

const COST = 9

/** What the fresh lines of a portion add. `modelLabel` says under which name a model is counted. */
export function seriesOf(folded: Folded, modelLabel: (model: string) => string): Series[] {
  const series: Series[] = []
  const requests = folded.tally.requests
  Object.keys(requests).forEach((name) => {
    const labels = name.split('\t').map(clean)
    const other = [OTHER].concat(labels.slice(1)).join('\t')
    const delta = requests[name] as number
    series.push({ name: `r\t${labels.join('\t')}`, other: `r\t${other}`, delta })
  })
  addUsage(series, folded, modelLabel)
  addHistograms(series, folded, modelLabel)
  return series
}

function addUsage(series: Series[], folded: Folded, modelLabel: (model: string) => string): void {
  const sums: { [name: string]: number } = {}
  const cost: { [client: string]: number } = {}
  folded.batches.forEach((batch) => {
    if (!batch.isFresh) return
    Object.keys(batch.rows).forEach((name) => {
      const row = batch.rows[name] as Gathered
      const client = clean(row.line.client)
      const nanos = row.sums[COST] as number
      if (nanos > 0) cost[`c\t${client}`] = (cost[`c\t${client}`] || 0) + nanos
      let labels = ''
      TOKEN_KINDS.forEach((one) => {
        const tokens = row.sums[one.at] as number
        if (tokens === 0) return
        if (!labels) labels = `t\t${client}\t${modelLabel(clean(modelOf(row.line)))}\t`
        sums[labels + one.kind] = (sums[labels + one.kind] || 0) + tokens
      })
    })
  })
  Object.keys(cost).forEach((name) => {
    series.push({ name, other: `c\t${OTHER}`, delta: cost[name] as number })
  })
  Object.keys(sums).forEach((name) => {
    const kind = name.slice(name.lastIndexOf('\t') + 1)
    series.push({ name, other: `t\t${OTHER}\t${OTHER}\t${kind}`, delta: sums[name] as number })
  })
}

/** These need no bound of their own: models have one. */
function addHistograms(
  series: Series[],
  folded: Folded,
  modelLabel: (model: string) => string,
): void {
  const models = folded.tally.models
  Object.keys(models).forEach((name) => {
    const model = name.slice(1)
    const label = model === NO_MODEL ? '' : modelLabel(clean(model))
    const numbers = models[name] as number[]
    for (let i = 0; i < numbers.length; i++) {
      const delta = numbers[i] as number
      const entry = `h\t${i}\t${label}`
      if (delta !== 0) series.push({ name: entry, other: entry, delta })
    }
  })
}
