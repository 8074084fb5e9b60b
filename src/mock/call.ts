import { randomBytes } from 'node:crypto'
import { eventsIn, failsAfter, type Settings } from './settings.ts'
import { wordsOf } from './words.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** One request to the engine, understood: what every kind of answer is made from. */
export type Call = {
  settings: Settings
  body: JsonObject
  /** The caller's X-Request-Id, or 32 random hex digits. Servers put their own prefix before it. */
  id: string
  /** The name that answers carry. */
  model: string
  /** Of all prompts together. */
  promptTokens: number
  /** The tokens of each prompt: completions take a list of them. */
  prompts: number[]
  tokens: number
  reason: 'stop' | 'length' | 'abort'
  /** The stop sequence that ended it. */
  stop: string | null
  choices: number
  isStream: boolean
  /** Usage in a last chunk of its own. */
  includesUsage: boolean
  /** Usage on every chunk. */
  isContinuous: boolean
  /** Events of one choice, its text in each, and its tokens at the end of each. */
  events: number
  piece(event: number): string
  told(event: number): number
  text(): string
  isAscii: boolean
}

/** vLLM stamps the current time; a fixed one lets tests compare bytes. */
export const created = 1792000000

export const fingerprint = 'vllm-0.29.0-1a2b3c4d'

/** Reads what an engine would take from the request: how much to generate, how to count, what to echo. */
export function readCall(
  settings: Settings,
  body: JsonObject,
  requestId: string | undefined,
  model: string,
): Call {
  const id = requestId ?? randomBytes(16).toString('hex')
  const options = asObject(body.stream_options)
  const isForced = settings.usage === 'force'
  const includesUsage = settings.usage !== 'none' && (isForced || options?.include_usage === true)
  const words = wordsOf(settings)
  const word = (token: number): string =>
    token === 0 && settings.bytes > 0
      ? 'x'.repeat(settings.bytes)
      : (words[token % words.length] ?? '')
  const { tokens, reason } = abortedAt(settings, lengthOf(settings, body))
  const told = (event: number): number =>
    Math.min((event + 1) * settings.join, tokens, failsAfter(settings))
  const textOf = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, index) => word(from + index)).join('')
  const stop = settings.stop && reason === 'stop' ? stopOf(body) : null
  const prompt = settings.promptTokens ?? promptTokens(body)
  return {
    settings,
    body,
    id,
    model,
    promptTokens: prompt,
    prompts: [prompt],
    tokens,
    reason,
    stop,
    choices: Math.max(1, asNumber(body.n) ?? 1),
    isStream: body.stream === true,
    includesUsage,
    isContinuous: includesUsage && (isForced || options?.continuous_usage_stats === true),
    events: eventsIn(tokens, settings),
    piece: (event) =>
      settings.join === 1 ? word(event) : textOf(event * settings.join, told(event)),
    told,
    text: () => textOf(0, tokens),
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, from its first character on
    isAscii: settings.words === 'ascii' && /^[\x00-\x7f]*$/.test(id + model + (stop ?? '')),
  }
}

/** The tokens of the prompt that a choice answers: choices are numbered prompt by prompt. */
export function promptOf(call: Call, index: number): number {
  const perPrompt = call.choices / call.prompts.length
  return call.prompts[Math.floor(index / perPrompt)] ?? 0
}

type Length = Pick<Call, 'tokens' | 'reason'>

function abortedAt(settings: Settings, length: Length): Length {
  const after = failsAfter(settings)
  const isAborted = settings.failure === 'abort' && after <= length.tokens
  return isAborted ? { tokens: after, reason: 'abort' } : length
}

// Messages have the one field, which is a list; the others have a text or a list in the other.
function stopOf(body: JsonObject): string | null {
  const sequences = body.stop_sequences ?? body.stop
  return asString(Array.isArray(sequences) ? sequences[0] : sequences) ?? null
}

function lengthOf(settings: Settings, body: JsonObject): Length {
  const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens']
    .map((name) => asNumber(body[name]))
    .filter((limit) => limit !== undefined)
  const limit = limits.length > 0 ? Math.min(...limits) : Number.POSITIVE_INFINITY
  const wanted = Math.max(settings.tokens, asNumber(body.min_tokens) ?? 0)
  if (body.ignore_eos === true && Number.isFinite(limit)) {
    return { tokens: limit, reason: 'length' }
  }
  return wanted >= limit ? { tokens: limit, reason: 'length' } : { tokens: wanted, reason: 'stop' }
}

/**
 * The mock's tokenizer: a token is a word, that is a run of anything but white space.
 * Counted are the texts of `messages`, `system`, `instructions`, `prompt`, `input`, `query`, `documents`, `text_1`
 * and `text_2`, however deep, under keys `content` and `text` within; a list of numbers counts as token ids.
 * `{"messages":[{"role":"user","content":"Say hello to me"}]}` is 4.
 */
export function promptTokens(body: JsonObject): number {
  const fields = ['messages', 'system', 'instructions', 'prompt', 'input', 'query', 'documents']
  return [...fields, 'text_1', 'text_2'].reduce((sum, name) => sum + countTokens(body[name]), 0)
}

/** Tokens of one value of a request: see promptTokens. */
export function countTokens(value: Json | undefined): number {
  if (typeof value === 'string') return value.match(/\S+/g)?.length ?? 0
  if (typeof value === 'number') return 1
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countTokens(item), 0)
  const object = asObject(value)
  return object === undefined ? 0 : countTokens(object.content) + countTokens(object.text)
}

export function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
}

export function asNumber(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}

export function asString(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
