import { randomBytes } from 'node:crypto'
import { type Answer, json } from './answer.ts'
import type { Dialect } from './settings.ts'

/** The model that answers when the request names none. */
export const baseModel = 'Qwen/Qwen3-8B'

/** A LoRA adapter beside it: a valid `model`, echoed under its own name. */
export const loraModel = 'sql-lora'

const created = 1795468007
const contextTokens = 40960

/** The name an answer carries for what was asked; undefined where the server knows no such model. */
export function servedModel(dialect: Dialect, asked: string | undefined): string | undefined {
  if (asked === undefined || asked === '') return baseModel
  // llama.cpp and SGLang answer under any name, and repeat it.
  if (dialect !== 'vllm' && dialect !== 'vllm-rust') return asked
  return asked === baseModel || asked === loraModel ? asked : undefined
}

/** GET /v1/models. */
export function answerModels(dialect: Dialect): Answer {
  switch (dialect) {
    case 'vllm':
      return json(`{"object":"list","data":[${pythonCard(baseModel)},${pythonCard(loraModel)}]}`)
    case 'vllm-rust':
      return json(
        `{"object":"list","data":[${card('vllm', baseModel)},${card('vllm', loraModel)}]}`,
      )
    case 'llamacpp':
    case 'llamacpp-old':
      return json(
        `{"object":"list","data":[{"id":"${baseModel}","object":"model","created":${created},"owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":151936,"n_ctx_train":${contextTokens},"n_embd":4096,"n_params":8190735360,"size":5021771776}}]}`,
      )
    case 'sglang':
      return json(`{"object":"list","data":[${card('sglang', baseModel)}]}`)
  }
}

function card(owner: string, name: string): string {
  const isLora = name === loraModel
  return `{"id":"${name}","object":"model","created":${created},"owned_by":"${owner}","root":"${isLora ? '/adapters/sql-lora' : name}","parent":${isLora ? `"${baseModel}"` : 'null'},"max_model_len":${isLora ? 'null' : contextTokens}}`
}

function pythonCard(name: string): string {
  const permission = `{"id":"modelperm-${randomBytes(16).toString('hex')}","object":"model_permission","created":${created},"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}`
  return `${card('vllm', name).slice(0, -1)},"permission":[${permission}]}`
}
