import { isModelAllowed } from '../admit/models.ts'
import type { Metering, RequestCeilings } from '../config/shapes.ts'
import {
  type BodyFacts,
  CHOICES_MAX,
  ceilingOf,
  isAsked,
  newFacts,
  PROMPTS_MAX,
  type Taken,
} from './body.ts'
import { applyEdits, type Edit } from './splice.ts'

/**
 * The short way of a body: up to this many bytes. Above it a reader that skips strings is as quick, and what
 * JSON.parse makes of a body would be in the memory of the request.
 */
export const QUICK_BYTES_MAX = 8192

/** A larger maximum is left to the long way. */
const MAXIMUM_MAX = 1e9

/** Numbers that change nothing for the gate. */
const NUMBERS =
  ' temperature top_p top_k min_p seed presence_penalty frequency_penalty repetition_penalty '

/** Of a text that comes into no prompt: how many bytes it has is not counted, but characters. */
const LABEL_MAX = 64

/** So many escapes are looked for one by one, which takes as long as readBody() in all. */
const ESCAPES_MAX = 100

/** A request whose body is there: its bytes are made when they are asked for. */
type Sent = { requestBuffer?: Buffer }

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
 * Reads a body as nearly all small ones are, by one JSON.parse, in a fifth of what readBody() takes. It says what that
 * would say, but for the bytes of a prompt, which it counts by what is left of the body. `kind` is the name of the route;
 * whose records have a salt or a priority may not come here. False: the body has
 * anything in it that is not usual, or that has to be refused or changed; readBody() decides over it. What was found
 * stands in variables of this module until the next body: an object of it would take more than half of the reading.
 *
 * A name that stands twice is in doubt, since parsers differ over which holds, and so is a number in another form.
 * Nothing is searched for to find them: the body is as long as what was read of it in its shortest form, but for
 * escapes. Nothing can be written shorter, so that there is room for nothing more.
 */
export function readQuickly(
  kind: string,
  text: string,
  bytes: number,
  sent: Sent,
  metering: Metering | undefined,
  models: string[] | undefined,
  request: RequestCeilings | undefined,
): boolean {
  if (bytes > QUICK_BYTES_MAX || text.charCodeAt(0) !== 123) return false
  const isChat = kind === 'chat'
  const isText = isChat || kind === 'completions'
  if (!isText && kind !== 'embeddings') return false
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
  // Characters of the prompt.
  let size = 0
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
        if (!isChat) return false
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
        number = value as number
        if (typeof number !== 'number' || number < 1 || number % 1 !== 0) return false
        if (number > ceilingOf(request && request.n, CHOICES_MAX)) return false
        choices = number
        break
      case 'stream_options':
        // As SDKs ask for it. What the gate adds stands behind the brace, in a text whose places are bytes.
        if (!isText || text.length !== bytes || !asksForUsage(value)) return false
        usageAt = text.indexOf('"stream_options":{') + 18
        if (usageAt < 18) return false
        other += 22
        break
      case 'tool_choice':
      case 'reasoning_effort':
        if (typeof value !== 'string') return false
        size += value.length + 2
        break
      case 'user':
      case 'stop':
        if (typeof value !== 'string' || value.length > LABEL_MAX) return false
        other += value.length + 2
        break
      default:
        if (NUMBERS.indexOf(` ${name} `) < 0) return false
        if (value === null) other += 4
        else if (typeof value !== 'number') return false
        else if (!isWritten(text, name, value)) return false
        else other += String(value).length
    }
    if (number >= 0) {
      if (!isWritten(text, name, number)) return false
      other += String(number).length
    }
    left -= other
  }
  // In characters, as the lengths of texts are.
  const rest = left + text.length - bytes - size
  if (rest !== 0 && rest !== charactersOfEscapes(sent, rest)) return false
  if (model === '' || (models && !isModelAllowed(model, models))) return false
  promptBytes = left < 1 ? 1 : left
  maxOutputTokens = most > 0 ? most : 0
  if (most <= 0 && request && request.maxOutputTokens !== undefined && kind !== 'embeddings') {
    // As limitOutput() does.
    maxOutputTokens = request.maxOutputTokens
    insert = '"max_tokens":' + maxOutputTokens + ','
  }
  if (!isStream) return true
  wantsUsage = usageAt > 0
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
  if (found.choices !== found.n) return false
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
  made.choices = made.n = choices
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

let textsFault = false

/** Characters of messages that are nothing but texts: each has a role and a content. */
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

/** What escapes are longer by than the characters that they stand for; -1: by more than `most`, or they are too many. */
function charactersOfEscapes(sent: Sent, most: number): number {
  const body = sent.requestBuffer as Buffer
  let more = 0
  let count = 0
  let at = body.indexOf(92)
  while (at >= 0 && more <= most && count++ < ESCAPES_MAX) {
    more += body[at + 1] === 117 ? 5 : 1
    at = body.indexOf(92, at + 2)
  }
  return at < 0 ? more : -1
}

/**
 * Whether a number stands in the body as JavaScript writes it. 100 may be written as 1e2, which is as long, and 0.00001 as
 * 1e-5; others may not. Inside a text there is a backslash before the second quote.
 */
function isWritten(text: string, name: string, number: number): boolean {
  const written = String(number)
  if (written.length < 5 && !written.endsWith('00')) return true
  const start = text.indexOf(`"${name}":${written}`)
  const next = text.charCodeAt(start + name.length + 3 + written.length)
  return start > 0 && (next === 44 || next === 125)
}

const MODEL = /^[!#-[\]-~]{1,64}$/

/** `{"include_usage":true}`, and nothing else. */
function asksForUsage(options: unknown): boolean {
  if (options === null || typeof options !== 'object') return false
  const names = Object.keys(options)
  return names.length === 1 && (options as { include_usage?: unknown }).include_usage === true
}
