export const dialects = ['vllm', 'vllm-rust', 'llamacpp', 'llamacpp-old', 'sglang'] as const

/** A server whose bytes the mock can speak. */
export type Dialect = (typeof dialects)[number]

const failures = ['internal', 'engine', 'failed', 'close', 'abort'] as const

/** How one request is answered. Every field can be set for the whole mock, for the next requests, or for one. */
export type Settings = {
  dialect: Dialect
  /** Tokens of an answer when the request does not stop it earlier. */
  tokens: number
  ttftMs: number
  itlMs: number
  /** Overrides the count of words in the prompt. */
  promptTokens: number | null
  /** Prompt tokens that came from the cache; null leaves the details out, as vLLM does by default. */
  cachedTokens: number | null
  reasoningTokens: number | null
  /** Bytes of a piece that is sent by itself; 0 sends an event whole. */
  splitBytes: number
  /** Bytes of the first piece of a stream, whose events are then joined before they are split; 0 keeps them apart. */
  cutBytes: number
  /** Pause between pieces. */
  gapMs: number
  comments: boolean
  lines: 'lf' | 'crlf' | 'cr'
  /** What the last event ends with: its empty line, one line end, or none. */
  end: 'whole' | 'line' | 'none'
  /** Whether chat and completions end with [DONE]. */
  done: boolean
  /** Usage stands over several data lines of its event. */
  fold: boolean
  /** Usage stands before the other fields of its event. */
  ahead: boolean
  /** The usage chunk has a choice in it, with nothing in that. */
  choice: boolean
  die: 'before' | 'header' | 'body' | number | null
  status: number | null
  /** The answer fails after this many tokens; `first` is before any event. Whole ones are 200 with an error in it. */
  errorAfter: number | 'first' | null
  /**
   * How it fails: `engine` is a dead engine of vLLM 0.32, `failed` the event response.failed, `close` a connection that
   * ends without a last chunk, `abort` a server that got SIGTERM: a reason of that name, or nothing more.
   */
  failure: (typeof failures)[number]
  /** `null` and `none` are faults; `force` is vLLM's --enable-force-include-usage. */
  usage: 'asked' | 'null' | 'none' | 'force'
  /** The first token is a text of this many bytes, so the answer is at least as large. */
  bytes: number
  /** The first byte of embeddings that are sent as bytes: 123 looks as JSON does. */
  firstByte: number | null
  /** An answer that no limit ends was stopped by the request's first stop sequence, and repeats it. */
  stop: boolean
  hang: boolean
  words: 'ascii' | 'utf8'
  /** Draws words of different lengths; null repeats one sentence. */
  seed: number | null
  /** Tokens of a choice in one event, as of an engine that is quicker than the process that writes. */
  join: number
}

export const defaults: Settings = {
  dialect: 'vllm',
  tokens: 16,
  ttftMs: 0,
  itlMs: 0,
  promptTokens: null,
  cachedTokens: null,
  reasoningTokens: null,
  splitBytes: 0,
  cutBytes: 0,
  gapMs: 1,
  comments: false,
  lines: 'lf',
  end: 'whole',
  done: true,
  fold: false,
  ahead: false,
  choice: false,
  die: null,
  status: null,
  errorAfter: null,
  failure: 'internal',
  usage: 'asked',
  bytes: 0,
  firstByte: null,
  stop: false,
  hang: false,
  words: 'ascii',
  seed: null,
  join: 1,
}

/** Tokens after which the engine fails; infinite where it does not. */
export function failsAfter(settings: Settings): number {
  if (settings.errorAfter === null) return Number.POSITIVE_INFINITY
  return settings.errorAfter === 'first' ? 0 : settings.errorAfter
}

/** Events of a choice that has so many tokens. */
export function eventsIn(tokens: number, settings: Settings): number {
  return Math.ceil(tokens / settings.join)
}

type Reader = (value: string, name: string) => Partial<Settings>

const readers: Record<string, Reader> = {
  dialect: (value, name) => ({ dialect: oneOf(dialects, value, name) }),
  tokens: (value, name) => ({ tokens: count(value, name) }),
  ttft: (value, name) => ({ ttftMs: count(value, name) }),
  itl: (value, name) => ({ itlMs: count(value, name) }),
  prompt: (value, name) => ({ promptTokens: count(value, name) }),
  cached: (value, name) => ({ cachedTokens: count(value, name) }),
  reasoning: (value, name) => ({ reasoningTokens: count(value, name) }),
  split: (value, name) => ({ splitBytes: count(value, name) }),
  cut: (value, name) => ({ cutBytes: count(value, name) }),
  gap: (value, name) => ({ gapMs: count(value, name) }),
  comments: (value, name) => ({ comments: flag(value, name) }),
  lines: (value, name) => ({ lines: oneOf(['lf', 'crlf', 'cr'] as const, value, name) }),
  end: (value, name) => ({ end: oneOf(['whole', 'line', 'none'] as const, value, name) }),
  done: (value, name) => ({ done: flag(value, name) }),
  fold: (value, name) => ({ fold: flag(value, name) }),
  ahead: (value, name) => ({ ahead: flag(value, name) }),
  choice: (value, name) => ({ choice: flag(value, name) }),
  die: (value, name) => ({
    die: /^\d/.test(value)
      ? count(value, name)
      : oneOf(['before', 'header', 'body'] as const, value, name),
  }),
  status: (value, name) => ({ status: count(value, name) }),
  error: (value, name) => ({ errorAfter: value === 'first' ? value : count(value, name) }),
  failure: (value, name) => ({ failure: oneOf(failures, value, name) }),
  usage: (value, name) => ({
    usage: oneOf(['asked', 'null', 'none', 'force'] as const, value, name),
  }),
  bytes: (value, name) => ({ bytes: count(value, name) }),
  first: (value, name) => ({ firstByte: count(value, name) }),
  stop: (value, name) => ({ stop: flag(value, name) }),
  hang: (value, name) => ({ hang: flag(value, name) }),
  words: (value, name) => ({ words: oneOf(['ascii', 'utf8'] as const, value, name) }),
  seed: (value, name) => ({ seed: count(value, name) }),
  join: (value, name) => ({ join: Math.max(1, count(value, name)) }),
}

/**
 * Reads `tokens:20,itl:50,comments` over the settings that hold so far.
 * A name or value that means nothing is an error that lists what would: a typo must not pass as a test.
 */
export function withSettings(base: Settings, text: string): Settings {
  let settings = base
  for (const part of text.split(',')) {
    const [name = '', value = ''] = part.split(/:(.*)/s).map((piece) => piece.trim())
    if (name === '' && value === '') continue
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined
    if (read === undefined) {
      throw new SettingsError(
        `Unknown mock setting "${name}": known are ${Object.keys(readers).join(', ')}`,
      )
    }
    settings = { ...settings, ...read(value, name) }
  }
  return settings
}

/** A setting that the mock does not understand; its message is the answer. */
export class SettingsError extends Error {}

function count(value: string, name: string): number {
  const number = Number(value)
  if (value !== '' && Number.isFinite(number) && number >= 0) return number
  throw new SettingsError(
    `Cannot read mock setting ${name}:${value}: it takes a number from 0, such as ${name}:20`,
  )
}

function flag(value: string, name: string): boolean {
  if (value === '') return true
  const known = oneOf(['true', 'false', '1', '0'] as const, value, name)
  return known === 'true' || known === '1'
}

function oneOf<T extends string>(known: readonly T[], value: string, name: string): T {
  const found = known.find((candidate) => candidate === value)
  if (found !== undefined) return found
  throw new SettingsError(`Cannot read mock setting ${name}:${value}: it takes ${known.join(', ')}`)
}
