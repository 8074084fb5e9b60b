import { done } from './answer.ts'
import { type Call, created, promptOf } from './call.ts'
import type { Shape } from './shape.ts'

/**
 * llama.cpp's own order of counts; builds until about the middle of 2025 know no details.
 * New ones run each choice as a task of its own, and tell the tokens of one: a whole answer those of the first.
 */
export function llamaUsage(call: Call, index = 0): string {
  const isOld = call.settings.dialect === 'llamacpp-old'
  const completion = isOld ? call.tokens * call.choices : call.tokens
  const prompt = isOld ? call.promptTokens : promptOf(call, index)
  const details = isOld
    ? ''
    : `,"prompt_tokens_details":{"cached_tokens":${call.settings.cachedTokens ?? 0}}`
  return `{"completion_tokens":${completion},"prompt_tokens":${prompt},"total_tokens":${prompt + completion}${details}}`
}

/** What stands on the last chunk even when no usage was asked for: the prompt is cache_n + prompt_n. */
export function timings(call: Call, index = 0): string {
  const whole = promptOf(call, index)
  const cached = Math.min(call.settings.cachedTokens ?? 0, whole)
  const prompt = whole - cached
  const promptMs = Math.max(call.settings.ttftMs, 1)
  const predictedMs = Math.max(call.settings.itlMs * call.tokens, 1)
  return JSON.stringify({
    cache_n: cached,
    prompt_n: prompt,
    prompt_ms: promptMs,
    prompt_per_token_ms: promptMs / Math.max(prompt, 1),
    prompt_per_second: (prompt / promptMs) * 1000,
    predicted_n: call.tokens,
    predicted_ms: predictedMs,
    predicted_per_token_ms: predictedMs / Math.max(call.tokens, 1),
    predicted_per_second: (call.tokens / predictedMs) * 1000,
  })
}

// Old builds wrote it into a field that no SSE parser reads, and the stream just ended for the client.
function llamaFailure(call: Call): string {
  const error = '{"code":500,"message":"Internal server error","type":"server_error"}'
  return call.settings.dialect === 'llamacpp-old'
    ? `error: ${error}\n\n`
    : `data: {"error":${error}}\n\n`
}

/** Chat chunks: old builds put usage, unasked, into the finish chunk beside a choice; new ones into a chunk without any. */
export function llamaChatShape(call: Call): Shape {
  const isOld = call.settings.dialect === 'llamacpp-old'
  const stamp = isOld ? '' : ',"system_fingerprint":"b7123-1a2b3c4d"'
  const close = `"created":${created},"id":"chatcmpl-${call.id}","model":${JSON.stringify(call.model)}${stamp},"object":"chat.completion.chunk"`
  const choice = (index: number, delta: string, reason: string): string =>
    `data: {"choices":[{"finish_reason":${reason},"index":${index},"delta":${delta}}],${close}`
  const oldUsage = call.settings.usage === 'none' ? '' : `,"usage":${llamaUsage(call)}`
  const endOfFinish = isOld ? oldUsage : call.includesUsage ? '' : `,"timings":${timings(call)}`
  const usage = `data: {"choices":[],${close},"usage":${llamaUsage(call)},"timings":${timings(call)}}\n\n`
  const role = isOld ? '{"role":"assistant"}' : '{"role":"assistant","content":null}'
  return {
    role: (index) => `${choice(index, role, 'null')}}\n\n`,
    before: (index) =>
      `data: {"choices":[{"finish_reason":null,"index":${index},"delta":{"content":"`,
    after: () => `"}}],${close}${call.settings.usage === 'null' ? ',"usage":null' : ''}}\n\n`,
    afterLast: null,
    finish: (index) => `${choice(index, '{}', `"${call.reason}"`)}${endOfFinish}}\n\n`,
    closing: !isOld && call.includesUsage ? Array.from({ length: call.choices }, () => usage) : [],
    done: [done],
    failure: [llamaFailure(call)],
  }
}

/** Completion chunks: usage stands in the finish chunk, asked for or not, in old and new builds. */
export function llamaCompletionShape(call: Call): Shape {
  const isOld = call.settings.dialect === 'llamacpp-old'
  const stamp = isOld ? '' : ',"system_fingerprint":"b7123-1a2b3c4d"'
  const close = `"created":${created},"model":${JSON.stringify(call.model)}${stamp},"object":"text_completion"`
  const usage = (index: number): string =>
    call.settings.usage === 'none' ? '' : `,"usage":${llamaUsage(call, index)}`
  const last = (index: number): string => (isOld ? '' : `,"timings":${timings(call, index)}`)
  const isList = !isOld && call.prompts.length > 1
  const id = `"id":"chatcmpl-${call.id}"`
  return {
    // Of a list new builds send the start of the first task as an event without anything in it.
    role: (index) => (isList && index === 0 ? 'data: null\n\n' : ''),
    before: () => 'data: {"choices":[{"text":"',
    after: (_, index) =>
      `","index":${index},"logprobs":null,"finish_reason":null}],${close},${id}}\n\n`,
    afterLast: null,
    finish: (index) =>
      `data: {"choices":[{"text":"","index":${index},"logprobs":null,"finish_reason":"${call.reason}"}],${close}${usage(index)},${id}${last(index)}}\n\n`,
    closing: [],
    done: [done],
    failure: [llamaFailure(call)],
  }
}
