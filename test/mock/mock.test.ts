import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes } from '../../src/mock/bytes.ts'
import { type Mock, startMock } from '../../src/mock/server.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

const requestId = '0123456789abcdef0123456789abcdef'
const messages = [{ role: 'user', content: 'Say hello to me, in words as few as' }]

function post(path: string, body: object | string, headers: Record<string, string> = {}) {
  return fetch(mock.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': requestId, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

async function events(path: string, body: object): Promise<string[]> {
  const text = await (await post(path, { stream: true, ...body })).text()
  return text.split(/(?<=\n\n)/)
}

const chat = '/v1/chat/completions?mock=tokens:12,prompt:9'
const usage = { include_usage: true }

describe('literal bytes of vLLM', () => {
  test('chat: role, first token, finish with the fingerprint, done', async () => {
    const got = await events(chat, { messages })
    expect(got).toHaveLength(15)
    expect([got[0], got[1], got[13], got[14]]).toEqual([
      bytes.chatRole,
      bytes.chatToken,
      bytes.chatFinish,
      bytes.done,
    ])
  })

  test('chat with include_usage: the fingerprint moves to the usage chunk', async () => {
    const got = await events(chat, { messages, stream_options: usage })
    expect(got.slice(-3)).toEqual([bytes.chatFinishWithUsage, bytes.chatUsage, bytes.done])
  })

  test('chat with running counts', async () => {
    const options = { ...usage, continuous_usage_stats: true }
    const got = await events(chat, { messages, stream_options: options })
    expect(got[1]).toBe(bytes.chatTokenContinuous)
    expect(got[0]).toContain(
      '],"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":0},"prompt_token_ids":null',
    )
    expect(got.at(-2)).toBe(bytes.chatUsage)
  })

  test('chat with details of cache and reasoning', async () => {
    const got = await events(`${chat},cached:0,reasoning:5`, { messages, stream_options: usage })
    expect(got.at(-2)).toBe(bytes.chatUsageDetails)
  })

  test('completions: first token and usage chunk', async () => {
    const path = '/v1/completions?mock=tokens:12,prompt:9'
    const got = await events(path, { prompt: 'x', stream_options: usage })
    expect([got[0], got.at(-2), got.at(-1)]).toEqual([
      bytes.completionToken,
      bytes.completionUsage,
      bytes.done,
    ])
  })

  test('chat without a stream', async () => {
    const path = '/v1/chat/completions?mock=tokens:3,prompt:9'
    const body = await (await post(path, { messages })).text()
    expect(body.replace(' hello from a', 'Hi.')).toBe(bytes.chatBody)
  })

  test('an error mid-stream, with status 200 and [DONE]', async () => {
    const got = await events(`${chat},error:2`, { messages, stream_options: usage })
    expect(got.slice(-2)).toEqual([bytes.streamError, bytes.done])
    expect(got).toHaveLength(5)
  })

  test('models: the base model as vLLM lists it, and an adapter', async () => {
    const body = await (await fetch(`${mock.url}/v1/models`)).text()
    const fixed = body.replace(/modelperm-[0-9a-f]{32}/g, `modelperm-${'a'.repeat(32)}`)
    expect(fixed.startsWith(bytes.models.slice(0, -2))).toBe(true)
    expect(JSON.parse(body).data[1]).toMatchObject({ id: 'sql-lora', parent: 'Qwen/Qwen3-8B' })
  })

  const refusals: [string, number, string, () => Promise<Response>][] = [
    ['an unknown model', 404, bytes.unknownModel, () => post(chat, { messages, model: 'nope' })],
    ['status:400', 400, bytes.contextTooLong, () => post(`${chat},status:400`, { messages })],
    ['an unknown route', 404, bytes.unknownRoute, () => post('/v1/nothing', {})],
    ['a wrong method', 405, bytes.wrongMethod, () => fetch(`${mock.url}/v1/chat/completions`)],
    ['status:401', 401, bytes.unauthorized, () => post(`${chat},status:401`, { messages })],
  ]
  test.each(refusals)('%s is %i', async (_, status, body, ask) => {
    const response = await ask()
    expect(response.status).toBe(status)
    expect(await response.text()).toBe(body)
  })
})

describe('the wire of vLLM', () => {
  test('a stream has no length, no Cache-Control, and keeps the connection', async () => {
    const text = await raw(
      'POST /v1/completions?mock=tokens:1 HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"prompt":"a","stream":true}' +
        'GET /health HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n',
    )
    const [head = ''] = text.split('\r\n\r\n')
    expect(head.toLowerCase().split('\r\n')).toEqual([
      'http/1.1 200 ok',
      'server: uvicorn',
      'content-type: text/event-stream; charset=utf-8',
      'transfer-encoding: chunked',
      expect.stringMatching(/^date: /),
    ])
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
  })

  test('a slash at the end is redirected to the Host that was sent', async () => {
    const text = await raw(
      'GET /v1/models/?a=1 HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n',
    )
    expect(text).toContain('HTTP/1.1 307 ')
    expect(text).toContain('location: http://evil/v1/models?a=1\r\n')
  })

  test.each(['/v1%2fmodels', 'http://other/v1/models'])(
    '%s is decoded to a route',
    async (target) => {
      const text = await raw(`GET ${target} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n`)
      expect(text).toContain('HTTP/1.1 200 OK')
      expect(mock.log().at(-1)?.path).toBe(target)
    },
  )

  test('another Content-Type is 400', async () => {
    const response = await post(chat, { messages }, { 'content-type': 'text/plain' })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain("Only 'application/json' is allowed")
  })

  test('stream_options without stream is 400', async () => {
    const response = await post(chat, { messages, stream_options: usage })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { message: 'Stream options can only be defined when `stream=True`.' },
    })
  })

  test('an adapter answers under its own name, no model as the base', async () => {
    const lora = await (await post(chat, { messages, model: 'sql-lora' })).json()
    const base = await (await post(chat, { messages, model: null })).json()
    expect([lora, base]).toMatchObject([{ model: 'sql-lora' }, { model: 'Qwen/Qwen3-8B' }])
  })

  test('the paths without a key answer all the same', async () => {
    const guarded = await startMock({ apiKey: 'upstream' })
    const status = async (path: string, init?: RequestInit) =>
      (await fetch(guarded.url + path, init)).status
    const invocation = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages }),
    }
    const key = { headers: { authorization: 'Bearer upstream' } }
    expect([
      await status('/v1/models'),
      await status('/v1/models', key),
      await status('/invocations', invocation),
      ...(await Promise.all(['/health', '/version', '/metricsX', '/load'].map((at) => status(at)))),
    ]).toEqual([401, 200, 200, 200, 200, 200, 200])
    await guarded.close()
  })
})

/** What comes back for these very bytes, until the server closes. */
function raw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(mock.port, '127.0.0.1', () => socket.write(request))
    let text = ''
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}
