import { feedScan, type Scan } from '../body/scan.ts'
import { findReason } from './events.ts'
import {
  hasError,
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

/** The meter of an answer that is no stream. Small ones are kept, and read at the end; others are scanned as they pass. */
export type Whole = {
  /** The name of the route. */
  route: string
  pieces: Buffer[]
  bytes: number
  scan: Scan | null
  /** Of one that is scanned: the last piece in which a choice ended. */
  last: Buffer | null
  /** How many it has, as in MeterPlan. */
  choices: number
  prompts: number
  /** A header tells what is kept. */
  isTold?: true
}

/**
 * Begins to meter an answer that is no stream. `metadata` is vLLM's header of that name: embeddings as bytes have their
 * usage there, as JSON, and are not read themselves. Choices and prompts as in MeterPlan, where more than one.
 */
export function startWhole(
  route: string,
  metadata?: string,
  choices?: number,
  prompts?: number,
): Whole {
  const whole: Whole = {
    route,
    pieces: [],
    bytes: 0,
    scan: null,
    last: null,
    choices: choices || 1,
    prompts: prompts || 1,
  }
  if (metadata && (route === 'embeddings' || route === 'pooling')) {
    whole.pieces.push(Buffer.from(metadata))
    whole.isTold = true
  }
  return whole
}

/** Takes the next piece, which has been sent on already. */
export function feedWhole(whole: Whole, data: Buffer): void {
  if (whole.isTold) return
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
  if (whole.scan) return describe(whole, objectOf(whole.scan), reasonIn(whole.last))
  const pieces = whole.pieces
  const bytes = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  const usual = readEnds(whole.route, bytes)
  if (usual) return usual
  const parsed = parse(bytes.toString())
  if (parsed !== undefined) {
    const said = fieldsOf(parsed)
    const choices = said['choices']
    const last = Array.isArray(choices) ? fieldsOf(choices[choices.length - 1]) : {}
    return describe(whole, said, last['finish_reason'])
  }
  const scan = startAnswerScan()
  feedScan(scan, bytes)
  return describe(whole, objectOf(scan), reasonIn(bytes))
}

function describe(whole: Whole, said: Fields, choiceReason: unknown): Metered {
  const usage = usageIn(said)
  // llama.cpp, which has timings, tells the usage of one choice alone.
  const isOfOne = usage !== null && whole.choices > 1 && said['timings'] !== undefined
  if (usage && isOfOne) {
    if (usage.completionTokens) usage.completionTokens *= whole.choices
    if (whole.prompts > 1) delete usage.promptTokens
  }
  const metered: Metered = { usage, isEstimated: isOfOne }
  const reason = said['stop_reason'] || said['status'] || choiceReason
  if (typeof said['model'] === 'string' && said['model']) metered.served = said['model']
  if (typeof reason === 'string' && reason && reason !== 'in_progress')
    metered.finishReason = reason
  if (hasError(said, reason)) metered.hasFailed = true
  return metered
}

/** What readUsual() found. Nobody else may change it. */
export let promptTokens = 0
export let completionTokens = 0
export let served = ''
/** Empty where the answer has none. */
export let reason = ''
/** Where the usage opens. */
let usageAt = 0

/**
 * What vLLM's usual answer says at its two ends, without a look at what is between, since JSON.parse of it all is most
 * of what metering costs. It begins with plain fields, one of them the model; then come the choices; then plain fields
 * and the usage, and behind that no object any more. All of that is looked at, and false is of any other answer.
 * `asked` is the model that was asked for, which is mostly the one that answers.
 *
 * Quotes within a string of JSON are escaped, so that `"usage":{` is a field and no text; and where one brace
 * alone closes behind it, that is the answer's own. A list of objects between the choices and the usage would be taken for
 * the choices, and so its reason for theirs; no server has one there.
 */
export function readUsual(route: string, bytes: Buffer, asked: string): boolean {
  usageAt = bytes.lastIndexOf(123)
  return usageAt > 8 && readCounts(bytes) && readNames(route, bytes, asked)
}

/**
 * The same of the event in which vLLM tells the usage of a whole stream: `"model":"x","choices":[],"usage":{...}`. `why` is why its
 * choice ended, as `end` told, an event that begins with the same fields: an error would stand there.
 */
export function readTotal(event: Buffer, asked: string, why: string, end: Buffer): boolean {
  usageAt = event.lastIndexOf(123)
  const before = ',"model":"' + asked + '","choices":[],"usage":'
  const from = usageAt - before.length
  if (asked === '' || from < 0 || event.toString('utf8', from, usageAt) !== before) return false
  if (event.compare(end, 0, from, 0, from) !== 0) return false
  if (!readCounts(event.subarray(0, event.length - 2))) return false
  served = asked
  reason = why
  return true
}

/**
 * The counts of a usage as vLLM writes it where there is nothing more to tell; false of any other, which is to be parsed. The
 * total says that both are read right.
 *
 *   "usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":null},...}
 */
function readCounts(bytes: Buffer): boolean {
  const text = bytes.toString('utf8', usageAt - 8, usageAt + USAGE_BYTES)
  const beginning = '"usage":{"prompt_tokens":'
  const middle = ',"total_tokens":'
  let at = beginning.length
  promptTokens = parseInt(text.slice(at), 10)
  at += String(promptTokens).length + middle.length
  const total = parseInt(text.slice(at), 10)
  completionTokens = total - promptTokens
  if (!(promptTokens >= 0 && completionTokens >= 0)) return false
  const known =
    beginning + promptTokens + middle + total + ',"completion_tokens":' + completionTokens
  if (!text.startsWith(known)) return false
  at = known.length
  if (text.startsWith(',"prompt_tokens_details":null', at)) at += 29
  if (text.startsWith(',"completion_tokens_details":null', at)) at += 33
  // One brace alone closes behind its own.
  const last = bytes.length - 1
  const end = usageAt - 8 + at
  return text.charAt(at) === '}' && bytes[last] === 125 && bytes.indexOf(125, end + 1) === last
}

/** Counts of ten digits, and both details. */
const USAGE_BYTES = 160

/** The model that answered, and why the last choice ended. */
function readNames(route: string, bytes: Buffer, asked: string): boolean {
  const isChosen = route === 'chat' || route === 'completions'
  if (!isChosen && route !== 'embeddings') return false
  // The model is the last of the plain fields before the first object: `,"model":"x","choices":[{`.
  const inner = bytes.indexOf(123, 1)
  const list = isChosen ? '","choices":[' : '","data":['
  const usual = ',"model":"' + asked + list
  const from = inner - usual.length
  if (asked !== '' && from > 0 && bytes.toString('utf8', from, inner) === usual) served = asked
  else if (!readServed(bytes, inner, list)) return false
  reason = ''
  if (!isChosen) return true
  const before = usageAt - tail.length
  if (tail !== '' && before > inner && bytes.toString('utf8', before, usageAt) === tail) {
    reason = tailReason
    return true
  }
  // `}]` closes the last choice and all of them.
  const close = bytes.lastIndexOf(93, usageAt)
  return bytes[close - 1] === 125 && readReason(bytes, inner, close - 1)
}

/** The name of another model. */
function readServed(bytes: Buffer, inner: number, list: string): boolean {
  const opening = bytes.lastIndexOf(34, inner - list.length - 1)
  if (opening < 9 || inner - opening > NAME_BYTES_MAX) return false
  const text = bytes.toString('utf8', opening - 9, inner)
  if (!text.startsWith(',"model":"') || !text.endsWith(list)) return false
  served = text.slice(10, -list.length)
  return served !== '' && served.indexOf('\\') < 0
}

/**
 * What stood before the usage of the last answer, from its reason on, and that reason: where a context stays, it is the
 * same in most answers of a server.
 */
let tail = ''
let tailReason = ''
/** This context has read an answer before. */
let isAgain = false

/** Why the last choice ended, whose brace stands at `end`; false where that has to be looked for in the whole. */
function readReason(bytes: Buffer, inner: number, end: number): boolean {
  const name = ',"finish_reason":"'
  for (let length = REASON_BYTES; ; length = CHOICE_END_BYTES) {
    const from = end - length
    const choice = bytes.toString('utf8', from > inner ? from : inner, end)
    const at = choice.lastIndexOf(name)
    if (at < 0) {
      if (length === CHOICE_END_BYTES) return false
      continue
    }
    const start = at + name.length
    const stop = choice.indexOf('"', start)
    reason = choice.slice(start, stop)
    const rest = choice.slice(stop)
    if (stop <= start || reason.indexOf('\\') >= 0) return false
    if (rest.indexOf('{') >= 0 || rest.indexOf('}') >= 0) return false
    // njs's own engine comes here once, and keeps nothing.
    if (isAgain) keepTail(bytes, end - (choice.length - at), name)
    isAgain = true
    return true
  }
}

function keepTail(bytes: Buffer, start: number, name: string): void {
  tail = usageAt - start > TAIL_BYTES_MAX ? '' : bytes.toString('utf8', start, usageAt)
  // Where there are characters of several bytes, it begins elsewhere.
  if (!tail.startsWith(name)) tail = ''
  tailReason = reason
}

/** A longer one is not kept: every context has one. */
const TAIL_BYTES_MAX = 512

/** The same of an answer whose usage may say more; null where the whole has to be read. */
export function readEnds(route: string, bytes: Buffer): Metered | null {
  usageAt = bytes.lastIndexOf(123)
  let usage: Usage | null = null
  if (usageAt > 8 && readCounts(bytes)) usage = { promptTokens, completionTokens }
  if (!usage) {
    // `..._details":{`: they stand inside.
    while (usageAt > 3 && bytes[usageAt - 3] === 115) usageAt = bytes.lastIndexOf(123, usageAt - 1)
    const last = bytes.length - 1
    if (usageAt < 9 || bytes[last] !== 125) return null
    const end = bytes.lastIndexOf(125, last - 1) + 1
    const text = bytes.toString('utf8', usageAt - 8, end)
    usage = text.startsWith('"usage":{') ? readUsage(parse(text.slice(8))) : null
  }
  if (!usage || !readNames(route, bytes, '')) return null
  const metered: Metered = { usage, isEstimated: false, served }
  if (reason !== '' && reason !== 'in_progress') metered.finishReason = reason
  return metered
}
