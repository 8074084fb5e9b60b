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
import { type Fields, fieldsOf, readUsage } from './usage.ts'

/** As much of its beginning is looked at for the name of the model. */
const HEAD_BYTES = 320

/** The end of a choice, behind its reason; that is an arbitrary number above what vLLM has there. */
const CHOICE_END_BYTES = 200

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
 * alone closes behind it, that is the answer's own.
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
  const usage = text.startsWith('"usage":{') ? readUsage(parse(text.slice(8))) : null
  if (!usage) return null
  const metered: Metered = { usage, isEstimated: false }
  const inner = bytes.indexOf(123, 1)
  const head = bytes.toString('utf8', 0, Math.min(inner, HEAD_BYTES))
  const served = textBehind(head, ',"model":"')
  if (served === null) return null
  metered.served = served
  if (!isChosen) return metered
  // `}]` closes the last choice and all of them.
  const close = bytes.lastIndexOf(93, open)
  if (bytes[close - 1] !== 125) return null
  const choice = bytes.toString('utf8', Math.max(inner, close - CHOICE_END_BYTES), close - 1)
  const at = choice.lastIndexOf(',"finish_reason":"')
  if (at < 0 || choice.indexOf('{', at) >= 0 || choice.indexOf('}', at) >= 0) return null
  const reason = textBehind(choice.slice(at), ',"finish_reason":"')
  if (reason === null) return null
  if (reason !== 'in_progress') metered.finishReason = reason
  return metered
}

/** The string whose beginning is there; null where there is none, or one that has to be parsed. */
function textBehind(text: string, beginning: string): string | null {
  const from = text.indexOf(beginning) + beginning.length
  const to = text.indexOf('"', from)
  if (from < beginning.length || to <= from) return null
  const value = text.slice(from, to)
  return value.indexOf('\\') < 0 ? value : null
}
