import { feedScan, type Scan } from '../body/scan.ts'
import { findReason } from './events.ts'
import {
  type Metered,
  objectOf,
  PARSE_BYTES_MAX,
  parse,
  reasonIn,
  startAnswerScan,
  usageIn,
} from './total.ts'
import { type Fields, fieldsOf, readUsage, type Usage } from './usage.ts'

/** The name of a model, with what stands around it. */
const NAME_BYTES_MAX = 320

/** The end of a choice, from its reason on: as vLLM has it, and an arbitrary number above that. */
const REASON_BYTES = 96
const CHOICE_END_BYTES = 200

/** More digits than any count has. */
const DIGITS_MAX = 16

/** What stands behind the counts of a usage that tells no more, in versions of vLLM. */
const USUAL_ENDS = [
  '}',
  ',"prompt_tokens_details":null}',
  ',"completion_tokens_details":null}',
  ',"prompt_tokens_details":null,"completion_tokens_details":null}',
]

/** The meter of an answer that is no stream. Small ones are kept, and read at the end; others are scanned as they pass. */
export type Whole = {
  /** The name of the route. */
  route: string
  pieces: Buffer[]
  bytes: number
  scan: Scan | null
  /** Of one that is scanned: the last piece in which a choice ended. */
  last: Buffer | null
}

/** Begins to meter an answer that is no stream. */
export function startWhole(route: string): Whole {
  return { route, pieces: [], bytes: 0, scan: null, last: null }
}

/** Takes the next piece, which has been sent on already. */
export function feedWhole(whole: Whole, data: Buffer): void {
  if (!whole.scan) {
    whole.pieces.push(data)
    whole.bytes += data.length
    if (whole.bytes <= PARSE_BYTES_MAX) return
    whole.scan = startAnswerScan()
    data = Buffer.concat(whole.pieces)
    whole.pieces = []
  }
  feedScan(whole.scan, data)
  if (findReason(data) >= 0) whole.last = data
}

/** What the answer used, at its end, or wherever it broke off. */
export function finishWhole(whole: Whole): Metered {
  if (whole.scan) return describe(objectOf(whole.scan), reasonIn(whole.last))
  const pieces = whole.pieces
  const bytes = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  const usual = readEnds(whole.route, bytes)
  if (usual) return usual
  const parsed = parse(bytes.toString())
  if (parsed !== undefined) {
    const said = fieldsOf(parsed)
    const choices = said['choices']
    const last = Array.isArray(choices) ? fieldsOf(choices[choices.length - 1]) : {}
    return describe(said, last['finish_reason'])
  }
  const scan = startAnswerScan()
  feedScan(scan, bytes)
  return describe(objectOf(scan), reasonIn(bytes))
}

function describe(said: Fields, choiceReason: unknown): Metered {
  const metered: Metered = { usage: usageIn(said), isEstimated: false }
  const reason = said['stop_reason'] || said['status'] || choiceReason
  if (typeof said['model'] === 'string' && said['model']) metered.served = said['model']
  if (typeof reason === 'string' && reason && reason !== 'in_progress')
    metered.finishReason = reason
  return metered
}

/**
 * What vLLM's usual answer says at its two ends, without a look at what is between, since JSON.parse of it all is most
 * of what metering costs. It begins with plain fields, one of them the model; then come the choices; then plain fields
 * and the usage, and behind that no object any more. All of that is looked at, and null of any other answer.
 *
 * Quotes within a string of JSON are escaped, so that `"usage":{` is a field and no text; and where one brace
 * alone closes behind it, that is the answer's own. A list of objects between the choices and the usage would be taken for
 * the choices, and so its reason for theirs; no server has one there.
 */
export function readEnds(route: string, bytes: Buffer): Metered | null {
  const isChosen = route === 'chat' || route === 'completions'
  if (!isChosen && route !== 'embeddings') return null
  const last = bytes.length - 1
  if (bytes[last] !== 125) return null
  const end = bytes.lastIndexOf(125, last - 1) + 1
  let open = bytes.lastIndexOf(123, end)
  // `..._details":{`: they stand inside.
  while (open > 3 && bytes[open - 3] === 115) open = bytes.lastIndexOf(123, open - 1)
  if (open < 9) return null
  const text = bytes.toString('utf8', open - 8, end)
  const usage =
    usualUsage(text) || (text.startsWith('"usage":{') ? readUsage(parse(text.slice(8))) : null)
  if (!usage) return null
  // The model is the last of the plain fields before the first object.
  const inner = bytes.indexOf(123, 1)
  const list = isChosen ? '","choices":[' : '","data":['
  const opening = bytes.lastIndexOf(34, inner - list.length - 1)
  if (opening < 9 || inner - opening > NAME_BYTES_MAX) return null
  const model = bytes.toString('utf8', opening - 9, inner)
  if (!model.startsWith(',"model":"') || !model.endsWith(list)) return null
  const served = model.slice(10, -list.length)
  if (served === '' || served.indexOf('\\') >= 0) return null
  const metered: Metered = { usage, isEstimated: false, served }
  if (!isChosen) return metered
  // `}]` closes the last choice and all of them.
  const close = bytes.lastIndexOf(93, open)
  if (bytes[close - 1] !== 125) return null
  const reason = reasonBefore(bytes, inner, close - 1)
  if (reason === null) return null
  if (reason !== 'in_progress') metered.finishReason = reason
  return metered
}

/** A usage as vLLM writes it where there is nothing more to tell; null of any other, which is to be parsed. */
function usualUsage(text: string): Usage | null {
  const beginning = '"usage":{"prompt_tokens":'
  if (!text.startsWith(beginning)) return null
  const from = beginning.length
  const prompt = parseInt(text.slice(from, from + DIGITS_MAX), 10)
  const name = ',"completion_tokens":'
  const at = text.indexOf(name, from) + name.length
  const completion = parseInt(text.slice(at, at + DIGITS_MAX), 10)
  if (!(prompt >= 0 && completion >= 0)) return null
  const known = beginning + prompt + ',"total_tokens":' + (prompt + completion) + name + completion
  if (!text.startsWith(known) || USUAL_ENDS.indexOf(text.slice(known.length)) < 0) return null
  return { promptTokens: prompt, completionTokens: completion }
}

/** Why the last choice ended, whose brace stands at `end`; null where that has to be looked for in the whole. */
function reasonBefore(bytes: Buffer, inner: number, end: number): string | null {
  const name = ',"finish_reason":"'
  for (let length = REASON_BYTES; ; length = CHOICE_END_BYTES) {
    const from = end - length
    const choice = bytes.toString('utf8', from > inner ? from : inner, end)
    const at = choice.lastIndexOf(name)
    if (at < 0) {
      if (length === CHOICE_END_BYTES) return null
      continue
    }
    const start = at + name.length
    const stop = choice.indexOf('"', start)
    const reason = choice.slice(start, stop)
    const isPlain = stop > start && reason.indexOf('\\') < 0
    return isPlain && choice.indexOf('{', start) < 0 && choice.indexOf('}', start) < 0
      ? reason
      : null
  }
}
