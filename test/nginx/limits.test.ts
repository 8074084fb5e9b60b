import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client, Limits, Policy } from '../../src/core/config/shapes.ts'
import { stayInMinute } from '../waiting.ts'
import { linesOf } from './clients.ts'
import { type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

const CHAT = '/v1/chat/completions'
const COUNTED = 'requestsPerMinute of client'

/** A prompt of three words: three tokens to the mock. */
const messages = [{ role: 'user' as const, content: 'one two three' }]

const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

/** A client of its own for each test, so that no test spends what another one needs. */
function clientOf(fields: Partial<Client>) {
  const { secret, record } = makeKey()
  return { secret, client: { keys: [record], ...fields } as Client, id: record.id }
}

function bodyOf(mock: string, fields: object = {}) {
  return JSON.stringify({ model: MODEL, messages, mock, ...fields })
}

function limited(limits: Limits) {
  return clientOf({ limits })
}

function count(answers: Response[], status: number): number {
  return answers.filter((answer) => answer.status === status).length
}

describe.each(await findEngines())('$name', (setup) => {
  const clients = {
    fifty: limited({ requestsPerMinute: 50 }),
    three: limited({ requestsPerMinute: 3 }),
    none: limited({ requestsPerMinute: 0 }),
    tokens: limited({ tokensPerMinute: 100 }),
    input: limited({ inputTokensPerMinute: 40 }),
    output: limited({ outputTokensPerMinute: 40 }),
    large: limited({ outputTokensPerMinute: 40 }),
    parallel: limited({ concurrency: 2 }),
    shadow: clientOf({ shadow: true, limits: { requestsPerMinute: 1 } }),
    one: clientOf({ group: 'web' }),
    two: clientOf({ group: 'web' }),
    changing: limited({ requestsPerMinute: 1 }),
    sdk: limited({ concurrency: 1 }),
  }
  const policy: Policy = { version: 1, groups: { web: { limits: { requestsPerMinute: 3 } } } }
  let gate: Gate

  beforeAll(async () => {
    const named = Object.entries(clients).map(([name, { client }]) => [name, client] as const)
    gate = await startGate(setup, {
      policy,
      workers: 4,
      clients: { version: 1, clients: Object.fromEntries(named) },
    })
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  const call = (key: string, body = bodyOf('tokens:1', { max_tokens: 5 })) =>
    gate.call(CHAT, { key, body })

  /** Several workers write the lines, each after the caller has its answer: not in the order of the calls. */
  const refusedOf = async (client: string, count: number) =>
    (await linesOf(gate, client, count)).find(({ outcome }) => outcome === 'rate_limited')

  describe('requests per minute', () => {
    test('the limit is admitted, and the one after it is told when to come back', async () => {
      const key = clients.three.secret
      for (const left of ['2', '1', '0']) {
        const answer = await call(key)
        expect(answer.status).toBe(200)
        expect(answer.headers.get('x-ratelimit-limit-requests')).toBe('3')
        expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe(left)
        expect(answer.headers.get('x-ratelimit-reset-requests')).toMatch(/^(\d+m)?\d+s$/)
      }
      const refused = await call(key)
      expect(refused.status).toBe(429)
      const { error } = (await refused.json()) as { error: { code: string; message: string } }
      expect(error.code).toBe('rate_limit_exceeded')
      expect(error.message).toMatch(
        /^Rate limit reached: 3 requests a minute for this client; retry in \d+ s$/,
      )
      const seconds = Number(refused.headers.get('retry-after'))
      expect(seconds).toBeGreaterThanOrEqual(1)
      expect(seconds).toBeLessThanOrEqual(60)
      expect(Number(refused.headers.get('retry-after-ms'))).toBeLessThanOrEqual(60000)
      expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0')
      expect(gate.mock.log()).toHaveLength(3)
      const line = await refusedOf('three', 4)
      expect(line).toMatchObject({ status: 429, limit: COUNTED })
    })

    test('a limit of none admits nobody', async () => {
      expect((await call(clients.none.secret)).status).toBe(429)
      expect(gate.mock.log()).toEqual([])
    })

    test('Anthropic’s headers and error on Anthropic’s routes', async () => {
      const body = JSON.stringify({ model: MODEL, messages, max_tokens: 5 })
      const answer = await gate.call('/v1/messages', { key: clients.none.secret, body })
      expect(answer.status).toBe(429)
      expect(answer.headers.get('anthropic-ratelimit-requests-limit')).toBe('0')
      expect(answer.headers.get('anthropic-ratelimit-requests-reset')).toMatch(/^\d{4}-.*Z$/)
      expect(await answer.json()).toMatchObject({ error: { type: 'rate_limit_error' } })
    })

    test('routes share the limit of their client (apisix#12946)', async () => {
      const { secret } = clients.one
      const paths = [CHAT, '/v1/completions', '/v1/embeddings']
      const statuses: number[] = []
      for (const path of paths) {
        const body = JSON.stringify({
          model: MODEL,
          messages,
          prompt: 'a',
          input: 'a',
          max_tokens: 1,
        })
        statuses.push((await gate.call(path, { key: secret, body })).status)
      }
      expect(statuses).toEqual([200, 200, 200])
      const models = await gate.call('/v1/models', { key: secret })
      expect(models.status).toBe(429)
      const line = await refusedOf('one', 4)
      expect(line).toMatchObject({ limit: 'requestsPerMinute of group', group: 'web' })
    })

    test('clients of a group share its limit', async () => {
      expect((await call(clients.two.secret)).status).toBe(429)
    })

    test('in shadow nothing is refused, and the log says what would have been', async () => {
      const { secret } = clients.shadow
      expect((await call(secret)).status).toBe(200)
      await linesOf(gate, 'shadow', 1)
      const answer = await call(secret)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe('0')
      const lines = await linesOf(gate, 'shadow', 2)
      expect(lines.map(({ outcome, shadow, limit }) => [outcome, shadow, limit])).toEqual([
        ['ok', undefined, undefined],
        ['ok', 'rate_limited', COUNTED],
      ])
    })

    test('a changed limit is in force within a second, and the window goes on', async () => {
      const { secret, client } = clients.changing
      expect((await call(secret)).status).toBe(200)
      expect((await call(secret)).status).toBe(429)
      const named = Object.entries(clients).map(([name, other]) => [name, other.client] as const)
      const document = { version: 1 as const, clients: Object.fromEntries(named) }
      document.clients['changing'] = { ...client, limits: { requestsPerMinute: 2 } }
      const app = { id: gate.keyId, sha256: '0'.repeat(64), created: '2026-01-01T00:00:00Z' }
      await gate.setClients({ ...document, clients: { ...document.clients, app: { keys: [app] } } })
      expect((await call(secret)).status).toBe(200)
      expect((await call(secret)).status).toBe(429)
    })
  })

  describe('tokens per minute', () => {
    test('what was reserved and not used goes back (litellm PR#38647)', async () => {
      const { secret } = clients.tokens
      for (let i = 0; i < 5; i++) {
        // More than 40 of 100 are reserved each time, and five used.
        const answer = await call(secret, bodyOf('tokens:2', { max_tokens: 40 }))
        expect(answer.status).toBe(200)
        await answer.text()
        await until('its line', async () => (await gate.ledger()).length > i)
      }
      const answer = await call(secret, bodyOf('tokens:2', { max_tokens: 40 }))
      expect(answer.status).toBe(200)
      expect(Number(answer.headers.get('x-ratelimit-remaining-tokens'))).toBeLessThan(40)
      expect(answer.headers.get('x-ratelimit-limit-tokens')).toBe('100')
    })

    test('a maximum above the limit is admitted, and the body is left alone', async () => {
      const body = bodyOf('tokens:2', { max_tokens: 32000 })
      const answer = await call(clients.large.secret, body)
      expect(answer.status).toBe(200)
      await answer.text()
      expect(JSON.parse(gate.mock.log()[0]?.body ?? '')).toEqual(JSON.parse(body))
    })

    test('without max_tokens the first request fits a small limit (litellm PR#28805)', async () => {
      const answer = await call(clients.input.secret, bodyOf('tokens:2'))
      expect(answer.status).toBe(200)
      const second = await call(clients.output.secret, bodyOf('tokens:2'))
      expect(second.status).toBe(200)
    })

    test('five at once cannot spend the limit five times (litellm#18730)', async () => {
      const { secret } = clients.output
      await until('room', async () => {
        const answer = await call(secret, bodyOf('tokens:1', { max_tokens: 1 }))
        await answer.text()
        return answer.status === 200
      })
      const calls = Array.from({ length: 5 }, () =>
        call(secret, bodyOf('tokens:20,itl:10', { max_tokens: 20 })),
      )
      const answers = await Promise.all(calls)
      expect(count(answers, 200)).toBe(1)
      await Promise.all(answers.map((answer) => answer.text()))
    })
  })

  describe('concurrency', () => {
    const slow = bodyOf('tokens:10,itl:50', { stream: true, max_tokens: 10 })

    test('is held until the last byte of a stream (aisix#690)', async () => {
      const { secret } = clients.parallel
      const running = await Promise.all([call(secret, slow), call(secret, slow)])
      expect(count(running, 200)).toBe(2)
      const refused = await call(secret, slow)
      expect(refused.status).toBe(429)
      expect(((await refused.json()) as { error: { message: string } }).error.message).toContain(
        '2',
      )
      await Promise.all(running.map((answer) => answer.text()))
      await until('a free place', async () => {
        const answer = await call(secret)
        await answer.text()
        return answer.status === 200
      })
    })

    test('is given back when the caller leaves', async () => {
      const options = { key: clients.parallel.secret, body: JSON.parse(slow) }
      const calls = [send(gate, CHAT, options), send(gate, CHAT, options)]
      const answers = await Promise.all(calls.map(({ answer }) => answer))
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      for (const { abort } of calls) abort()
      await until('a free place', async () => {
        const answer = await call(clients.parallel.secret)
        await answer.text()
        return answer.status === 200
      })
    })

    test('the official SDK waits for a place, and succeeds', async () => {
      const { secret } = clients.sdk
      const openai = new OpenAI({ apiKey: secret, baseURL: `${gate.url}/v1`, maxRetries: 4 })
      const first = await call(secret, slow)
      const text = first.text()
      const second = await openai.chat.completions.create({ model: MODEL, messages, max_tokens: 1 })
      expect(second.choices).toHaveLength(1)
      await text
      const refusals = (await gate.ledger()).filter(
        ({ client, outcome }) => client === 'sdk' && outcome === 'rate_limited',
      )
      expect(refusals.length).toBeGreaterThan(0)
    })
  })
})

describe.each(await findEngines())('$name', (setup) => {
  test('of 200 requests at once exactly 50 are admitted, in each of 20 runs (higress#2464)', async () => {
    const runs = Array.from({ length: 20 }, () => limited({ requestsPerMinute: 50 }))
    const clients = Object.fromEntries(runs.map(({ client }, run) => [`run${run}`, client]))
    const gate = await startGate(setup, { workers: 4, clients: { version: 1, clients } })
    try {
      const admitted: number[] = []
      for (const { secret } of runs) {
        await stayInMinute(3)
        const calls = Array.from({ length: 200 }, () =>
          gate.call(CHAT, { key: secret, body: bodyOf('tokens:1', { max_tokens: 1 }) }),
        )
        const answers = await Promise.all(calls)
        await Promise.all(answers.map((answer) => answer.text()))
        admitted.push(count(answers, 200))
      }
      expect(admitted).toEqual(runs.map(() => 50))
      expect(gate.mock.log().filter(({ path }) => path === CHAT)).toHaveLength(1000)
    } finally {
      await gate.stop()
    }
  }, 120_000)
})
