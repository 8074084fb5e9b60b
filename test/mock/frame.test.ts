import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes } from '../../src/mock/bytes.ts'
import { type Mock, startMock } from '../../src/mock/server.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

const usage = '"usage":{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12}'

async function streamOf(settings: string, path = '/v1/chat/completions'): Promise<string> {
  const response = await fetch(`${mock.url}${path}?mock=tokens:12,prompt:9,${settings}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-request-id': '0123456789abcdef0123456789abcdef',
    },
    body: JSON.stringify({
      ...{ model: 'Qwen/Qwen3-8B', messages: [], prompt: 'a', input: 'a', max_tokens: 99 },
      ...{ stream: true, stream_options: { include_usage: true } },
    }),
  })
  return response.text()
}

describe('line ends', () => {
  test.each([
    ['crlf', '\r\n'],
    ['cr', '\r'],
  ])('lines:%s writes each line with it', async (name, lineEnd) => {
    const plain = await streamOf('comments', '/v1/messages')
    const other = await streamOf(`comments,lines:${name}`, '/v1/messages')
    expect(other).toBe(plain.replaceAll('\n', lineEnd))
    expect(other).toContain(`: keep-alive${lineEnd}${lineEnd}event: message_stop${lineEnd}`)
  })

  test.each([
    ['end:line', 'data: [DONE]\n'],
    ['end:none', 'data: [DONE]'],
    ['end:line,lines:crlf', 'data: [DONE]\r\n'],
  ])('%s leaves the last event open', async (settings, end) => {
    const text = await streamOf(settings)
    expect(text.endsWith(`}\n\n${end}`) || text.endsWith(`}\r\n\r\n${end}`)).toBe(true)
  })

  test('done:0 and end:none end with the usage itself', async () => {
    const text = await streamOf('done:0,end:none')
    expect(text.endsWith(`\n\n${bytes.chatUsage.trimEnd()}`)).toBe(true)
  })

  test('an error is left open as well', async () => {
    expect(await streamOf('error:2,done:0,end:none')).toMatch(/"code": 500\}\}$/)
  })
})

describe('the usage chunk', () => {
  const opening =
    '"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B"'

  test('choice puts an empty one into it', async () => {
    const choice = '{"index":0,"delta":{},"logprobs":null,"finish_reason":null}'
    const expected = bytes.chatUsage.replace('"choices":[]', `"choices":[${choice}]`)
    expect(await streamOf('choice')).toContain(`\n\n${expected}`)
    const text = '{"index":0,"text":"","logprobs":null,"finish_reason":null}'
    expect(await streamOf('choice', '/v1/completions')).toContain(`"choices":[${text}],${usage}`)
  })

  test('ahead puts usage before the other fields', async () => {
    expect(await streamOf('ahead')).toContain(`\n\ndata: {${usage},${opening},"choices":[],`)
    const running = await streamOf('ahead,usage:force')
    expect(running).toContain('\n\ndata: {"usage":{"prompt_tokens":9,"total_tokens":10,')
    expect(await streamOf('ahead', '/v1/messages')).toContain(
      'data: {"usage":{"input_tokens":9,"output_tokens":12},"type":"message_delta",',
    )
    expect(await streamOf('ahead', '/v1/responses')).toContain(
      'event: response.completed\ndata: {"response":{"usage":{"input_tokens":9,',
    )
  })

  test('fold spreads it over data lines, which join to the same', async () => {
    const text = await streamOf('fold')
    expect(text).toContain(
      'data:  "choices": [],\ndata:  "usage": {\ndata:   "prompt_tokens": 9,\ndata:   "total_tokens": 21,\ndata:   "completion_tokens": 12\ndata:  },\ndata:  "system_fingerprint": "vllm-0.29.0-1a2b3c4d"\ndata: }\n\n',
    )
    const folded = text.split('\n\n').find((event) => event.includes('"usage"')) ?? ''
    const data = folded.replace(/^data: /gm, '')
    expect(JSON.parse(data)).toEqual(JSON.parse(bytes.chatUsage.slice(6)))
  })

  test('all of them can be had at once', async () => {
    const text = await streamOf('fold,ahead,choice,lines:crlf,done:0,end:none')
    const event = text.split('\r\n\r\n').at(-1) ?? ''
    expect(event.startsWith('data: {\r\ndata:  "usage": {\r\n')).toBe(true)
    expect(JSON.parse(event.replace(/^data: /gm, ''))).toMatchObject({ choices: [{ delta: {} }] })
  })
})
