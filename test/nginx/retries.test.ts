import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, messages } from './clients.ts'
import { type Gate, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

const STREAM = 'prompt:3,tokens:20,itl:50'
const sdks = ['openai', 'anthropic'] as const

watchLogs()

describe.each(await findEngines())('$name: the official SDKs', (setup) => {
  const callers = {
    openai_places: clientOf({ limits: { concurrency: 1 } }),
    anthropic_places: clientOf({ limits: { concurrency: 1 } }),
    // All of them are reserved by the stream that runs, and most of them given back when it ends.
    openai_tokens: clientOf({ limits: { tokensPerMinute: 110 } }),
    anthropic_tokens: clientOf({ limits: { tokensPerMinute: 110 } }),
    openai_spent: clientOf({ budgets: { tokensPerDay: 10 } }),
    anthropic_spent: clientOf({ budgets: { tokensPerDay: 10 } }),
    openai_never: clientOf({ budgets: { tokensPerDay: 40, hard: true } }),
    anthropic_never: clientOf({ budgets: { tokensPerDay: 40, hard: true } }),
  }
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, { workers: 2, clients: documentOf(callers) })
  })
  afterAll(() => gate.stop())

  /** Asks by the SDK, and gives the text; it tries again as often as three times. */
  async function ask(sdk: (typeof sdks)[number], apiKey: string, maxTokens = 20): Promise<string> {
    const maxRetries = 3
    const mock = { mock: 'prompt:3,tokens:20' }
    if (sdk === 'openai') {
      const api = new OpenAI({ apiKey, baseURL: `${gate.url}/v1`, maxRetries })
      const body = { model: MODEL, messages, max_tokens: maxTokens, ...mock }
      return (await api.chat.completions.create(body)).choices[0]?.message.content ?? ''
    }
    const api = new Anthropic({ apiKey, baseURL: gate.url, maxRetries })
    const body = { model: MODEL, messages, max_tokens: maxTokens, ...mock }
    const [block] = (await api.messages.create(body)).content
    return block?.type === 'text' ? block.text : ''
  }

  describe.each(sdks)('%s', (sdk) => {
    test('waits for a place as it is told, and succeeds', async () => {
      const name = `${sdk}_places` as const
      const { secret: key } = callers[name]
      const running = await send(gate, CHAT, { key, body: chatOf(STREAM, { stream: true }) }).answer
      expect(running.status).toBe(200)
      expect(await ask(sdk, key)).toMatch(/hello/)
      const outcomes = (await linesOf(gate, name, 3)).map(({ outcome }) => outcome)
      expect(outcomes.at(-1)).toBe('ok')
      expect(outcomes.filter((outcome) => outcome === 'rate_limited').length).toBeGreaterThan(0)
      // It waits for the second that it is told, and does not hammer.
      expect(outcomes.length).toBeLessThanOrEqual(2 + 3)
      await running.body()
    })

    test('is told of a spent budget once, and does not try again', async () => {
      const name = `${sdk}_spent` as const
      expect(await ask(sdk, callers[name].secret, 9)).toMatch(/hello/)
      await linesOf(gate, name, 1)
      const error = await ask(sdk, callers[name].secret, 9).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(
        sdk === 'openai' ? OpenAI.RateLimitError : Anthropic.RateLimitError,
      )
      expect((error as Error).message).toMatch(/Your daily budget of 10 tokens is spent/)
      const outcomes = (await linesOf(gate, name, 2)).map(({ outcome }) => outcome)
      expect(outcomes).toEqual(['ok', 'budget_spent'])
    })

    test('is told once of what can never fit', async () => {
      const name = `${sdk}_never` as const
      const error = await ask(sdk, callers[name].secret, 500).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(
        sdk === 'openai' ? OpenAI.BadRequestError : Anthropic.BadRequestError,
      )
      const lines = await linesOf(gate, name, 1)
      expect(lines.map(({ outcome }) => outcome)).toEqual(['parameter_denied'])
    })
  })

  test('the wait for tokens is told within what SDKs obey, and they are free when they are given back', async () => {
    for (const sdk of sdks) {
      const name = `${sdk}_tokens` as const
      const { secret: key } = callers[name]
      const body = chatOf(STREAM, { stream: true, max_tokens: 1000 })
      const running = await send(gate, CHAT, { key, body }).answer
      expect(running.status).toBe(200)
      const refused = await gate.call(CHAT, { key, body: JSON.stringify(body) })
      expect(refused.status).toBe(429)
      const ms = Number(refused.headers.get('retry-after-ms'))
      expect(ms).toBeGreaterThan(0)
      expect(ms).toBeLessThanOrEqual(60_000)
      expect(Number(refused.headers.get('retry-after'))).toBe(Math.ceil(ms / 1000))
      await running.body()
      await linesOf(gate, name, 2)
      expect(await ask(sdk, key)).toMatch(/hello/)
    }
  })
})
