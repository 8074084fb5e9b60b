import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Mock, startMock } from '../../src/mock/server.ts'
import { type Dialect, dialects } from '../../src/mock/settings.ts'

const mocks = new Map<Dialect, Mock>()

beforeAll(async () => {
  for (const dialect of dialects) {
    mocks.set(dialect, await startMock({ dialect, tokens: 4, apiKey: 'upstream' }))
  }
})
afterAll(() => Promise.all([...mocks.values()].map((mock) => mock.close())))

const model = 'Qwen/Qwen3-8B'
const messages = [{ role: 'user' as const, content: 'one two three' }]

function urlOf(dialect: Dialect): string {
  return mocks.get(dialect)?.url ?? ''
}

function openai(dialect: Dialect, apiKey = 'upstream'): OpenAI {
  return new OpenAI({ apiKey, baseURL: `${urlOf(dialect)}/v1`, maxRetries: 0 })
}

// vLLM takes Bearer only; the SDK sends x-api-key when given an apiKey.
function anthropic(dialect: Dialect): Anthropic {
  const options = { apiKey: null, authToken: 'upstream', maxRetries: 0 }
  return new Anthropic({ ...options, baseURL: urlOf(dialect) })
}

describe.each(dialects)('openai against %s', (dialect) => {
  test('lists models', async () => {
    const list = await openai(dialect).models.list()
    expect(list.data[0]?.id).toBe(model)
  })

  test('chat', async () => {
    const answer = await openai(dialect).chat.completions.create({ model, messages })
    expect(answer.choices[0]?.message.content).toBe(' hello from a mock')
    expect(answer.choices[0]?.finish_reason).toBe('stop')
    expect(answer.usage).toMatchObject({
      prompt_tokens: 3,
      completion_tokens: 4,
      total_tokens: 7,
    })
  })

  test('chat as a stream, with usage', async () => {
    const stream = await openai(dialect).chat.completions.create({
      ...{ model, messages, stream: true, max_tokens: 3 },
      stream_options: { include_usage: true },
    })
    let text = ''
    let reason: string | null = null
    const usages: unknown[] = []
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      reason = chunk.choices[0]?.finish_reason ?? reason
      if (chunk.usage) usages.push(chunk.usage)
    }
    expect([text, reason]).toEqual([' hello from a', 'length'])
    expect(usages).toMatchObject([{ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 }])
  })

  test('completions, whole and as a stream', async () => {
    const { completions } = openai(dialect)
    const answer = await completions.create({ model, prompt: 'one two' })
    expect(answer.choices[0]?.text).toBe(' hello from a mock')
    expect(answer.usage?.total_tokens).toBe(6)
    let text = ''
    for await (const chunk of await completions.create({ model, prompt: 'one', stream: true })) {
      text += chunk.choices[0]?.text ?? ''
    }
    expect(text).toBe(' hello from a mock')
  })

  test('a wrong key is an AuthenticationError', async () => {
    const call = openai(dialect, 'wrong').chat.completions.create({ model, messages })
    await expect(call).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  })

  test('an error mid-stream is raised, except where old llama.cpp hides it', async () => {
    const body = { model, messages, stream: true as const, mock: 'error:2' }
    const read = async () => {
      let text = ''
      for await (const chunk of await openai(dialect).chat.completions.create(body)) {
        text += chunk.choices[0]?.delta.content ?? ''
      }
      return text
    }
    if (dialect === 'llamacpp-old') expect(await read()).toBe(' hello from')
    else await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError)
  })
})

const usageOf: Record<'vllm' | 'llamacpp' | 'sglang', { whole: object; end: object }> = {
  vllm: {
    whole: { input_tokens: 3, output_tokens: 4 },
    end: { input_tokens: 3, output_tokens: 4 },
  },
  llamacpp: { whole: { input_tokens: 3, output_tokens: 4 }, end: { output_tokens: 4 } },
  sglang: { whole: { input_tokens: 3, output_tokens: 4 }, end: { output_tokens: 4 } },
}
const rich = ['vllm', 'llamacpp', 'sglang'] as const

describe.each(rich)('the other routes of %s', (dialect) => {
  test('responses, whole and as a stream', async () => {
    const { responses } = openai(dialect)
    const answer = await responses.create({ model, input: 'one two' })
    expect(answer.output_text).toBe(' hello from a mock')
    expect(answer.usage).toMatchObject({ input_tokens: 2, output_tokens: 4, total_tokens: 6 })
    const types: string[] = []
    let text = ''
    for await (const event of await responses.create({ model, input: 'one', stream: true })) {
      types.push(event.type)
      if (event.type === 'response.output_text.delta') text += event.delta
      if (event.type === 'response.completed') expect(event.response.usage?.total_tokens).toBe(5)
    }
    expect(text).toBe(' hello from a mock')
    expect(types.at(-1)).toBe('response.completed')
  })

  test('embeddings, in base64 as the SDK asks for', async () => {
    const answer = await openai(dialect).embeddings.create({ model, input: ['one', 'two three'] })
    expect(answer.data.map((item) => item.embedding.length)).toEqual([8, 8])
    expect(answer.data[1]?.embedding[0]).toBe(2 / 64)
    expect(answer.usage).toMatchObject({ prompt_tokens: 3, total_tokens: 3 })
  })

  test('anthropic: messages, whole and as a stream, and counting', async () => {
    const client = anthropic(dialect)
    const answer = await client.messages.create({ model, max_tokens: 9, messages })
    expect(answer.content).toMatchObject([{ type: 'text', text: ' hello from a mock' }])
    expect(answer.usage).toMatchObject(usageOf[dialect].whole)
    let text = ''
    let end: unknown
    for await (const event of client.messages.stream({ model, max_tokens: 9, messages })) {
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') {
        text += event.delta.text
      }
      if (event.type === 'message_delta') end = event.usage
    }
    expect([text, end]).toEqual([' hello from a mock', usageOf[dialect].end])
    const count = await client.messages.countTokens({ model, messages })
    expect(count.input_tokens).toBe(3)
  })

  test('anthropic: errors, before the answer and within', async () => {
    const { messages: api } = anthropic(dialect)
    const body = { model, max_tokens: 9, messages }
    await expect(api.create({ ...body, ...{ mock: 'status:404' } })).rejects.toBeInstanceOf(
      Anthropic.NotFoundError,
    )
    const stream = api.stream({ ...body, ...{ mock: 'error:1' } })
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(Anthropic.APIError)
  })
})

test('openai: an unknown model is a NotFoundError with param and code', async () => {
  for (const [dialect, code] of [
    ['vllm', 404],
    ['vllm-rust', 'model_not_found'],
  ] as const) {
    const call = openai(dialect).chat.completions.create({ model: 'nope', messages })
    const error = await call.catch((error: unknown) => error)
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({ param: 'model', code })
  }
})

test('openai: transcriptions tell seconds, and usage in a stream only when asked', async () => {
  const { transcriptions } = openai('vllm').audio
  const file = new File([new Uint8Array(48_000)], 'a.wav')
  const answer = await transcriptions.create({ model, file })
  expect(answer).toMatchObject({
    text: 'hello from a mock',
    usage: { type: 'duration', seconds: 2 },
  })
  const usages: unknown[] = []
  const asked = { stream: true as const, stream_include_usage: true }
  for await (const chunk of await transcriptions.create({ model, file, ...asked })) {
    if ('usage' in chunk) usages.push(chunk.usage)
  }
  expect(usages).toMatchObject([{ completion_tokens: 4 }])
})

test('rerank, score and v2/embed count where vLLM counts', async () => {
  const ask = async (path: string, body: object): Promise<string> => {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer upstream' }
    const url = `${urlOf('vllm')}${path}`
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).text()
  }
  const ranked = await ask('/v1/rerank', { query: 'one', documents: ['two three', 'four'] })
  expect(ranked).toMatch(/"usage":\{"prompt_tokens":4,"total_tokens":4\},"results":\[\{"index":0/)
  const scored = await ask('/v1/score', { text_1: 'one', text_2: ['two', 'three'] })
  expect(scored).toMatch(/"completion_tokens_details":null\}\}$/)
  expect(JSON.parse(scored).data).toHaveLength(2)
  const embedded = JSON.parse(await ask('/v2/embed', { texts: ['one two'] }))
  expect(embedded.meta.billed_units).toEqual({ input_tokens: 2 })
})
