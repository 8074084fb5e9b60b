import { integersOf } from '../random.ts'
import type { Ask } from './caller.ts'

/** The name under which every engine serves its model. */
export const MODEL = 'tiny'

const WORDS =
  'the river was long and old men sat by it to talk of ships that never came home'.split(' ')
/** Longer than the blocks in which engines keep prompts. */
const PREFIX = WORDS.join(' ').repeat(10)
const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'weigh',
      description: 'Tells a weight',
      parameters: {
        type: 'object',
        properties: { grams: { type: 'integer', minimum: 0, maximum: 9 } },
        required: ['grams'],
        additionalProperties: false,
      },
    },
  },
]
/** Random text meets one of these soon. */
const STOPS = ['q', 'z', 'xa']

type Fields = Record<string, unknown>

/** Makes requests by a seed: the same seed, the same requests. */
export class Asks {
  readonly #below: (below: number) => number

  constructor(seed: number) {
    this.#below = integersOf(seed)
  }

  /** So many of one kind, each made anew. */
  many(count: number, make: () => Ask): Ask[] {
    return Array.from({ length: count }, make)
  }

  between(least: number, most: number): number {
    return least + this.#below(most - least + 1)
  }

  pick<Item>(...items: [Item, ...Item[]]): Item {
    return items[this.#below(items.length)] ?? items[0]
  }

  text(): string {
    return Array.from({ length: this.between(1, 25) }, () => this.pick('a', ...WORDS)).join(' ')
  }

  chat(fields: Fields = {}): Ask {
    return this.#openai('/v1/chat/completions', { messages: this.#turns(), ...fields })
  }

  completion(fields: Fields = {}): Ask {
    return this.#openai('/v1/completions', { prompt: this.text(), ...fields })
  }

  /** A completion of several prompts. */
  list(fields: Fields = {}): Ask {
    const prompt = Array.from({ length: this.between(2, 4) }, () => this.text())
    return this.completion({ prompt, ...fields })
  }

  tools(fields: Fields = {}): Ask {
    const named = { type: 'function', function: { name: 'weigh' } }
    return this.chat({
      tools: TOOLS,
      tool_choice: this.pick<unknown>('required', 'auto', named),
      ...fields,
    })
  }

  stop(fields: Fields = {}): Ask {
    return this.chat({ stop: STOPS, max_tokens: 100, ...fields })
  }

  messages(fields: Fields = {}): Ask {
    const body = { model: MODEL, messages: this.#turns(), max_tokens: this.#length(), ...fields }
    return { path: '/v1/messages', body }
  }

  responses(fields: Fields = {}): Ask {
    const body = { model: MODEL, input: this.text(), max_output_tokens: this.#length(), ...fields }
    return { path: '/v1/responses', body }
  }

  embedding(fields: Fields = {}): Ask {
    const input = this.pick<unknown>(this.text(), [this.text(), this.text(), this.text()])
    return { path: '/v1/embeddings', body: { model: MODEL, input, ...fields } }
  }

  /** A request of any of the four routes that begins with the same long text as all others of this kind. */
  cached(fields: Fields = {}): Ask {
    const text = `${PREFIX} ${this.text()}`
    const messages = [{ role: 'user', content: text }]
    return this.pick(
      () => this.chat({ messages, ...fields }),
      () => this.completion({ prompt: text, ...fields }),
      () => this.messages({ messages, ...fields }),
      () => this.responses({ input: text, ...fields }),
    )()
  }

  /** The same request with an answer that is long, and a caller who leaves it. */
  left(ask: Ask): Ask {
    const field = ask.path === '/v1/responses' ? 'max_output_tokens' : 'max_tokens'
    const body = { ...ask.body, [field]: 1500, ignore_eos: true }
    return { ...ask, body, leaveAfterMs: this.between(60, 1800) }
  }

  #turns(): Fields[] {
    const turns = this.pick(1, 3)
    return Array.from({ length: turns }, (_, turn) => {
      return { role: turn % 2 === 0 ? 'user' : 'assistant', content: this.text() }
    })
  }

  #length(): number {
    return this.between(1, 60)
  }

  /** Some callers ask for counts themselves, and most do not. */
  #openai(path: string, fields: Fields): Ask {
    const asksCounts = fields['stream'] === true && this.pick(true, false, false)
    const options = asksCounts ? { stream_options: { include_usage: true } } : {}
    return { path, body: { model: MODEL, max_tokens: this.#length(), ...options, ...fields } }
  }
}
