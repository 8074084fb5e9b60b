import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { exchange, message } from './raw.ts'
import { findEngines } from './setups.ts'

watchLogs()

/** Everything a caller may try to be, to bring, or to steer with. */
const HOSTILE = [
  'x-api-key: KEY',
  'api-key: KEY',
  'X-API-Client: admin',
  'X-Request-Id: chosen-by-caller',
  'X-Vllm-Priority: -100',
  'X-data-parallel-rank: 1',
  'X-Session-ID: other',
  'X-Cache-Salt: victim',
  'endpoint-load-metrics-format: text',
  'Cookie: session=1',
  'Forwarded: for=1.2.3.4',
  'X-Forwarded-For: 1.2.3.4',
  'X-Forwarded-Host: evil',
  'X-Forwarded-Proto: gopher',
  'X-Real-IP: 1.2.3.4',
  'X-Original-URL: /metrics',
  'Proxy-Authorization: Basic eDp5',
  'Proxy-Connection: keep-alive',
  'Keep-Alive: timeout=99',
  'TE: trailers',
  'Trailer: X-Late',
  'Upgrade: websocket',
  'Connection: close, X-API-Client, X-Request-Id',
  'Accept-Encoding: gzip',
  'X-Anything: else',
]

describe.each(await findEngines())('$name: what reaches the server behind', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup, { upstreamKey: 'upstream-secret' })
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  test('only the headers of the list, and those that the gate sets itself', async () => {
    const lines = HOSTILE.map((line) => line.replace('KEY', gate.key))
    const allowed = [
      'Accept: */*',
      'User-Agent: test',
      'traceparent: 00-1-2-3',
      'anthropic-beta: b',
    ]
    await exchange(gate, message('GET', '/v1/models', [...lines, ...allowed]))
    const [record] = gate.mock.log()
    expect(record?.headers).toEqual({
      accept: '*/*',
      'user-agent': 'test',
      traceparent: '00-1-2-3',
      'anthropic-beta': 'b',
      host: 'vllm',
      'x-request-id': expect.stringMatching(/^[0-9a-f]{32}$/),
      'x-api-client': 'app',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      authorization: 'Bearer upstream-secret',
      'content-length': '0',
    })
  })

  test('a body brings its type and its length, and nothing else', async () => {
    const lines = HOSTILE.map((line) => line.replace('KEY', gate.key))
    const body = [
      'Content-Type: application/json; charset=x',
      'Content-Encoding: gzip',
      'Expect: x',
    ]
    const more = ['Content-Language: de', 'Content-MD5: x', 'Range: bytes=0-1', 'If-Match: "x"']
    const length = 'Content-Length: 2'
    const text = message('POST', '/v1/embeddings', [...lines, ...body, ...more, length], '{}')
    await exchange(gate, text)
    const names = Object.keys(gate.mock.log()[0]?.headers ?? {}).sort()
    expect(names).toEqual([
      ...['authorization', 'content-length', 'content-type', 'host'],
      ...['x-api-client', 'x-forwarded-for', 'x-forwarded-proto', 'x-request-id'],
    ])
    expect(gate.mock.log()[0]?.headers['content-type']).toBe('application/json; charset=x')
  })

  test('no identity and no credential on a public route', async () => {
    await gate.call('/health')
    expect(gate.mock.log()[0]?.headers).not.toHaveProperty('x-api-client')
  })

  test('the id of the answer is the id that the server and the ledger have', async () => {
    const response = await gate.call('/v1/models', { headers: { 'x-request-id': 'mine' } })
    const id = response.headers.get('x-request-id')
    expect(gate.mock.log()[0]?.headers['x-request-id']).toBe(id)
    await until('its line', async () => (await gate.ledger()).some((line) => line['id'] === id))
  })

  test('the query goes on as it was sent', async () => {
    await gate.call('/v1/models?beta=true&x=%2f..%00')
    expect(gate.mock.log()[0]?.path).toBe('/v1/models?beta=true&x=%2f..%00')
  })

  test.each([
    [
      'odd white space, big integers and unknown fields',
      '{ "seed":12345678901234567890 ,\n"z" : [1.0,1e2] }',
    ],
    ['duplicate keys further in', '{"x":{"a":1,"a":2}}'],
    [
      'characters of all lengths',
      '{"input":"a\u0000b \u20ac \ud83d\ude00 \\ud83d"}'.replace('\u0000', '\\u0000'),
    ],
  ])('a body with %s is passed on byte for byte', async (_, body) => {
    await gate.call('/v1/embeddings', { body })
    expect(gate.mock.log()[0]?.body).toBe(body)
  })

  test('a body of 5 MB is passed on whole', async () => {
    const body = JSON.stringify({ input: 'x'.repeat(5_000_000) })
    const response = await gate.call('/v1/embeddings', { body })
    expect(response.status).toBe(200)
    expect(gate.mock.log()[0]?.bodyBytes).toBe(body.length)
  })

  test('a chunked body arrives with its length', async () => {
    const lines = [`x-api-key: ${gate.key}`, 'Content-Type: application/json', 'Connection: close']
    const chunks = '2\r\n{"\r\n11\r\ninput":"hello"}  \r\n0\r\n\r\n'
    const text = message('POST', '/v1/embeddings', [...lines, 'Transfer-Encoding: chunked'], chunks)
    expect(await exchange(gate, text)).toContain('200 OK')
    expect(gate.mock.log()[0]?.body).toBe('{"input":"hello"}  ')
  })

  test('an audio upload passes as it is', async () => {
    const form = new FormData()
    form.set('file', new Blob([new Uint8Array([0, 255, 13, 10])]), 'a.wav')
    const headers = { authorization: `Bearer ${gate.key}` }
    const url = `${gate.url}/v1/audio/transcriptions`
    const response = await fetch(url, { method: 'POST', body: form, headers })
    expect(response.status).toBe(200)
    expect(gate.mock.log()[0]?.headers['content-type']).toContain('multipart/form-data')
  })

  test('errors of the server pass unchanged', async () => {
    const body = { model: 'nope', messages: [{ role: 'user', content: 'x' }] }
    const response = await gate.call('/v1/chat/completions', { body: JSON.stringify(body) })
    expect(response.status).toBe(404)
    const { error } = (await response.json()) as { error: object }
    expect(error).toMatchObject({ type: 'NotFoundError', param: 'model', code: 404 })
    expect((await gate.ledger()).at(-1)).toMatchObject({ outcome: 'ok', status: 404 })
  })
})

describe.each(await findEngines())('$name: a server with answers of its own', (setup) => {
  let gate: Gate
  let server: Server
  let answer: RequestListener = () => {}
  beforeAll(async () => {
    server = createServer((request, response) => answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    gate = await startGate(setup, { upstreamServer: `127.0.0.1:${port}` })
  })
  afterAll(async () => {
    await gate.stop()
    server.close()
  })

  test('gets the bytes of a body as they are, and no Authorization without a key of its own', async () => {
    const bytes = randomBytes(5_000_000)
    const received: Buffer[] = []
    let authorization: string | undefined
    answer = (request, response) => {
      authorization = request.headers.authorization
      request.on('data', (piece) => received.push(piece))
      request.on('end', () => response.end(Buffer.concat(received)))
    }
    const response = await gate.call('/v1/audio/transcriptions', { body: bytes })
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
    expect(Buffer.concat(received).equals(bytes)).toBe(true)
    expect(authorization).toBeUndefined()
  })

  test('a redirect is passed on as it is, and not followed', async () => {
    let requests = 0
    answer = (_, response) => {
      requests++
      response.writeHead(307, { location: 'http://vllm/metrics' }).end()
    }
    const response = await gate.call('/v1/models', { redirect: 'manual' })
    expect([response.status, response.headers.get('location')]).toEqual([
      307,
      'http://vllm/metrics',
    ])
    expect(requests).toBe(1)
  })

  test('no header of an answer moves nginx to another path', async () => {
    const paths: (string | undefined)[] = []
    for (const target of ['/metrics', '@tollgate', '/tollgate-error?200']) {
      answer = (request, response) => {
        paths.push(request.url)
        response.writeHead(200, { 'x-accel-redirect': target }).end('mine')
      }
      const response = await gate.call('/v1/models')
      expect([response.status, await response.text()]).toEqual([200, 'mine'])
      expect(response.headers.has('x-accel-redirect')).toBe(false)
    }
    expect(paths).toEqual(['/v1/models', '/v1/models', '/v1/models'])
  })

  test('the ids are the gate’s, whatever it calls the request', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'x-request-id': 'its', 'request-id': 'its', server: 'uvicorn' })
      response.end('{}')
    }
    const response = await gate.call('/v1/messages', { body: '{}' })
    const id = response.headers.get('x-request-id')
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(response.headers.get('request-id')).toBe(id)
    expect(response.headers.get('server')).toBe('nginx')
  })
})

describe.each(await findEngines())('$name: a server on a UNIX socket', (setup) => {
  test('is reached', async () => {
    const socket = join('/tmp', `tollgate-mock-${process.pid}-${Date.now()}.sock`)
    const gate = await startGate(setup, { mock: { socket }, upstreamServer: `unix:${socket}` })
    const response = await gate.call('/v1/models')
    expect(response.status).toBe(200)
    expect(gate.mock.log()[0]?.headers.host).toBe('vllm')
    await gate.stop()
  })
})
