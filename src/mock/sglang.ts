import { done } from './answer.ts'
import { type Call, created } from './call.ts'
import type { Shape } from './shape.ts'
import { counts, promptDetails } from './usage.ts'

/** SGLang counts reasoning tokens beside the others, not in details. */
export function sglangUsage(call: Call, completionTokens: number): string {
  const reasoning = Math.min(call.settings.reasoningTokens ?? 0, completionTokens)
  return `{${counts(call, completionTokens)},"prompt_tokens_details":${promptDetails(call)},"reasoning_tokens":${reasoning}}`
}

// SGLang writes the usage field always: null means that nothing is told.
function running(call: Call, count: number): string {
  return call.isContinuous ? sglangUsage(call, count) : 'null'
}

const sglangFailure =
  'data: {"error": {"object": "error", "message": "Internal server error", "type": "InternalServerError", "param": null, "code": 500}}\n\n'

function matched(call: Call): string {
  return call.reason === 'stop' ? '151645' : 'null'
}

/** Chat chunks: every field stands there, absent ones as null. */
export function sglangChatShape(call: Call): Shape {
  const open = `data: {"id":${JSON.stringify(call.id)},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  const choice = (index: number, role: string, content: string, reason: string, stop: string) =>
    `${open}{"index":${index},"delta":{"role":${role},"content":${content},"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":${reason},"matched_stop":${stop}}]`
  return {
    role: (index) =>
      `${choice(index, '"assistant"', '""', 'null', 'null')},"usage":${running(call, 0)}}\n\n`,
    before: (index) => `${open}{"index":${index},"delta":{"role":null,"content":"`,
    after: (count) =>
      `","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":${running(call, count)}}\n\n`,
    afterLast: null,
    finish: (index) =>
      `${choice(index, 'null', 'null', `"${call.reason}"`, matched(call))},"usage":null}\n\n`,
    closing: closing(call, open),
    done: [done],
    failure: [sglangFailure, done],
  }
}

/** Completion chunks of SGLang. */
export function sglangCompletionShape(call: Call): Shape {
  const open = `data: {"id":${JSON.stringify(call.id)},"object":"text_completion","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  return {
    role: () => '',
    before: (index) => `${open}{"index":${index},"text":"`,
    after: (count) =>
      `","logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":${running(call, count)}}\n\n`,
    afterLast: null,
    finish: (index) =>
      `${open}{"index":${index},"text":"","logprobs":null,"finish_reason":"${call.reason}","matched_stop":${matched(call)}}],"usage":null}\n\n`,
    closing: closing(call, open),
    done: [done],
    failure: [sglangFailure, done],
  }
}

function closing(call: Call, open: string): string[] {
  if (!call.includesUsage) return []
  return [`${open}],"usage":${sglangUsage(call, call.tokens * call.choices)}}\n\n`]
}
