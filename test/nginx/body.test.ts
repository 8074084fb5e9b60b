import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import { type Gate, makeKey, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

const CHAT = '/v1/chat/completions'

const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

function clientOf(fields: Partial<Client>) {
  const { secret, record } = makeKey()
  return { secret, client: { keys: [record], ...fields } as Client }
}

describe.each(await findEngines())('$name', (setup) => {
  const clients = {
    llama: clientOf({ models: ['Qwen/*', 'llama-*'] }),
    strict: clientOf({ request: { maxOutputTokens: 100, n: 2, excess: 'refuse' } }),
    clamped: clientOf({ request: { maxOutputTokens: 100, n: 2 } }),
    store: clientOf({ request: { allow: ['store'] } }),
    salted: clientOf({ cacheSalt: true, priority: 7 }),
    neighbour: clientOf({ cacheSalt: true }),
  }
  let gate: Gate

  beforeAll(async () => {
    const named = Object.entries(clients).map(([name, { client }]) => [name, client] as const)
    gate = await startGate(setup, {
      policy: { version: 1, cacheSaltSecret: 'a secret for the tests' },
      clients: { version: 1, clients: Object.fromEntries(named) },
    })
    // njs says the second when nginx itself ends a request whose body it waits for.
    gate.expectErrors(/intended to send too large/, /pending events while closing request/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  function post(
    body: string | Uint8Array<ArrayBuffer>,
    key = gate.key,
    path = CHAT,
    type = 'application/json',
  ) {
    return gate.call(path, { key, body, method: 'POST', headers: { 'content-type': type } })
  }

  function received(): string {
    const record = gate.mock.log().at(-1)
    if (!record) throw new Error('Nothing reached the mock')
    return record.body
  }

  async function refusal(answer: Response) {
    const { error } = (await answer.json()) as {
      error: { code: string; param: string | null; message: string }
    }
    return { status: answer.status, code: error.code, param: error.param, message: error.message }
  }

  describe('bytes', () => {
    test.each([
      ['numbers beyond 2^53', '{"model":"Qwen/Qwen3-8B","seed":9223372036854775807,"messages":[]}'],
      [
        'the order of keys, unknown fields and odd white space',
        ' {\t"z" :1,\r\n"model":"Qwen/Qwen3-8B" ,"a":{ "b":[1 , 2]},"messages":[] } \n',
      ],
      [
        'escapes and other scripts',
        '{"model":"Qwen/Qwen3-8B","messages":[{"role":"user","content":"\\u00e9 é 漢 😀 \\"usage\\":{}"}]}',
      ],
      [
        'nested keys that stand twice',
        '{"model":"Qwen/Qwen3-8B","messages":[{"role":"user","role":"user","content":""}]}',
      ],
      [
        'nesting beyond 32 levels',
        `{"model":"Qwen/Qwen3-8B","messages":[],"x":${'['.repeat(60)}${']'.repeat(60)}}`,
      ],
    ])('%s survive', async (_, body) => {
      expect((await post(body)).status).toBe(200)
      expect(received()).toBe(body)
    })

    test('what has to be added is spliced in at one place', async () => {
      const body =
        '{ "seed":9223372036854775807, "stream":true,"model":"Qwen/Qwen3-8B","messages":[] }'
      const answer = await post(body)
      expect(answer.status).toBe(200)
      await answer.text()
      const there = received()
      expect(there).not.toBe(body)
      expect(there.endsWith(body.slice(1))).toBe(true)
      expect(JSON.parse(there).stream_options).toEqual({
        include_usage: true,
        continuous_usage_stats: true,
      })
    })

    test('“The whole stream_options object overwritten (apisix)”: here what the caller set is kept', async () => {
      const options = '{"include_usage":true,"other":"x"}'
      await (
        await post(
          `{"stream":true,"stream_options":${options},"model":"Qwen/Qwen3-8B","messages":[]}`,
        )
      ).text()
      expect(JSON.parse(received()).stream_options).toEqual({
        include_usage: true,
        other: 'x',
        continuous_usage_stats: true,
      })
    })

    test('a body of 4 MB is read and changed', async () => {
      const content = 'word '.repeat(800_000)
      const answer = await post(
        JSON.stringify({
          model: MODEL,
          stream: true,
          messages: [{ role: 'user', content }],
          mock: 'tokens:1',
        }),
      )
      expect(answer.status).toBe(200)
      await answer.text()
      const record = gate.mock.log().at(-1)
      expect(record?.bodyBytes).toBeGreaterThan(4_000_000)
      const line = (await gate.ledger()).at(-1)
      expect(line).toMatchObject({ promptTokens: 800_000, completionTokens: 1 })
    })

    test('multipart passes unread, whatever its bytes are', async () => {
      const file = randomBytes(3_000_000)
      const form = new FormData()
      form.set('file', new Blob([file]))
      form.set('model', MODEL)
      // Its type has the boundary, which fetch alone knows.
      const answer = await fetch(`${gate.url}/v1/audio/transcriptions`, {
        method: 'POST',
        body: form,
        headers: { authorization: `Bearer ${gate.key}` },
      })
      expect(answer.status).toBe(200)
      expect(gate.mock.log().at(-1)?.bodyBytes).toBeGreaterThan(3_000_000)
      const line = (await gate.ledger()).at(-1)
      expect(line).toMatchObject({ route: 'transcriptions', audioSeconds: expect.any(Number) })
    })
  })

  describe('what is no request', () => {
    test.each([
      ['an empty body', ''],
      ['no JSON', 'hello'],
      ['a list', '[]'],
      ['a truncated object', '{"model":"Qwen/Qwen3-8B"'],
      ['something behind the object', '{"model":"Qwen/Qwen3-8B"}{"model":"n"}'],
      ['UTF-16', Buffer.from('{"model":"Qwen/Qwen3-8B"}', 'utf16le')],
      ['a byte order mark', '\ufeff{"model":"Qwen/Qwen3-8B"}'],
      ['a model that is no text', '{"model":1,"messages":[]}'],
      [
        'a stream that is neither true nor false',
        '{"model":"Qwen/Qwen3-8B","stream":1,"messages":[]}',
      ],
      [
        'a maximum that is no whole number',
        '{"model":"Qwen/Qwen3-8B","max_tokens":1.5,"messages":[]}',
      ],
      ['gzip', Buffer.from('1f8b0800', 'hex')],
    ])('%s is refused', async (_, body) => {
      const answer = await refusal(
        await post(typeof body === 'string' ? body : new Uint8Array(body)),
      )
      expect(answer).toMatchObject({ status: 400, code: 'invalid_body' })
      expect(gate.mock.log()).toEqual([])
    })

    test.each([
      ['twice', '{"model":"Qwen/Qwen3-8B","model":"n","messages":[]}'],
      ['twice, once in disguise', '{"model":"Qwen/Qwen3-8B","mod\\u0065l":"n","messages":[]}'],
      ['twice, though it is unknown', '{"model":"Qwen/Qwen3-8B","x":1,"x":2,"messages":[]}'],
    ])('a key that stands there %s is refused', async (_, body) => {
      const answer = await refusal(await post(body))
      expect(answer).toMatchObject({ status: 400, code: 'invalid_body' })
      expect(answer.message).toMatch(/model|x/)
      expect(gate.mock.log()).toEqual([])
    })

    test('U: a compressed body is 415, and the caller is told why', async () => {
      const body = new Uint8Array(gzipSync('{"model":"a"}'))
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
      const answer = await gate.call(CHAT, { method: 'POST', body, headers })
      expect(await refusal(answer)).toEqual({
        status: 415,
        code: 'invalid_body',
        param: null,
        message: 'The request body has a content-encoding: send it as plain JSON',
      })
      expect(gate.mock.log()).toHaveLength(0)
    })

    test('a body over the limit is 413 in the caller’s dialect', async () => {
      const answer = await post(new Uint8Array(33 * 1024 * 1024).fill(32))
      expect(await refusal(answer)).toMatchObject({ status: 413, code: 'body_too_large' })
      const line = (await gate.ledger()).at(-1)
      expect(line).toMatchObject({ outcome: 'body_too_large', status: 413 })
    })

    test('also where its length is not told', async () => {
      const stream = new ReadableStream({
        start(controller) {
          for (let i = 0; i < 33; i++) controller.enqueue(new Uint8Array(1024 * 1024).fill(32))
          controller.close()
        },
      })
      const init = { body: stream, duplex: 'half', method: 'POST' } as RequestInit
      const status = await gate.call(CHAT, init).then(
        (answer) => answer.status,
        // The gate may close before all was sent.
        () => 413,
      )
      expect(status).toBe(413)
      expect(gate.mock.log()).toEqual([])
    })
  })

  describe('models', () => {
    test.each([
      ['one that fits', '{"model":"Qwen/Qwen3-8B","messages":[]}', 200],
      ['one that the server does not know', '{"model":"llama-3","messages":[]}', 404],
      ['another one', '{"model":"qwen/Qwen3-8B","messages":[]}', 403],
      ['one that fits in part', '{"model":"my-llama-3","messages":[]}', 403],
      ['none', '{"messages":[]}', 403],
      ['null', '{"model":null,"messages":[]}', 403],
    ])('%s', async (_, body, status) => {
      const answer = await post(body, clients.llama.secret)
      expect(answer.status).toBe(status)
      if (status === 403) {
        expect((await refusal(answer)).code).toBe('model_denied')
        expect(gate.mock.log()).toEqual([])
      }
    })

    test('a client without a list names none', async () => {
      expect((await post('{"messages":[]}')).status).toBe(200)
    })

    test('the list shows what may be used', async () => {
      const all = (await (await gate.call('/v1/models')).json()) as { data: { id: string }[] }
      const answer = await gate.call('/v1/models', { key: clients.llama.secret })
      expect(answer.status).toBe(200)
      const shown = (await answer.json()) as { data: { id: string }[] }
      expect(all.data.map(({ id }) => id)).toEqual([MODEL, 'sql-lora'])
      expect(shown.data.map(({ id }) => id)).toEqual([MODEL])
    })
  })

  describe('ceilings', () => {
    test.each([
      [
        'max_tokens',
        '{"model":"Qwen/Qwen3-8B","max_tokens":101,"messages":[]}',
        { max_tokens: 100 },
      ],
      [
        'exactly at it',
        '{"model":"Qwen/Qwen3-8B","max_tokens":100,"messages":[]}',
        { max_tokens: 100 },
      ],
      ['no maximum', '{"model":"Qwen/Qwen3-8B","messages":[]}', { max_tokens: 100 }],
      [
        'max_completion_tokens',
        '{"model":"Qwen/Qwen3-8B","max_completion_tokens":1e6,"messages":[]}'.replace(
          '1e6',
          '1000000',
        ),
        { max_completion_tokens: 100 },
      ],
      ['n', '{"model":"Qwen/Qwen3-8B","max_tokens":5,"n":16384,"messages":[]}', { n: 2 }],
    ])('%s is lowered', async (_, body, expected) => {
      expect((await post(body, clients.clamped.secret)).status).toBe(200)
      expect(JSON.parse(received())).toMatchObject(expected)
    })

    test.each([
      ['max_tokens', '{"model":"Qwen/Qwen3-8B","max_tokens":101,"messages":[]}'],
      ['n', '{"model":"Qwen/Qwen3-8B","n":3,"messages":[]}'],
    ])('%s is refused where the policy says so', async (param, body) => {
      const answer = await refusal(await post(body, clients.strict.secret))
      expect(answer).toMatchObject({ status: 400, code: 'parameter_denied', param })
      expect(gate.mock.log()).toEqual([])
    })

    test.each([
      ['background', '/v1/responses', '{"model":"Qwen/Qwen3-8B","input":"a","background":true}'],
      ['store', '/v1/responses', '{"model":"Qwen/Qwen3-8B","input":"a","store":true}'],
      [
        'previous_response_id',
        '/v1/responses',
        '{"model":"Qwen/Qwen3-8B","input":"a","previous_response_id":"x"}',
      ],
      [
        'encoding_format',
        '/v1/embeddings',
        '{"model":"Qwen/Qwen3-8B","input":"a","encoding_format":"bytes_only"}',
      ],
      ['request_id', CHAT, '{"model":"Qwen/Qwen3-8B","messages":[],"request_id":"x"}'],
      [
        'kv_transfer_params',
        CHAT,
        '{"model":"Qwen/Qwen3-8B","messages":[],"kv_transfer_params":{}}',
      ],
      [
        'ec_transfer_params',
        CHAT,
        '{"model":"Qwen/Qwen3-8B","messages":[],"ec_transfer_params":{}}',
      ],
      ['lora_path', CHAT, '{"model":"Qwen/Qwen3-8B","messages":[],"lora_path":"secret"}'],
      ['lora', CHAT, '{"model":"Qwen/Qwen3-8B","messages":[],"lora":[{"id":1}]}'],
      ['vllm_xargs', CHAT, '{"model":"Qwen/Qwen3-8B","messages":[],"vllm_xargs":{}}'],
      [
        'use_beam_search',
        '/v1/completions',
        '{"model":"Qwen/Qwen3-8B","prompt":"a","use_beam_search":true}',
      ],
    ])('%s is refused by default', async (param, path, body) => {
      const answer = await refusal(await post(body, gate.key, path))
      expect(answer).toMatchObject({ status: 400, code: 'parameter_denied', param })
      expect(gate.mock.log()).toEqual([])
    })

    test('and allowed by name', async () => {
      const body = '{"model":"Qwen/Qwen3-8B","input":"a","store":true}'
      expect((await post(body, clients.store.secret, '/v1/responses')).status).toBe(200)
    })

    test('Anthropic’s routes get the same in their words', async () => {
      const body = '{"model":"Qwen/Qwen3-8B","model":"n","messages":[],"max_tokens":1}'
      const answer = await post(body, gate.key, '/v1/messages')
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({
        type: 'error',
        error: { type: 'invalid_request_error' },
      })
    })
  })

  describe('set by the gate', () => {
    test('the priority, in the body and in the header', async () => {
      const body = '{"model":"Qwen/Qwen3-8B","priority":-100,"messages":[]}'
      await post(body, clients.salted.secret)
      expect(JSON.parse(received()).priority).toBe(7)
      expect(gate.mock.log().at(-1)?.headers['x-vllm-priority']).toBe('7')
    })

    test('no priority for others, whatever they say', async () => {
      await post('{"model":"Qwen/Qwen3-8B","priority":-100,"messages":[]}')
      expect(JSON.parse(received()).priority).toBe(0)
      expect(gate.mock.log().at(-1)?.headers).not.toHaveProperty('x-vllm-priority')
    })

    test('a cache salt of the client’s own', async () => {
      const salts: string[] = []
      for (const { secret } of [clients.salted, clients.neighbour, clients.salted]) {
        await post('{"model":"Qwen/Qwen3-8B","cache_salt":"chosen","messages":[]}', secret)
        salts.push(JSON.parse(received()).cache_salt)
      }
      expect(salts[0]).toMatch(/^[\w-]{43}$/)
      expect(salts[1]).toMatch(/^[\w-]{43}$/)
      expect(salts[1]).not.toBe(salts[0])
      expect(salts[2]).toBe(salts[0])
    })
  })
})
