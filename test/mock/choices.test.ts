import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Mock, startMock } from '../../src/mock/server.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

/** An answer, with the random ids in it made equal. */
async function ask(path: string, settings: string, fields: object): Promise<string> {
  const response = await fetch(`${mock.url}${path}?mock=${settings}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  })
  return (await response.text()).replace(/[0-9a-f]{32}/g, 'a')
}

const streamed = {
  stream: true,
  stream_options: { include_usage: true, continuous_usage_stats: true },
}
const prompt = ['one', 'one two three']
const messages = [{ role: 'user', content: 'one two three' }]

describe('vLLM, a streamed list of prompts', () => {
  test('the index is prompt times n plus choice, with the counts of its own prompt', async () => {
    const text = await ask('/v1/completions', 'tokens:1', { ...streamed, prompt, n: 2 })
    const seen = text
      .split('\n\n')
      .slice(0, 4)
      .map((event) => JSON.parse(event.slice(6)))
      .map(({ choices, usage }) => [choices[0].index, usage.prompt_tokens, usage.total_tokens])
    expect(seen).toEqual([
      [0, 1, 2],
      [1, 1, 2],
      [2, 3, 4],
      [3, 3, 4],
    ])
    expect(text).toContain(
      '"choices":[],"usage":{"prompt_tokens":4,"total_tokens":8,"completion_tokens":4}',
    )
  })

  test('prompt:5 is shared out among them', async () => {
    const text = await ask('/v1/completions', 'tokens:1,prompt:5', { ...streamed, prompt })
    const counts = [...text.matchAll(/"prompt_tokens":(\d)/g)].map(([, count]) => count)
    expect(counts).toEqual(['3', '2', '3', '2', '5'])
  })
})

describe('llama.cpp', () => {
  test.each([
    ['/v1/chat/completions', { messages, n: 3 }, 3],
    ['/v1/completions', { prompt: 'one two three', n: 3 }, 3],
    ['/v1/completions', { prompt }, 1],
  ])('%s with %j tells the tokens of one choice', async (path, fields, promptTokens) => {
    const text = await ask(path, 'dialect:llamacpp,tokens:5', fields)
    const total = promptTokens + 5
    expect(text).toContain(
      `"usage":{"completion_tokens":5,"prompt_tokens":${promptTokens},"total_tokens":${total},`,
    )
    expect(text).toContain('"predicted_n":5,')
  })

  test('a streamed chat of two choices has a usage chunk for each', async () => {
    const fields = { ...streamed, messages, n: 2 }
    const text = await ask('/v1/chat/completions', 'dialect:llamacpp,tokens:5', fields)
    const chunk =
      'data: {"choices":[],"created":1792000000,"id":"chatcmpl-a","model":"Qwen/Qwen3-8B","system_fingerprint":"b7123-1a2b3c4d","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":0}},"timings":'
    const ends = text.split(/(?<=\n\n)/).slice(-3)
    expect(ends.map((event) => event.startsWith(chunk))).toEqual([true, true, false])
  })

  test('a streamed list begins with null, and has usage in the finish chunk of each', async () => {
    const fields = { stream: true, prompt }
    const text = await ask('/v1/completions', 'dialect:llamacpp,tokens:2', fields)
    const events = text.split(/(?<=\n\n)/)
    expect(events[0]).toBe('data: null\n\n')
    expect(events).toHaveLength(1 + 2 * 2 + 2 + 1)
    const finish = (index: number, tokens: number) =>
      `data: {"choices":[{"text":"","index":${index},"logprobs":null,"finish_reason":"stop"}],"created":1792000000,"model":"Qwen/Qwen3-8B","system_fingerprint":"b7123-1a2b3c4d","object":"text_completion","usage":{"completion_tokens":2,"prompt_tokens":${tokens},"total_tokens":${tokens + 2},"prompt_tokens_details":{"cached_tokens":0}},"id":"chatcmpl-a",`
    expect(events[5]?.startsWith(finish(0, 1))).toBe(true)
    expect(events[6]?.startsWith(finish(1, 3))).toBe(true)
  })

  test('one streamed prompt begins with its text', async () => {
    const text = await ask('/v1/completions', 'dialect:llamacpp', { stream: true, prompt: 'one' })
    expect(text.startsWith('data: {"choices":[{"text":" hello",')).toBe(true)
  })
})
