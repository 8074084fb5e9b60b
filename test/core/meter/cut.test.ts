import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cut, canCut, endStream } from '../../../src/core/meter/cut.ts'
import { feed, type MeterPlan, startEnd, startMeter } from '../../../src/core/meter/meter.ts'
import { type Mock, startMock } from '../../../src/mock/server.ts'
import { planOf } from './plan.ts'

let mock: Mock
beforeAll(async () => {
  mock = await startMock({ tokens: 8 })
})
afterAll(() => mock.close())

type Body = { [name: string]: unknown }

const model = 'Qwen/Qwen3-8B'
const ask = { model, max_tokens: 99, stream: true, messages: [{ role: 'user', content: 'a b' }] }
const exact = { include_usage: true, continuous_usage_stats: true }

/** The first events of a stream of the mock. */
async function begin(path: string, body: Body, count: number): Promise<string[]> {
  const response = await fetch(mock.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await response.text()).split(/(?<=\n\n)/).slice(0, count)
}

/** What the caller has in the end when the stream is cut behind these events. */
function cutBehind(events: string[], plan: Partial<MeterPlan>, why: Cut): string {
  const meter = startMeter(planOf({ mayUse: why === 'budget' ? () => true : null, ...plan }))
  const sent = events.map((event) => {
    const out = feed(meter, Buffer.from(event), false)
    return out ? Buffer.concat(out).toString() : event
  })
  expect(canCut(meter)).toBe(true)
  return sent.join('') + endStream(meter, why).toString()
}

/** The official clients, with a stream in place of the network. */
function clients(stream: string) {
  const headers = { 'content-type': 'text/event-stream' }
  const options = {
    apiKey: 'k',
    maxRetries: 0,
    fetch: async () => new Response(stream, { headers }),
  }
  return { openai: new OpenAI(options), anthropic: new Anthropic(options) }
}

function read(openai: OpenAI) {
  return openai.chat.completions.stream({ model, messages: [] })
}

describe('a spent budget ends a stream by its length', () => {
  it.each(['nothing', 'running', 'all'] as const)('chat, with %s taken out', async (taken) => {
    const events = await begin('/v1/chat/completions', { ...ask, stream_options: exact }, 4)
    const text = cutBehind(events, { taken, wantsUsage: taken !== 'all' }, 'budget')
    const done = await read(clients(text).openai).finalChatCompletion()
    expect(done.choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: ' hello from a' },
    })
    expect(done.model).toBe(model)
    expect(text.match(/\[DONE\]/g)).toHaveLength(1)
    expect(new Set(text.match(/"id":"[^"]+"/g)).size).toBe(1)
    const usage = { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 }
    if (taken === 'all') expect(text).not.toContain('"usage"')
    else expect(done.usage).toEqual(usage)
  })

  it('only choices that run get a finish chunk', async () => {
    const body = { ...ask, n: 3, stream_options: exact }
    const events = await begin('/v1/chat/completions', body, 5)
    const finish = (events[4] as string).replace('"finish_reason":null', '"finish_reason":"stop"')
    const text = cutBehind(
      [...events.slice(0, 4), finish],
      { choices: 3, wantsUsage: true },
      'budget',
    )
    expect(text.match(/"index":(\d),"delta":\{\}/g)).toEqual([
      '"index":0,"delta":{}',
      '"index":2,"delta":{}',
    ])
    expect(text).toContain('"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}')
  })

  it('a finish chunk that is held back is given out, and no second one made', async () => {
    const events = await begin('/v1/chat/completions', { ...ask, stream_options: exact }, 10)
    const text = cutBehind(events, { taken: 'all' }, 'budget')
    expect(text.match(/"finish_reason":"\w+"/g)).toEqual(['"finish_reason":"stop"'])
  })

  it('completions', async () => {
    const body = { model, prompt: 'a b', stream: true, stream_options: exact }
    const events = await begin('/v1/completions', body, 2)
    const text = cutBehind(events, { route: 'completions', taken: 'all' }, 'budget')
    const stream = await clients(text).openai.completions.create({
      model,
      prompt: '',
      stream: true,
    })
    const reasons: unknown[] = []
    for await (const chunk of stream) reasons.push(chunk.choices[0]?.finish_reason)
    expect(reasons).toEqual([null, null, 'length'])
  })

  it('messages', async () => {
    const events = await begin('/v1/messages', ask, 5)
    const text = cutBehind(events, { route: 'messages' }, 'budget')
    const message = await clients(text)
      .anthropic.messages.stream({ model, max_tokens: 9, messages: [] })
      .finalMessage()
    expect(message).toMatchObject({
      stop_reason: 'max_tokens',
      content: [{ type: 'text', text: ' hello from a' }],
      usage: { input_tokens: 2, output_tokens: 3 },
    })
    expect(text.match(/^event: content_block_stop$/gm)).toHaveLength(1)
  })

  it('messages between two blocks', async () => {
    const events = await begin('/v1/messages', ask, 11)
    const text = cutBehind(events, { route: 'messages' }, 'budget')
    expect(text.match(/^event: content_block_stop$/gm)).toHaveLength(1)
  })

  it('responses', async () => {
    const events = await begin('/v1/responses', { model, input: 'a b', stream: true }, 7)
    const text = cutBehind(events, { route: 'responses' }, 'budget')
    const stream = await clients(text).openai.responses.create({ model, input: '', stream: true })
    const seen: { type: string; sequence_number: number }[] = []
    for await (const event of stream) seen.push(event)
    expect(seen.map((event) => event.sequence_number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(seen.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        model,
      },
    })
  })

  it('before the first chunk there is nothing to end', () => {
    expect(cutBehind([], {}, 'budget')).toBe('data: [DONE]\n\n')
    expect(cutBehind([], { route: 'responses' }, 'budget')).toContain('event: error\n')
  })
})

describe('a revoked key ends a stream by an error that the SDKs raise', () => {
  it.each(['nothing', 'all'] as const)('chat, with %s taken out', async (taken) => {
    const events = await begin('/v1/chat/completions', { ...ask, stream_options: exact }, 4)
    const text = cutBehind(events, { taken }, 'revoked')
    await expect(read(clients(text).openai).finalChatCompletion()).rejects.toMatchObject({
      code: 'revoked_key',
      type: 'invalid_request_error',
      message: 'This API key has been revoked or has expired',
    })
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  it('messages', async () => {
    const text = cutBehind(await begin('/v1/messages', ask, 5), { route: 'messages' }, 'revoked')
    const stream = clients(text).anthropic.messages.stream({ model, max_tokens: 9, messages: [] })
    await expect(stream.finalMessage()).rejects.toMatchObject({
      error: { type: 'error', error: { type: 'authentication_error' } },
    })
  })

  it('responses', async () => {
    const events = await begin('/v1/responses', { model, input: 'a b', stream: true }, 5)
    const text = cutBehind(events, { route: 'responses' }, 'revoked')
    const stream = await clients(text).openai.responses.create({ model, input: '', stream: true })
    const seen: unknown[] = []
    for await (const event of stream) seen.push(event)
    expect(seen.at(-1)).toMatchObject({ type: 'error', code: 'revoked_key', sequence_number: 5 })
  })
})

describe('an operator ends a stream by an error of the server', () => {
  const code = 'ended_by_operator'
  const message = 'Ended by the operator'

  it('chat', async () => {
    const events = await begin('/v1/chat/completions', { ...ask, stream_options: exact }, 4)
    const text = cutBehind(events, {}, 'operator')
    await expect(read(clients(text).openai).finalChatCompletion()).rejects.toMatchObject({
      code,
      type: 'server_error',
      message,
    })
  })

  it('messages', async () => {
    const text = cutBehind(await begin('/v1/messages', ask, 5), { route: 'messages' }, 'operator')
    const stream = clients(text).anthropic.messages.stream({ model, max_tokens: 9, messages: [] })
    await expect(stream.finalMessage()).rejects.toMatchObject({
      error: { type: 'error', error: { type: 'api_error', message } },
    })
  })

  it('responses', async () => {
    const events = await begin('/v1/responses', { model, input: 'a b', stream: true }, 5)
    const text = cutBehind(events, { route: 'responses' }, 'operator')
    expect(text).toContain(`"code":"${code}"`)
  })
})

describe('where a stream can be cut', () => {
  const start = (plan: Partial<MeterPlan>) => startMeter(planOf(plan))
  const half = Buffer.from('data: {"choices":[{"ind')
  const rest = Buffer.from('ex":0}]}\n\n')

  it('not in the middle of an event that the caller has the beginning of', () => {
    const meter = start({})
    expect(canCut(meter)).toBe(true)
    feed(meter, half, false)
    expect(canCut(meter)).toBe(false)
    feed(meter, rest, false)
    expect(canCut(meter)).toBe(true)
  })

  it('anywhere when events are held back until they are whole', () => {
    const meter = start({ taken: 'all' })
    feed(meter, half, false)
    expect(canCut(meter)).toBe(true)
    expect(endStream(meter, 'revoked').toString()).toMatch(/^data: \{"error"/)
  })

  it('not behind the end of the stream', () => {
    const meter = start({})
    feed(meter, Buffer.from('data: [DONE]\n\n'), false)
    expect(canCut(meter)).toBe(false)
  })
})

describe('a stream that was not metered', () => {
  /** Behind which of these pieces it can be ended. */
  const endsBehind = (pieces: string[], route = 'chat') => {
    const meter = startEnd(route)
    return pieces.map((piece) => {
      feed(meter, Buffer.from(piece), false)
      return canCut(meter)
    })
  }

  it.each<[string, string[], boolean[]]>([
    ['whole events', ['data: {}\n\n', 'data: {}\r\n\r\n'], [true, true]],
    ['half an event', ['data: {', '}\n\n'], [false, true]],
    ['a blank line in two', ['data: {}\n', '\n', 'data: {}\n', '\n'], [false, true, false, true]],
    ['the end of a blank line', ['\n', 'data: {}\n', '\n'], [false, false, true]],
    ['single bytes', [...'data: {}\n\n'], [...Array(9).fill(false), true]],
    ['its own end', ['data: {}\n\n', 'data: [DONE]\n\n'], [true, false]],
    ['its own end in two', ['data: [DO', 'NE]\n\n'], [false, false]],
    ['its own end without a space', ['data:[DONE]\n\n'], [false]],
  ])('ends behind events alone: %s', (_, pieces, expected) => {
    expect(endsBehind(pieces)).toEqual(expected)
  })

  it('does not end behind the end of a message', () => {
    const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    const ping = 'event: ping\ndata: {"type":"ping"}\n\n'
    expect(endsBehind([ping, stop], 'messages')).toEqual([true, false])
  })

  it('numbers the error behind the last of two events of a response', () => {
    const eventOf = (n: number) =>
      `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":${n}}\n\n`
    const meter = startEnd('responses')
    feed(meter, Buffer.from(eventOf(3) + eventOf(4)), false)
    expect(`${endStream(meter, 'revoked')}`).toContain('"sequence_number":5')
  })
})
