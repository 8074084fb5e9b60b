import { type Answer, done, json, stream } from './answer.ts'
import { type Call, created, fingerprint } from './call.ts'
import { errorEvent } from './failure.ts'
import { llamaChatShape, llamaUsage, timings } from './llamacpp.ts'
import { rustChatShape, rustUsage } from './rust.ts'
import { sglangChatShape, sglangUsage } from './sglang.ts'
import { type Shape, streamPlanOf } from './shape.ts'
import { finalUsage, openingUsage, runningUsage } from './usage.ts'

/** POST /v1/chat/completions. */
export function answerChat(call: Call): Answer {
  if (call.isStream) return stream(streamPlanOf(shapeOf(call), call))
  return json(bodyOf(call), call.tokens)
}

function shapeOf(call: Call): Shape {
  switch (call.settings.dialect) {
    case 'vllm':
      return pythonShape(call)
    case 'vllm-rust':
      return rustChatShape(call)
    case 'llamacpp':
    case 'llamacpp-old':
      return llamaChatShape(call)
    case 'sglang':
      return sglangChatShape(call)
  }
}

function pythonShape(call: Call): Shape {
  const id = JSON.stringify(`chatcmpl-${call.id}`)
  const model = JSON.stringify(call.model)
  const open = `data: {"id":${id},"object":"chat.completion.chunk","created":${created},"model":${model},"choices":[`
  // vLLM moves the fingerprint to the usage chunk when there is one.
  const stamp = call.includesUsage ? '' : `,"system_fingerprint":"${fingerprint}"`
  const finish = (reason: string): string =>
    `"},"logprobs":null,"finish_reason":"${reason}","stop_reason":${JSON.stringify(call.stop)},"token_ids":null}]`
  return {
    role: (index) =>
      `${open}{"index":${index},"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${openingUsage(call)},"prompt_token_ids":null,"prompt_text":null}\n\n`,
    before: (index) => `${open}{"index":${index},"delta":{"content":"`,
    after: (count) =>
      `"},"logprobs":null,"finish_reason":null,"token_ids":null}]${runningUsage(call, count)}}\n\n`,
    // The last token carries the reason when the limit ends the answer: no further token comes to carry it.
    afterLast: (count) => `${finish('length')}${runningUsage(call, count)}${stamp}}\n\n`,
    finish: (index) =>
      `${open}{"index":${index},"delta":{"content":"${finish(call.reason)}${runningUsage(call, call.tokens)}${stamp}}\n\n`,
    closing: call.includesUsage
      ? [
          `${open}],"usage":${finalUsage(call, 'absent')},"system_fingerprint":"${fingerprint}"}\n\n`,
        ]
      : [],
    done: [done],
    failure: [errorEvent(call.settings), done],
  }
}

function bodyOf(call: Call): string {
  switch (call.settings.dialect) {
    case 'vllm':
      return pythonBody(call)
    case 'vllm-rust':
      return rustBody(call)
    case 'llamacpp':
    case 'llamacpp-old':
      return llamaBody(call)
    case 'sglang':
      return sglangBody(call)
  }
}

function choicesOf(call: Call, choice: (index: number, text: string) => string): string {
  const text = JSON.stringify(call.text())
  return Array.from({ length: call.choices }, (_, index) => choice(index, text)).join(',')
}

function opening(call: Call, id: string): string {
  return `{"id":${JSON.stringify(id)},"object":"chat.completion","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
}

function pythonBody(call: Call): string {
  const choices = choicesOf(
    call,
    (index, text) =>
      `{"index":${index},"message":{"role":"assistant","content":${text},"refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":"${call.reason}","stop_reason":${JSON.stringify(call.stop)},"token_ids":null,"routed_experts":null}`,
  )
  const usage = call.settings.usage === 'none' ? 'null' : finalUsage(call, 'null')
  return `${opening(call, `chatcmpl-${call.id}`)}${choices}],"service_tier":null,"system_fingerprint":"${fingerprint}","usage":${usage},"prompt_logprobs":null,"prompt_token_ids":null,"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`
}

function rustBody(call: Call): string {
  const choices = choicesOf(
    call,
    (index, text) =>
      `{"index":${index},"message":{"role":"assistant","content":${text},"reasoning":null},"logprobs":null,"finish_reason":"${call.reason}","stop_reason":null,"token_ids":null}`,
  )
  return `${opening(call, `chatcmpl-${call.id}`)}${choices}],"usage":${rustUsage(call, call.tokens * call.choices)},"system_fingerprint":null,"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null,"ec_transfer_params":null}`
}

function llamaBody(call: Call): string {
  const isOld = call.settings.dialect === 'llamacpp-old'
  const choices = choicesOf(
    call,
    (index, text) =>
      `{"finish_reason":"${call.reason}","index":${index},"message":{"role":"assistant","content":${text}}}`,
  )
  const stamp = isOld ? '' : ',"system_fingerprint":"b7123-1a2b3c4d"'
  const tail = isOld ? '' : `,"timings":${timings(call)}`
  return `{"choices":[${choices}],"created":${created},"model":${JSON.stringify(call.model)}${stamp},"object":"chat.completion","usage":${llamaUsage(call)},"id":"chatcmpl-${call.id}"${tail}}`
}

function sglangBody(call: Call): string {
  const choices = choicesOf(
    call,
    (index, text) =>
      `{"index":${index},"message":{"role":"assistant","content":${text},"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"${call.reason}","matched_stop":${call.reason === 'stop' ? 151645 : 'null'}}`,
  )
  return `${opening(call, call.id)}${choices}],"usage":${sglangUsage(call, call.tokens * call.choices)},"metadata":{"weight_version":"default"}}`
}
