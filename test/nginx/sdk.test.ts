import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { freePort, type Gate, makeKey, sleep, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

const model = 'Qwen/Qwen3-8B'
const messages = [{ role: 'user' as const, content: 'one two three' }]
const TEXT = ' hello from a mock'

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  const narrow = makeKey()
  let gate: Gate
  let deaf: Gate

  beforeAll(async () => {
    const options = {
      mock: { tokens: 4, apiKey: 'upstream' },
      upstreamKey: 'upstream',
      policy: { version: 1 as const, lockout: { badKeysPerMinute: 9, seconds: 1 } },
      clients: {
        version: 1 as const,
        clients: { narrow: { scopes: ['models' as const], keys: [narrow.record] } },
      },
    }
    gate = await startGate(setup, options)
    deaf = await startGate(setup, { upstreamServer: `127.0.0.1:${await freePort()}` })
    deaf.expectErrors(/connect\(\) failed/)
  })
  afterAll(() => Promise.all([gate.stop(), deaf.stop()]))
  beforeEach(() => gate.mock.reset())

  function openai(options: { key?: string; to?: Gate; maxRetries?: number } = {}): OpenAI {
    const { to = gate, key = to.key, maxRetries = 2 } = options
    return new OpenAI({ apiKey: key, baseURL: `${to.url}/v1`, maxRetries })
  }

  function anthropic(options: { key?: string; to?: Gate; maxRetries?: number } = {}): Anthropic {
    const { to = gate, key = to.key, maxRetries = 2 } = options
    return new Anthropic({ apiKey: key, baseURL: to.url, maxRetries })
  }

  /** The error of a call, and how many requests the gate has logged for it. */
  async function fail(to: Gate, call: () => PromiseLike<unknown>) {
    const before = (await to.ledger()).length
    const error = await Promise.resolve(call()).then(
      () => Promise.reject(new Error('The call did not fail')),
      (reason: unknown) => reason,
    )
    // The line of a request is written when its answer has gone.
    await to.ledger(before + 1)
    await sleep(50)
    const lines = (await to.ledger()).slice(before)
    return { error, requests: lines.length, last: lines.at(-1) }
  }

  describe('openai', () => {
    test('lists models', async () => {
      expect((await openai().models.list()).data[0]?.id).toBe(model)
    })

    test('chats, whole and as a stream with usage', async () => {
      const answer = await openai().chat.completions.create({ model, messages })
      expect(answer.choices[0]?.message.content).toBe(TEXT)
      expect(answer._request_id).toMatch(/^[0-9a-f]{32}$/)
      const stream = await openai().chat.completions.create({
        ...{ model, messages, stream: true },
        stream_options: { include_usage: true },
      })
      let text = ''
      let total = 0
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? ''
        total += chunk.usage?.total_tokens ?? 0
      }
      expect([text, total]).toEqual([TEXT, 7])
    })

    test('completes, whole and as a stream', async () => {
      const { completions } = openai()
      const answer = await completions.create({ model, prompt: 'one' })
      expect(answer.choices[0]?.text).toBe(TEXT)
      let text = ''
      for await (const chunk of await completions.create({ model, prompt: 'one', stream: true })) {
        text += chunk.choices[0]?.text ?? ''
      }
      expect(text).toBe(TEXT)
    })

    test('responds, whole and as a stream', async () => {
      const { responses } = openai()
      expect((await responses.create({ model, input: 'one' })).output_text).toBe(TEXT)
      let text = ''
      for await (const event of await responses.create({ model, input: 'one', stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta
      }
      expect(text).toBe(TEXT)
    })

    test('embeds, and transcribes a file', async () => {
      const embedded = await openai().embeddings.create({ model, input: ['one', 'two'] })
      expect(embedded.data.map(({ embedding }) => embedding.length)).toEqual([8, 8])
      const file = new File([new Uint8Array(48_000)], 'a.wav')
      const heard = await openai().audio.transcriptions.create({ model, file })
      expect(heard.text).toBe(TEXT.trim())
    })

    test.each([
      [
        'a wrong key',
        () => openai({ key: 'sk-wrong' }).models.list(),
        OpenAI.AuthenticationError,
        'invalid_api_key',
      ],
      [
        'a missing scope',
        () => openai({ key: narrow.secret }).embeddings.create({ model, input: 'x' }),
        OpenAI.PermissionDeniedError,
        'scope_denied',
      ],
      ['an unknown path', () => openai().get('/files'), OpenAI.NotFoundError, 'unknown_route'],
      ['a method too many', () => openai().delete('/models'), OpenAI.APIError, 'unknown_route'],
      [
        'a body too large',
        () => openai().embeddings.create({ model, input: 'x'.repeat(33 * 1024 * 1024) }),
        OpenAI.APIError,
        'body_too_large',
      ],
    ] as const)('%s is an error of its own, not tried again', async (_, call, Class, code) => {
      gate.expectErrors(/client intended to send too large body/)
      const { error, requests, last } = await fail(gate, () => call())
      expect(error).toBeInstanceOf(Class)
      expect(error).toMatchObject({ code, requestID: last?.['id'] })
      expect([requests, gate.mock.log()]).toEqual([1, []])
    })

    test('refusals of the model server pass as they are', async () => {
      const ask = (mock: string) => () =>
        openai({ maxRetries: 1 }).chat.completions.create({ ...{ model, messages, mock } })
      const bad = await fail(gate, ask('status:400'))
      expect(bad.error).toBeInstanceOf(OpenAI.BadRequestError)
      const busy = await fail(gate, ask('status:503'))
      expect(busy.error).toBeInstanceOf(OpenAI.InternalServerError)
      expect(busy.error).toMatchObject({ requestID: busy.last?.['id'] })
      expect([bad.requests, busy.requests]).toEqual([1, 2])
      const broken = openai().chat.completions.create({
        ...{ model, messages, stream: true, mock: 'error:2' },
      })
      await expect(readAll(broken)).rejects.toBeInstanceOf(OpenAI.APIError)
    })

    test('a server that is down is tried again, and is an InternalServerError', async () => {
      const client = openai({ to: deaf, maxRetries: 1 })
      const { error, requests, last } = await fail(deaf, () => client.models.list())
      expect(error).toBeInstanceOf(OpenAI.InternalServerError)
      expect(error).toMatchObject({ code: 'upstream_unavailable', requestID: last?.['id'] })
      expect(requests).toBe(2)
    })
  })

  describe('anthropic', () => {
    test('writes messages, whole and as a stream, and counts', async () => {
      const client = anthropic()
      const body = { model, max_tokens: 9, messages }
      const answer = await client.messages.create(body)
      expect(answer.content).toMatchObject([{ type: 'text', text: TEXT }])
      expect(answer._request_id).toMatch(/^[0-9a-f]{32}$/)
      expect(await client.messages.stream(body).finalText()).toBe(TEXT)
      expect((await client.messages.countTokens({ model, messages })).input_tokens).toBe(3)
    })

    test('sends its key as a bearer token too', async () => {
      const options = { apiKey: null, authToken: gate.key, baseURL: gate.url, maxRetries: 0 }
      const { messages: api } = new Anthropic(options)
      expect((await api.countTokens({ model, messages })).input_tokens).toBe(3)
    })

    const create = (client: Anthropic) => client.messages.create({ model, max_tokens: 9, messages })
    test.each([
      [
        'a wrong key',
        () => create(anthropic({ key: 'sk-ant-wrong' })),
        Anthropic.AuthenticationError,
        'authentication_error',
      ],
      [
        'a missing scope',
        () => create(anthropic({ key: narrow.secret })),
        Anthropic.PermissionDeniedError,
        'permission_error',
      ],
      [
        'a body too large',
        () =>
          anthropic().messages.create({
            model,
            max_tokens: 9,
            messages: [{ role: 'user', content: 'x'.repeat(33 * 1024 * 1024) }],
          }),
        Anthropic.APIError,
        'request_too_large',
      ],
    ] as const)('%s is an error of its own, not tried again', async (_, call, Class, type) => {
      const { error, requests, last } = await fail(gate, () => call())
      expect(error).toBeInstanceOf(Class)
      const id = last?.['id']
      expect(error).toMatchObject({ requestID: id, error: { error: { type }, request_id: id } })
      expect([requests, gate.mock.log()]).toEqual([1, []])
    })

    test('a server that is down is tried again, and is an InternalServerError', async () => {
      const client = anthropic({ to: deaf, maxRetries: 1 })
      const { error, requests } = await fail(deaf, () => create(client))
      expect(error).toBeInstanceOf(Anthropic.InternalServerError)
      expect(error).toMatchObject({ error: { error: { type: 'api_error' } } })
      expect(requests).toBe(2)
    })
  })

  // Last, because the address is locked out then; good keys from it go on.
  test('too many wrong keys are a RateLimitError, tried again after the second that it says', async () => {
    const tries = Array.from({ length: 12 }, () =>
      fail(gate, () => openai({ key: 'sk-wrong', maxRetries: 0 }).models.list()),
    )
    await Promise.all(tries)
    const { error } = await fail(gate, () =>
      openai({ key: 'sk-wrong', maxRetries: 0 }).models.list(),
    )
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    expect(error).toMatchObject({ code: 'locked_out', type: 'requests' })
    const other = await fail(gate, () =>
      anthropic({ key: 'sk-wrong', maxRetries: 0 }).messages.countTokens({ model, messages }),
    )
    expect(other.error).toBeInstanceOf(Anthropic.RateLimitError)
    expect(other.error).toMatchObject({ error: { error: { type: 'rate_limit_error' } } })
    expect((await openai().models.list()).data[0]?.id).toBe(model)
    const startMs = Date.now()
    const client = openai({ key: 'sk-wrong', maxRetries: 2 })
    const retried = await fail(gate, () => client.models.list())
    // The lock-out has ended then, and 401 is not tried again.
    expect(retried.error).toBeInstanceOf(OpenAI.AuthenticationError)
    expect(retried.requests).toBe(2)
    expect(Date.now() - startMs).toBeGreaterThan(500)
  })
})

async function readAll(stream: PromiseLike<AsyncIterable<unknown>>): Promise<void> {
  for await (const _ of await stream) {
    // Only the end counts.
  }
}
