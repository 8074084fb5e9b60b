import type { Route } from '../admit/route.ts'
import { matchesPattern } from '../limits/cost.ts'
import { type BodyFacts, type BodyRules, isAsked, newFacts } from './body.ts'
import type { Edit } from './splice.ts'

/**
 * The short way of a body: up to this many bytes. Above it a reader that skips strings is as quick, and what
 * JSON.parse makes of a body would be in the memory of the request.
 */
export const QUICK_BYTES_MAX = 8192

/** The usual ceilings of choices and of prompts, see readNumbers() and readPrompts(). */
const CHOICES_MAX = 16
const PROMPTS_MAX = 2048

/** Numbers that change nothing for the gate; and texts that may come into the prompt: no lists, whose depth nobody counts here. */
const NUMBERS =
  ' temperature top_p top_k min_p seed presence_penalty frequency_penalty repetition_penalty '
const TEXTS = ' tool_choice parallel_tool_calls reasoning_effort system '

/**
 * Reads a body as nearly all of them are, by one JSON.parse, in a tenth of what readBody() takes. It says what that
 * would say, but for the bytes of a prompt, which it counts by what is left of the body. Null: the body has
 * anything in it that is not usual, or that has to be refused or changed; readBody() decides over it. What is returned
 * holds until the next body, and has no maxima and inserts: they are for limitOutput(), which wants the long way.
 *
 * A name that the gate goes by and that stands twice is in doubt: parsers differ over which holds; others may. Names are
 * searched for with their quotes, which inside a string have a backslash; a name with an escape in it is in
 * doubt as well.
 */
export function readQuickly(
  route: Route,
  text: string,
  bytes: number,
  rules: BodyRules,
): BodyFacts | null {
  if (bytes > QUICK_BYTES_MAX || text.charCodeAt(0) !== 123 || text.indexOf('\\u00') >= 0)
    return null
  const kind = route.name
  const isChat = kind === 'chat'
  const isText = isChat || kind === 'completions'
  if (!isText && kind !== 'embeddings' && kind !== 'messages') return null
  if (rules.salt !== undefined || rules.priority !== undefined) return null
  let said: { [name: string]: unknown }
  try {
    said = JSON.parse(text)
  } catch (_) {
    return null
  }
  const facts = factsOf(bytes - 1)
  const ceilings = rules.request || {}
  const names = Object.keys(said)
  let most = -1
  let usageAt = 0
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    const value = said[name]
    // Its quotes, the colon and the comma.
    let other = name.length + 4
    // Whether it may stand there once only.
    let isKnown = true
    let number = -1
    switch (name) {
      case 'model':
        // Other characters may be halves, or more bytes than were sent.
        if (typeof value !== 'string' || !/^[!-~]{1,64}$/.test(value)) return null
        facts.model = value
        other += value.length + 2
        break
      case 'messages':
        if ((!isChat && kind !== 'messages') || !areTexts(value)) return null
        facts.promptName = facts.promptName || name
        break
      case 'prompt':
      case 'input':
        if (kind !== (name === 'prompt' ? 'completions' : 'embeddings')) return null
        facts.promptName = facts.promptName || name
        if (typeof value === 'string') break
        if (!Array.isArray(value) || value.length === 0) return null
        facts.prompts = value.length
        if (facts.prompts > (ceilings.inputs === undefined ? PROMPTS_MAX : ceilings.inputs))
          return null
        for (let k = 0; k < value.length; k++) if (typeof value[k] !== 'string') return null
        break
      case 'stream':
        if (typeof value !== 'boolean') return null
        facts.isStream = value && route.scope === 'inference'
        other += value ? 4 : 5
        break
      case 'max_completion_tokens':
      case 'max_tokens':
        if (kind === 'embeddings' || (name !== 'max_tokens' && !isChat)) return null
        number = value as number
        if (typeof number !== 'number' || number < 1 || number % 1 !== 0) return null
        if (ceilings.maxOutputTokens !== undefined && number > ceilings.maxOutputTokens) return null
        if (number > most) most = number
        break
      case 'n':
      case 'best_of': {
        number = value as number
        if (typeof number !== 'number' || number < 1 || number % 1 !== 0) return null
        const ceiling = name === 'n' ? ceilings.n : ceilings.bestOf
        if (number > (ceiling === undefined ? CHOICES_MAX : ceiling)) return null
        if (number > facts.choices) facts.choices = number
        break
      }
      case 'stream_options':
        // As SDKs ask for it. What the gate adds stands behind the brace, in a text whose places are bytes.
        if (!isText || text.length !== bytes || !asksForUsage(value)) return null
        if (text.split('"include_usage"').length !== 2) return null
        usageAt = 1
        other += 22
        break
      default:
        isKnown = false
        // A number counts as one byte, however long it is written.
        if (NUMBERS.indexOf(` ${name} `) >= 0) {
          if (value !== null && typeof value !== 'number') return null
          other += 1
        } else if (name === 'user' || name === 'stop') {
          if (typeof value !== 'string') return null
          other += value.length + 2
        } else if (TEXTS.indexOf(` ${name} `) >= 0 && typeof value !== 'object') other = 0
        else return null
    }
    if (number >= 0) other += String(number).length
    facts.promptBytes -= other
    if (!isKnown) continue
    const parts = text.split(`"${name}"`)
    if (parts.length !== 2) return null
    // 5.0 and 1e3 are numbers to some.
    const rest = parts[1] as string
    if (number >= 0 && !beginsWith(rest, String(number))) return null
    if (usageAt === 1 && name === 'stream_options') {
      const brace = rest.indexOf('{')
      if (brace < 1 || brace > 2) return null
      usageAt = (parts[0] as string).length + name.length + 3 + brace
    }
  }
  if (facts.model === undefined || !isAllowed(facts.model, rules.models)) return null
  if (facts.promptBytes < 1) facts.promptBytes = 1
  let insert = ''
  if (most > 0) facts.maxOutputTokens = most
  else if (ceilings.maxOutputTokens !== undefined && kind !== 'embeddings') {
    // As limitOutput() does.
    most = ceilings.maxOutputTokens
    facts.maxOutputTokens = most
    insert = `"max_tokens":${most},`
  }
  const edits: Edit[] = []
  facts.wantsUsage = facts.isStream && usageAt > 1
  if (facts.isStream && isText && isAsked(rules.metering)) {
    const isFinal = rules.metering === 'final'
    if (usageAt > 1) {
      facts.taken = isFinal ? 'nothing' : 'running'
      if (!isFinal)
        edits.push({ start: usageAt, end: usageAt, text: '"continuous_usage_stats":true,' })
    } else {
      const wanted = isFinal
        ? '{"include_usage":true}'
        : '{"include_usage":true,"continuous_usage_stats":true}'
      facts.taken = 'all'
      insert += `"stream_options":${wanted},`
    }
  }
  if (insert !== '') edits.unshift({ start: 1, end: 1, text: insert })
  facts.edits = edits
  return facts
}

/** What was found last. It is filled anew for each body, since an object of so many fields takes 14,000 instructions. */
let kept: BodyFacts | null = null

function factsOf(promptBytes: number): BodyFacts {
  if (!kept) kept = newFacts(0)
  kept.model = undefined
  kept.isStream = false
  kept.promptName = undefined
  kept.promptBytes = promptBytes
  kept.choices = 1
  kept.prompts = 1
  kept.maxOutputTokens = undefined
  kept.taken = 'nothing'
  return kept
}

/** Whether messages are nothing but texts: each has a role and a content. */
function areTexts(messages: unknown): boolean {
  if (!Array.isArray(messages) || messages.length === 0) return false
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]
    if (message === null || typeof message !== 'object' || Object.keys(message).length !== 2)
      return false
    if (typeof message.role !== 'string' || typeof message.content !== 'string') return false
  }
  return true
}

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
