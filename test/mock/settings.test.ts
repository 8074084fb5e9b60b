import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bytes } from '../../src/mock/bytes.ts'
import { type Mock, startMock } from '../../src/mock/server.ts'
import { defaults, SettingsError, withSettings } from '../../src/mock/settings.ts'
import { sleep } from '../waiting.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
beforeEach(() => mock.reset())
afterAll(() => mock.close())

const messages = [{ role: 'user', content: 'one two three four' }]

function ask(settings: string, body: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${mock.url}/v1/chat/completions?mock=${settings}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages, stream: true, ...body }),
    ...(signal ? { signal } : {}),
  })
}

const eventsOf = async (settings: string, body: object = {}): Promise<string[]> =>
  (await (await ask(settings, body)).text()).split(/(?<=\n\n)/)

describe('withSettings', () => {
  test('reads what it knows over what held before', () => {
    expect(withSettings(defaults, 'tokens:3, itl:50,die:2,comments')).toEqual({
      ...defaults,
      tokens: 3,
      itlMs: 50,
      die: 2,
      comments: true,
    })
  })

  test.each([
    ['an unknown name', 'token:3', 'Unknown mock setting "token"'],
    ['a number that is none', 'tokens:x', 'Cannot read mock setting tokens:x'],
    ['a moment that is none', 'die:never', 'it takes before, header, body'],
  ])('%s is an error', (_, text, message) => {
    expect(() => withSettings(defaults, text)).toThrow(message)
    expect(() => withSettings(defaults, text)).toThrow(SettingsError)
  })
})

describe('where settings come from', () => {
  test('query, body, header, and the control endpoint for so many requests', async () => {
    const next = await fetch(`${mock.url}/__mock/next`, {
      method: 'POST',
      body: JSON.stringify({ settings: 'tokens:1', times: 2 }),
    })
    expect(await next.json()).toEqual({ waiting: 2 })
    const counts = [await eventsOf(''), await eventsOf('tokens:2'), await eventsOf('')]
    expect(counts.map((events) => events.length)).toEqual([4, 5, 19])
    expect(await eventsOf('', { mock: 'tokens:0' })).toHaveLength(3)
    const byHeader = await fetch(`${mock.url}/health`, { headers: { 'x-mock': 'status:503' } })
    expect([byHeader.status, await byHeader.text()]).toEqual([503, ''])
  })

  test('a typo is answered with what is known', async () => {
    const response = await ask('token:3')
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining('known are dialect, tokens'),
    ])
  })
})

describe('amount', () => {
  test('the prompt is counted in words', async () => {
    const body = await (await ask('tokens:2', { stream: false })).json()
    expect(body).toMatchObject({
      usage: { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 },
    })
  })

  test.each(['max_tokens', 'max_completion_tokens', 'max_output_tokens'])(
    '%s ends it',
    async (at) => {
      const events = await eventsOf('tokens:9', { [at]: 3 })
      expect(events).toHaveLength(5)
      expect(events.at(-2)).toContain('"content":" a"},"logprobs":null,"finish_reason":"length"')
    },
  )

  test('ignore_eos goes to the limit', async () => {
    expect(await eventsOf('tokens:1', { max_tokens: 7, ignore_eos: true })).toHaveLength(9)
  })

  test('n makes choices, each with its own running count, summed at the end', async () => {
    const options = { include_usage: true, continuous_usage_stats: true }
    const events = await eventsOf('tokens:3', { n: 2, stream_options: options })
    expect(events).toHaveLength(2 + 2 * 3 + 2 + 2)
    expect(events[7]).toContain('{"index":1,"delta":{"content":" a"}')
    expect(events[7]).toContain('"completion_tokens":3,')
    expect(events.at(-2)).toContain('"completion_tokens":6}')
  })

  test('bytes makes an answer at least that large', async () => {
    const response = await fetch(`${mock.url}/v1/responses?mock=bytes:300000,tokens:2`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'hi', stream: true }),
    })
    const completed = (await response.text()).split('\n\n').at(-2) ?? ''
    expect(completed.startsWith('event: response.completed\n')).toBe(true)
    expect(completed.length).toBeGreaterThan(300_000)
  })

  test('words:utf8 has characters of two to four bytes, chunked right', async () => {
    const events = await eventsOf('words:utf8,tokens:11')
    const text = events
      .slice(1, -2)
      .map((event) => JSON.parse(event.slice(6)).choices[0].delta.content)
      .join('')
    expect(text).toBe(' hello 你好 from a mock — “naïve” tokens 🙂 über 測試.')
  })
})

describe('events as of a real server', () => {
  const running = { stream_options: { include_usage: true, continuous_usage_stats: true } }
  const countsIn = (events: string[]): string[] =>
    events.flatMap((event) => /"completion_tokens":(\d+)/.exec(event)?.[1] ?? [])

  test('join:5 has five tokens in one event, and the rest in the last', async () => {
    const events = await eventsOf('join:5,tokens:12', running)
    expect(countsIn(events)).toEqual(['0', '5', '10', '12', '12', '12'])
    expect(events[1]).toContain('"delta":{"content":" hello from a mock that"}')
    expect(events[3]).toContain('"delta":{"content":" counts one"}')
  })

  test('join:5 ends where the limit or an error does', async () => {
    const limited = await eventsOf('join:5', { max_tokens: 7, ...running })
    expect(countsIn(limited)).toEqual(['0', '5', '7', '7'])
    expect(limited[2]).toContain('"finish_reason":"length"')
    const failed = await eventsOf('join:5,error:7', running)
    expect(countsIn(failed)).toEqual(['0', '5', '7'])
    expect(failed.slice(-2)).toEqual([bytes.streamError, bytes.done])
  })

  test.each(['/v1/messages', '/v1/responses'])('join:5 holds on %s', async (path) => {
    const response = await fetch(`${mock.url}${path}?mock=join:5,tokens:12`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ model: 'Qwen/Qwen3-8B', messages, input: 'a', max_tokens: 99, stream: true },
      }),
    })
    const text = await response.text()
    expect(text.match(/^event: (content_block|response.output_text).delta$/gm)).toHaveLength(3)
    expect(text).toContain('"output_tokens":12')
  })

  test('seed draws words of many lengths, the same for the same seed', async () => {
    const wordsIn = async (settings: string): Promise<string> => {
      const text = await (await ask(settings, { stream: false })).text()
      return JSON.parse(text).choices[0].message.content
    }
    const drawn = await wordsIn('seed:7,tokens:250')
    expect(await wordsIn('seed:7,tokens:250')).toBe(drawn)
    expect(await wordsIn('seed:8,tokens:250')).not.toBe(drawn)
    const lengths = drawn
      .trim()
      .split(' ')
      .map((word) => word.length)
    expect(lengths).toHaveLength(250)
    expect(new Set(lengths).size).toBeGreaterThan(12)
    expect(drawn.slice(0, 28)).toBe(' l tLsokMotaeLontLt tpommaLe')
  })

  test('seed with words:utf8 draws characters of two to four bytes', async () => {
    const events = await eventsOf('seed:7,tokens:60,words:utf8')
    const sizes = new Set(events.slice(1, 61).map((event) => Buffer.byteLength(event)))
    expect(sizes.size).toBeGreaterThan(12)
    expect(events.join('')).toMatch(/[^\x20-\x7f\n]/)
  })
})

describe('pace', () => {
  test('ttft, then tokens itl apart by the clock', async () => {
    const startMs = performance.now()
    const response = await ask('ttft:60,itl:20,tokens:6')
    const headMs = performance.now() - startMs
    const times: number[] = []
    for await (const piece of response.body ?? []) {
      const count = new TextDecoder().decode(piece).match(/"content":" /g)?.length ?? 0
      for (let index = 0; index < count; index++) times.push(performance.now() - startMs)
    }
    expect(headMs).toBeLessThan(50)
    expect(times).toHaveLength(6)
    for (const [index, time] of times.entries()) {
      expect(time).toBeGreaterThan(58 + index * 20)
      expect(time).toBeLessThan(60 + index * 20 + 40)
    }
  })

  test('without a stream the whole time passes before the answer', async () => {
    const startMs = performance.now()
    await ask('ttft:30,itl:10,tokens:4', { stream: false })
    expect(performance.now() - startMs).toBeGreaterThan(59)
  })

  test.each([1, 7])('split:%i arrives in pieces of that size', async (size) => {
    const pieces = await rawPieces(`/v1/completions?mock=tokens:1,split:${size}`)
    const body = pieces.slice(1).join('')
    expect(body.length).toBeGreaterThan(500)
    // Each piece is one HTTP chunk; the kernel may join a few, but not many.
    expect(pieces.length).toBeGreaterThan((body.match(/\r\n\w\r\n/g)?.length ?? 0) * 0.7)
  })

  test('cut:100 joins events, and splits them there and every so many bytes behind', async () => {
    const path = '/v1/completions?mock=tokens:1,cut:100,split:300'
    const bytes = (await rawPieces(path)).join('')
    expect(bytes).toMatch(/\r\n64\r\n.{100}\r\n12c\r\n.{300}\r\n/s)
    expect(bytes).toContain('[DONE]')
  })

  test('comments stand between events and are not counted', async () => {
    const events = await eventsOf('comments,tokens:2')
    expect(events.filter((event) => event === ': keep-alive\n\n')).toHaveLength(4)
    expect(mock.log()[0]?.eventsSent).toBe(5)
  })
})

describe('stop', () => {
  // A parser that searches texts finds the name of an event in it, and usage.
  const sequence = 'content_block_delta "usage":{"output_tokens":9} \n\n \u00e9'
  const quoted = JSON.stringify(sequence)

  async function messageOf(stream: boolean): Promise<string> {
    const response = await fetch(`${mock.url}/v1/messages?mock=tokens:2,prompt:3,stop`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ model: 'Qwen/Qwen3-8B', messages, max_tokens: 9, stream },
        stop_sequences: [sequence],
      }),
    })
    return response.text()
  }

  test('messages repeat the sequence that ended them', async () => {
    const streamed = await messageOf(true)
    expect(streamed).toContain(
      `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":${quoted}},"usage":{"input_tokens":3,"output_tokens":2}}\n\n`,
    )
    expect(await messageOf(false)).toContain(
      `"stop_reason":"stop_sequence","stop_sequence":${quoted},"usage":{`,
    )
  })

  test('chat has it as stop_reason, of a text as of a list', async () => {
    const finish = `"finish_reason":"stop","stop_reason":${quoted},"token_ids":null}`
    expect((await eventsOf('stop', { stop: sequence })).at(-2)).toContain(finish)
    expect((await eventsOf('stop', { stop: [sequence, 'b'] })).at(-2)).toContain(finish)
    const limited = await eventsOf('stop', { stop: sequence, max_tokens: 1 })
    expect(limited.at(-2)).toContain('"finish_reason":"length","stop_reason":null')
  })
})

describe('faults', () => {
  test('die:before closes without an answer', async () => {
    await expect(ask('die:before')).rejects.toThrow()
  })

  test('die:header closes behind the head', async () => {
    const response = await ask('die:header')
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow()
  })

  test('die:3 closes after three events', async () => {
    const pieces = await rawPieces('/v1/completions?mock=die:3,itl:5')
    expect(pieces.join('').match(/data: /g)).toHaveLength(3)
    await sleep(5)
    expect(mock.log()[0]).toMatchObject({ eventsSent: 3, aborted: false, lastByteAt: null })
  })

  test.each([false, true])(
    'die:body gives half of what was promised, stream %s',
    async (stream) => {
      const response = await ask('die:body', { stream })
      await expect(response.text()).rejects.toThrow()
    },
  )

  test('usage:null is on every chunk, usage:none on none, usage:force unasked on all', async () => {
    const asked = { stream_options: { include_usage: true } }
    const nulls = await eventsOf('usage:null,tokens:2')
    expect(nulls.filter((event) => event.includes('"usage":null'))).toHaveLength(4)
    const none = await eventsOf('usage:none,tokens:2', asked)
    expect(none.join('')).not.toContain('usage')
    const forced = await eventsOf('usage:force,tokens:2')
    expect(forced.filter((event) => event.includes('"usage":{'))).toHaveLength(5)
  })

  test('hang answers nothing, and knows when the caller leaves', async () => {
    await expect(ask('hang', {}, AbortSignal.timeout(40))).rejects.toThrow()
    await sleep(20)
    expect(mock.log()[0]).toMatchObject({ aborted: true, firstByteAt: null })
  })

  test('a caller that leaves mid-stream is noticed within 100 ms, and sent no more', async () => {
    const control = new AbortController()
    const response = await ask('itl:10,tokens:500', {}, control.signal)
    await response.body?.getReader().read()
    await sleep(100)
    const abortedAt = performance.timeOrigin + performance.now()
    control.abort()
    await sleep(100)
    const record = mock.log()[0]
    expect(record?.aborted).toBe(true)
    expect((record?.closedAt ?? 0) - abortedAt).toBeLessThan(100)
    const sent = record?.eventsSent
    await sleep(50)
    expect(mock.log()[0]?.eventsSent).toBe(sent)
    expect(sent).toBeLessThan(25)
  })
})

test('the log tells what came and how it ended', async () => {
  await eventsOf('tokens:2', { user: 'u' })
  await sleep(5)
  const text = await (await fetch(`${mock.url}/__mock/log`)).text()
  const records = JSON.parse(text)
  expect(records).toHaveLength(1)
  const [record] = records
  expect(record).toMatchObject({ method: 'POST', path: '/v1/chat/completions?mock=tokens:2' })
  expect(JSON.parse(record.body)).toEqual({ messages, stream: true, user: 'u' })
  expect(record).toMatchObject({ aborted: false, eventsSent: 5, bodyBytes: record.body.length })
  expect(record.firstByteAt).toBeGreaterThanOrEqual(record.time)
  expect(record.closedAt).toBeGreaterThanOrEqual(record.lastByteAt)
})

test('a UNIX socket serves as well', async () => {
  const path = join(tmpdir(), `mock-test-${process.pid}.sock`)
  const other = await startMock({ socket: path })
  const text = await new Promise<string>((resolve) => {
    const socket = connect(path, () =>
      socket.write('GET /v1/nothing HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n'),
    )
    let got = ''
    socket.on('data', (piece) => {
      got += piece
    })
    socket.on('end', () => resolve(got))
  })
  expect(text.endsWith(bytes.unknownRoute)).toBe(true)
  await other.close()
})

/** What a socket reads, piece by piece, until the server closes. */
function rawPieces(path: string): Promise<string[]> {
  const body = '{"prompt":"a","stream":true}'
  const head = `POST ${path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  return new Promise((resolve, reject) => {
    const pieces: string[] = []
    const socket = connect(mock.port, '127.0.0.1', () => socket.write(head + body))
    socket.on('data', (piece) => pieces.push(piece.toString()))
    socket.on('close', () => resolve(pieces))
    socket.on('error', reject)
  })
}
