import { type Answer, json, stream } from './answer.ts'
import type { Call, JsonObject } from './call.ts'
import { failureOf, failureText } from './failure.ts'

/** POST /v1/messages. */
export function answerMessage(call: Call): Answer {
  if (!call.isStream) return json(JSON.stringify(messageOf(call)), call.tokens)
  const before = `event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"`
  return stream({
    tokens: call.tokens,
    choices: 1,
    head: [
      event({ type: 'message_start', message: openingOf(call) }),
      event({
        type: 'content_block_start',
        content_block: { type: 'text', text: '' },
        index: 0,
      }),
    ],
    token: (step) => `${before}${call.piece(step)}"},"index":0}\n\n`,
    tail: [
      event({ type: 'content_block_stop', index: 0 }),
      event({
        type: 'message_delta',
        delta: stopOf(call),
        ...(call.settings.usage === 'none' ? {} : { usage: endUsage(call) }),
      }),
      event({ type: 'message_stop' }),
    ],
    failure: failureOf(call.settings, [failureEvent(call)]),
    isAscii: call.isAscii,
  })
}

/** POST /v1/messages/count_tokens. */
export function answerCountTokens(call: Call): Answer {
  return json(
    JSON.stringify({
      input_tokens: call.promptTokens,
      context_management: { original_input_tokens: call.promptTokens },
    }),
  )
}

function event(data: { type: string } & JsonObject): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
}

// No message_stop follows it. vLLM takes its own error for a chunk of chat, and tells what it misses in that.
function failureEvent(call: Call): string {
  const isOfEngine = call.settings.failure === 'engine' && call.settings.dialect === 'vllm'
  const message = isOfEngine
    ? '2 validation errors for ChatCompletionStreamResponse\nmodel\n  Field required'
    : failureText(call.settings)
  return event({ type: 'error', error: { type: 'internal_error', message } })
}

function stopOf(call: Call): JsonObject {
  if (call.stop !== null) return { stop_reason: 'stop_sequence', stop_sequence: call.stop }
  return { stop_reason: call.reason === 'length' ? 'max_tokens' : 'end_turn' }
}

// vLLM passes the id of the chat completion underneath through.
function idOf(call: Call): string {
  return `chatcmpl-${call.id}`
}

function cachedOf(call: Call): number {
  return Math.min(call.settings.cachedTokens ?? 0, call.promptTokens)
}

function openingOf(call: Call): JsonObject {
  const isLlama = call.settings.dialect === 'llamacpp'
  // vLLM tells the whole prompt here and the uncached rest at the end; llama.cpp tells both parts here.
  const usage: JsonObject = isLlama
    ? { cache_read_input_tokens: cachedOf(call), input_tokens: call.promptTokens - cachedOf(call) }
    : { input_tokens: call.promptTokens }
  return {
    id: idOf(call),
    // vLLM leaves out what it did not set itself, and that is what these two are.
    ...(isLlama ? { type: 'message', role: 'assistant' } : {}),
    content: [],
    model: call.model,
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: 0 },
  }
}

function endUsage(call: Call): JsonObject {
  // SGLang and llama.cpp do not repeat the input: message_start has it.
  if (call.settings.dialect !== 'vllm') return { output_tokens: call.tokens }
  return bodyUsage(call)
}

function bodyUsage(call: Call): JsonObject {
  const usage: JsonObject = {
    input_tokens: call.promptTokens - cachedOf(call),
    output_tokens: call.tokens,
  }
  if (call.settings.cachedTokens !== null) usage.cache_read_input_tokens = cachedOf(call)
  return usage
}

function messageOf(call: Call): JsonObject {
  return {
    id: idOf(call),
    type: 'message',
    role: 'assistant',
    content: [{ type: 'text', text: call.text() }],
    model: call.model,
    ...stopOf(call),
    ...(call.settings.usage === 'none' ? {} : { usage: bodyUsage(call) }),
  }
}
