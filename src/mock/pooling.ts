import { type Answer, json } from './answer.ts'
import { asNumber, type Call, countTokens, created, type Json } from './call.ts'

const dimensionsDefault = 8

/** POST /v1/embeddings: usage is the last key in vLLM, so that a body of megabytes ends with it. */
export function answerEmbedding(call: Call): Answer {
  const vectors = inputsOf(call.body.input).map((_, index) => vectorOf(call, index))
  const format = call.body.encoding_format
  if (format === 'bytes' || format === 'bytes_only') return rawVectors(call, vectors, format)
  const data = vectors
    .map((vector, index) => {
      const embedding =
        format === 'base64' ? `"${floatsOf(vector).toString('base64')}"` : JSON.stringify(vector)
      return call.settings.dialect === 'vllm' || call.settings.dialect === 'vllm-rust'
        ? `{"index":${index},"object":"embedding","embedding":${embedding}}`
        : `{"embedding":${embedding},"index":${index},"object":"embedding"}`
    })
    .join(',')
  return json(embeddingBody(call, data))
}

function embeddingBody(call: Call, data: string): string {
  const model = JSON.stringify(call.model)
  const prompt = `"prompt_tokens":${call.promptTokens},"total_tokens":${call.promptTokens}`
  switch (call.settings.dialect) {
    case 'vllm':
    case 'vllm-rust':
      return `{"id":${JSON.stringify(`embd-${call.id}`)},"object":"list","created":${created},"model":${model},"data":[${data}]${vllmUsage(call)}}`
    case 'llamacpp':
    case 'llamacpp-old':
      return `{"model":${model},"object":"list","usage":{${prompt}},"data":[${data}]}`
    case 'sglang':
      return `{"data":[${data}],"model":${model},"object":"list","usage":{${prompt},"completion_tokens":0,"prompt_tokens_details":null,"reasoning_tokens":0}}`
  }
}

function vllmUsage(call: Call): string {
  if (call.settings.usage === 'none') return ''
  return `,"usage":{"prompt_tokens":${call.promptTokens},"total_tokens":${call.promptTokens},"completion_tokens":0,"prompt_tokens_details":null,"completion_tokens_details":null}`
}

// The body is floats and nothing else; what JSON would tell about them is in a header, made by json.dumps, or nowhere.
function rawVectors(call: Call, vectors: number[][], format: 'bytes' | 'bytes_only'): Answer {
  const body = Buffer.concat(vectors.map(floatsOf))
  body[0] = call.settings.firstByte ?? body[0] ?? 0
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream' }
  if (format === 'bytes') {
    headers.metadata = `{"id": ${JSON.stringify(`embd-${call.id}`)}, "created": ${created}, "model": ${JSON.stringify(call.model)}, "data": [${itemsOf(vectors)}]${headerUsage(call)}}`
  }
  return { kind: 'body', status: 200, headers, body, tokens: 0 }
}

function itemsOf(vectors: number[][]): string {
  let end = 0
  const items = vectors.map((vector, index) => {
    const start = end
    end += 4 * vector.length
    return `{"index": ${index}, "embed_dtype": "float32", "endianness": "native", "start": ${start}, "end": ${end}, "shape": [${vector.length}]}`
  })
  return items.join(', ')
}

function headerUsage(call: Call): string {
  if (call.settings.usage === 'none') return ''
  return `, "usage": {"prompt_tokens": ${call.promptTokens}, "total_tokens": ${call.promptTokens}}`
}

/** POST /v1/score. */
export function answerScore(call: Call): Answer {
  const documents = inputsOf(call.body.text_2 ?? call.body.documents)
  const data = documents
    .map((_, index) => `{"index":${index},"object":"score","score":${scoreOf(index)}}`)
    .join(',')
  return json(
    `{"id":${JSON.stringify(`score-${call.id}`)},"object":"list","created":${created},"model":${JSON.stringify(call.model)},"data":[${data}]${vllmUsage(call)}}`,
  )
}

/** POST /v1/rerank: here usage stands before the results. */
export function answerRerank(call: Call): Answer {
  const documents = inputsOf(call.body.documents)
  const kept = documents.slice(0, asNumber(call.body.top_n) || documents.length)
  const usage = `"usage":{"prompt_tokens":${call.promptTokens},"total_tokens":${call.promptTokens}}`
  const model = JSON.stringify(call.model)
  if (call.settings.dialect.startsWith('llamacpp')) {
    const results = kept.map((_, index) => `{"index":${index},"relevance_score":${scoreOf(index)}}`)
    return json(`{"model":${model},"object":"list",${usage},"results":[${results.join(',')}]}`)
  }
  if (call.settings.dialect === 'sglang') {
    // SGLang's answer is a bare list that tells no usage at all.
    const results = kept.map((document, index) => ({ score: scoreOf(index), document, index }))
    return json(JSON.stringify(results))
  }
  const results = kept.map(
    (document, index) =>
      `{"index":${index},"document":{"text":${JSON.stringify(document)},"multi_modal":null},"relevance_score":${scoreOf(index)}}`,
  )
  return json(
    `{"id":${JSON.stringify(`rerank-${call.id}`)},"model":${model},${usage},"results":[${results.join(',')}]}`,
  )
}

/** POST /v2/embed, Cohere's shape. */
export function answerEmbedV2(call: Call): Answer {
  const texts = inputsOf(call.body.texts)
  const tokens = texts.reduce<number>((sum, text) => sum + countTokens(text), 0)
  const billed = call.settings.promptTokens ?? tokens
  return json(
    JSON.stringify({
      id: `embd-${call.id}`,
      embeddings: { float: texts.map((_, index) => vectorOf(call, index)) },
      texts,
      meta: { api_version: { version: '2' }, billed_units: { input_tokens: billed } },
    }),
  )
}

// One text, a list of texts, one list of token ids, or a list of such lists.
function inputsOf(input: Json | undefined): Json[] {
  if (Array.isArray(input) && typeof input[0] !== 'number') return input
  return input === undefined || input === null ? [] : [input]
}

function vectorOf(call: Call, index: number): number[] {
  // Each number below is written with at least four characters and a comma.
  const wanted = Math.ceil(call.settings.bytes / 5)
  const dimensions = asNumber(call.body.dimensions) ?? Math.max(dimensionsDefault, wanted)
  return Array.from({ length: dimensions }, (_, at) => (((at + index) % 7) + 1) / 64)
}

function floatsOf(vector: number[]): Buffer {
  return Buffer.from(new Float32Array(vector).buffer)
}

function scoreOf(index: number): number {
  return 1 / (index + 2)
}
