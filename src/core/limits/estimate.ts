import type { Counters } from '../admit/lockout.ts'

/** Tokens per byte of text, until a model has taught its own: English has 0.2 to 0.3, JSON 0.4. */
const RATIO_DEFAULT = 0.3
const RATIO_MIN = 0.02
const RATIO_MAX = 2

/** What a chat template puts around a short conversation. */
const TEMPLATE_TOKENS = 8

/** An image, sound or file: an estimate, since its tokens depend on a size that nobody decodes here. */
const MEDIA_TOKENS = 1000

/** A text of this size or more moves the average by a tenth; shorter ones are mostly template. */
const FULL_WEIGHT_BYTES = 256

/** Answers are taken for no shorter and no longer than this in the average of a model's. */
const OUTPUT_MIN = 16
const OUTPUT_MAX = 16384

/** Output tokens per choice that a model is taken to give, until its answers have taught better. */
export const OUTPUT_TOKENS_DEFAULT = 1024

/** Callers choose the names of models, so there is a fixed number of averages, and names share them. */
const BUCKETS = 256
const NAME_CHARS = 64

/**
 * The tokens of a prompt, by what earlier prompts of the model had. Takes bytes of text, and pieces of media. Here and below
 * a model is told by modelBucket().
 */
export function estimateInput(
  counters: Counters,
  bucket: string,
  textBytes: number,
  media: number,
): number {
  const ratio = counters.get('p' + bucket) || RATIO_DEFAULT
  return Math.ceil(ratio * textBytes) + MEDIA_TOKENS * media + TEMPLATE_TOKENS
}

/**
 * Learns from a request that has ended: the engine counted `promptTokens` in `textBytes` of text. Two
 * workers at once may lose one of two samples, which an average does not mind. A full zone teaches
 * nothing.
 */
export function learnRatio(
  counters: Counters,
  bucket: string,
  promptTokens: number,
  textBytes: number,
): void {
  if (!(textBytes > 0)) return
  const name = 'p' + bucket
  const sample = within((promptTokens - TEMPLATE_TOKENS) / textBytes, RATIO_MIN, RATIO_MAX)
  const before = counters.get(name) || RATIO_DEFAULT
  const weight = within(textBytes, 0, FULL_WEIGHT_BYTES) / FULL_WEIGHT_BYTES / 10
  move(counters, name, before, sample, weight)
}

/** The tokens that an answer of the model usually has, per choice; undefined before the first one. */
export function usualOutput(counters: Counters, bucket: string): number | undefined {
  const usual = counters.get('l' + bucket)
  return usual === undefined ? undefined : Math.ceil(usual)
}

/**
 * Learns from an answer that came to its end: a tenth of it goes into the average, per choice. One that its maximum
 * cut short (`isCut`) would have been longer, and so teaches nothing where it is below the average.
 */
export function learnOutput(
  counters: Counters,
  bucket: string,
  tokens: number,
  isCut: boolean,
): void {
  const name = 'l' + bucket
  const sample = within(tokens, OUTPUT_MIN, OUTPUT_MAX)
  const before = counters.get(name) || OUTPUT_TOKENS_DEFAULT
  if (!isCut || sample > before) move(counters, name, before, sample, 0.1)
}

/** The nearest value within bounds. */
function within(value: number, least: number, most: number): number {
  return value < least ? least : value > most ? most : value
}

/** Moves an average by a part of the way to a sample. */
function move(
  counters: Counters,
  name: string,
  before: number,
  sample: number,
  part: number,
): void {
  try {
    counters.set(name, before + (sample - before) * part)
  } catch (_) {
    // The zone is full: the default has to do.
  }
}

/** The last model and its bucket: a request asks at both of its ends. */
let lastModel = ''
let lastBucket = '0'

/** The bucket of a model's name, as it stands in the names of counters. */
export function modelBucket(model: string): string {
  if (model === lastModel) return lastBucket
  let hash = 0
  const length = model.length < NAME_CHARS ? model.length : NAME_CHARS
  for (let i = 0; i < length; i++) hash = (hash * 31 + model.charCodeAt(i)) | 0
  lastModel = model
  lastBucket = String(hash & (BUCKETS - 1))
  return lastBucket
}
