import { type Entries, type Entry, feedScan, type Scan, startScan } from '../body/scan.ts'
import { findReason, numberAt, promptOfChoice } from './events.ts'
import type { Meter } from './types.ts'
import { addChoice, type Fields, fieldsOf, readTimings, readUsage, type Usage } from './usage.ts'

/** JSON up to this many bytes is parsed as a whole: of an event, or an answer. */
export const PARSE_BYTES_MAX = 32 * 1024

/** Of what is read at the end: usage, names. Real ones have some hundred bytes. */
const VALUE_BYTES_MAX = 16 * 1024

/** What an answer used, at its end. */
export type Metered = {
  /** null when nothing is known, which happens only to answers that are no streams. */
  usage: Usage | null
  /** The completion is a count of events, not of tokens. */
  isEstimated: boolean
  /** The server told an error in its answer, whatever its status. */
  hasFailed?: true
  /** The model that answered. */
  served?: string
  finishReason?: string
}

/** Sums up what is known of a stream: at the end, or wherever it broke off. */
export function finishMeter(meter: Meter): Metered {
  const large = meter.scan ? objectOf(meter.scan) : {}
  const final = readEvent(meter.final)
  const first = readEvent(meter.first)
  const last = readEvent(meter.last)
  const begun = usageIn(first) || {}
  const ended = sumTotals(meter, usageIn(final)) || sumRunning(meter) || usageIn(large)
  let usage = ended ? Object.assign(begun, ended) : usageIn(last)
  const isEstimated = !usage || isOfOne(meter, usage)
  if (!usage) usage = begun
  if (isEstimated) usage.completionTokens = meter.events
  const metered: Metered = { usage, isEstimated }
  const served = textOf([large, final, first, last], 'model')
  const reason =
    textOf([large, final], 'stop_reason') ||
    textOf([large, final], 'status') ||
    reasonIn(meter.end || meter.last)
  if (served) metered.served = served
  if (reason && reason !== 'in_progress') metered.finishReason = reason
  const error = meter.error
  // llama.cpp had lines `error: {...}`.
  const isError = error !== null && (error[1] === 114 || hasError(readEvent(error), null))
  if (isError || hasError(final, reason)) metered.hasFailed = true
  return metered
}

/** Whether a usage is that of one of several choices, as llama.cpp tells it: but for their ends, no event has less than a token. */
function isOfOne(meter: Meter, usage: Usage): boolean {
  return meter.plan.choices > 1 && meter.events > (usage.completionTokens || 0) + meter.ended
}

/** Whether an answer or an event says that the server has failed; `reason` is why it ended, where it says so. */
export function hasError(said: Fields, reason: unknown): boolean {
  return (
    !!said['error'] ||
    said['type'] === 'error' ||
    said['object'] === 'error' ||
    reason === 'failed' ||
    reason === 'error'
  )
}

/** What a stream has used so far, as far as it is known. Cheaper than finishMeter(). */
export function countSoFar(meter: Meter): Usage {
  const usage: Usage = {}
  let completion = 0
  let prompt = -1
  meter.running.forEach((count, index) => {
    const json = countIn(count)
    const of = promptOfChoice(meter, index)
    if (of !== prompt) {
      usage.promptTokens = (usage.promptTokens || 0) + numberAt(json, '"prompt_tokens":', 0)
    }
    prompt = of
    completion += numberAt(json, '"completion_tokens":', 0)
  })
  usage.completionTokens = completion || meter.events
  return usage
}

/** A running count as JSON: of the events that takeUsual() keeps whole, it is the last object. */
function countIn(kept: Buffer): Buffer {
  if (kept[0] === 123) return kept
  const open = kept.lastIndexOf(123)
  return kept.subarray(open, kept.indexOf(125, open) + 1)
}

/** Usage that the server tells at the end of each choice; all of them answer one prompt. */
function sumTotals(meter: Meter, last: Usage | null): Usage | null {
  if (last === null) return null
  for (let i = 0; i < meter.totals.length; i++) {
    const usage = usageIn(readEvent(meter.totals[i] as Buffer))
    if (usage) addChoice(last, usage, false)
  }
  return last
}

/** Each choice has its own running count, with the prompt that it answers. */
function sumRunning(meter: Meter): Usage | null {
  let sum: Usage | null = null
  let prompt = -1
  meter.running.forEach((count, index) => {
    const usage = readUsage(parse(countIn(count).toString()))
    const of = promptOfChoice(meter, index)
    if (usage) sum = sum ? addChoice(sum, usage, of !== prompt) : usage
    prompt = of
  })
  return sum
}

/** Usage counts only in its own place: the same key may stand in tools that a response repeats. */
export function usageIn(said: Fields): Usage | null {
  return (
    readUsage(said['usage']) ||
    readUsage(fieldsOf(said['response'])['usage']) ||
    readUsage(fieldsOf(said['message'])['usage']) ||
    readUsage(fieldsOf(said['delta'])['usage']) ||
    readUsage(fieldsOf(said['meta'])['billed_units']) ||
    readTimings(said['timings'])
  )
}

/** A text at the top, or where an event has it. */
function textOf(places: Fields[], name: string): string | null {
  let found: string | null = null
  places.forEach((said) => {
    const inner = fieldsOf(said['response'] || said['message'] || said['delta'])
    const value = said[name] ?? inner[name]
    if (found === null && typeof value === 'string') found = value
  })
  return found
}

function readEvent(piece: Buffer | null): Fields {
  if (!piece) return {}
  const event = lastEvent(piece)
  return readObject(event.subarray(Math.max(event.indexOf('{'), 0)))
}

/**
 * JSON.parse is by far the quicker for small ones; large ones, those deeper than the 32 levels of the
 * njs engine, and those that broke off are scanned.
 */
function readObject(json: Buffer): Fields {
  const parsed = json.length > PARSE_BYTES_MAX ? undefined : parse(json.toString())
  if (parsed !== undefined) return fieldsOf(parsed)
  const scan = startAnswerScan()
  feedScan(scan, json)
  return objectOf(scan)
}

/** What is read of an answer that is not parsed as a whole; of events, only responses are so large. */
const WANTED =
  'usage model status stop_reason timings meta/billed_units response/usage response/model response/status'

export function startAnswerScan(): Scan {
  return startScan(WANTED.split(' '), VALUE_BYTES_MAX)
}

/** What a scan kept, in the shape that JSON.parse of the whole would give. */
export function objectOf(scan: Scan): Fields {
  return valuesOf(scan.entries)
}

function valuesOf(entries: Entries): Fields {
  const values: Fields = {}
  Object.keys(entries).forEach((key) => {
    const entry = entries[key] as Entry
    values[key.slice(1)] = entry.inner
      ? valuesOf(entry.inner)
      : entry.text === null
        ? undefined
        : parse(entry.text)
  })
  return values
}

/** Undefined where the text is no JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (_) {
    return undefined
  }
}

/** A piece that was kept for its running count may begin with events before that. */
export function lastEvent(piece: Buffer): Buffer {
  const before = piece.lastIndexOf('\n\n', piece.length - 3)
  return before < 0 ? piece : piece.subarray(before + 2)
}

/** The reason in the last chunk that was kept, or in a body. */
export function reasonIn(piece: Buffer | null): string | null {
  const start = piece ? findReason(piece) : -1
  if (!piece || start < 0) return null
  const end = piece.indexOf('"', start)
  return end < 0 ? null : piece.subarray(start, end).toString()
}
