import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  EVENT_BYTES_MAX,
  feed,
  feedWhole,
  finishMeter,
  finishWhole,
  type MeterPlan,
  startMeter,
  startWhole,
} from '../../../src/core/meter/meter.ts'
import { type Mock, startMock } from '../../../src/mock/server.ts'
import { dialects } from '../../../src/mock/settings.ts'
import { planOf } from './plan.ts'

let mock: Mock
beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

type Body = { [name: string]: unknown }

/** A whole answer of the mock, with its random ids made equal. */
async function answer(path: string, settings: string, body: Body): Promise<Buffer> {
  const response = await fetch(mock.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-mock': settings },
    body: JSON.stringify({
      ...(path === '/v1/messages' ? { model: 'Qwen/Qwen3-8B', max_tokens: 99 } : {}),
      ...body,
    }),
  })
  expect(response.status).toBe(200)
  const text = Buffer.from(await response.arrayBuffer()).toString()
  return Buffer.from(text.replace(/[0-9a-f]{32}/g, '0'.repeat(32)))
}

/** What the caller gets when these pieces come, and the meter behind it. */
function play(plan: Partial<MeterPlan>, pieces: Buffer[], isWhole = true) {
  const meter = startMeter(planOf(plan))
  const sent: Buffer[] = []
  const take = (piece: Buffer, isLast: boolean) => {
    const out = feed(meter, piece, isLast)
    if (isLast && out) expect(out).toHaveLength(1)
    sent.push(...(out ?? [piece]))
  }
  for (const piece of pieces) take(Buffer.from(piece), false)
  if (isWhole) take(Buffer.alloc(0), true)
  return { meter, sent: Buffer.concat(sent).toString(), metered: finishMeter(meter) }
}

/** What the meter of an answer that is no stream says in the end. */
function playWhole(route: string, pieces: Buffer[]) {
  const whole = startWhole(route)
  for (const piece of pieces) feedWhole(whole, Buffer.from(piece))
  return finishWhole(whole)
}

function split(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}

function events(bytes: Buffer): Buffer[] {
  return bytes
    .toString()
    .split(/(?<=\n\n)/)
    .map((event) => Buffer.from(event))
}

/** As nginx may give a stream: by events, whole, in pieces of any size, cut once at every byte. */
function splits(bytes: Buffer): Buffer[][] {
  const ways = [events(bytes), [bytes], split(bytes, 1), split(bytes, 7), split(bytes, 1000)]
  for (let at = 1; at < bytes.length; at++) ways.push([bytes.subarray(0, at), bytes.subarray(at)])
  return ways
}

const chat = '/v1/chat/completions'
const ask = { stream: true, messages: [{ role: 'user', content: 'one two three' }] }
const asks = {
  chat: [chat, ask] as const,
  completions: ['/v1/completions', { stream: true, prompt: 'one two three' }] as const,
}
const exact = { include_usage: true, continuous_usage_stats: true }
const final = { include_usage: true }

describe('what the caller did not ask for is taken out', () => {
  const routes = ['chat', 'completions'] as const
  const limits = [undefined, 3]
  const rows = dialects.flatMap((dialect) =>
    routes.flatMap((route) => limits.map((limit) => ({ dialect, route, limit }))),
  )
  const settings = (dialect: string) =>
    `dialect:${dialect},tokens:4,cached:1,reasoning:1,words:utf8`

  it.each(rows)('$dialect $route, limit $limit: all of it', async ({ dialect, route, limit }) => {
    const [path, body] = asks[route]
    const limited = { ...body, max_tokens: limit }
    const without = await answer(path, settings(dialect), limited)
    for (const stream_options of [exact, final]) {
      const gated = await answer(path, settings(dialect), { ...limited, stream_options })
      for (const pieces of splits(gated)) {
        const { sent, metered } = play({ route, taken: 'all' }, pieces)
        expect(sent).toBe(without.toString())
        if (dialect !== 'llamacpp-old' && !(dialect === 'llamacpp' && route === 'completions'))
          expect(metered.usage?.completionTokens).toBe(limit ?? 4)
      }
    }
  })

  it.each(rows)('$dialect $route, limit $limit: running counts', async (row) => {
    const { dialect, route, limit } = row
    const [path, body] = asks[route]
    const limited = { ...body, max_tokens: limit }
    const without = await answer(path, settings(dialect), { ...limited, stream_options: final })
    const gated = await answer(path, settings(dialect), { ...limited, stream_options: exact })
    for (const pieces of splits(gated)) {
      expect(play({ route, taken: 'running' }, pieces).sent).toBe(without.toString())
    }
  })

  it.each(['vllm-rust', 'llamacpp-old', 'sglang'])(
    '%s with three choices: all of it',
    async (dialect) => {
      const body = { ...ask, n: 3 }
      const without = await answer(chat, settings(dialect), body)
      const gated = await answer(chat, settings(dialect), { ...body, stream_options: exact })
      for (const pieces of splits(gated)) {
        expect(play({ taken: 'all', choices: 3 }, pieces).sent).toBe(without.toString())
      }
    },
  )

  it('a stream that fails in the middle keeps its error, and all before it', async () => {
    const without = await answer(chat, 'error:2', ask)
    const gated = await answer(chat, 'error:2', { ...ask, stream_options: exact })
    for (const pieces of splits(gated)) {
      const { sent, metered } = play({ taken: 'all' }, pieces)
      expect(sent).toBe(without.toString())
      expect(metered).toMatchObject({ usage: { promptTokens: 3, completionTokens: 2 } })
      expect(metered.isEstimated).toBe(false)
    }
  })

  it('a beam search is one event with usage of its own, which stays', async () => {
    const body = { stream: true, prompt: 'one two', use_beam_search: true }
    const bytes = await answer('/v1/completions', 'tokens:5', body)
    for (const pieces of splits(bytes)) {
      const { sent, metered } = play({ route: 'completions', taken: 'all' }, pieces)
      expect(sent).toBe(bytes.toString())
      expect(metered.usage).toMatchObject({ promptTokens: 2, completionTokens: 5 })
    }
  })

  it('lines that end with returns stay so', async () => {
    const crlf = (bytes: Buffer) => Buffer.from(bytes.toString().replaceAll('\n', '\r\n'))
    const without = crlf(await answer(chat, 'tokens:3', ask))
    const gated = crlf(await answer(chat, 'tokens:3', { ...ask, stream_options: exact }))
    for (const pieces of splits(gated)) {
      const { sent, metered } = play({ taken: 'all' }, pieces)
      expect(sent).toBe(without.toString())
      expect(metered.usage).toMatchObject({ promptTokens: 3, completionTokens: 3 })
    }
  })

  it('comments pass and are not counted', async () => {
    const gated = await answer(chat, 'tokens:3,comments', { ...ask, stream_options: exact })
    const { sent, metered } = play({ taken: 'all' }, split(gated, 11))
    expect(sent.match(/: keep-alive\n\n/g)).toHaveLength(6)
    expect(sent).not.toContain('"usage"')
    expect(metered.usage?.completionTokens).toBe(3)
  })

  it('holds a finish chunk back only until the next event', async () => {
    const gated = events(await answer(chat, 'tokens:1', { ...ask, stream_options: exact }))
    const meter = startMeter(planOf({ taken: 'all' }))
    const held = gated.map((event) => feed(meter, Buffer.from(event), false)?.length ?? -1)
    expect(held).toEqual([2, 2, 0, 3, -1])
  })

  it('an incomplete event beyond the bound is passed on, and what follows is taken out again', async () => {
    const settings = `tokens:3,bytes:${2 * EVENT_BYTES_MAX}`
    const gated = await answer(chat, settings, { ...ask, stream_options: exact })
    const { sent, metered } = play({ taken: 'all' }, split(gated, 65536))
    expect(sent.match(/"usage":/g)).toHaveLength(1)
    expect(metered.usage).toMatchObject({ promptTokens: 3, completionTokens: 3 })
    const held = startMeter(planOf({ taken: 'all' }))
    let most = 0
    for (const piece of split(gated, 65536)) {
      feed(held, piece, false)
      most = Math.max(
        most,
        held.open.reduce((sum, part) => sum + part.length, 0),
      )
    }
    expect(most).toBeLessThanOrEqual(EVENT_BYTES_MAX)
  })

  it('what is left of a broken stream is given out at its end', () => {
    const pieces = [
      Buffer.from('data: {"choices":[{"index":0,"finish_reason":"stop"}]}\n\ndata: {"ch'),
    ]
    expect(play({ taken: 'all' }, pieces).sent).toBe(pieces.join(''))
  })
})

describe('usage of streams', () => {
  const whole = 'dialect:DIALECT,tokens:5,cached:2,reasoning:1'
  const rows: [string, string, string, string, Body, Body][] = [
    [
      'vLLM chat',
      'chat',
      'vllm',
      chat,
      { ...ask, stream_options: final },
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5, reasoningTokens: 1 },
    ],
    [
      'vLLM chat, forced on every chunk',
      'chat',
      'vllm,usage:force',
      chat,
      ask,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5, reasoningTokens: 1 },
    ],
    [
      'SGLang, reasoning beside the others',
      'chat',
      'sglang',
      chat,
      { ...ask, stream_options: exact },
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5, reasoningTokens: 1 },
    ],
    [
      'llama.cpp, from timings where nobody asked',
      'chat',
      'llamacpp',
      chat,
      ask,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
    ],
    [
      'llama.cpp, asked',
      'chat',
      'llamacpp',
      chat,
      { ...ask, stream_options: final },
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
    ],
    [
      'old llama.cpp, unasked on the finish chunk',
      'chat',
      'llamacpp-old',
      chat,
      ask,
      { promptTokens: 3, completionTokens: 5 },
    ],
    [
      'vLLM messages: cached tokens are beside the input',
      'messages',
      'vllm',
      '/v1/messages',
      ask,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
    ],
    [
      'SGLang messages: the input is in message_start',
      'messages',
      'sglang',
      '/v1/messages',
      ask,
      { promptTokens: 3, completionTokens: 5 },
    ],
    [
      'llama.cpp messages: both inputs are in message_start',
      'messages',
      'llamacpp',
      '/v1/messages',
      ask,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
    ],
    [
      'responses',
      'responses',
      'vllm',
      '/v1/responses',
      { stream: true, input: 'one two three' },
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5, reasoningTokens: 1 },
    ],
  ]
  it.each(rows)('%s', async (_, route, dialect, path, body, usage) => {
    const bytes = await answer(path, whole.replace('DIALECT', dialect), body)
    for (const pieces of splits(bytes).slice(0, 3000)) {
      const { sent, metered } = play({ route }, pieces)
      expect(sent).toBe(bytes.toString())
      expect(metered.usage).toEqual(usage)
      expect(metered.isEstimated).toBe(false)
      expect(metered.served).toBeTruthy()
    }
  })

  it('running counts are per choice: the last of each is summed, the prompt is not', async () => {
    const body = { ...ask, n: 3, stream_options: exact }
    const all = events(await answer(chat, 'tokens:5', body))
    // Three chunks open the choices; then two rounds of tokens, and one token more of the first.
    const asked: [number | null, number][] = []
    const { metered } = play(
      { choices: 3, mayUse: (prompt, completion) => asked.push([prompt, completion]) > 0 },
      all.slice(0, 3 + 6 + 1),
      false,
    )
    expect(metered).toMatchObject({
      usage: { promptTokens: 3, completionTokens: 7 },
      isEstimated: false,
    })
    expect(asked.at(-1)).toEqual([3, 7])
    expect(play({ choices: 3 }, all).metered.usage).toMatchObject({
      promptTokens: 3,
      completionTokens: 15,
    })
  })

  it('G: running counts of several prompts are summed, those of a prompt once', async () => {
    const prompt = ['one two three', 'four five six', 'seven eight nine']
    const body = { prompt, n: 2, stream: true, stream_options: exact }
    const all = events(await answer('/v1/completions', 'tokens:4', body))
    // One token of each of the six choices; then a second one of the first four.
    const part = all.slice(0, 6 + 4)
    const asked: [number | null, number][] = []
    const plan = { route: 'completions', choices: 6, prompts: 3 }
    const mayUse = (prompt: number | null, completion: number) =>
      asked.push([prompt, completion]) > 0
    for (const { metered } of [play(plan, part, false), play({ ...plan, mayUse }, part, false)]) {
      expect(metered).toMatchObject({
        usage: { promptTokens: 9, completionTokens: 10 },
        isEstimated: false,
      })
    }
    expect(asked.at(-1)).toEqual([9, 10])
    expect(play(plan, all).metered.usage).toMatchObject({ promptTokens: 9, completionTokens: 24 })
  })

  it('an aborted stream with running counts is exact at every event', async () => {
    const all = events(await answer(chat, 'tokens:6', { ...ask, stream_options: exact }))
    for (let tokens = 0; tokens <= 6; tokens++) {
      for (const taken of ['nothing', 'running', 'all'] as const) {
        const plan = { taken, mayUse: () => true }
        const { metered } = play(plan, all.slice(0, 1 + tokens), false)
        expect(metered).toMatchObject({ usage: { promptTokens: 3, completionTokens: tokens } })
        expect(metered.isEstimated).toBe(false)
      }
    }
  })

  it.each([
    ['chat', 'tokens:9', 3],
    ['chat', 'tokens:9,dialect:sglang', 3],
    ['chat', 'tokens:9,dialect:llamacpp', null],
    ['completions', 'tokens:9', 3],
  ] as const)(
    '%s, %s: what a hard budget has no room for is dropped, however it arrives',
    async (route, mock, prompt) => {
      const path = route === 'chat' ? chat : '/v1/completions'
      const body = route === 'chat' ? ask : { prompt: 'one two three', stream: true }
      const all = events(await answer(path, mock, { ...body, stream_options: exact }))
      for (const pieces of [all, [Buffer.concat(all)]]) {
        const asked: (number | null)[] = []
        const mayUse = (tokens: number | null, completion: number) => {
          asked.push(tokens)
          return completion <= 5
        }
        const { metered, meter, sent } = play({ route, taken: 'all', mayUse }, pieces, false)
        expect(meter.isSpent).toBe(true)
        expect(metered.usage?.completionTokens).toBe(5)
        expect(asked.at(-1)).toBe(prompt)
        expect(sent.toString()).not.toContain('[DONE]')
        expect(sent.toString()).not.toContain('"usage":{')
      }
    },
  )

  it('many events in one piece: the last count holds', async () => {
    const all = events(await answer(chat, 'tokens:6', { ...ask, stream_options: exact }))
    const pieces = [all[0] as Buffer, all[1] as Buffer, Buffer.concat(all.slice(2, 6))]
    expect(play({}, pieces, false).metered.usage?.completionTokens).toBe(5)
    const comment = Buffer.from(': keep-alive\n\n')
    expect(
      play({}, [...pieces, Buffer.concat([all[6] as Buffer, comment])], false).metered,
    ).toMatchObject({
      usage: { promptTokens: 3, completionTokens: 6 },
      isEstimated: false,
    })
    expect(play({}, [all[0] as Buffer, Buffer.concat(all.slice(1))]).metered).toMatchObject({
      usage: { completionTokens: 6 },
      finishReason: 'stop',
    })
  })

  const aborted: [string, string, string, string, Body, number, Body][] = [
    [
      'chat: chunks with choices, without the one that opens',
      'chat',
      'vllm',
      chat,
      ask,
      4,
      { completionTokens: 3 },
    ],
    ['chat of llama.cpp', 'chat', 'llamacpp', chat, ask, 4, { completionTokens: 3 }],
    ['chat of SGLang', 'chat', 'sglang', chat, ask, 4, { completionTokens: 3 }],
    ['chat with null as usage', 'chat', 'vllm,usage:null', chat, ask, 4, { completionTokens: 3 }],
    ['chat with two choices', 'chat', 'vllm', chat, { ...ask, n: 2 }, 6, { completionTokens: 4 }],
    [
      'completions',
      'completions',
      'vllm',
      '/v1/completions',
      { stream: true, prompt: 'a b' },
      4,
      { completionTokens: 4 },
    ],
    [
      'messages, with the prompt of message_start',
      'messages',
      'vllm',
      '/v1/messages',
      ask,
      5,
      { promptTokens: 3, completionTokens: 3 },
    ],
    [
      'responses',
      'responses',
      'vllm',
      '/v1/responses',
      { stream: true, input: 'a b' },
      7,
      { completionTokens: 3 },
    ],
  ]
  it.each(aborted)(
    'estimated from events, %s',
    async (_, route, dialect, path, body, kept, usage) => {
      const all = events(await answer(path, `dialect:${dialect},tokens:9,comments`, body))
      const some = all.filter((event) => !event.toString().startsWith(':')).slice(0, kept)
      const choices = (body.n as number) ?? 1
      for (const pieces of [some, [Buffer.concat(some)], split(Buffer.concat(some), 3)]) {
        const { metered } = play({ route, choices }, pieces, false)
        expect(metered).toMatchObject({ usage, isEstimated: true })
        expect(Object.keys(metered.usage ?? {})).toHaveLength(Object.keys(usage).length)
      }
    },
  )

  it('text that looks like usage fools nobody', () => {
    const text = JSON.stringify('"usage":{"prompt_tokens":0}}],"usage":{"completion_tokens":1}')
    const chunk = `data: {"choices":[{"index":0,"delta":{"content":${text}}}]}\n\n`
    const { sent, metered } = play({ taken: 'all' }, [Buffer.from(chunk)])
    expect(sent).toBe(chunk)
    expect(metered).toMatchObject({ usage: { completionTokens: 1 }, isEstimated: true })
  })

  it("usage in a tool's input or in repeated tools is not the usage", () => {
    const input = '{"usage":{"input_tokens":999,"output_tokens":999}}'
    const messages = [
      'event: message_start\ndata: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":7,"output_tokens":0}}}\n\n',
      `event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":${input}}}\n\n`,
    ]
    expect(play({ route: 'messages' }, [Buffer.from(messages.join(''))]).metered.usage).toEqual({
      promptTokens: 7,
      completionTokens: 0,
    })
    const tools = `"tools":[{"parameters":{"properties":{"usage":{"input_tokens":5}}}}]`
    const response = `event: response.created\ndata: {"response":{${tools},"usage":null,"model":"m"}}\n\n`
    const done = `event: response.completed\ndata: {"response":{"usage":{"input_tokens":1,"output_tokens":2},${tools},"status":"completed"}}\n\n`
    expect(play({ route: 'responses' }, [Buffer.from(response)]).metered.isEstimated).toBe(true)
    expect(play({ route: 'responses' }, [Buffer.from(response + done)]).metered).toMatchObject({
      usage: { promptTokens: 1, completionTokens: 2 },
      finishReason: 'completed',
      served: 'm',
    })
  })

  it.each([500_000, 2_000_000])(
    'a response.completed of %d bytes in pieces of any size',
    async (size) => {
      const bytes = await answer('/v1/responses', `tokens:3,bytes:${size}`, {
        stream: true,
        input: 'a b',
      })
      for (const pieces of [split(bytes, 4096), split(bytes, 65_537), events(bytes), [bytes]]) {
        expect(play({ route: 'responses' }, pieces).metered).toMatchObject({
          usage: { promptTokens: 2, completionTokens: 3 },
          isEstimated: false,
          finishReason: 'completed',
        })
      }
    },
  )

  it('a stream of a transcription tells its usage like chat', async () => {
    const chunk =
      'data: {"object":"transcription.chunk","model":"w","choices":[],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}}\n\n'
    expect(play({ route: 'transcriptions' }, [Buffer.from(chunk)]).metered).toMatchObject({
      usage: { promptTokens: 4, completionTokens: 2 },
      served: 'w',
    })
  })
})

describe('usage of answers that are no streams', () => {
  const messages = { messages: [{ role: 'user', content: 'one two three' }] }
  const full = { promptTokens: 3, cachedTokens: 2, completionTokens: 5, reasoningTokens: 1 }
  const rows: [string, string, string, Body, Body, string | undefined][] = [
    ['chat', chat, 'vllm', messages, full, 'stop'],
    [
      'chat of llama.cpp',
      chat,
      'llamacpp',
      messages,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
      'stop',
    ],
    ['chat of SGLang', chat, 'sglang', messages, full, 'stop'],
    [
      'completions',
      '/v1/completions',
      'vllm-rust',
      { prompt: 'one two three' },
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
      'stop',
    ],
    [
      'messages',
      '/v1/messages',
      'vllm',
      messages,
      { promptTokens: 3, cachedTokens: 2, completionTokens: 5 },
      'end_turn',
    ],
    ['responses', '/v1/responses', 'vllm', { input: 'one two three' }, full, 'completed'],
    [
      'embeddings, usage last',
      '/v1/embeddings',
      'vllm',
      { input: 'one two three' },
      { promptTokens: 3, completionTokens: 0 },
      undefined,
    ],
    [
      'embeddings, usage in the middle',
      '/v1/embeddings',
      'llamacpp',
      { input: 'one two three' },
      { promptTokens: 3 },
      undefined,
    ],
    [
      'score',
      '/v1/score',
      'vllm',
      { text_1: 'one', text_2: ['two'] },
      { completionTokens: 0 },
      undefined,
    ],
    [
      'rerank, usage first',
      '/v1/rerank',
      'vllm',
      { query: 'one', documents: ['two'] },
      {},
      undefined,
    ],
    ['embed_v2', '/v2/embed', 'vllm', { texts: ['one two three'] }, { promptTokens: 3 }, undefined],
  ]
  it.each(rows)('%s', async (name, path, dialect, body, usage, reason) => {
    const settings = `dialect:${dialect},tokens:5,cached:2,reasoning:1`
    const small = await answer(path, settings, body)
    const large = await answer(path, `${settings},bytes:3000000`, body)
    const route = name.split(/[ ,]/)[0] as string
    const ways = [[small], split(small, 1), split(large, 1500), split(large, 16_384), [large]]
    for (const pieces of ways) {
      const metered = playWhole(route, pieces)
      expect(metered.usage).toMatchObject(usage)
      expect(metered.usage?.promptTokens).toBeGreaterThan(0)
      expect(metered.isEstimated).toBe(false)
      if (pieces[0] === small) expect(metered.finishReason).toBe(reason)
    }
  })

  it('seconds of audio, and tokens of audio', () => {
    const read = (text: string) => playWhole('transcriptions', split(Buffer.from(text), 5)).usage
    expect(read('{"text":"x","usage":{"type":"duration","seconds":12}}')).toEqual({
      audioSeconds: 12,
    })
    const tokens =
      '{"text":"x","usage":{"type":"tokens","input_tokens":9,"output_tokens":4,"total_tokens":13}}'
    expect(read(tokens)).toEqual({ promptTokens: 9, completionTokens: 4 })
  })

  it.each([
    ['a list', '[{"usage":{"prompt_tokens":9}}]'],
    ['no JSON', 'plain "usage":{"prompt_tokens":9}'],
    ['nothing', ''],
    ['null', '{"usage":null}'],
  ])('%s tells none', (_, text) => {
    expect(playWhole('chat', split(Buffer.from(text), 3))).toEqual({
      usage: null,
      isEstimated: false,
    })
  })

  it('a body that breaks off behind its usage is charged by it', () => {
    const text = '{"model":"m","usage":{"prompt_tokens":9,"total_tokens":9},"results":[{"index":0'
    expect(playWhole('rerank', [Buffer.from(text)])).toEqual({
      usage: { promptTokens: 9 },
      isEstimated: false,
      served: 'm',
    })
  })

  it("usage in the input of a model's tool is not the usage, at any size", () => {
    for (const size of [1, 100_000]) {
      const input = `{"usage":{"input_tokens":999},"text":"${'x'.repeat(size)}"}`
      const text = `{"content":[{"type":"tool_use","input":${input}}],"usage":{"input_tokens":1,"output_tokens":2}}`
      const metered = playWhole('messages', split(Buffer.from(text), 900))
      expect(metered.usage).toEqual({ promptTokens: 1, completionTokens: 2 })
    }
  })
})
