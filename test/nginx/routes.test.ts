import { once } from 'node:events'
import { connect, constants, type OutgoingHttpHeaders } from 'node:http2'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listRoutes } from '../../src/core/admit/routes.ts'
import type { RouteAccess, Scope } from '../../src/core/config/shapes.ts'
import { type Gate, makeKey, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ask, exchange, firstAnswer, message, parseAnswers } from './raw.ts'
import { findEngines } from './setups.ts'

const chat = '/v1/chat/completions'
const question = JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }] })

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  let gate: Gate
  let bearer: string
  const { secret: adminKey, record } = makeKey()
  const all: Scope[] = ['inference', 'embeddings', 'audio', 'models', 'tokenize', 'admin']

  beforeAll(async () => {
    const clients = { version: 1 as const, clients: { admin: { scopes: all, keys: [record] } } }
    gate = await startGate(setup, { clients, serverExtra: 'http2 on;' })
    bearer = `Authorization: Bearer ${gate.key}`
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  /** A request with a key that may use everything: only its path or method can be wrong. */
  function tryRoute(method: string, target: string, lines: string[] = [], body = '') {
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    return ask(gate, method, target, [`x-api-key: ${adminKey}`, ...length, ...lines], body)
  }

  test('every route that is open by default reaches the server, under its path', async () => {
    const open = listRoutes().filter((route) => route.access !== 'off')
    const json = ['Content-Type: application/json']
    for (const { method, path } of open) {
      await tryRoute(method, `${path}?a=b`, json, method === 'POST' ? '{}' : '')
    }
    const reached = gate.mock.log().map(({ method, path }) => `${method} ${path}`)
    expect(reached).toEqual(open.map(({ method, path }) => `${method} ${path}?a=b`))
  })

  test.each(listRoutes().filter((route) => route.access === 'off'))(
    '$path is closed',
    async ({ method, path }) => {
      expect((await tryRoute(method, path, [], method === 'POST' ? '{}' : '')).status).toBe(404)
      expect(gate.mock.log()).toHaveLength(0)
    },
  )

  test.each([
    ...['/', '/v1', '/v1/', '/docs', '/openapi.json', '/server_info', '/sleep', '/pause'],
    ...['/v1/models/Qwen', '/v1/responses/resp_1', '/v1/realtime', '/metricsX', '/metrics/'],
    ...['//v1/models', '/v1//models', '/v1/models/', '/v1/models//', '///v1/models'],
    ...['/./v1/models', '/v1/./models', '/v1/models/.', '/v1/x/../models', '/../v1/models'],
    ...['/v1/../metrics', '/v1/models/../../metrics', '/v1/models/..%2f..%2fmetrics'],
    ...['/v1/%2e%2e/metrics', '/v1/%2E%2E/metrics', '/v1/.%2e/metrics', '/v1/models/%2e%2e'],
    ...['/v1/models%2f', '/v1%2fmodels', '/v1%2Fmodels', '%2fv1/models', '/v1%252fmodels'],
    ...['/v1/model%73', '/%76%31/models', '/v1/models%20', '/v1/models%09', '/v1/models%0d%0a'],
    ...['/v1/models%3f', '/v1/models%3Fx', '/v1/models%23', '/v1/models%00', '/v1/models%00.html'],
    ...['/v1/models;x', '/v1;x/models', '/v1/models;x=/metrics', '/;/v1/models'],
    ...['/v1/models#x', '/v1/models#?x', '/metrics#/v1/models', '/metrics#?/v1/models'],
    ...['/V1/models', '/v1/Models', '/v1/MODELS', '/v1\\models', '\\v1\\models', '/v1/models\\'],
    ...[
      '/v1/models.',
      '/v1/models:',
      '/v1/models&x=y',
      '/v1/models,',
      '/v1/models*',
      '/v1/models%',
    ],
    ...[
      '/v1/models%u002f',
      '/v1/models%c0%af',
      '/v1/mod\xc3\xa9ls',
      '/v1/models\x80',
      '/v1/models\xff',
    ],
    ...['/tollgate-error', '/tollgate-error?200', '@tollgate', '/@tollgate', '*', 'v1/models'],
    ...[
      'http://gate/v1/models',
      'http://vllm/v1/models',
      'HTTP://gate/v1/models',
      'https://gate/v1/models',
    ],
    ...[
      'http://gate/metrics',
      'http:/v1/models',
      'http://gate',
      'ftp://gate/v1/models',
      '//gate/v1/models',
    ],
    ...['/v1/models HTTP/1.1 /metrics', '/metrics /v1/models', '/v1/models\t', '\t/v1/models', ''],
    ...['/v1/models\0', '/v1/models\x01', '/v1/models\x7f', '/v1/models\x0b', '/v1/models\rx'],
  ])('%j is not served', async (target) => {
    const answer = firstAnswer(
      await exchange(gate, message('GET', target, ['Connection: close', bearer])),
    )
    expect([400, 404, 405]).toContain(answer.status)
    expect(JSON.parse(answer.body)).toMatchObject({ error: { type: 'invalid_request_error' } })
    expect(gate.mock.log()).toHaveLength(0)
  })

  test.each(['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'X-GET', 'POST'])(
    '%s is no method of the models',
    async (method) => {
      const answer = await tryRoute(method, '/v1/models')
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET'])
      expect((await gate.ledger()).at(-1)).toMatchObject({ outcome: 'unknown_route', status: 405 })
      expect(gate.mock.log()).toHaveLength(0)
    },
  )

  test.each([
    ['CONNECT', '/v1/models'],
    ['CONNECT', 'gate:80'],
    ['CONNECT', '127.0.0.1:22'],
    ['TRACE', '/v1/models'],
    ['TRACE', chat],
    ['get', '/v1/models'],
    ['Get', '/v1/models'],
    ['GETX', '/v1/models'],
    ['G ET', '/v1/models'],
  ])('%s %s is refused', async (method, target) => {
    const answer = await tryRoute(method, target)
    expect([400, 404, 405]).toContain(answer.status)
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
    expect(gate.mock.log()).toHaveLength(0)
  })

  test('a wrong method of the chat names the right one', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS']) {
      const answer = await tryRoute(method, chat)
      expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
    }
    expect(gate.mock.log()).toHaveLength(0)
  })

  test('headers that mean another path or method change nothing', async () => {
    const lines = ['X-HTTP-Method-Override: POST', 'X-Original-URL: /metrics', 'X-Rewrite-URL: /x']
    expect((await tryRoute('GET', '/v1/models', lines)).status).toBe(200)
    expect((await tryRoute('GET', chat, lines)).status).toBe(405)
    const other = [
      'X-HTTP-Method: GET',
      'X-Original-URL: /v1/models',
      'X-Forwarded-Uri: /v1/models',
    ]
    expect((await tryRoute('GET', '/metrics', other)).status).toBe(404)
    const [record, ...more] = gate.mock.log()
    expect([record?.method, record?.path, more.length]).toEqual(['GET', '/v1/models', 0])
    expect(Object.keys(record?.headers ?? {}).join()).not.toMatch(/override|original|rewrite/)
  })

  test('HTTP/1.0 and HTTP/0.9 are judged alike', async () => {
    const call = async (text: string) => exchange(gate, text)
    const old = (path: string, lines: string) => call(`GET ${path} HTTP/1.0\r\n${lines}\r\n`)
    expect(await old('/v1/models', `${bearer}\r\n`)).toContain(' 200 OK')
    expect(await old('/v1/models', '')).toContain(' 401 ')
    expect(await old('/metrics', `${bearer}\r\n`)).toContain(' 404 ')
    expect(await call('GET /v1/models\r\n')).toContain('missing_key')
    expect(await call('GET /metrics\r\n')).toContain('unknown_route')
    expect(gate.mock.log().map((record) => record.path)).toEqual(['/v1/models'])
  })

  test('requests in one go on one connection are each judged by themselves', async () => {
    const good = message('GET', '/v1/models', [bearer])
    const bad = message('GET', '/v1/models', ['x-api-key: bad'])
    const post = message('POST', chat, ['x-api-key: bad', `Content-Length: ${good.length}`], good)
    const last = message('GET', '/metrics', [bearer, 'Connection: close'])
    const text = [good, bad, good, message('GET', '/v1/models'), post, good, last].join('')
    const statuses = parseAnswers(await exchange(gate, text)).map((answer) => answer.status)
    expect(statuses).toEqual([200, 401, 200, 401, 401, 200, 404])
    expect(gate.mock.log()).toHaveLength(3)
    const clients = (await gate.ledger()).slice(-7).map((line) => line.client)
    expect(clients).toEqual(['app', undefined, 'app', undefined, undefined, 'app', undefined])
  })

  test.each([
    ['both lengths', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
    ['two different lengths', ['Content-Length: 4', 'Content-Length: 5']],
    ['a length that is no number', ['Content-Length: +4']],
    ['a negative length', ['Content-Length: -1']],
    ['another coding', ['Transfer-Encoding: identity']],
    ['a coding behind a tab', ['Transfer-Encoding:\tgzip, chunked']],
    ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['a space before the colon', ['Transfer-Encoding : chunked', 'Content-Length: 4']],
    ['a folded header', ['X-Fold: a', ' Transfer-Encoding: chunked', 'Content-Length: zz']],
  ])('no second request hides in a body with %s', async (_, lines) => {
    const hidden = message('GET', '/metrics', [bearer])
    const text = message('POST', chat, [bearer, ...lines], `0\r\n\r\n${hidden}`)
    const [answer, ...more] = parseAnswers(await exchange(gate, text))
    expect([400, 501]).toContain(answer?.status)
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: { code: 'bad_request' } })
    expect(more).toEqual([])
    expect(gate.mock.log()).toHaveLength(0)
  })

  async function overHttp2(headers: OutgoingHttpHeaders, body = '') {
    const session = connect(gate.url)
    try {
      const withKey = { authorization: `Bearer ${gate.key}`, ...headers }
      const stream = session.request(withKey, { endStream: body === '' })
      if (body !== '') stream.end(body)
      const [answer] = await once(stream, 'response')
      let text = ''
      for await (const piece of stream) text += piece
      return { status: Number(answer[constants.HTTP2_HEADER_STATUS]), text }
    } finally {
      session.destroy()
    }
  }

  test('HTTP/2 reaches the same routes', async () => {
    expect((await overHttp2({ ':path': '/v1/models' })).status).toBe(200)
    const post = { ':path': chat, ':method': 'POST', 'content-type': 'application/json' }
    expect((await overHttp2(post, question)).status).toBe(200)
    expect(gate.mock.log().map((record) => record.body)).toEqual(['', question])
    expect(gate.mock.log()[0]?.headers.host).toBe('vllm')
    const bad = await overHttp2({ ':path': '/v1/models', authorization: 'Bearer bad' })
    expect([bad.status, JSON.parse(bad.text).error.code]).toEqual([401, 'invalid_api_key'])
    expect((await gate.ledger()).at(-1)).toMatchObject({ route: 'models', outcome: 'invalid_key' })
  })

  test.each([
    ...['/metrics', '//v1/models', '/v1/models/', '/v1/../metrics', '/v1/%2e%2e/metrics'],
    ...['/v1%2fmodels', '/v1/models#x', '/V1/models', '*', 'v1/models', '/v1/models%20HTTP/1.1'],
    ...[
      '/v1/models /metrics',
      '/v1/models HTTP/1.1\r\nx: y',
      '/v1/models\0',
      'http://gate/v1/models',
    ],
  ])('HTTP/2 with %j is not served', async (path) => {
    const { status, text } = await overHttp2({ ':path': path })
    expect([400, 404]).toContain(status)
    expect(JSON.parse(text)).toMatchObject({ error: { type: 'invalid_request_error' } })
    expect(gate.mock.log()).toHaveLength(0)
  })

  test('two Authorization headers over HTTP/2 are a bad request', async () => {
    const two = { ':path': '/v1/models', authorization: ['Bearer bad', `Bearer ${gate.key}`] }
    const answer = await overHttp2(two as unknown as OutgoingHttpHeaders).catch(() => null)
    expect([400, undefined]).toContain(answer?.status)
    expect(gate.mock.log()).toHaveLength(0)
  })

  test('policy.json opens, closes and frees routes by name', async () => {
    const routes: Record<string, RouteAccess> = {
      tokenize: 'key',
      metrics: 'key',
      messages: 'off',
      models: 'public',
    }
    await gate.setPolicy({ version: 1, routes })
    const statusOf = async (method: string, path: string, lines: string[] = []) => {
      const body = method === 'POST' ? '{"prompt":"x"}' : ''
      const more = body && ['Content-Type: application/json', `Content-Length: ${body.length}`]
      return (await ask(gate, method, path, [...lines, ...(more || [])], body)).status
    }
    const admin = [`x-api-key: ${adminKey}`]
    expect(await statusOf('POST', '/tokenize', admin)).toBe(200)
    expect(await statusOf('POST', '/tokenize', [bearer])).toBe(403)
    expect(await statusOf('POST', '/tokenize')).toBe(401)
    expect(await statusOf('GET', '/metrics', admin)).toBe(200)
    expect(await statusOf('GET', '/metricsX', admin)).toBe(404)
    expect(await statusOf('POST', '/v1/messages', admin)).toBe(404)
    expect(await statusOf('POST', '/v1/messages/count_tokens', admin)).toBe(400)
    expect(await statusOf('GET', '/v1/models')).toBe(200)
    expect(await statusOf('GET', '/v1/models', ['x-api-key: bad'])).toBe(200)
    expect((await gate.ledger()).at(-1)).not.toHaveProperty('client')
    await gate.setPolicy({ version: 1 })
    expect(await statusOf('POST', '/tokenize', admin)).toBe(404)
    expect(await statusOf('GET', '/v1/models')).toBe(401)
  })
})
