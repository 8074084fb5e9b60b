import type { Gathering } from '../ledger/fold.ts'
import { clean, cleanFour, type Gathered, hasUsed, OTHER } from '../usage/rows.ts'
import { isSaid, modelNameOf, NO_MODEL } from './tally.ts'

/**
 * Counters of the metrics, as they stand in the zone `tollgate_metrics`, a number each. Names between
 * tabs are labels; what is told is in catalog.ts:
 *
 * - `r\t<client>\t<route>\t<outcome>\t<status>` requests, by the class of their status
 * - `p\t<model>\t<outcome>\t<status>` those of them that went to a server
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

/** Says under which name a model is counted, which a server has said or only a caller. */
export type ModelLabel = (model: string, isSaid: boolean) => string

/** What the fresh lines of a portion add. */
export function seriesOf(found: Gathering, modelLabel: ModelLabel): Series[] {
  const series: Series[] = []
  noteSaid(found, modelLabel)
  const requests = found.tally.requests
  Object.keys(requests).forEach((name) => {
    const labels = cleanFour(name)
    const other = `r\t${OTHER}${labels.slice(labels.indexOf('\t'))}`
    series.push({ name: `r\t${labels}`, other, delta: requests[name] as number })
  })
  addPassed(series, found, modelLabel)
  addUsage(series, found, modelLabel)
  addHistograms(series, found, modelLabel)
  return series
}

/** First of all, so that what a portion asks for is known when another line of it says it. */
function noteSaid(found: Gathering, modelLabel: ModelLabel): void {
  Object.keys(found.tally.models).forEach((name) => {
    if (isSaid(name)) labelOf(name, modelLabel)
  })
}

function labelOf(name: string, modelLabel: ModelLabel): string {
  return modelLabel(clean(name.slice(1)), isSaid(name))
}

/** Few for each model, so that models bound them: that a server fails has to be told in any case. */
function addPassed(series: Series[], found: Gathering, modelLabel: ModelLabel): void {
  const passed = found.tally.passed
  Object.keys(passed).forEach((name) => {
    const first = name.indexOf('\t')
    const second = name.indexOf('\t', first + 1)
    const model = labelOf(name.slice(second + 1), modelLabel)
    const entry = `p\t${model}\t${clean(name.slice(0, first))}\t${name.slice(first + 1, second)}`
    series.push({ name: entry, other: entry, delta: passed[name] as number })
  })
}

function addUsage(series: Series[], found: Gathering, modelLabel: ModelLabel): void {
  const sums: { [name: string]: number } = {}
  const cost: { [client: string]: number } = {}
  found.batches.forEach((batch) => {
    if (!batch.isFresh) return
    Object.keys(batch.rows).forEach((name) => {
      const row = batch.rows[name] as Gathered
      if (!hasUsed(row.sums)) return
      const client = clean(row.line.client)
      const nanos = row.sums[COST] as number
      if (nanos > 0) cost[`c\t${client}`] = (cost[`c\t${client}`] || 0) + nanos
      let labels = ''
      TOKEN_KINDS.forEach((one) => {
        const tokens = row.sums[one.at] as number
        if (tokens === 0) return
        if (!labels) labels = `t\t${client}\t${labelOf(modelNameOf(row.line), modelLabel)}\t`
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

/** These need no bound of their own either. */
function addHistograms(series: Series[], found: Gathering, modelLabel: ModelLabel): void {
  const models = found.tally.models
  Object.keys(models).forEach((name) => {
    const label = name === NO_MODEL ? '' : labelOf(name, modelLabel)
    const numbers = models[name] as number[]
    for (let i = 0; i < numbers.length; i++) {
      const delta = numbers[i] as number
      const entry = `h\t${i}\t${label}`
      if (delta !== 0) series.push({ name: entry, other: entry, delta })
    }
  })
}
