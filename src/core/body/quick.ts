import type { Metering, RequestCeilings } from '../config/shapes.ts'
import { matchesPattern } from '../limits/cost.ts'
import { type BodyFacts, isAsked, newFacts, type Taken } from './body.ts'
import { applyEdits, type Edit } from './splice.ts'

/**
 * The short way of a body: up to this many bytes. Above it a reader that skips strings is as quick, and what
 * JSON.parse makes of a body would be in the memory of the request.
 */
export const QUICK_BYTES_MAX = 8192

/** The usual ceilings of choices and of prompts, see readNumbers() and readPrompts(). */
const CHOICES_MAX = 16
const PROMPTS_MAX = 2048

/** A larger maximum is left to the long way. */
const MAXIMUM_MAX = 1e9

/** Numbers that change nothing for the gate; and texts that may come into the prompt: no lists, whose depth nobody counts here. */
const NUMBERS =
  ' temperature top_p top_k min_p seed presence_penalty frequency_penalty repetition_penalty '
const TEXTS = ' tool_choice parallel_tool_calls reasoning_effort system '

/** What readQuickly() found: of a body that is allowed, what the gate goes by. Nobody else may change it. */
export let model = ''
/** The model as an answer names it: empty where it is written otherwise in JSON, or may be. */
export let asked = ''
export let isStream = false
export let promptName: string | undefined
export let promptBytes = 0
export let choices = 1
export let prompts = 1
/** 0: none is named, and none holds. */
export let maxOutputTokens = 0
export let wantsUsage = false
export let taken: Taken = 'nothing'
/** What the gate puts behind the first brace; and, where `usageAt` is not 0, behind that of the stream's options. */
let insert = ''
let usageAt = 0

/** What readBody() has found, where it has read the body; see takeFacts(). */
let facts: BodyFacts | null = null

/** The last model of plain characters. */
let plainModel = ''

/**
 * Reads a body as nearly all of them are, by one JSON.parse, in a tenth of what readBody() takes. It says what that
 * would say, but for the bytes of a prompt, which it counts by what is left of the body. `kind` is the name of the route;
 * whose records have a salt or a priority may not come here. False: the body has
 * anything in it that is not usual, or that has to be refused or changed; readBody() decides over it. What was found
 * stands in variables of this module until the next body: an object of it would take more than half of the reading.
 *
 * A name that the gate goes by and that stands twice is in doubt: parsers differ over which holds; others may. Usually
 * there is nothing to look for: the body is as long as what was read of it is in its shortest form, so that no name stands
 * twice, no number is written otherwise, and nothing is escaped.
 */
export function readQuickly(
  kind: string,
  text: string,
  bytes: number,
  metering: Metering | undefined,
  models: string[] | undefined,
  request: RequestCeilings | undefined,
): boolean {
  if (bytes > QUICK_BYTES_MAX || text.charCodeAt(0) !== 123) return false
  const isChat = kind === 'chat'
  const isText = isChat || kind === 'completions'
  if (!isText && kind !== 'embeddings' && kind !== 'messages') return false
  let said: { [name: string]: unknown }
  try {
    said = JSON.parse(text)
  } catch (_) {
    return false
  }
  facts = null
  model = insert = ''
  isStream = wantsUsage = false
  promptName = undefined
  choices = prompts = 1
  taken = 'nothing'
  let left = bytes - 1
  let most = -1
  usageAt = 0
  // Characters of the prompt in its shortest form; -Infinity where that cannot be told.
  let size = 0
  const isAscii = text.length === bytes
  const names = Object.keys(said)
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    const value = said[name]
    // Its quotes, the colon and the comma.
    let other = name.length + 4
    let number = -1
    switch (name) {
      case 'model':
        // Other characters may be halves, or more bytes than were sent, or be escaped in an answer.
        if (typeof value !== 'string') return false
        if (value !== plainModel && !MODEL.test(value)) return false
        model = asked = plainModel = value
        other += value.length + 2
        break
      case 'messages':
        if (!isChat && kind !== 'messages') return false
        promptName = promptName || name
        size += sizeOfTexts(value)
        if (textsFault) return false
        break
      case 'prompt':
      case 'input':
        if (kind !== (name === 'prompt' ? 'completions' : 'embeddings')) return false
        promptName = promptName || name
        if (typeof value === 'string') {
          size += value.length + 2
          break
        }
        if (!Array.isArray(value) || value.length === 0) return false
        prompts = value.length
        if (prompts > ceilingOf(request && request.inputs, PROMPTS_MAX)) return false
        size++
        for (let k = 0; k < value.length; k++) {
          const one = value[k]
          if (typeof one !== 'string') return false
          size += one.length + 3
        }
        break
      case 'stream':
        if (typeof value !== 'boolean') return false
        isStream = value && kind !== 'embeddings'
        other += value ? 4 : 5
        break
      case 'max_completion_tokens':
      case 'max_tokens':
        if (kind === 'embeddings' || (name !== 'max_tokens' && !isChat)) return false
        number = value as number
        if (typeof number !== 'number' || number < 1 || number % 1 !== 0) return false
        // Larger ones may not be written as they are.
        if (number > MAXIMUM_MAX) return false
        if (request && number > (request.maxOutputTokens as number)) return false
        if (number > most) most = number
        break
      case 'n':
      case 'best_of':
        number = value as number
        if (typeof number !== 'number' || number < 1 || number % 1 !== 0) return false
        if (number > ceilingOf(request && (name === 'n' ? request.n : request.bestOf), CHOICES_MAX))
          return false
        if (number > choices) choices = number
        break
      case 'stream_options':
        // As SDKs ask for it. What the gate adds stands behind the brace, in a text whose places are bytes.
        if (!isText || !isAscii || !asksForUsage(value)) return false
        usageAt = 1
        other += 22
        break
      default:
        if (NUMBERS.indexOf(` ${name} `) >= 0) {
          if (value !== null && typeof value !== 'number') return false
          const written = String(value)
          // 1000 may be written as 1e3, and 0.00001 as 1e-5: then it counts as one byte, however long it is.
          const isSure = written.length < 5 && !written.endsWith('000')
          other += isSure ? written.length : 1
          if (!isSure) size = -Infinity
        } else if (name === 'user' || name === 'stop') {
          if (typeof value !== 'string') return false
          other += value.length + 2
        } else if (TEXTS.indexOf(` ${name} `) >= 0 && typeof value !== 'object') {
          other = 0
          size = -Infinity
        } else return false
    }
    if (number >= 0) {
      const written = String(number)
      other += written.length
      if (written.endsWith('000')) size = -Infinity
    }
    left -= other
  }
  // In characters, as the lengths of texts are.
  const isShortest = size === left + text.length - bytes
  if ((!isShortest || usageAt > 0) && !isEachOnce(text, names, said)) return false
  if (model === '' || !isAllowed(model, models)) return false
  promptBytes = left < 1 ? 1 : left
  maxOutputTokens = most > 0 ? most : 0
  if (most <= 0 && request && request.maxOutputTokens !== undefined && kind !== 'embeddings') {
    // As limitOutput() does.
    maxOutputTokens = request.maxOutputTokens
    insert = '"max_tokens":' + maxOutputTokens + ','
  }
  if (!isStream) return true
  wantsUsage = usageAt > 1
  if (!isText || !isAsked(metering)) return true
  const isFinal = metering === 'final'
  if (wantsUsage) taken = isFinal ? 'nothing' : 'running'
  else {
    taken = 'all'
    insert +=
      '"stream_options":{"include_usage":true' +
      (isFinal ? '' : ',"continuous_usage_stats":true') +
      '},'
  }
  return true
}

/**
 * Takes what readBody() has found, as if readQuickly() had: of a body that names a model, has nothing but texts in its prompt,
 * and no larger maximum than that takes.
 */
export function takeFacts(found: BodyFacts): boolean {
  if (!found.model || found.media > 0 || found.promptTokens > 0) return false
  if (found.maxOutputTokens && found.maxOutputTokens > MAXIMUM_MAX) return false
  facts = found
  model = found.model
  asked = MODEL.test(model) ? model : ''
  isStream = found.isStream
  promptName = found.promptName
  promptBytes = found.promptBytes
  choices = found.choices
  prompts = found.prompts
  maxOutputTokens = found.maxOutputTokens || 0
  wantsUsage = found.wantsUsage
  taken = found.taken
  return true
}

/** Whether the gate changes anything in it. */
export function isChanged(): boolean {
  return facts ? facts.edits.length > 0 : insert !== '' || taken === 'running'
}

/** The body with that: the caller's own bytes around what is put in. */
export function changeQuickly(body: Buffer): Buffer {
  if (facts || taken === 'running') return applyEdits(body, facts ? facts.edits : editsOf())
  return Buffer.concat([Buffer.from('{' + insert), body.subarray(1)])
}

/** What was found, for the long way. Its maxima and inserts are for limitOutput(), which never sees it. */
export function quickFacts(): BodyFacts {
  if (facts) return facts
  const made = newFacts(promptBytes)
  made.model = model
  made.isStream = isStream
  made.promptName = promptName
  made.choices = choices
  made.prompts = prompts
  made.maxOutputTokens = maxOutputTokens || undefined
  made.wantsUsage = wantsUsage
  made.taken = taken
  made.edits = editsOf()
  return made
}

function editsOf(): Edit[] {
  const edits: Edit[] = []
  if (insert !== '') edits.push({ start: 1, end: 1, text: insert })
  if (taken === 'running')
    edits.push({ start: usageAt, end: usageAt, text: '"continuous_usage_stats":true,' })
  return edits
}

function ceilingOf(said: number | undefined, usual: number): number {
  return said === undefined ? usual : said
}

let textsFault = false

/** Characters of messages that are nothing but texts, in their shortest form: each has a role and a content. */
function sizeOfTexts(messages: unknown): number {
  textsFault = true
  if (!Array.isArray(messages) || messages.length === 0) return 0
  let size = 1
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]
    if (message === null || typeof message !== 'object' || Object.keys(message).length !== 2)
      return 0
    const role = message.role
    const content = message.content
    if (typeof role !== 'string' || typeof content !== 'string') return 0
    // {"role":"","content":""},
    size += role.length + content.length + 25
  }
  textsFault = false
  return size
}

/**
 * Whether each name that the gate goes by stands there once. Names are searched for with their quotes, which inside a
 * string have a backslash; a name with an escape in it is in doubt as well.
 */
function isEachOnce(text: string, names: string[], said: { [name: string]: unknown }): boolean {
  if (text.indexOf('\\u00') >= 0) return false
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    if (` user stop${NUMBERS}${TEXTS}`.indexOf(` ${name} `) >= 0) continue
    const quoted = '"' + name + '"'
    const at = text.indexOf(quoted)
    if (at < 0 || text.indexOf(quoted, at + 3) >= 0) return false
    const end = at + quoted.length
    const value = said[name]
    // 5.0 and 1e3 are numbers to some.
    if (typeof value === 'number' && !beginsWith(text.slice(end, end + 24), String(value)))
      return false
    if (name !== 'stream_options') continue
    if (text.split('"include_usage"').length !== 2) return false
    usageAt = text.indexOf('{', end) + 1
    if (usageAt < end + 2 || usageAt > end + 3) return false
  }
  return true
}

const MODEL = /^[!#-[\]-~]{1,64}$/

/** `{"include_usage":true}`, and nothing else. */
function asksForUsage(options: unknown): boolean {
  if (options === null || typeof options !== 'object') return false
  const names = Object.keys(options)
  return names.length === 1 && (options as { include_usage?: unknown }).include_usage === true
}

/** Whether a number stands behind the colon as JavaScript writes it, and ends there. */
function beginsWith(rest: string, number: string): boolean {
  const start = rest.charCodeAt(1) === 32 ? 2 : 1
  const end = start + number.length
  const next = rest.charCodeAt(end)
  return (
    rest.charCodeAt(0) === 58 &&
    rest.slice(start, end) === number &&
    (next === 44 || next === 125 || next === 32 || next === 10)
  )
}

function isAllowed(model: string, patterns: string[] | undefined): boolean {
  if (!patterns) return true
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i] as string
    if (pattern === '*' || matchesPattern(pattern, model)) return true
  }
  return false
}
