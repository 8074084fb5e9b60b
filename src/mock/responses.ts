import { type Answer, type Failure, json, stream } from './answer.ts'
import { asString, type Call, created, type Json, type JsonObject } from './call.ts'
import { errorEvent, failureOf, failureText } from './failure.ts'
import { eventsIn, failsAfter } from './settings.ts'

/** POST /v1/responses. All dialects that have the route share vLLM's bytes. */
export function answerResponse(call: Call): Answer {
  if (call.body.background === true) return json(JSON.stringify(responseOf(call, 'queued')))
  if (!call.isStream) return wholeOf(call)
  const itemId = `msg_${call.id}`
  const at = { content_index: 0, item_id: itemId, output_index: 0 }
  const head = [
    event('response.created', 0, { response: responseOf(call, 'in_progress') }),
    event('response.in_progress', 1, { response: responseOf(call, 'in_progress') }),
    event('response.output_item.added', 2, {
      item: { id: itemId, content: [], role: 'assistant', status: 'in_progress', type: 'message' },
      output_index: 0,
    }),
    event('response.content_part.added', 3, { ...at, part: part('', []) }),
  ]
  const before = `event: response.output_text.delta\ndata: {"content_index":0,"delta":"`
  const after = `","item_id":${JSON.stringify(itemId)},"logprobs":[],"output_index":0,"sequence_number":`
  return stream({
    tokens: call.tokens,
    choices: 1,
    head,
    token: (step) =>
      `${before}${call.piece(step)}${after}${head.length + step},"type":"response.output_text.delta"}\n\n`,
    tail: tailOf(call, at, head.length + call.events),
    failure: failureOfResponse(call, head.length),
    isAscii: call.isAscii,
  })
}

function wholeOf(call: Call): Answer {
  const after = failsAfter(call.settings)
  if (after > call.tokens)
    return json(JSON.stringify(responseOf(call, endStatus(call))), call.tokens)
  return json(JSON.stringify(responseOf({ ...call, tokens: after }, 'failed')), after)
}

function failureOfResponse(call: Call, headLength: number): Failure {
  const { settings } = call
  // vLLM with a dead engine says nothing more here, and closes.
  if (settings.failure === 'engine') return 'close'
  if (settings.failure !== 'failed') return failureOf(settings, [errorEvent(settings)])
  const tokens = failsAfter(settings)
  const sequence = settings.errorAfter === 'first' ? 0 : headLength + eventsIn(tokens, settings)
  return [
    event('response.failed', sequence, { response: responseOf({ ...call, tokens }, 'failed') }),
  ]
}

type Place = { content_index: number; item_id: string; output_index: number }

function tailOf(call: Call, at: Place, sequence: number): string[] {
  const text = call.text()
  return [
    event('response.output_text.done', sequence, { ...at, logprobs: [] }, { text }),
    event('response.content_part.done', sequence + 1, { ...at, part: part(text) }),
    event('response.output_item.done', sequence + 2, { item: itemOf(call), output_index: 0 }),
    // vLLM says completed even when the limit ended the answer; the status inside tells.
    event('response.completed', sequence + 3, { response: responseOf(call, endStatus(call)) }),
  ]
}

// The classes order their fields by name, so `text` stands behind the sequence number, and `part` before it.
function event(type: string, sequence: number, front: JsonObject, back: JsonObject = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ ...front, sequence_number: sequence, ...back, type })}\n\n`
}

function part(text: string, logprobs: Json = null): JsonObject {
  return { annotations: [], text, type: 'output_text', logprobs }
}

function itemOf(call: Call): JsonObject {
  return {
    id: `msg_${call.id}`,
    content: [part(call.text())],
    role: 'assistant',
    status: 'completed',
    type: 'message',
  }
}

type Status = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed'

function endStatus(call: Call): Status {
  return call.reason === 'length' ? 'incomplete' : 'completed'
}

function usageOf(call: Call): JsonObject {
  return {
    input_tokens: call.promptTokens,
    input_tokens_details: {
      cached_tokens: Math.min(call.settings.cachedTokens ?? 0, call.promptTokens),
      input_tokens_per_turn: [],
      cached_tokens_per_turn: [],
    },
    output_tokens: call.tokens,
    output_tokens_details: {
      reasoning_tokens: Math.min(call.settings.reasoningTokens ?? 0, call.tokens),
      tool_output_tokens: 0,
      output_tokens_per_turn: [],
      tool_output_tokens_per_turn: [],
    },
    total_tokens: call.promptTokens + call.tokens,
  }
}

function responseOf(call: Call, status: Status): JsonObject {
  const hasOutput = status === 'completed' || status === 'incomplete'
  const tellsUsage = hasOutput || (status === 'failed' && call.settings.usage !== 'null')
  const error = { code: 'server_error', message: failureText(call.settings) }
  return {
    id: `resp_${call.id}`,
    created_at: created,
    ...(status === 'failed' ? { error } : {}),
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: asString(call.body.instructions) ?? null,
    metadata: null,
    model: call.model,
    object: 'response',
    output: hasOutput ? [itemOf(call)] : [],
    parallel_tool_calls: true,
    temperature: 0.6,
    tool_choice: 'auto',
    tools: [],
    top_p: 0.95,
    background: call.body.background === true,
    max_output_tokens: call.body.max_output_tokens ?? 40960 - call.promptTokens,
    max_tool_calls: null,
    previous_response_id: null,
    prompt: null,
    reasoning: null,
    service_tier: 'auto',
    status,
    text: null,
    top_logprobs: null,
    truncation: 'disabled',
    usage: tellsUsage && call.settings.usage !== 'none' ? usageOf(call) : null,
    user: null,
    input_messages: null,
    output_messages: null,
  }
}
