import { matchesPattern } from '../limits/cost.ts'

/** Whether a list of patterns has a model. */
export function isModelAllowed(model: string, patterns: string[]): boolean {
  // Straight on: every request of a client with such a list comes here.
  for (let i = 0; i < patterns.length; i++)
    if (matchesPattern(patterns[i] as string, model)) return true
  return false
}

/**
 * The answer of GET /v1/models with what a client may use, and nothing else. What is not a list of
 * models is shown to nobody: it comes back as an empty one.
 */
export function filterModels(text: string, patterns: string[]): string {
  try {
    const list = JSON.parse(text) as { data: { id: unknown }[] }
    const data = list.data.filter((model) => isModelAllowed(`${model.id}`, patterns))
    // llama.cpp lists them a second time, for Ollama's clients.
    return JSON.stringify({ object: 'list', data })
  } catch (_) {
    return '{"object":"list","data":[]}'
  }
}
