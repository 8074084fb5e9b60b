import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bytes } from '../../src/mock/bytes.ts'
import { type Mock, startMock } from '../../src/mock/server.ts'
import { sleep } from '../waiting.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
beforeEach(() => mock.reset())
afterAll(() => mock.close())

const chat = '/v1/chat/completions'
const completions = '/v1/completions'
const messages = '/v1/messages'
const responses = '/v1/responses'

function post(path: string, settings: string, fields: object = {}, signal?: AbortSignal) {
  const said = [{ role: 'user', content: 'one two three' }]
  const body = { messages: said, prompt: 'one two three', input: 'one two three', ...fields }
  return fetch(mock.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'Qwen/Qwen3-8B', max_tokens: 99, mock: settings, ...body }),
    ...(signal ? { signal } : {}),
  })
}

/** The events of a stream, and whether it ended with a last chunk. */
async function streamOf(path: string, settings: string, fields: object = {}) {
  const response = await post(path, settings, { stream: true, ...fields })
  expect(response.status).toBe(200)
  let text = ''
  let isWhole = true
  try {
    for await (const piece of response.body ?? []) text += new TextDecoder().decode(piece)
  } catch {
    isWhole = false
  }
  return { events: text.split(/(?<=\n\n)/), isWhole }
}

describe('a dead engine of vLLM 0.32', () => {
  test.each([
    [chat, 1],
    [completions, 0],
  ])('%s: the error stands after the tokens, then [DONE]', async (path, head) => {
    const { events, isWhole } = await streamOf(path, 'error:3,failure:engine')
    expect(events).toHaveLength(head + 3 + 2)
    expect(events.slice(-2)).toEqual([bytes.deadEngine, bytes.done])
    expect(isWhole).toBe(true)
  })

  test.each([chat, completions])('%s: before any event it stands alone', async (path) => {
    const { events } = await streamOf(path, 'error:first,failure:engine')
    expect(events).toEqual([bytes.deadEngine, bytes.done])
  })

  test('messages: an error event, and no message_stop', async () => {
    const { events } = await streamOf(messages, 'error:3,failure:engine')
    expect(events).toHaveLength(2 + 3 + 1)
    expect(events.at(-1)).toBe(bytes.deadEngineMessage)
    const first = await streamOf(messages, 'error:first,failure:engine')
    expect(first.events).toEqual([bytes.deadEngineMessage])
  })

  test('responses: the connection closes without a last chunk', async () => {
    const { events, isWhole } = await streamOf(responses, 'error:3,itl:5,failure:engine')
    expect(isWhole).toBe(false)
    expect(events).toHaveLength(4 + 3)
    expect(events.at(-1)).toContain('event: response.output_text.delta\n')
  })

  test('status:500 tells it as well', async () => {
    const response = await post(chat, 'status:500,failure:engine')
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}}',
    ])
  })
})

describe('response.failed', () => {
  test('it stands in place of the rest, with what was counted', async () => {
    const { events } = await streamOf(responses, 'prompt:5,error:3,failure:failed')
    expect(events).toHaveLength(4 + 3 + 1)
    const [name, data] = (events.at(-1) ?? '').split('\n')
    expect(name).toBe('event: response.failed')
    expect(JSON.parse(data?.slice(6) ?? '')).toMatchObject({
      type: 'response.failed',
      sequence_number: 7,
      response: {
        status: 'failed',
        error: { code: 'server_error', message: 'Internal server error' },
        output: [],
        usage: { input_tokens: 5, output_tokens: 3, total_tokens: 8 },
      },
    })
  })

  test('with usage:null it counts nothing, and may be the first event', async () => {
    const { events } = await streamOf(responses, 'error:first,failure:failed,usage:null')
    expect(events).toHaveLength(1)
    expect(events[0]).toMatch(/"status":"failed",.*"usage":null,.*"sequence_number":0,/)
  })

  test('without a stream it is a response of that status', async () => {
    const response = await post(responses, 'error:0,failure:failed,usage:null')
    const body = await response.json()
    expect(response.status).toBe(200)
    expect(body).toMatchObject({ status: 'failed', error: { code: 'server_error' }, usage: null })
  })
})

describe('a whole answer of status 200 with an error in it', () => {
  const error =
    '{"error":{"message":"Internal server error","type":"InternalServerError","param":null,"code":500}}'
  test.each([
    [chat, 'error:2', error],
    [completions, 'error:2', error],
    [responses, 'error:2', error],
    ['/v1/embeddings', 'error:0', error],
    [
      messages,
      'error:2',
      '{"type":"error","error":{"type":"InternalServerError","message":"Internal server error"}}',
    ],
  ])('%s with %s has it', async (path, settings, body) => {
    const response = await post(path, settings)
    expect([response.status, await response.text()]).toEqual([200, body])
  })

  test('an answer that is done before is none', async () => {
    expect(await (await post(chat, 'tokens:2,error:3')).text()).toContain('"usage":{')
  })
})

describe('an end without events', () => {
  test.each([chat, completions, messages, responses])(
    'failure:close on %s closes after the tokens, or before all',
    async (path) => {
      const after = await streamOf(path, 'error:2,itl:5,failure:close')
      expect(after.isWhole).toBe(false)
      expect(after.events.at(-1)).toContain(' from')
      const first = await streamOf(path, 'error:first,failure:close')
      expect(first).toEqual({ events: [''], isWhole: false })
    },
  )

  test('without a stream the body does not come', async () => {
    await expect((await post(chat, 'error:2,failure:close')).text()).rejects.toThrow()
  })
})

describe('SIGTERM', () => {
  test('chat: the reason is abort, usage and [DONE] follow', async () => {
    const fields = { stream_options: { include_usage: true } }
    const { events } = await streamOf(chat, 'prompt:9,error:2,failure:abort', fields)
    expect(events).toHaveLength(1 + 2 + 3)
    expect(events.at(-3)).toContain(
      '"delta":{"content":""},"logprobs":null,"finish_reason":"abort","stop_reason":null,"token_ids":null}]}\n\n',
    )
    expect(events.at(-2)).toContain(
      '"choices":[],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}',
    )
    expect(events.at(-1)).toBe(bytes.done)
  })

  test.each([
    [messages, true],
    [responses, true],
    [chat, false],
  ])('%s with stream %s hangs until the caller leaves', async (path, stream) => {
    const leaves = AbortSignal.timeout(100)
    const answered = post(path, 'error:2,failure:abort', { stream }, leaves).then((answer) =>
      answer.text(),
    )
    await expect(answered).rejects.toThrow()
    await sleep(20)
    expect(mock.log()[0]).toMatchObject({ aborted: true, lastByteAt: null })
  })
})
