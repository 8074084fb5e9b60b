import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  feed,
  feedWhole,
  finishMeter,
  finishWhole,
  type Metered,
  type MeterPlan,
  startMeter,
  startWhole,
} from '../../../src/core/meter/meter.ts'
import { type Mock, startMock } from '../../../src/mock/server.ts'
import { planOf } from './plan.ts'

let mock: Mock
beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

const ROUTES = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
} as const
type RouteName = keyof typeof ROUTES

/** What a stream is asked for by: every dialect takes its own of these. */
const ASKED = {
  model: 'Qwen/Qwen3-8B',
  max_tokens: 99,
  stream: true,
  messages: [{ role: 'user', content: 'one two three' }],
}
const BODIES: { [name in RouteName]: object } = {
  chat: ASKED,
  completions: { model: 'Qwen/Qwen3-8B', stream: true, prompt: 'one two three' },
  messages: { ...ASKED, stop_sequences: ['content_block_delta","usage":{"output_tokens":999}}'] },
  responses: { model: 'Qwen/Qwen3-8B', stream: true, input: 'one two three' },
}
const COUNTED = { stream_options: { include_usage: true, continuous_usage_stats: true } }

async function answer(name: RouteName, settings: string, more: object = {}): Promise<Buffer> {
  const response = await fetch(mock.url + ROUTES[name], {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-mock': settings },
    body: JSON.stringify({ ...BODIES[name], ...more }),
  })
  expect(response.status).toBe(200)
  const text = Buffer.from(await response.arrayBuffer()).toString()
  return Buffer.from(text.replace(/[0-9a-f]{32}/g, '0'.repeat(32)))
}

/** As nginx may give a stream: by events, whole, and in pieces of several sizes, drawn from a seed too. */
function ways(bytes: Buffer): Buffer[][] {
  const text = bytes.toString()
  const events = text.split(/(?<=\n\n|\r\n\r\n|\r\r)/).map((event) => Buffer.from(event))
  const drawn: Buffer[] = []
  let seed = bytes.length
  for (let at = 0; at < bytes.length; ) {
    seed = (seed * 48271) % 2147483647
    const size = 1 + (seed % 200)
    drawn.push(bytes.subarray(at, at + size))
    at += size
  }
  const ones = [...bytes].map((byte) => Buffer.from([byte]))
  return [events, [bytes], drawn, ones]
}

/** What the caller gets of a stream, and what its meter says in the end. */
function play(plan: Partial<MeterPlan>, pieces: Buffer[]): { sent: string; metered: Metered } {
  const meter = startMeter(planOf(plan))
  const sent: Buffer[] = []
  for (const piece of pieces) sent.push(...(feed(meter, Buffer.from(piece), false) ?? [piece]))
  sent.push(...(feed(meter, Buffer.alloc(0), true) ?? []))
  return { sent: Buffer.concat(sent).toString(), metered: finishMeter(meter) }
}

const names = Object.keys(ROUTES) as RouteName[]
const FRAMINGS = [
  'lines:crlf',
  'end:line',
  'end:none',
  'end:none,done:0',
  'fold',
  'ahead',
  'choice',
  'fold,ahead,choice,end:none,done:0',
  'fold,lines:crlf,end:line',
  'ahead,choice,lines:crlf',
  'join:3',
  'seed:7',
]

describe('a stream is counted exactly, however it is framed', () => {
  const rows = names.flatMap((name) => FRAMINGS.map((framing) => ({ name, framing })))
  test.each(rows)('$name: $framing', async ({ name, framing }) => {
    const hasChoices = name === 'chat' || name === 'completions'
    const more = hasChoices ? COUNTED : {}
    const settings = 'prompt:3,tokens:6,cached:1,stop'
    const bytes = await answer(name, `${settings},${framing}`, more)
    const usual = await answer(name, settings, more)
    const { usage, finishReason } = play({ route: name }, [usual]).metered
    expect(usage).toMatchObject({ promptTokens: 3, completionTokens: 6 })
    for (const taken of ['nothing', 'running', 'all'] as const) {
      for (const pieces of ways(bytes)) {
        const { metered, sent } = play({ route: name, taken }, pieces)
        expect(metered).toMatchObject({ usage, finishReason, isEstimated: false })
        expect(metered.hasFailed).toBeUndefined()
        if (taken === 'all' && hasChoices) expect(sent).not.toContain('completion_tokens')
      }
    }
  })
})

describe('an error inside of a stream', () => {
  const counts = { chat: COUNTED, completions: COUNTED, messages: {}, responses: {} }
  const rows = names.flatMap((name) =>
    ['internal', 'engine', 'failed'].flatMap((failure) =>
      ['first', '0', '3'].map((at) => ({ name, failure, at })),
    ),
  )
  // A dead engine closes the connection of a response.
  const told = rows.filter(({ name, failure }) => name !== 'responses' || failure !== 'engine')
  test.each(told)('is told of $name: $failure, at $at', async ({ name, failure, at }) => {
    const settings = `prompt:3,tokens:6,error:${at},failure:${failure}`
    const bytes = await answer(name, settings, counts[name])
    for (const taken of ['nothing', 'all'] as const) {
      for (const pieces of ways(bytes)) {
        const { metered } = play({ route: name, taken }, pieces)
        expect(metered.hasFailed).toBe(true)
        expect(metered.usage?.completionTokens ?? 0).toBe(at === '3' ? 3 : 0)
      }
    }
  })

  test.each<[RouteName, string]>([
    ['chat', 'data: {"choices":[],"error":null}\n\n'],
    ['chat', ': "error" is a comment\n\n'],
    ['chat', 'data: {"choices":[{"index":0,"delta":{"content":"\\"error\\":{}"}}]}\n\n'],
    ['completions', 'data: {"choices":[{"index":0,"text":"error: {}"}]}\n\n'],
    [
      'responses',
      'event: response.completed\ndata: {"response":{"error":null,"status":"completed"}}\n\n',
    ],
  ])('is no field or text of that name: %s, %s', (name, text) => {
    expect(play({ route: name }, [Buffer.from(text)]).metered.hasFailed).toBeUndefined()
  })

  test('is a line of its own of an older llama.cpp', () => {
    const text = 'error: {"code":500,"message":"x","type":"server_error"}\n\n'
    expect(play({}, [Buffer.from(text)]).metered.hasFailed).toBe(true)
  })
})

test.each<[RouteName, string]>([
  ['chat', 'error:0'],
  ['completions', 'error:0,failure:engine'],
  ['messages', 'error:0'],
  ['responses', 'error:2,failure:failed'],
])('an error in the place of an answer is told of %s: %s', async (name, settings) => {
  const bytes = await answer(name, settings, { stream: false })
  const whole = startWhole(name)
  feedWhole(whole, bytes)
  expect(finishWhole(whole).hasFailed).toBe(true)
})

describe('a count', () => {
  const chunk = (count: string) =>
    `data: {"choices":[],"usage":{"prompt_tokens":${count},"completion_tokens":${count}}}\n\n`
  test.each(['-1', '1.5', '9007199254740992', '1e300', '"7"', 'true', '[7]', 'null'])(
    'that is %s is none',
    (count) => {
      expect(play({}, [Buffer.from(chunk(count))]).metered).toMatchObject({ isEstimated: true })
    },
  )
  test.each([
    ['7', 7],
    ['7.0', 7],
    ['9007199254740991', 9007199254740991],
  ])('that is %s is one', (count, value) => {
    const { usage, isEstimated } = play({}, [Buffer.from(chunk(count as string))]).metered
    expect([usage?.completionTokens, isEstimated]).toEqual([value, false])
  })
})

describe('llama.cpp', () => {
  const LLAMA = 'dialect:llamacpp,prompt:3,tokens:5'
  const counted = { n: 3, stream_options: { include_usage: true } }
  test('tells the usage of each choice at its end, which are added up', async () => {
    const bytes = await answer('chat', LLAMA, counted)
    for (const pieces of ways(bytes)) {
      const { metered, sent } = play({ choices: 3, taken: 'all' }, pieces)
      expect(metered).toMatchObject({
        isEstimated: false,
        usage: { promptTokens: 3, completionTokens: 15 },
      })
      expect(sent).not.toContain('usage')
    }
  })

  test('has told that of one choice where the others are left: their events are counted', async () => {
    const text = (await answer('chat', LLAMA, counted)).toString()
    const some = text.slice(0, text.indexOf('\n\n', text.indexOf('"choices":[]')) + 2)
    const events = some.match(/"content":"/g)?.length ?? 0
    const { metered } = play({ choices: 3 }, [Buffer.from(some)])
    expect(metered.isEstimated).toBe(true)
    expect(metered.usage?.completionTokens).toBeGreaterThanOrEqual(events)
    expect(metered.usage?.completionTokens).toBeLessThanOrEqual(events + 3)
  })

  test.each([
    ['chat', 3, 1, { promptTokens: 3, completionTokens: 15 }],
    ['completions', 6, 3, { completionTokens: 30 }],
  ] as const)('says in a whole answer of %s what one choice has', async (...row) => {
    const [name, choices, prompts, usage] = row
    const prompt = ['one two', 'three', 'four five six']
    const bytes = await answer(name, LLAMA, { n: choices / prompts, stream: false, prompt })
    const whole = startWhole(name, undefined, choices, prompts)
    feedWhole(whole, bytes)
    const { usage: found, isEstimated } = finishWhole(whole)
    expect([found?.promptTokens, found?.completionTokens, isEstimated]).toEqual([
      'promptTokens' in usage ? usage.promptTokens : undefined,
      usage.completionTokens,
      true,
    ])
  })

  test('tells a list of prompts at the end of each choice, which are added up', async () => {
    const prompt = ['one two', 'three', 'four five six']
    const bytes = await answer('completions', LLAMA, { prompt })
    for (const pieces of ways(bytes)) {
      const { metered } = play({ route: 'completions', choices: 3, prompts: 3 }, pieces)
      expect(metered).toMatchObject({ isEstimated: false, usage: { completionTokens: 15 } })
    }
  })
})

test('a server that tells one of more choices than it makes is not believed', () => {
  const token = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
  const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
  const total = 'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":10}}\n\n'
  const text = token.repeat(10) + end + total + token.repeat(300)
  // What a caller says of choices is no more than that.
  const { usage, isEstimated } = play({ choices: 8192, prompts: 2048 }, [Buffer.from(text)]).metered
  expect([usage?.completionTokens, isEstimated]).toEqual([311, true])
})

describe('an event that is none of these', () => {
  const LIKE =
    'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1}}\n\n'
  test.each([
    ['a comment', ': no error\n\n'],
    ['two comments', ': error\n: "error":{}\n\n'],
  ])('%s holds nothing back, and lets what is held back wait', (_, comment) => {
    const end = LIKE.replace('null}', '"stop"}')
    const total =
      'data: {"choices":[],"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1},"system_fingerprint":"x"}\n\n'
    const { sent, metered } = play(
      { taken: 'all' },
      [LIKE, end, comment, total].map((one) => Buffer.from(one)),
    )
    expect(sent).toContain('"finish_reason":"stop"}],"system_fingerprint":"x"}')
    expect(sent).toContain(comment)
    expect(metered.hasFailed).toBeUndefined()
  })

  test.each([
    ['before an event', (event: string) => `: fine\n: and well\n${event}`],
    ['with other line ends, before one', (event: string) => `: fine\n\n${event}`],
    ['with other line ends, behind one', (event: string) => `${event}: fine\n\n`],
  ])('a comment %s hides nothing', (_, around) => {
    const end = LIKE.replace('null}', '"stop"}')
    for (const ends of ['\n', '\r\n']) {
      const text = [LIKE, end, 'data: [DONE]\n\n']
        .map((event) => around(event.replaceAll('\n', ends)))
        .join('')
      for (const pieces of [[Buffer.from(text)], ...ways(Buffer.from(text))]) {
        const meter = startMeter(planOf({ taken: 'all' }))
        let sent = ''
        for (const piece of pieces) sent += Buffer.concat(feed(meter, piece, false) ?? [piece])
        expect([meter.isDone, finishMeter(meter)]).toMatchObject([
          true,
          { usage: { completionTokens: 1 }, finishReason: 'stop' },
        ])
        expect(sent).not.toContain('usage')
      }
    }
  })

  test('a comment without an end of its line is one too', () => {
    const { sent, metered } = play({ taken: 'all' }, [Buffer.from(LIKE), Buffer.from(': 1234')])
    expect([sent.endsWith(': 1234'), metered.usage?.completionTokens]).toEqual([true, 1])
  })

  test.each([
    '{"object":"error","message":"x","code":400}',
    '{"error":{"message":"x"}}',
    '{"error":"x"}',
  ])('%s is an error, whatever comments follow', (error) => {
    const pieces = [LIKE, `data: ${error}\n\n`, ': fine\n\n', 'data: [DONE]\n\n']
    const { metered } = play(
      {},
      pieces.map((one) => Buffer.from(one)),
    )
    expect([metered.hasFailed, metered.usage?.completionTokens]).toEqual([true, 1])
  })
})
