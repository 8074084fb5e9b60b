import { type Answer, done, json, stream } from './answer.ts'
import { type Call, countTokens, created, fingerprint } from './call.ts'
import { errorEvent, failureOf } from './failure.ts'
import { llamaCompletionShape, llamaUsage, timings } from './llamacpp.ts'
import { rustCompletionShape, rustUsage } from './rust.ts'
import { sglangCompletionShape, sglangUsage } from './sglang.ts'
import { type Shape, streamPlanOf } from './shape.ts'
import { finalUsage, runningUsage } from './usage.ts'

/** POST /v1/completions. A list of prompts multiplies the choices, as it does in vLLM. */
export function answerCompletion(request: Call): Answer {
  const call = withPrompts(request)
  if (!call.isStream) return json(bodyOf(call), call.tokens)
  // vLLM cannot stream a beam search: one event carries the whole object, usage beside filled choices.
  if (call.body.use_beam_search === true && call.settings.dialect === 'vllm') {
    return stream({
      tokens: 0,
      choices: 0,
      head: [],
      token: () => '',
      tail: [`data: ${pythonBody(call)}\n\n`, done],
      failure: failureOf(call.settings, [errorEvent(call.settings), done]),
      isAscii: call.isAscii,
    })
  }
  return stream(streamPlanOf(shapeOf(call), call))
}

function withPrompts(call: Call): Call {
  const list = call.body.prompt
  if (!Array.isArray(list) || typeof list[0] === 'number') return call
  const set = call.settings.promptTokens
  const prompts = list.map((prompt, index) =>
    set === null ? countTokens(prompt) : shareOf(set, list.length, index),
  )
  return { ...call, prompts, choices: call.choices * list.length }
}

// What does not divide evenly goes to the first: 8 tokens of 3 prompts are 3, 3, and 2.
function shareOf(tokens: number, prompts: number, index: number): number {
  return Math.floor(tokens / prompts) + (index < tokens % prompts ? 1 : 0)
}

function shapeOf(call: Call): Shape {
  switch (call.settings.dialect) {
    case 'vllm':
      return pythonShape(call)
    case 'vllm-rust':
      return rustCompletionShape(call)
    case 'llamacpp':
    case 'llamacpp-old':
      return llamaCompletionShape(call)
    case 'sglang':
      return sglangCompletionShape(call)
  }
}

function pythonShape(call: Call): Shape {
  const id = JSON.stringify(`cmpl-${call.id}`)
  const open = `data: {"id":${id},"object":"text_completion","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  const stamp = call.includesUsage ? '' : `,"system_fingerprint":"${fingerprint}"`
  const end = (reason: string, stop: string | null = null): string =>
    `","logprobs":null,"finish_reason":${reason},"stop_reason":${JSON.stringify(stop)},"prompt_token_ids":null,"token_ids":null}]`
  return {
    role: () => '',
    before: (index) => `${open}{"index":${index},"text":"`,
    after: (count, index) => `${end('null')}${runningUsage(call, count, index)}}\n\n`,
    afterLast: (count, index) =>
      `${end('"length"')}${runningUsage(call, count, index)}${stamp}}\n\n`,
    finish: (index) =>
      `${open}{"index":${index},"text":"${end(`"${call.reason}"`, call.stop)}${runningUsage(call, call.tokens, index)}${stamp}}\n\n`,
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
      return `${opening(call, `cmpl-${call.id}`)}${choicesOf(call, pythonChoice)}],"usage":${rustUsage(call, call.tokens * call.choices)},"system_fingerprint":null,"kv_transfer_params":null,"ec_transfer_params":null}`
    case 'llamacpp':
    case 'llamacpp-old':
      return llamaBody(call)
    case 'sglang':
      return `${opening(call, call.id)}${choicesOf(call, sglangChoice)}],"usage":${sglangUsage(call, call.tokens * call.choices)},"metadata":{"weight_version":"default"}}`
  }
}

type Choice = (call: Call, index: number, text: string) => string

function choicesOf(call: Call, choice: Choice): string {
  const text = JSON.stringify(call.text())
  return Array.from({ length: call.choices }, (_, index) => choice(call, index, text)).join(',')
}

function opening(call: Call, id: string): string {
  return `{"id":${JSON.stringify(id)},"object":"text_completion","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
}

const pythonChoice: Choice = (call, index, text) =>
  `{"index":${index},"text":${text},"logprobs":null,"finish_reason":"${call.reason}","stop_reason":${JSON.stringify(call.stop)},"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null}`

const sglangChoice: Choice = (call, index, text) =>
  `{"index":${index},"text":${text},"logprobs":null,"finish_reason":"${call.reason}","matched_stop":${call.reason === 'stop' ? 151645 : 'null'}}`

const llamaChoice: Choice = (call, index, text) =>
  `{"text":${text},"index":${index},"logprobs":null,"finish_reason":"${call.reason}"}`

function pythonBody(call: Call): string {
  const usage = call.settings.usage === 'none' ? 'null' : finalUsage(call, 'null')
  return `${opening(call, `cmpl-${call.id}`)}${choicesOf(call, pythonChoice)}],"service_tier":null,"system_fingerprint":"${fingerprint}","usage":${usage},"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`
}

function llamaBody(call: Call): string {
  const isOld = call.settings.dialect === 'llamacpp-old'
  const stamp = isOld ? '' : ',"system_fingerprint":"b7123-1a2b3c4d"'
  const last = isOld ? '' : `,"timings":${timings(call)}`
  return `{"choices":[${choicesOf(call, llamaChoice)}],"created":${created},"model":${JSON.stringify(call.model)}${stamp},"object":"text_completion","usage":${llamaUsage(call)},"id":"chatcmpl-${call.id}"${last}}`
}
