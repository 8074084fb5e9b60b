import { isModelAllowed } from '../admit/models.ts'
import type { Route } from '../admit/route.ts'
import type { Metering, RequestCeilings } from '../config/shapes.ts'
import {
  closeFields,
  fault,
  isObject,
  name,
  nextName,
  openFields,
  type Place,
  type Places,
  place,
  places,
  readInside,
  readValue,
  scan,
  twice,
} from './fields.ts'
import { decodeString, type Scan } from './scan.ts'
import { addEdit, type Edit, isEmptyObject } from './splice.ts'

export { applyEdits, type Edit } from './splice.ts'

/** Token ids that are counted one by one. */
const IDS_MAX = 1000000

const MODEL_BYTES_MAX = 256

/** The usual ceilings of choices and of prompts. */
export const CHOICES_MAX = 16
export const PROMPTS_MAX = 2048

const BYTE_ORDER_MARK = 'begins with a byte order mark: send UTF-8 without one'

/** No value that is looked at is longer: a name of 256 bytes, all of them escaped, has 1538. */
const TEXT_BYTES_MAX = 2048

/** What the meter takes out of the stream again: running counts, or all usage. */
export type Taken = 'nothing' | 'running' | 'all'

/** What holds for the bodies of a client. */
export type BodyRules = {
  /** Patterns; without them every model is allowed. */
  models?: string[] | undefined
  request?: RequestCeilings | undefined
  metering?: Metering | undefined
  defaultModel?: string | undefined
  priority?: number | undefined
  salt?: string | undefined
}

/**
 * A maximum of output tokens in the body: -1 where it is null, Infinity where it says that there is
 * none. It starts at -1 when the gate put it there.
 */
export type Maximum = { name: string; start: number; end: number; tokens: number }

/** What was found in a body that is allowed, and what the gate changes in it. */
export type BodyFacts = {
  /** Absent when the server is to take its default. */
  model?: string | undefined
  isStream: boolean
  /** The first field that holds a prompt. */
  promptName?: string | undefined
  /** Bytes of the prompt as they are written, without base64. */
  promptBytes: number
  /** Tokens of a prompt that is given as token ids, whose bytes are not in promptBytes. */
  promptTokens: number
  /** Images, sounds and videos, at least. */
  media: number
  /** Choices that are made of each prompt, by `best_of` more than the answer has. */
  choices: number
  /** Choices that the answer has of each prompt. */
  n: number
  prompts: number
  /** What the caller named, after clamping: the largest, where there are several. */
  maxOutputTokens?: number | undefined
  maxima: Maximum[]
  /** The caller asked for the usage at the end of the stream. */
  wantsUsage: boolean
  taken: Taken
  /** Fields that the gate puts in behind the first brace, all in one edit. */
  inserts: { name: string; text: string }[]
  /** Sorted by start, none overlapping another. */
  edits: Edit[]
}

export type BodyRefusal = {
  outcome: 'invalid_body' | 'model_denied' | 'parameter_denied'
  param: string | null
  message: string
}

/** A body while it is read. The first refusal stands. */
type Reading = {
  route: Route
  body: Buffer
  rules: BodyRules
  ceilings: RequestCeilings
  /** Of the fields at its top. */
  places: Places
  /** Those of them that are refused unless they are allowed, in their order. */
  guarded: string[]
  /** The first list that has more entries than are allowed, and what is said of it; empty: there is none. */
  long: string
  whyLong: string
  /** Entries of `prompt` and `prompt_embeds` together. */
  prompts: number
  /** Of the fields of `stream_options`; null: it is no object. */
  options: Places | null
  facts: BodyFacts
  refusal: BodyRefusal | null
}

/**
 * Judges the body of a JSON route. The body itself is never written anew: what must change becomes an
 * edit, and every other byte, such as those of a 64-bit seed, stays.
 *
 * A cache_salt of the caller's own is left where the client has none by policy: salts that the gate
 * makes cannot be guessed, so it can only keep the caller's prompts to itself.
 */
export function readBody(route: Route, body: Buffer, rules: BodyRules): BodyFacts | BodyRefusal {
  const reading: Reading = {
    route,
    body,
    rules,
    ceilings: rules.request || {},
    places: {},
    guarded: [],
    long: '',
    whyLong: '',
    prompts: 0,
    options: null,
    facts: newFacts(0),
    refusal: null,
  }
  const unread = faultOfBytes(body) || readFields(reading)
  if (unread !== '') {
    // Of bytes that were not read, what was found last is another body's.
    const param = unread === fault ? twice : null
    const key = param === null ? '' : ': ' + JSON.stringify(param)
    return { outcome: 'invalid_body', param, message: 'The request body ' + unread + key }
  }
  readModel(reading)
  readGuarded(reading)
  readNumbers(reading)
  readMaxima(reading)
  if (reading.long !== '') deny(reading, reading.long, reading.whyLong)
  readStream(reading)
  steer(reading)
  return reading.refusal || reading.facts
}

/** Whether the gate asks the server for counts. */
export function isAsked(metering: Metering | undefined): boolean {
  return metering !== 'off' && metering !== 'unasked'
}

/** What is known of a body of which nothing was read yet. */
export function newFacts(promptBytes: number): BodyFacts {
  return {
    isStream: false,
    promptBytes,
    promptTokens: 0,
    media: 0,
    choices: 1,
    n: 1,
    prompts: 1,
    maxima: [],
    wantsUsage: false,
    taken: 'nothing',
    inserts: [],
    edits: [],
  }
}

/** The model of the body before as it was written, and what it says: mostly the same. */
let lastModel = ''
let lastName = ''

/** What is wrong with bytes before anything is read of them. */
function faultOfBytes(body: Buffer): string {
  // The njs engine's requestBuffer of an empty body has a length and nothing else ("detached buffer").
  if (body.length === 0) return 'is empty'
  // A parser that finds NUL bytes takes the body for UTF-16 or UTF-32, and reads other things in it.
  if (body.indexOf(0) >= 0) return 'has a NUL byte: send it as UTF-8'
  return body[0] === 239 && body[1] === 187 ? BYTE_ORDER_MARK : ''
}

function readModel(reading: Reading): void {
  const rules = reading.rules
  const text = textOf(reading, 'model')
  // An empty name means the server's default as well (vLLM's _is_model_supported).
  const name = text === 'null' ? '' : text === lastModel ? lastName : decodeString(text)
  // Escapes make it longer, and counting the bytes of a text takes as long as all else here.
  const isShort = text.length < MODEL_BYTES_MAX / 4
  if (name === null || (!isShort && Buffer.byteLength(name) > MODEL_BYTES_MAX)) {
    invalid(reading, 'model', 'must be a string of at most 256 bytes')
    return
  }
  lastModel = text
  lastName = name
  if (name !== '') reading.facts.model = name
  const asked = name || rules.defaultModel
  if (!rules.models || isModelAllowed(asked || '', rules.models)) return
  const what = name === '' ? 'must be named by this key' : 'is not allowed for this key'
  refuse(
    reading,
    'model_denied',
    'model',
    'The model ' + (name && JSON.stringify(name) + ' ') + what,
  )
}

/** Parameters that reach beyond the request itself, or make it dear, are refused unless allowed. */
function readGuarded(reading: Reading): void {
  const allow: string[] = reading.ceilings.allow || []
  for (let i = 0; i < reading.guarded.length; i++) {
    const name = reading.guarded[i] as string
    let guarded = name
    let isOn: boolean
    if (name === 'use_beam_search' || name === 'background' || name === 'store')
      isOn = readFlag(reading, reading.places, name)
    else if (name === 'encoding_format') {
      // The answers of this format tell no usage at all.
      guarded = 'bytes_only'
      isOn = decodeString(textOf(reading, name)) === guarded
    } else isOn = textOf(reading, name) !== 'null'
    if (isOn && !allow.includes(guarded)) deny(reading, name, 'is not allowed here')
  }
}

function readNumbers(reading: Reading): void {
  const ceilings = reading.ceilings
  const there = reading.places
  const facts = reading.facts
  // Mostly none of them is there, and to ask for each is dear.
  if (there['.n']) facts.n = Math.max(clamp(reading, 'n', ceilings.n, CHOICES_MAX), 1)
  // llama.cpp's own name for it, which goes before it there.
  if (there['.n_cmpl'])
    facts.n = Math.max(clamp(reading, 'n_cmpl', ceilings.n, CHOICES_MAX), facts.n)
  facts.choices = facts.n
  // vLLM ignores it.
  if (there['.best_of'])
    facts.choices = Math.max(clamp(reading, 'best_of', ceilings.bestOf, CHOICES_MAX), facts.n)
  // Their -1 asks for the whole vocabulary.
  if (there['.top_logprobs']) clamp(reading, 'top_logprobs', ceilings.topLogprobs, 20)
  if (there['.prompt_logprobs']) clamp(reading, 'prompt_logprobs', ceilings.promptLogprobs, 5)
  if (!there['.logprobs']) return
  // A number in completions, a switch in chat.
  const logprobs = textOf(reading, 'logprobs')
  if (logprobs !== 'true' && logprobs !== 'false')
    clamp(reading, 'logprobs', ceilings.topLogprobs, 20)
}

/** What the policy says, or what is usual. */
export function ceilingOf(said: number | undefined, usual: number): number {
  return said === undefined ? usual : said
}

/** The number of a field after its ceiling; -1 when it says null. */
function clamp(reading: Reading, name: string, ceiling: number | undefined, usual: number): number {
  const most = ceilingOf(ceiling, usual)
  const value = readNumber(reading, name, name.includes('logprobs'))
  if (value <= most) return value
  exceed(reading, name, most)
  setField(reading.body, reading.facts, reading.places['.' + name], name, String(most))
  return most
}

/** Refuses what is above a ceiling where the policy does not clamp. */
function exceed(reading: Reading, name: string, most: number): void {
  if (reading.ceilings.excess !== 'refuse') return
  const value = textOf(reading, name)
  deny(reading, name, value + ' is above the ceiling of ' + most)
}

/**
 * A whole number that all parsers read alike; -1 when absent, Infinity for a -1 that asks for all. Servers
 * take "5" and 1e3 for numbers, each in its own way, so these are refused; 5.0 is 5 to all that take it.
 */
function readNumber(reading: Reading, name: string, isOpen: boolean): number {
  const text = textOf(reading, name)
  if (text === 'null') return -1
  if (isOpen && text === '-1') return Number.POSITIVE_INFINITY
  const value = text.length < 17 ? Number(text) : Number.NaN
  const isPlain = String(value) === text || String(value) + '.0' === text
  if (isPlain && Number.isInteger(value) && value >= 0) return value
  invalid(reading, name, 'must be a whole number and not negative')
  return -1
}

/** All names of a maximum, as they stand among places. */
const MAXIMA = [
  '.max_tokens',
  '.max_completion_tokens',
  '.max_output_tokens',
  '.n_predict',
  '.max_new_tokens',
]

/** The names that the server of a route takes a maximum of output tokens by, the first for choice. */
function maximumNames(route: Route): string[] {
  switch (route.name) {
    case 'chat':
    case 'chat_batch':
      return ['max_tokens', 'max_completion_tokens']
    case 'completions':
    case 'messages':
    case 'cohere_chat':
      return ['max_tokens']
    case 'responses':
      return ['max_output_tokens']
    default:
      return []
  }
}

/**
 * Finds the maxima, also under names that this server should ignore: `n_predict` is llama.cpp's, and
 * wins there. Such a name may raise what is reserved, but does not count as naming a maximum. Neither
 * does 0, which servers that read `a or b` take for none.
 */
function readMaxima(reading: Reading): void {
  const facts = reading.facts
  const own = maximumNames(reading.route)
  const most = reading.ceilings.maxOutputTokens
  if (own.length === 0) return
  let largest = -1
  let isNamed = false
  for (let i = 0; i < MAXIMA.length; i++) {
    const dotted = MAXIMA[i] as string
    const there = reading.places[dotted]
    if (!there) continue
    const name = dotted.slice(1)
    const named = readNumber(reading, name, true)
    const tokens = named === 0 ? -1 : named
    facts.maxima.push({ name, start: there.start, end: there.end, tokens })
    if (tokens > largest) largest = tokens
    if (tokens >= 0 && own.includes(name)) isNamed = true
    if (most !== undefined && tokens > most) exceed(reading, name, most)
  }
  if (isNamed && Number.isFinite(largest)) facts.maxOutputTokens = largest
  if (most !== undefined) limitOutput(reading.route, reading.body, facts, most)
}

/**
 * Lowers the maxima of output tokens in the body to the given number, and puts one where the caller
 * named none. Nothing happens on routes without output, or where all is lower already.
 */
export function limitOutput(route: Route, body: Buffer, facts: BodyFacts, tokens: number): void {
  const own = maximumNames(route)
  if (own.length === 0) return
  let isNamed = false
  let chosen: Maximum | null = null
  for (let i = 0; i < facts.maxima.length; i++) {
    const maximum = facts.maxima[i] as Maximum
    const isOwn = own.includes(maximum.name)
    if (isOwn && maximum.tokens >= 0) isNamed = true
    if (isOwn && !chosen) chosen = maximum
    if (maximum.tokens > tokens) lower(body, facts, maximum, tokens)
  }
  if (!isNamed) {
    // Old servers know max_tokens alone, so a chat gets that unless the caller used the newer name.
    if (!chosen) {
      chosen = { name: own[0] as string, start: -1, end: -1, tokens: -1 }
      facts.maxima.push(chosen)
    }
    lower(body, facts, chosen, tokens)
  }
  const before = facts.maxOutputTokens
  facts.maxOutputTokens = before === undefined ? tokens : Math.min(before, tokens)
}

function lower(body: Buffer, facts: BodyFacts, maximum: Maximum, tokens: number): void {
  setField(body, facts, maximum, maximum.name, String(tokens))
  maximum.tokens = tokens
}

/**
 * Reads all fields, and measures what there is to read in them. Every text may come into the prompt, by the template
 * of the chat for one, unless it is known not to. Returns why they cannot be read; empty: they were.
 */
function readFields(reading: Reading): string {
  const route = reading.route
  const isMany = route.scope === 'embeddings' || route.name.startsWith('completions')
  openFields(reading.body)
  while (nextName()) {
    switch (name) {
      case 'model':
      case 'temperature':
      case 'top_p':
      case 'stop':
      case 'user':
      case 'logit_bias':
      case 'metadata':
      case 'cache_salt':
      case 'safety_identifier':
        readValue(false)
        break
      case 'stream_options':
        if (isObject()) reading.options = readInside(false)
        else readValue(false)
        break
      case 'messages':
        // A batch of chats is a list of conversations; other messages are one.
        readInput(reading, route.name === 'chat_batch', false)
        break
      case 'tools':
      case 'system':
      case 'instructions':
      case 'functions':
      case 'query':
      case 'text':
      case 'suffix':
        if (readValue(false)) reading.facts.promptBytes += place.end - place.start
        break
      case 'prompt':
      case 'input':
      case 'inputs':
      case 'texts':
      case 'images':
      case 'prompt_embeds':
      case 'input_ids':
      case 'previous_input_messages':
        readInput(reading, isMany, false)
        break
      case 'documents':
      case 'queries':
      case 'items':
      case 'text_1':
      case 'text_2':
      case 'data_1':
      case 'data_2':
        readInput(reading, isMany, isObject())
        break
      case 'use_beam_search':
      case 'background':
      case 'store':
      case 'previous_response_id':
      case 'request_id':
      case 'kv_transfer_params':
      case 'ec_transfer_params':
      case 'vllm_xargs':
      case 'encoding_format':
      // SGLang's and llama.cpp's ways to another adapter, request, server or slot.
      case 'lora':
      case 'lora_path':
      case 'rid':
      case 'bootstrap_host':
      case 'id_slot':
        reading.guarded.push(name)
        readOther(reading)
        break
      default:
        readOther(reading)
    }
  }
  closeFields()
  reading.places = places
  return fault
}

/** What else may hold texts. */
function readOther(reading: Reading): void {
  if (!readValue(false)) return
  const first = reading.body[place.start]
  if (first === 34 || first === 91 || first === 123)
    reading.facts.promptBytes += place.end - place.start
}

/**
 * What the server looks for prompts in: token ids, or text, and images and sounds. Where there may be many, they are
 * counted: the entries of a list, which an object has as its content.
 */
function readInput(reading: Reading, isMany: boolean, isInside: boolean): void {
  let list: Place | undefined
  if (isInside) list = readInside(true)['.content']
  else if (readValue(true)) list = place
  if (fault !== '') return
  const facts = reading.facts
  const body = reading.body
  const start = place.start
  const end = place.end
  const first = body[start]
  facts.promptName = facts.promptName || name
  const quote = first === 91 ? body.indexOf(34, start) : start
  if (quote < 0 || quote >= end) {
    facts.promptTokens += countNumbers(body, start, end, IDS_MAX - facts.promptTokens)
  } else {
    const counted = scan as Scan
    facts.promptBytes += end - start - counted.fileBytes
    facts.media += Math.max(counted.urls, counted.files)
  }
  if (!isMany) return
  let items = list && body[list.start] === 91 ? list.items : 1
  // vLLM answers both, one after the other.
  if (name === 'prompt' || name === 'prompt_embeds') {
    reading.prompts += items
    items = reading.prompts
  }
  if (items > facts.prompts) facts.prompts = items
  const most = ceilingOf(reading.ceilings.inputs, PROMPTS_MAX)
  if (items <= most || reading.long !== '') return
  reading.long = name
  reading.whyLong = 'has ' + items + ' entries, above ' + most
}

/**
 * How many values a list of numbers has. Behind the most that are counted of a body, and in what is no list of
 * numbers, it is as many as fit.
 */
function countNumbers(body: Buffer, start: number, end: number, most: number): number {
  let count = 1
  let at = body.indexOf(44, start)
  while (at >= 0 && at < end) {
    if (++count > most || body[at + 1] === 44) return count + Math.ceil((end - at) / 2)
    at = body.indexOf(44, at + 1)
  }
  return count
}

/** Has the server count the tokens of a stream, and notes what of it the caller did not ask for. */
function readStream(reading: Reading): void {
  const facts = reading.facts
  const route = reading.route.name
  const isStream = !!reading.places['.stream'] && readFlag(reading, reading.places, 'stream')
  facts.isStream = isStream && reading.route.scope === 'inference' && route !== 'count_tokens'
  if (!facts.isStream || (route !== 'chat' && route !== 'completions')) return
  const own = reading.places['.stream_options']
  if (own && !reading.options && textOf(reading, 'stream_options') !== 'null') {
    invalid(reading, 'stream_options', 'must be an object')
  }
  const inner = reading.options || {}
  facts.wantsUsage = readFlag(reading, inner, 'include_usage')
  const wantsRunning = readFlag(reading, inner, 'continuous_usage_stats') && facts.wantsUsage
  const metering = reading.rules.metering
  if (!isAsked(metering)) return
  const missing: string[] = []
  const ask = (name: string) => {
    const flag = inner['.' + name]
    if (!flag) missing.push('"' + name + '":true')
    else if (textOf(reading, name, inner) !== 'true')
      setField(reading.body, facts, flag, name, 'true')
  }
  ask('include_usage')
  if (metering !== 'final') ask('continuous_usage_stats')
  facts.taken = !facts.wantsUsage
    ? 'all'
    : wantsRunning || metering === 'final'
      ? 'nothing'
      : 'running'
  if (missing.length === 0) return
  const text = missing.join(',')
  if (own && reading.options) {
    const at = own.start + 1
    facts.edits = addEdit(facts.edits, at, at, text + (isEmptyObject(reading.body, at) ? '' : ','))
  } else setField(reading.body, facts, own, 'stream_options', '{' + text + '}')
}

/** Sets what is the policy's alone. A priority that it does not give is taken back to the usual. */
function steer(reading: Reading): void {
  const facts = reading.facts
  const rules = reading.rules
  const own = reading.places['.priority']
  if (rules.priority !== undefined) {
    if (isSteered(reading.route) || own) {
      setField(reading.body, facts, own, 'priority', String(rules.priority))
    }
  } else if (own && textOf(reading, 'priority') !== 'null') {
    setField(reading.body, facts, own, 'priority', '0')
  }
  const salted = reading.places['.cache_salt']
  if (rules.salt !== undefined && (isSteered(reading.route) || salted)) {
    setField(reading.body, facts, salted, 'cache_salt', JSON.stringify(rules.salt))
  }
}

/** Whether the server runs its model for a route. */
function isSteered(route: Route): boolean {
  return (
    route.name !== 'count_tokens' && (route.scope === 'inference' || route.scope === 'embeddings')
  )
}

/** The value of a field as it is written; `null` where there is none. */
function textOf(reading: Reading, name: string, of?: Places): string {
  const there = (of || reading.places)['.' + name]
  if (!there) return 'null'
  const end = Math.min(there.end, there.start + TEXT_BYTES_MAX)
  return reading.body.toString('utf8', there.start, end)
}

/** A switch. Parsers differ over 1 and "true", so these are refused. */
function readFlag(reading: Reading, of: Places, name: string): boolean {
  const text = textOf(reading, name, of)
  if (text !== 'true' && text !== 'false' && text !== 'null') {
    invalid(reading, name, 'must be true or false')
  }
  return text === 'true'
}

function invalid(reading: Reading, param: string, what: string): void {
  refuse(reading, 'invalid_body', param, 'The parameter ' + param + ' ' + what)
}

function deny(reading: Reading, param: string, what: string): void {
  refuse(reading, 'parameter_denied', param, 'The parameter ' + param + ' ' + what)
}

function refuse(
  reading: Reading,
  outcome: BodyRefusal['outcome'],
  param: string,
  message: string,
): void {
  reading.refusal = reading.refusal || { outcome, param, message }
}
/** Sets a field to a text of JSON: in its place, or behind the first brace when it is not there. */
function setField(
  body: Buffer,
  facts: BodyFacts,
  place: { start: number; end: number } | undefined,
  name: string,
  text: string,
): void {
  if (place && place.start >= 0) {
    facts.edits = addEdit(facts.edits, place.start, place.end, text)
    return
  }
  let fields = ''
  let isNew = true
  for (let i = 0; i < facts.inserts.length; i++) {
    const insert = facts.inserts[i] as { name: string; text: string }
    if (insert.name === name) {
      insert.text = text
      isNew = false
    }
    fields += '"' + insert.name + '":' + insert.text + ','
  }
  if (isNew) {
    facts.inserts.push({ name, text })
    fields += '"' + name + '":' + text + ','
  }
  const at = body.indexOf(123) + 1
  if (isEmptyObject(body, at)) fields = fields.slice(0, -1)
  facts.edits = addEdit(facts.edits, at, at, fields)
}
