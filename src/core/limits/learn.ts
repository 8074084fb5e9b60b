import { amount, type LedgerLine } from '../ledger/line.ts'
import { modelBucket, OUTPUT_TOKENS_DEFAULT, RATIO_DEFAULT, TEMPLATE_TOKENS } from './estimate.ts'

const RATIO_MIN = 0.02
const RATIO_MAX = 2

/** A text of this size or more moves the average by a tenth; shorter ones are mostly template. */
const FULL_WEIGHT_BYTES = 256

/** Answers are taken for no shorter and no longer than this in the average of a model's. */
const OUTPUT_MIN = 16
const OUTPUT_MAX = 16384

/** Longer waits and slower answers are taken for this, so that a few odd ones do not make all others free; in ms. */
const WAIT_MS_MAX = 60000
const GAP_MS_MAX = 1000

/** What an answer of a stream moves the averages of its pace by: the queue of a server changes within seconds. */
const PACE_PART = 0.2

/** Where averages stand, by name: a zone, or what is to be written into one. */
export type Averages = {
  get(name: string): number | undefined
  set(name: string, value: number): unknown
}

/**
 * What a line of the ledger teaches of its model, for the estimates of estimate.ts: tokens in a text, tokens of an answer, and how
 * fast they come. Housekeeping reads the lines, so that no request takes the time. A line that names no model is of
 * `defaultModel`.
 */
export function learnLine(averages: Averages, line: LedgerLine, defaultModel: string): void {
  if (line.estimated) return
  const bucket = modelBucket(line.model || defaultModel)
  const promptTokens = amount(line.promptTokens)
  if (promptTokens > 0) learnRatio(averages, bucket, promptTokens, amount(line.promptBytes))
  const tokens = amount(line.completionTokens)
  if (line.outcome !== 'ok' || !(tokens > 0)) return
  const perChoice = tokens / (amount(line.choices) || 1)
  const reason = line.finishReason
  const isCut = reason === 'length' || reason === 'max_tokens' || reason === 'incomplete'
  learnOutput(averages, bucket, perChoice, isCut)
  if (line.stream) learnPace(averages, bucket, line, perChoice)
}

/** The engine counted `promptTokens` in `textBytes` of text. */
export function learnRatio(
  averages: Averages,
  bucket: string,
  promptTokens: number,
  textBytes: number,
): void {
  if (!(textBytes > 0)) return
  const name = 'p' + bucket
  const sample = within((promptTokens - TEMPLATE_TOKENS) / textBytes, RATIO_MIN, RATIO_MAX)
  const before = averages.get(name) || RATIO_DEFAULT
  const weight = within(textBytes, 0, FULL_WEIGHT_BYTES) / FULL_WEIGHT_BYTES / 10
  move(averages, name, before, sample, weight)
}

/**
 * An answer came to its end: a tenth of it goes into the average, per choice. One that its maximum cut short (`isCut`)
 * would have been longer, and so teaches nothing where it is below the average.
 */
export function learnOutput(
  averages: Averages,
  bucket: string,
  tokens: number,
  isCut: boolean,
): void {
  const name = 'l' + bucket
  const sample = within(tokens, OUTPUT_MIN, OUTPUT_MAX)
  const before = averages.get(name) || OUTPUT_TOKENS_DEFAULT
  if (!isCut || sample > before) move(averages, name, before, sample, 0.1)
}

/** Of streams alone: of a whole answer nobody knows when it began. */
function learnPace(averages: Averages, bucket: string, line: LedgerLine, perChoice: number): void {
  const speed = amount(line.tokensPerSecond)
  if (!speed || line.ttftMs === undefined || perChoice < 2) return
  // Choices come side by side.
  const gapMs = within((1000 / speed) * (amount(line.choices) || 1), 0, GAP_MS_MAX)
  const waitMs = within(amount(line.ttftMs), 0, WAIT_MS_MAX)
  move(averages, 'w' + bucket, averages.get('w' + bucket) ?? waitMs, waitMs, PACE_PART)
  move(averages, 'g' + bucket, averages.get('g' + bucket) || gapMs, gapMs, PACE_PART)
}

/** The nearest value within bounds. */
function within(value: number, least: number, most: number): number {
  return value < least ? least : value > most ? most : value
}

/** Moves an average by a part of the way to a sample. */
function move(
  averages: Averages,
  name: string,
  before: number,
  sample: number,
  part: number,
): void {
  averages.set(name, before + (sample - before) * part)
}
