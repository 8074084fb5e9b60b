import { type Answer, json } from './answer.ts'
import { answerTranscription } from './audio.ts'
import type { Call } from './call.ts'
import { answerChat } from './chat.ts'
import { answerCompletion } from './completions.ts'
import { answerCountTokens, answerMessage } from './messages.ts'
import { answerModels } from './models.ts'
import { answerEmbedding, answerEmbedV2, answerRerank, answerScore } from './pooling.ts'
import { answerResponse } from './responses.ts'
import type { Dialect, Settings } from './settings.ts'

/** An endpoint without a request body that matters. */
export type PlainRoute = { kind: 'plain'; methods: string[]; answer(settings: Settings): Answer }

/** An endpoint that runs the engine. */
export type EngineRoute = {
  kind: 'engine'
  methods: string[]
  reads: 'json' | 'form'
  /** Fields that validation misses. */
  required: string[]
  answer(call: Call): Answer
}

export type Route = PlainRoute | EngineRoute

function engine(required: string[], answer: (call: Call) => Answer): EngineRoute {
  return { kind: 'engine', methods: ['POST'], reads: 'json', required, answer }
}

function form(answer: (call: Call) => Answer): EngineRoute {
  return { kind: 'engine', methods: ['POST'], reads: 'form', required: [], answer }
}

function plain(methods: string[], answer: (settings: Settings) => Answer): PlainRoute {
  return { kind: 'plain', methods, answer }
}

const empty: Answer = { kind: 'body', status: 200, headers: {}, body: '', tokens: 0 }

const metrics: Answer = {
  kind: 'body',
  status: 200,
  headers: { 'content-type': 'text/plain; version=1.0.0; charset=utf-8' },
  body: '# HELP vllm:num_requests_running Number of requests in model execution batches.\n# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 0.0\n',
  tokens: 0,
}

function health(settings: Settings): Answer {
  return settings.dialect.startsWith('llamacpp') ? json('{"status":"ok"}') : empty
}

// SageMaker's one path for everything. It needs no key in vLLM: the hole that a gate must not let through.
function answerInvocation(call: Call): Answer {
  if (call.body.messages !== undefined) return answerChat(call)
  return call.body.prompt !== undefined ? answerCompletion(call) : answerEmbedding(call)
}

function answerTokenize(call: Call): Answer {
  const tokens = Array.from({ length: call.promptTokens }, (_, index) => index)
  return json(
    JSON.stringify({
      count: call.promptTokens,
      max_model_len: 40960,
      tokens,
      token_strs: null,
    }),
  )
}

/** The endpoints of each server, by exact path. */
export function createRoutes(): Map<string, Route> {
  return new Map<string, Route>([
    ['/v1/models', plain(['GET'], (settings) => answerModels(settings.dialect))],
    ['/v1/chat/completions', engine(['messages'], answerChat)],
    ['/v1/completions', engine(['prompt'], answerCompletion)],
    ['/v1/responses', engine(['input'], answerResponse)],
    ['/v1/messages', engine(['model', 'messages', 'max_tokens'], answerMessage)],
    ['/v1/messages/count_tokens', engine(['model', 'messages'], answerCountTokens)],
    ['/v1/embeddings', engine(['input'], answerEmbedding)],
    ['/v2/embed', engine(['texts'], answerEmbedV2)],
    ['/v1/score', engine([], answerScore)],
    ['/score', engine([], answerScore)],
    ['/v1/rerank', engine(['query', 'documents'], answerRerank)],
    ['/v2/rerank', engine(['query', 'documents'], answerRerank)],
    ['/rerank', engine(['query', 'documents'], answerRerank)],
    ['/v1/audio/transcriptions', form((call) => answerTranscription(call, false))],
    ['/v1/audio/translations', form((call) => answerTranscription(call, true))],
    ['/invocations', engine([], answerInvocation)],
    ['/tokenize', engine([], answerTokenize)],
    ['/detokenize', engine(['tokens'], () => json('{"prompt":"hello"}'))],
    ['/health', plain(['GET'], health)],
    ['/ping', plain(['GET', 'POST'], () => empty)],
    ['/version', plain(['GET'], () => json('{"version":"0.29.0"}'))],
    ['/load', plain(['GET'], () => json('{"server_load":0}'))],
    ['/metrics', plain(['GET'], () => metrics)],
  ])
}

const rustPaths = new Set([
  ...['/v1/models', '/v1/chat/completions', '/v1/completions', '/tokenize', '/detokenize'],
  ...['/health', '/version', '/load', '/metrics'],
])
const oldLlamaPaths = new Set([
  ...['/v1/models', '/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/rerank'],
  ...['/tokenize', '/detokenize', '/health', '/metrics'],
])

/** Whether a server has this path at all. */
export function hasRoute(dialect: Dialect, path: string): boolean {
  if (dialect === 'vllm-rust') return rustPaths.has(path)
  if (dialect === 'llamacpp-old') return oldLlamaPaths.has(path)
  return true
}

const guardedPrefixes: Record<'vllm' | 'vllm-rust', string[]> = {
  vllm: ['/v1', '/v2', '/inference', '/cohere'],
  'vllm-rust': ['/v1', '/v2', '/inference'],
}

/** Whether --api-key guards this path: in vLLM a prefix of the decoded path decides, nothing else. */
export function isGuarded(dialect: Dialect, path: string): boolean {
  switch (dialect) {
    case 'vllm':
    case 'vllm-rust':
      return guardedPrefixes[dialect].some((prefix) => path.startsWith(prefix))
    case 'llamacpp':
    case 'llamacpp-old':
      return !['/health', '/v1/health', '/models', '/v1/models', '/api/tags', '/'].includes(path)
    case 'sglang':
      return !['/health', '/ready', '/metrics'].some((prefix) => path.startsWith(prefix))
  }
}
