import { type Call, promptOf } from './call.ts'

/** The fields that every server's usage begins with, in vLLM's order: no braces, no details. */
export function counts(call: Call, completionTokens: number): string {
  const total = call.promptTokens + completionTokens
  return `"prompt_tokens":${call.promptTokens},"total_tokens":${total},"completion_tokens":${completionTokens}`
}

/** Usage of a whole answer, where vLLM leaves absent details out (streams) or null (bodies). */
export function finalUsage(call: Call, details: 'absent' | 'null'): string {
  const prompt = promptDetails(call)
  const completion = completionDetails(call, call.tokens * call.choices)
  const keep = (name: string, value: string): string =>
    value === 'null' && details === 'absent' ? '' : `,"${name}":${value}`
  const detail =
    keep('prompt_tokens_details', prompt) + keep('completion_tokens_details', completion)
  return `{${counts(call, call.tokens * call.choices)}${detail}}`
}

/** Usage on a token's own chunk: the count of that choice and of its prompt alone, as vLLM does it. */
export function runningUsage(call: Call, completionTokens: number, index = 0): string {
  if (call.isContinuous) {
    const details = completionDetails(call, completionTokens)
    const own = { ...call, promptTokens: promptOf(call, index) }
    return `,"usage":{${counts(own, completionTokens)},"completion_tokens_details":${details}}`
  }
  return call.settings.usage === 'null' ? ',"usage":null' : ''
}

/** Usage on the chunk that opens a choice: nothing is generated yet, and vLLM has no details there. */
export function openingUsage(call: Call): string {
  return call.isContinuous ? `,"usage":{${counts(call, 0)}}` : runningUsage(call, 0)
}

export function promptDetails(call: Call): string {
  const cached = call.settings.cachedTokens
  return cached === null ? 'null' : `{"cached_tokens":${Math.min(cached, call.promptTokens)}}`
}

function completionDetails(call: Call, completionTokens: number): string {
  const reasoning = call.settings.reasoningTokens
  return reasoning === null
    ? 'null'
    : `{"reasoning_tokens":${Math.min(reasoning, completionTokens)}}`
}
