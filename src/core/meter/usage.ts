/** What the server says that a request used. Absent is unknown, 0 is none. */
export type Usage = {
  /** All of the prompt, what came from the prefix cache included. */
  promptTokens?: number
  cachedTokens?: number
  completionTokens?: number
  reasoningTokens?: number
  audioSeconds?: number
}

/** An object of unknown JSON. */
export type Fields = { [name: string]: unknown }

/**
 * Reads a usage object of any dialect (vllm-wire.md, section 2c); null when it tells nothing. Their
 * names do not collide: Anthropic's input_tokens leave out what the cache held, and only there stand
 * cache_* fields beside them. Cohere has the same numbers twice, of which `tokens` are all.
 */
export function readUsage(value: unknown): Usage | null {
  const outer = fieldsOf(value)
  const said = outer['tokens'] ? fieldsOf(outer['tokens']) : outer
  const input = said['prompt_tokens'] ?? said['input_tokens']
  const cached = said['cache_read_input_tokens']
  const created = said['cache_creation_input_tokens']
  const prompt = said['prompt_tokens_details'] || said['input_tokens_details']
  const output = said['completion_tokens_details'] || said['output_tokens_details']
  return usageOf(
    typeof input === 'number' ? input + countOf(cached) + countOf(created) : input,
    prompt ? (fieldsOf(prompt)['cached_tokens'] ?? cached) : cached,
    said['completion_tokens'] ?? said['output_tokens'],
    output
      ? (fieldsOf(output)['reasoning_tokens'] ?? said['reasoning_tokens'])
      : said['reasoning_tokens'],
    said['seconds'],
  )
}

/** Reads llama.cpp's `timings`, which its last chunk has also where nobody asked for usage. */
export function readTimings(value: unknown): Usage | null {
  const said = fieldsOf(value)
  const prompt = said['prompt_n']
  return usageOf(
    typeof prompt === 'number' ? prompt + countOf(said['cache_n']) : prompt,
    said['cache_n'],
    said['predicted_n'],
    undefined,
    undefined,
  )
}

/** Adds the running count of one more choice: completions add up, and prompts where it answers another one. */
export function addChoice(sum: Usage, next: Usage, isOtherPrompt: boolean): Usage {
  const names: (keyof Usage)[] = ['completionTokens', 'reasoningTokens']
  if (isOtherPrompt) names.push('promptTokens', 'cachedTokens')
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as keyof Usage
    if (next[name] !== undefined) sum[name] = (sum[name] || 0) + countOf(next[name])
  }
  return sum
}

function usageOf(
  prompt: unknown,
  cached: unknown,
  completion: unknown,
  reasoning: unknown,
  seconds: unknown,
): Usage | null {
  const usage: Usage = {}
  if (isCount(prompt)) usage.promptTokens = prompt
  if (isCount(cached)) usage.cachedTokens = cached
  if (isCount(completion)) usage.completionTokens = completion
  if (isCount(reasoning)) usage.reasoningTokens = reasoning
  if (typeof seconds === 'number' && seconds >= 0 && seconds <= COUNT_MAX)
    usage.audioSeconds = seconds
  return usage.promptTokens !== undefined || Object.keys(usage).length > 0 ? usage : null
}

/** The largest whole number that is told from its neighbours: what a server says beyond that is no count. */
export const COUNT_MAX = 9007199254740991

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= COUNT_MAX && value % 1 === 0
}

function countOf(value: unknown): number {
  return isCount(value) ? value : 0
}

/** The value when it is an object, else an empty one. */
export function fieldsOf(value: unknown): Fields {
  return value && typeof value === 'object' ? (value as Fields) : {}
}
