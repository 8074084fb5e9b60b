import type { Seen } from './caller.ts'

/** Tokens of prompts and of answers. */
export type Tokens = { prompt: number; completion: number }

/** The last usage of an answer, or null where it tells none: of one choice only, if the server does so. */
export function readTold({ text, headers }: Seen): Tokens | null {
  const head = headers['metadata']
  if (typeof head === 'string') return readUsage(JSON.parse(head).usage)
  if (!text.includes('data: ')) return readUsage(usageOf(text))
  const events = text.split('\n').filter((line) => line.startsWith('data: {'))
  const usages = events.map((line) => readUsage(usageOf(line.slice(6))))
  const told = usages.filter((usage) => usage !== null)
  // Anthropic tells the prompt at the beginning, and some servers not again.
  const prompt = told.findLast((usage) => usage.prompt > 0)?.prompt ?? 0
  const last = told.at(-1)
  return last === undefined ? null : { ...last, prompt }
}

/** An error of the engine inside of an answer of 200, or null. */
export function readError({ status, text }: Seen): string | null {
  if (status !== 200) return null
  return (
    text.split('\n').find((line) => /^(?:data: )?\{"(?:error"|type":"error")/.test(line)) ?? null
  )
}

function usageOf(json: string): unknown {
  try {
    const parsed = JSON.parse(json)
    return parsed.usage ?? parsed.response?.usage ?? parsed.message?.usage ?? null
  } catch {
    return null
  }
}

function readUsage(usage: unknown): Tokens | null {
  if (typeof usage !== 'object' || usage === null) return null
  const read = (name: string) => Number((usage as Record<string, unknown>)[name] ?? 0)
  const prompt = read('prompt_tokens') + read('input_tokens')
  // Anthropic's input is what did not come from the cache.
  const isAnthropic = 'cache_read_input_tokens' in usage || 'cache_creation_input_tokens' in usage
  const cached = read('cache_read_input_tokens') + read('cache_creation_input_tokens')
  const completion = read('completion_tokens') + read('output_tokens')
  return { prompt: prompt + (isAnthropic ? cached : 0), completion }
}
