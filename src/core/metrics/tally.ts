import type { LedgerLine } from '../ledger/line.ts'
import { OTHER } from '../usage/rows.ts'
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
  /** By client, route, outcome and class of the status, between tabs. */
  requests: { [name: string]: number }
  /** Those that went to a server, by outcome, class of the status and modelNameOf(), between tabs. */
  passed: { [name: string]: number }
  /** The numbers of HISTOGRAMS, by modelNameOf(). What is not by model stands under NO_MODEL. */
  models: { [name: string]: number[] }
}

/** What is no time and no number of tokens of this world. */
const VALUE_MAX = 1e12

/** How the name of a model begins that a server has said, and that of one which a caller has. */
const SAID = 's'
const ASKED = 'a'
export const NO_MODEL = '-'

export function newTally(): Tally {
  return { lines: 0, requests: {}, passed: {}, models: {} }
}

/**
 * Under which name a line is counted by model: the one that answered, else the one that was asked for,
 * of which the edge has to see whether it is one, because callers may ask for any.
 */
export function modelNameOf(line: { model?: string; served?: string }): string {
  return line.served === undefined ? ASKED + (line.model || '') : SAID + line.served
}

/** `2xx` and its like. A server may send any three digits. */
export function classOf(status: unknown): string {
  return typeof status === 'number' && status < 600 ? CLASSES[(status / 100) | 0] || OTHER : OTHER
}

/** As they stand: on njs's own engine each text that is made stays until the turn is over. */
const CLASSES = ['', '1xx', '2xx', '3xx', '4xx', '5xx']

/** Whether a server has said such a name. */
export function isSaid(name: string): boolean {
  return name.charAt(0) === SAID
}

/**
 * Counts one line. Written out, and the search with it, since this is a third of the time that a line
 * takes of the worker.
 */
export function tallyLine(tally: Tally, line: LedgerLine): void {
  tally.lines++
  const status = classOf(line.status)
  const name = `${line.client || ''}\t${line.route || ''}\t${line.outcome}\t${status}`
  tally.requests[name] = (tally.requests[name] || 0) + 1
  const admission = line.admissionMs
  if (admission !== undefined) count(numbersOf(tally, NO_MODEL), ADMISSION, admission)
  if (line.upstream === undefined && line.promptTokens === undefined) return
  const model = modelNameOf(line)
  const numbers = numbersOf(tally, model)
  const perSecond = line.tokensPerSecond
  if (line.upstream !== undefined) {
    const passed = `${line.outcome}\t${status}\t${model}`
    tally.passed[passed] = (tally.passed[passed] || 0) + 1
    count(numbers, DURATION, line.durationMs)
  }
  if (line.ttftMs !== undefined) count(numbers, FIRST_TOKEN, line.ttftMs)
  if (perSecond) count(numbers, EACH_TOKEN, 1000 / perSecond)
  if (line.promptTokens !== undefined) count(numbers, INPUT, line.promptTokens)
  if (line.completionTokens !== undefined) count(numbers, OUTPUT, line.completionTokens)
}

function numbersOf(tally: Tally, name: string): number[] {
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
