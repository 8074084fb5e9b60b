import type { Counters } from '../admit/lockout.ts'

/** Tokens per byte of text, until a model has taught its own: English has 0.2 to 0.3, JSON 0.4. */
export const RATIO_DEFAULT = 0.3

/** What a chat template puts around a short conversation. */
export const TEMPLATE_TOKENS = 8

/** An image, sound or file: an estimate, since its tokens depend on a size that nobody decodes here. */
const MEDIA_TOKENS = 1000

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

/** The tokens that an answer of the model usually has, per choice; undefined before the first one. */
export function usualOutput(counters: Counters, bucket: string): number | undefined {
  const usual = counters.get('l' + bucket)
  return usual === undefined ? undefined : Math.ceil(usual)
}

/** Until a model has taught its own: ms to the first token of an answer, and from one token of a choice to the next. */
const WAIT_MS_DEFAULT = 500
const GAP_MS_DEFAULT = 20

/**
 * The tokens per choice of an answer that nobody has counted, after `ranMs`: by the first token and the pace that streams of the model
 * have had of late, and no more than its answers usually have. -1: the server will not have begun.
 */
export function estimateOutput(counters: Counters, bucket: string, ranMs: number): number {
  const waitMs = counters.get('w' + bucket) ?? WAIT_MS_DEFAULT
  if (ranMs < waitMs) return -1
  const tokens = (ranMs - waitMs) / (counters.get('g' + bucket) || GAP_MS_DEFAULT)
  return Math.min(Math.ceil(tokens), usualOutput(counters, bucket) || OUTPUT_TOKENS_DEFAULT)
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
