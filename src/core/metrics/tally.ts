import { modelOf } from '../ledger/fate.ts'
import type { LedgerLine } from '../ledger/line.ts'
import {
  ADMISSION,
  DURATION,
  EACH_TOKEN,
  FIRST_TOKEN,
  type Histogram,
  INPUT,
  NUMBERS,
  OUTPUT,
} from './histograms.ts'

/** What some lines add to the metrics, beside what their rows say. */
export type Tally = {
  lines: number
  /** By client, route and outcome, between tabs. */
  requests: { [name: string]: number }
  /** By model: the numbers of HISTOGRAMS. What is not by model stands under `*`, which none is called. */
  models: { [model: string]: number[] }
}

/** What is no time and no number of tokens of this world. */
const VALUE_MAX = 1e12

/** Begins with a tab, so that no model of a request is it. */
export const NO_MODEL = '\t'

export function newTally(): Tally {
  return { lines: 0, requests: {}, models: {} }
}

/**
 * Counts one line. Written out, and the search with it, since this is a third of the time that a line
 * takes of the worker.
 */
export function tallyLine(tally: Tally, line: LedgerLine): void {
  tally.lines++
  const name = `${line.client || ''}\t${line.route || ''}\t${line.outcome}`
  tally.requests[name] = (tally.requests[name] || 0) + 1
  const admission = line.admissionMs
  if (admission !== undefined) count(numbersOf(tally, NO_MODEL), ADMISSION, admission)
  if (line.upstream === undefined && line.promptTokens === undefined) return
  // A caller may ask for any name: it is one of a model when the server says so, or counts tokens.
  const isKnown = line.served !== undefined || line.promptTokens !== undefined
  const numbers = numbersOf(tally, (isKnown && modelOf(line)) || '')
  const perSecond = line.tokensPerSecond
  if (line.upstream !== undefined) count(numbers, DURATION, line.durationMs)
  if (line.ttftMs !== undefined) count(numbers, FIRST_TOKEN, line.ttftMs)
  if (perSecond) count(numbers, EACH_TOKEN, 1000 / perSecond)
  if (line.promptTokens !== undefined) count(numbers, INPUT, line.promptTokens)
  if (line.completionTokens !== undefined) count(numbers, OUTPUT, line.completionTokens)
}

function numbersOf(tally: Tally, model: string): number[] {
  // Beside the names that every object has.
  const name = `m${model}`
  const known = tally.models[name]
  if (known) return known
  const numbers: number[] = []
  for (let i = 0; i < NUMBERS; i++) numbers.push(0)
  tally.models[name] = numbers
  return numbers
}

function count(numbers: number[], histogram: Histogram, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value < VALUE_MAX)) return
  const bounds = histogram.bounds
  let low = 0
  let high = bounds.length
  const sum = histogram.at + high + 1
  // The first bucket whose bound is not below the value.
  while (low < high) {
    const middle = (low + high) >> 1
    if (value <= (bounds[middle] as number)) high = middle
    else low = middle + 1
  }
  low += histogram.at
  numbers[low] = (numbers[low] as number) + 1
  numbers[sum] = (numbers[sum] as number) + value
}
