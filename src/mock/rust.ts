import { done } from './answer.ts'
import { type Call, created } from './call.ts'
import type { Shape } from './shape.ts'
import { counts, promptDetails } from './usage.ts'

/** vLLM's Rust frontend writes null details in streams too. */
export function rustUsage(call: Call, completionTokens: number): string {
  return `{${counts(call, completionTokens)},"prompt_tokens_details":${promptDetails(call)}}`
}

export const rustFailure =
  'data: {"error":{"message":"engine core is dead","type":"server_error","param":null,"code":"server_error"}}\n\n'

function running(call: Call, count: number): string {
  if (call.isContinuous) return `,"usage":${rustUsage(call, count)}`
  return call.settings.usage === 'null' ? ',"usage":null' : ''
}

/** Chat chunks of the Rust frontend: absent fields are left out, the reason always has its own chunk. */
export function rustChatShape(call: Call): Shape {
  const id = JSON.stringify(`chatcmpl-${call.id}`)
  const open = `data: {"id":${id},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  return {
    role: (index) =>
      `${open}{"index":${index},"delta":{"role":"assistant"}}]${running(call, 0)}}\n\n`,
    before: (index) => `${open}{"index":${index},"delta":{"content":"`,
    after: (count) => `"}}]${running(call, count)}}\n\n`,
    afterLast: null,
    finish: (index) =>
      `${open}{"index":${index},"delta":{},"finish_reason":"${call.reason}"}]${running(call, call.tokens)}}\n\n`,
    closing: closing(call, open),
    done: [done],
    failure: [rustFailure, done],
  }
}

/** Completion chunks of the Rust frontend. */
export function rustCompletionShape(call: Call): Shape {
  const id = JSON.stringify(`cmpl-${call.id}`)
  const open = `data: {"id":${id},"object":"text_completion","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  return {
    role: () => '',
    before: (index) => `${open}{"index":${index},"text":"`,
    after: (count) => `"}]${running(call, count)}}\n\n`,
    afterLast: null,
    finish: (index) =>
      `${open}{"index":${index},"text":"","finish_reason":"${call.reason}"}]${running(call, call.tokens)}}\n\n`,
    closing: closing(call, open),
    done: [done],
    failure: [rustFailure, done],
  }
}

function closing(call: Call, open: string): string[] {
  if (!call.includesUsage) return []
  return [`${open}],"usage":${rustUsage(call, call.tokens * call.choices)}}\n\n`]
}
