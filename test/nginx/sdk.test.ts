import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Gate, makeKey, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findSetups } from './setups.ts'

watchLogs()

const model = 'Qwen/Qwen3-8B'
const messages = [{ role: 'user' as const, content: 'one two three' }]

describe.each(await findSetups())('$name: the official SDKs', (setup) => {
  let gate: Gate
  const audio = makeKey()
  beforeAll(async () => {
    const clients = { audio: { scopes: ['audio' as const], keys: [audio.record] } }
    gate = await startGate(setup, {
      clients: { version: 1, clients },
      policy: { version: 1, lockout: { badKeysPerMinute: 10, seconds: 1 } },
      mock: { tokens: 4 },
    })
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  const openai = (apiKey = gate.key, options = {}) =>
    new OpenAI({ apiKey, baseURL: `${gate.url}/v1`, maxRetries: 0, ...options })
  const anthropic = (apiKey = gate.key, options = {}) =>
    new Anthropic({ apiKey, baseURL: gate.url, maxRetries: 0, ...options })

  /** What a call throws. A call that does not fails the test. */
  async function failure(call: PromiseLike<unknown>): Promise<unknown> {
    return call.then(
      () => expect.unreachable('The call should have failed'),
      (error: unknown) => error,
    )
  }

  test('openai lists models, chats and streams', async () => {
    expect((await openai().models.list()).data[0]?.id).toBe(model)
    const answer = await openai().chat.completions.create({ model, messages })
    expect(answer.choices[0]?.message.content).toBe(' hello from a mock')
    const stream = await openai().chat.completions.create({ model, messages, stream: true })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toBe(' hello from a mock')
  })

  test('openai completes, embeds and responds', async () => {
    const completion = await openai().completions.create({ model, prompt: 'one' })
    expect(completion.choices[0]?.text).toBe(' hello from a mock')
    const embedding = await openai().embeddings.create({ model, input: 'one' })
    expect(embedding.data[0]?.embedding.length).toBeGreaterThan(0)
    const response = await openai().responses.create({ model, input: 'one' })
    expect(response.output_text).toBe(' hello from a mock')
  })

  test('anthropic writes, streams and counts, with either header', async () => {
    const ask = { model, max_tokens: 8, messages }
    expect((await anthropic().messages.create(ask)).content[0]).toMatchObject({
      text: ' hello from a mock',
    })
    const byToken = new Anthropic({ apiKey: null, authToken: gate.key, baseURL: gate.url })
    const final = await byToken.messages.stream(ask).finalMessage()
    expect(final.content[0]).toMatchObject({ text: ' hello from a mock' })
    const count = await anthropic().messages.countTokens({ model, messages })
    expect(count.input_tokens).toBe(3)
  })

  test('an unknown key is an AuthenticationError, and is not tried again', async () => {
    const wrong = await failure(openai('wrong', { maxRetries: 2 }).models.list())
    expect(wrong).toBeInstanceOf(OpenAI.AuthenticationError)
    expect(wrong).toMatchObject({ status: 401, code: 'invalid_api_key', param: null })
    expect((wrong as { requestID: string }).requestID).toMatch(/^[0-9a-f]{32}$/)
    const call = anthropic('wrong', { maxRetries: 2 }).messages.create({
      model,
      max_tokens: 1,
      messages,
    })
    const other = await failure(call)
    expect(other).toBeInstanceOf(Anthropic.AuthenticationError)
    expect(other).toMatchObject({ error: { error: { type: 'authentication_error' } } })
    expect((other as { requestID: string }).requestID).toMatch(/^[0-9a-f]{32}$/)
    expect(gate.mock.log()).toEqual([])
  })

  test('a route outside the scopes is a PermissionDeniedError', async () => {
    const wrong = await failure(openai(audio.secret).chat.completions.create({ model, messages }))
    expect(wrong).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(wrong).toMatchObject({ status: 403, code: 'scope_denied' })
    const call = anthropic(audio.secret).messages.create({ model, max_tokens: 1, messages })
    expect(await failure(call)).toBeInstanceOf(Anthropic.PermissionDeniedError)
  })

  test('an unknown route is a NotFoundError', async () => {
    const wrong = await failure(openai().models.retrieve('x'))
    expect(wrong).toBeInstanceOf(OpenAI.NotFoundError)
    expect(wrong).toMatchObject({ status: 404, code: 'unknown_route' })
  })

  test("the server's own errors keep their class", async () => {
    const wrong = await failure(openai().chat.completions.create({ model: 'nope', messages }))
    expect(wrong).toBeInstanceOf(OpenAI.NotFoundError)
    expect(wrong).toMatchObject({ code: 404, param: 'model' })
  })

  test('a locked-out address is a RateLimitError, retried after the time that it is told', async () => {
    for (let i = 0; i < 12; i++) await failure(openai('guess').models.list())
    const wrong = await failure(openai('guess').models.list())
    expect(wrong).toBeInstanceOf(OpenAI.RateLimitError)
    expect(wrong).toMatchObject({ status: 429, code: 'locked_out' })
    expect((await openai().models.list()).data).not.toEqual([])
    // The lock ends after a second; the SDK waits for it and then gets the plain refusal.
    const retried = await failure(openai('guess', { maxRetries: 1 }).models.list())
    expect(retried).toBeInstanceOf(OpenAI.AuthenticationError)
  })

  test('a server that is away is an InternalServerError, and is tried again', async () => {
    gate.expectErrors(/upstream prematurely closed|Connection reset by peer/)
    const body = { model, messages, mock: 'die:before' }
    const wrong = await failure(openai(gate.key, { maxRetries: 1 }).chat.completions.create(body))
    expect(wrong).toBeInstanceOf(OpenAI.InternalServerError)
    expect(wrong).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    expect(gate.mock.log()).toHaveLength(2)
    const call = anthropic().messages.create({
      ...body,
      max_tokens: 1,
    } as Anthropic.MessageCreateParams)
    const other = await failure(call)
    expect(other).toBeInstanceOf(Anthropic.InternalServerError)
    expect(other).toMatchObject({ error: { error: { type: 'api_error' } } })
  })
})
