import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import { CHAT, clientOf, documentOf, linesOf, MODEL, messages } from './clients.ts'
import { edit } from './edit.ts'
import { type Gate, type Line, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

const TOOL = {
  type: 'function',
  function: {
    name: 'get',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}
const PART = { type: 'text', text: 'one two three' }

/** Streams that end otherwise than usual, at all places where one may. */
const STREAMS: [string, string, object][] = [
  ['of one token', 'tokens:1', {}],
  ['of none', 'tokens:0', {}],
  ['event after event', 'tokens:9,itl:3', {}],
  ['of two choices', 'tokens:5', { n: 2 }],
  ['with all counts', 'tokens:5', all({ continuous_usage_stats: true })],
  ['in pieces that end anywhere', 'tokens:40,split:97,gap:1', {}],
  ['that is split once', 'tokens:60,itl:1,split:4000,gap:1', {}],
  ['in other bytes', 'tokens:30,seed:7', {}],
  ['with carriage returns', 'tokens:9,lines:crlf', {}],
  ['without its last line', 'tokens:9,end:line', {}],
  ['without [DONE]', 'tokens:9,done:0', {}],
  ['of lines that are folded', 'tokens:9,fold:1', {}],
  ['with its usage ahead', 'tokens:9,ahead:1', {}],
  ['of tokens that are told together', 'tokens:60,join:7', {}],
  ['with an error at once', 'tokens:9,error:first', {}],
  ['with an error', 'tokens:9,error:4', {}],
  ['without running counts', 'tokens:9,usage:null', {}],
  ['without counts', 'tokens:9,usage:none', {}],
  ['with a prompt out of the cache', 'tokens:9,prompt:9,cached:4', {}],
  ['of a server in Rust', 'tokens:9,dialect:vllm-rust', {}],
  ['of llama.cpp', 'tokens:9,dialect:llamacpp', {}],
  ['of SGLang', 'tokens:9,dialect:sglang', {}],
  ['that SGLang tells all of', 'tokens:9,dialect:sglang', all({ continuous_usage_stats: true })],
  ['to its maximum', 'tokens:9', { max_tokens: 4 }],
]

function all(options: object) {
  return { stream_options: { include_usage: true, ...options } }
}

/**
 * A request with its key as the SDKs of OpenAI send it goes the quick way (src/edge/gate/quick.ts), and one with its key
 * in X-API-Key the long one: both have to come to the same, whatever is asked for and whatever the server does.
 */
const CASES: [string, string, object, string][] = [
  ['a chat', CHAT, { messages }, ''],
  ['a chat of two messages, in Chinese', CHAT, { messages: [...messages, said('請說明')] }, ''],
  ['a chat with escapes', CHAT, { messages: [said('a "b"\n\\ c')] }, ''],
  ['a chat with many parameters', CHAT, { messages, temperature: 0.25, seed: 10000, n: 2 }, ''],
  ['a maximum', CHAT, { messages, max_tokens: 3 }, 'tokens:9'],
  ['two maxima', CHAT, { messages, max_tokens: 3, max_completion_tokens: 4 }, 'tokens:9'],
  ['a parameter that nobody knows', CHAT, { messages, whatever: 'a' }, ''],
  ['a parameter that is denied', CHAT, { messages, use_beam_search: true }, ''],
  ['a maximum above the ceiling', CHAT, { messages, max_tokens: 5000 }, ''],
  ['more choices than are allowed', CHAT, { messages, n: 40 }, ''],
  ['a prompt that is too long', CHAT, { messages: [said('long '.repeat(900))] }, ''],
  ['an image', CHAT, { messages: [{ role: 'user', content: [image()] }] }, ''],
  ['tools', CHAT, { messages, tools: [TOOL] }, ''],
  ['tools, and a maximum', CHAT, { messages, tools: [TOOL], max_tokens: 3, n: 2 }, 'tokens:9'],
  ['a stream with tools', CHAT, { messages, tools: [TOOL], stream: true }, 'tokens:5'],
  ['a content in parts', CHAT, { messages: [{ role: 'user', content: [PART, PART] }] }, ''],
  ['a format of the answer', CHAT, { messages, response_format: { type: 'json_object' } }, ''],
  ['a chat of 12 KB', CHAT, { messages: [said('as long '.repeat(1500))] }, ''],
  ['a chat of 40 KB', CHAT, { messages: [said('very long '.repeat(4000))] }, ''],
  ['a chat of 90 KB', CHAT, { messages: [said('very long '.repeat(9000))], n: 2 }, ''],
  [
    'a chat of 20 KB with tools',
    CHAT,
    { messages: [said('long '.repeat(4000))], tools: [TOOL] },
    '',
  ],
  ['a stream of 20 KB', CHAT, { messages: [said('long '.repeat(4000))], stream: true }, 'tokens:5'],
  [
    'embeddings of 30 KB',
    '/v1/embeddings',
    { input: Array(30).fill('a b '.repeat(250)) },
    'prompt:9',
  ],
  ['a name twice, within tools', CHAT, { messages, tools: [{ ...TOOL, model: 'x' }] }, ''],
  ['a prompt of token ids', '/v1/completions', { prompt: [1, 2, 3], max_tokens: 4 }, ''],
  ['completions of two prompts', '/v1/completions', { prompt: ['a b', 'c'], max_tokens: 4 }, ''],
  ['embeddings', '/v1/embeddings', { input: ['a b c', 'd'] }, ''],
  ['a stream', CHAT, { messages, stream: true }, 'tokens:5'],
  [
    'a stream whose usage is asked for',
    CHAT,
    { messages, stream: true, stream_options: { include_usage: true } },
    'tokens:5',
  ],
  ['a prompt out of the cache', CHAT, { messages }, 'prompt:9,cached:4'],
  ['no usage', CHAT, { messages }, 'usage:none'],
  ['an answer in pieces', CHAT, { messages }, 'split:40,gap:3'],
  ['a large answer', CHAT, { messages }, 'bytes:60000'],
  ['another server', CHAT, { messages }, 'dialect:sglang'],
  ['a third one', CHAT, { messages }, 'dialect:llamacpp'],
  ['a refusal of the server', CHAT, { messages }, 'status:422'],
  ['a fault of the server', CHAT, { messages }, 'status:500'],
  ['a server that dies before it answers', CHAT, { messages }, 'die:before'],
  ['a server that dies in its answer', CHAT, { messages }, 'die:body'],
  ['a stream that breaks off', CHAT, { messages, stream: true }, 'tokens:9,die:4'],
  ...STREAMS.map(([name, mock, fields]): [string, string, object, string] => [
    `a stream ${name}`,
    CHAT,
    { messages, stream: true, ...fields },
    mock,
  ]),
  ['a stream of completions', '/v1/completions', { prompt: 'a b', stream: true }, 'tokens:5'],
  [
    'a stream of completions of two prompts',
    '/v1/completions',
    { prompt: ['a b', 'c'], stream: true },
    'tokens:5',
  ],
]

function said(content: string) {
  return { role: 'user' as const, content }
}

function image() {
  return { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
}

const LIMITS = {
  requestsPerMinute: 1000,
  tokensPerMinute: 1_000_000,
  concurrency: 50,
} as const
const REQUEST = { maxOutputTokens: 600, maxInputTokens: 900, n: 4 }

/** What may hold for a client. */
const KINDS: Record<string, Partial<Client>> = {
  free: {},
  bound: { models: ['Qwen/*'], scopes: ['inference', 'models'] },
  ceiled: { request: REQUEST },
  limited: { limits: LIMITS },
  full: {
    models: ['other', 'Qwen/*'],
    request: REQUEST,
    limits: { ...LIMITS, inputTokensPerMinute: 500_000, outputTokensPerMinute: 500_000 },
    budgets: { tokensPerDay: 10_000_000, tokensPerMonth: 1e9, costPerDay: 900, costPerMonth: 1e6 },
    group: 'team',
  },
}

/** What of a line is that of one request alone. */
const OWN = [
  'id',
  'client',
  'key',
  'time',
  'at',
  'admissionMs',
  'durationMs',
  'bytesIn',
  'bytesOut',
]
const TIMED = ['ttftMs', 'tokensPerSecond', 'upstream']

watchLogs()

const METERINGS = ['exact', 'final', 'unasked', 'off'] as const
/** With the usual metering all of them, else these. */
const FEW = [
  'a stream event after event',
  'a stream with all counts',
  'a stream that is split once',
  'a stream without [DONE]',
  'a chat',
  'a maximum',
  'a stream',
  'a stream whose usage is asked for',
  'no usage',
  'a fault of the server',
  'tools',
  'a stream with tools',
]

const variants = (await findEngines()).flatMap((setup) =>
  METERINGS.map((metering) => ({ setup, metering, name: setup.name })),
)

describe.each(variants)('$name, metering $metering: the quick way', ({ setup, metering }) => {
  const kinds = metering === 'exact' ? Object.keys(KINDS) : ['free', 'bound', 'full']
  const cases = CASES.filter(([name]) => metering === 'exact' || FEW.includes(name))
  const callers = Object.fromEntries(kinds.map((kind) => [kind, clientOf(KINDS[kind])]))
  /** One for either way. What they would learn of the model comes by a clock: housekeeping runs once, and learns nothing. */
  let quick: Gate
  let long: Gate

  beforeAll(async () => {
    const prices = { 'Qwen/*': { input: 1, output: 2, cachedInput: 0.5 } }
    const config = {
      clients: documentOf(callers),
      prepare: (root: string) =>
        edit(join(root, 'tollgate', 'admin.conf'), 'interval=500ms', 'interval=1h'),
      // With a place for everybody, and more where metering asks for the body and where it does not.
      policy: {
        ...({ version: 1, metering, prices } as const),
        ...(metering === 'final' || metering === 'off' ? { maxInFlight: 40 } : {}),
      },
    }
    ;[quick, long] = [await startGate(setup, config), await startGate(setup, config)]
    for (const gate of [quick, long]) gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => Promise.all([quick.stop(), long.stop()]))

  async function ask(gate: Gate, client: string, path: string, body: object, mock: string) {
    const before = (await linesOf(gate, client)).length
    await fetch(`http://127.0.0.1:${gate.mock.port}/__mock/next`, { method: 'POST', body: mock })
    const secret = callers[client]?.secret ?? ''
    const answer = await send(gate, path, {
      body: { model: MODEL, ...body },
      ...(gate === quick ? { key: secret } : { key: '', headers: { 'x-api-key': secret } }),
    }).answer
    const text = await answer.body().then(String, () => 'broken off')
    const sent = gate.mock.log().map((one) => one.body)
    gate.mock.reset()
    const line = (await linesOf(gate, client, before + 1)).at(-1) as Line
    // What is left moves with every millisecond, by what the minute before counts.
    const limits = Object.entries(answer.headers).filter(
      ([name]) => name.startsWith('x-ratelimit') && !/reset|remaining/.test(name),
    )
    const left = Number(answer.headers['x-ratelimit-remaining-requests'])
    const own = [...OWN, ...TIMED]
    return {
      status: answer.status,
      text: text.replace(/"(?:id|created)": ?("[^"]*"|\d+)/g, ''),
      limits: Object.fromEntries(limits),
      sent,
      line: Object.fromEntries(Object.entries(line).filter(([name]) => !own.includes(name))),
      isTimed: 'ttftMs' in line,
      left,
    }
  }

  test.each(cases)('comes to the same as the long one: %s', async (name, path, body, mock) => {
    // What holds for a client matters little to what comes of a stream.
    const isOdd = STREAMS.some(([stream]) => name === `a stream ${stream}`)
    for (const kind of isOdd ? kinds.filter((one) => one === 'free' || one === 'full') : kinds) {
      const [{ left, ...own }, { left: otherLeft, ...other }] = await Promise.all([
        ask(quick, kind, path, body, mock),
        ask(long, kind, path, body, mock),
      ])
      expect(own, kind).toEqual(other)
      expect(Number.isNaN(left), kind).toBe(Number.isNaN(otherLeft))
      if (!Number.isNaN(left)) expect(Math.abs(left - otherLeft), kind).toBeLessThan(6)
      const isOpen = kind !== 'bound' || path !== '/v1/embeddings'
      if (mock === '' && path !== CHAT) expect(own.status, kind).toBe(isOpen ? 200 : 403)
    }
  })

  test('is told what vLLM counted, as the long one is', async () => {
    const [own] = await linesOf(quick, 'full')
    expect(own).toMatchObject({ outcome: 'ok', status: 200, served: MODEL, promptTokens: 3 })
    expect(own?.['cost']).toBe((3 + 2 * Number(own?.['completionTokens'])) / 1e6)
  })

  test('leaves nothing behind, and has counted what the long one has', async () => {
    for (const kind of kinds) {
      const [own, other] = await Promise.all(
        [quick, long].map(async (gate) => {
          const answer = await gate.admin(`/clients/${kind}/balance`)
          expect(answer.status).toBe(200)
          return (await answer.json()) as { subjects: { rates: object; standings: object }[] }
        }),
      )
      const standings = (all: typeof own) => all?.subjects.map((one) => one.standings)
      expect(standings(own), kind).toEqual(standings(other))
      expect(JSON.stringify(own)).not.toMatch(/"limit":"concurrency","value":50,"taken":[1-9]/)
      expect(JSON.stringify(own)).not.toMatch(/"reserved":[1-9]/)
    }
  })
})
