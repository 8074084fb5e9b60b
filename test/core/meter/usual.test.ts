import { describe, expect, test } from 'vitest'
import {
  feed,
  finishMeter,
  isPlain,
  type Metered,
  type MeterPlan,
  replay,
  startMeter,
} from '../../../src/core/meter/meter.ts'
import {
  closeOver,
  isAtEnd,
  startUsual,
  takeEnd,
  takeUsual,
} from '../../../src/core/meter/usual.ts'
import * as whole from '../../../src/core/meter/whole.ts'
import { integersOf } from '../../random.ts'
import { planOf } from './plan.ts'

const TAILS = [
  '"logprobs":null,"finish_reason":null,"token_ids":null',
  '"logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null',
  '"logprobs":null,"finish_reason":null',
]
const TEXTS = [
  'a',
  'north',
  '\\"usage\\":{',
  '}],\\"usage\\":{\\"',
  '漢字',
  '{',
  'n'.repeat(90),
  '\\n\\n',
  'x'.repeat(700),
]

const MODEL = 'hnnn'
const MODELS = [MODEL, MODEL, MODEL, MODEL, 'other/\u6f22', `h${'n'.repeat(40)}`]
/** Behind a usage: what vLLM and others write there. */
const ENDS = [
  '',
  '',
  ',"system_fingerprint":"vllm-0.29.0-1a2b3c4d"',
  ',"timings":{"n":1}',
  ',"system_fingerprint":"x","metrics":{"a":1}',
]

/** A stream as vLLM has it, with what others may do in between. */
function draw(pick: (below: number) => number, isCalm: boolean): string[] {
  const odd = (of: number) => pick(of) === 0 && !isCalm
  const model = MODELS[pick(MODELS.length)]
  const tail = TAILS[pick(TAILS.length)] as string
  const isCounted = pick(8) > 0
  const events: string[] = []
  const usage = (count: number, more = '') =>
    `,"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count}${more}}`
  const length = 1 + pick(30)
  let count = 0
  const head = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"${model}","choices":[`
  events.push(
    `${head}{"index":0,"delta":{"role":"assistant","content":""},${tail}}]${isCounted ? usage(0) : ''}${pick(2) ? ',"prompt_token_ids":null,"prompt_text":null' : ''}}\n\n`,
  )
  for (let i = 0; i < length; i++) {
    count += pick(9) === 0 ? 1 + pick(6) : 1
    const text = TEXTS[pick(TEXTS.length)]
    const isLast = i === length - 1 && pick(4) > 0
    const own = isLast
      ? tail.replace('"finish_reason":null', `"finish_reason":"${pick(2) ? 'stop' : 'length'}"`)
      : tail
    const delta =
      pick(12) === 0
        ? `{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}`
        : `{"content":"${text}"}`
    const details = odd(15)
      ? ',"completion_tokens_details":{"reasoning_tokens":1}'
      : pick(3) === 0
        ? ',"completion_tokens_details":null'
        : ''
    const skips = odd(20)
    events.push(
      `${head}{"index":0,"delta":${delta},${own}}]${isCounted && !skips ? usage(count, details) : ''}}\n\n`,
    )
    if (odd(25)) events.push(': keep-alive\n\n')
    // A server that goes on behind the end of the choice.
    if (isLast && odd(30)) events.push(events.at(-2) as string)
  }
  const details = odd(6) ? ',"prompt_tokens_details":{"cached_tokens":3}' : ''
  if (pick(5) > 0) events.push(`${head}]${usage(count, details)}${ENDS[pick(ENDS.length)]}}\n\n`)
  if (odd(12)) events.push('data: {"error": {"message": "x", "code": 500}}\n\n')
  if (pick(5) > 0) events.push('data: [DONE]\n\n')
  return events
}

/** Each event by itself, some in halves and some together. */
function split(events: string[], pick: (below: number) => number, isCalm: boolean): Buffer[] {
  if (isCalm) return events.map((event) => Buffer.from(event))
  const pieces: Buffer[] = []
  let joined = ''
  for (const event of events) {
    joined += event
    const way = pick(12)
    if (way === 0) continue
    const bytes = Buffer.from(joined)
    joined = ''
    const at = way === 1 ? 1 + pick(bytes.length - 1) : way === 2 ? bytes.length - 1 : bytes.length
    pieces.push(bytes.subarray(0, at))
    if (at < bytes.length) pieces.push(bytes.subarray(at))
  }
  if (joined) pieces.push(Buffer.from(joined))
  return pieces
}

/** By the long way alone. */
function playLong(plan: Partial<MeterPlan>, pieces: Buffer[]) {
  const meter = startMeter(planOf(plan))
  let sent = ''
  for (const piece of pieces) {
    const data = Buffer.from(piece)
    sent += Buffer.concat(feed(meter, data, false) ?? [piece]).toString()
  }
  sent += Buffer.concat(feed(meter, Buffer.alloc(0), true) ?? []).toString()
  return { sent, metered: finishMeter(meter), isDone: meter.isDone }
}

/** As edge/gate/flow.ts does it: usually as long as that will do, then by the long way, and usually again where it may. */
function play(plan: Partial<MeterPlan>, pieces: Buffer[], isWritten: boolean) {
  const planned = planOf(plan)
  let meter: ReturnType<typeof startMeter> | null = null
  let isUsual = true
  let sent = ''
  let usual = 0
  startUsual(planned.taken, false)
  const takeOver = () => {
    meter = replay(meter ?? startMeter(planned), isWritten)
    isUsual = false
    return meter
  }
  for (const piece of pieces) {
    const data = Buffer.from(piece)
    if (isUsual) {
      const length = takeUsual(data)
      if (length > 0) {
        usual++
        if (length === data.length) sent += data
        // On njs's own engine the end is sent by itself.
        else if (isWritten) sent += closeOver(data, length)
        else sent += `${data.toString('utf8', 0, length)}}\n\n`
        continue
      }
      const instead = takeEnd(data, meter ? '' : MODEL)
      if (instead) {
        usual++
        sent += Buffer.concat(instead).toString()
        continue
      }
    }
    const long = isUsual ? takeOver() : (meter as unknown as ReturnType<typeof startMeter>)
    sent += Buffer.concat(feed(long, data, false) ?? [piece]).toString()
    if (isPlain(long)) {
      isUsual = true
      startUsual(planned.taken, true)
    }
  }
  // What the quick way settles by.
  const told =
    isUsual && isAtEnd()
      ? {
          usage: { promptTokens: whole.promptTokens, completionTokens: whole.completionTokens },
          isEstimated: false,
          served: whole.served,
          finishReason: whole.reason,
        }
      : null
  const last = isUsual ? takeOver() : (meter as unknown as ReturnType<typeof startMeter>)
  sent += Buffer.concat(feed(last, Buffer.alloc(0), true) ?? []).toString()
  return { sent, metered: finishMeter(last), isDone: last.isDone, usual, told }
}

/** A line end that came by itself leaves one more between events. */
function eventsOf(sent: string): string[] {
  return sent.split(/\n\n+/)
}

test.each([1, 2, 3, 4, 5])(
  'a usual stream comes to the same as by the long way: seed %i',
  (seed) => {
    const pick = integersOf(seed)
    let usual = 0
    let told = 0
    for (let turn = 0; turn < 400; turn++) {
      const isCalm = turn % 2 === 0
      const pieces = split(draw(pick, isCalm), pick, isCalm)
      for (const taken of ['nothing', 'running', 'all'] as const) {
        const short = play({ taken }, pieces, pick(2) === 0)
        const long = playLong({ taken }, pieces)
        const why = `turn ${turn}, ${taken}:\n${pieces.length}`
        expect(eventsOf(short.sent), why).toEqual(eventsOf(long.sent))
        expect(endOf(short), why).toEqual(endOf(long))
        if (short.told) expect(short.told, why).toEqual(long.metered)
        if (short.told) told++
        usual += short.usual
      }
    }
    // Most of what can go that way does.
    expect(usual).toBeGreaterThan(8000)
    expect(told).toBeGreaterThan(50)
  },
)

const endOf = ({ metered, isDone }: { metered: Metered; isDone: boolean }) => ({
  ...metered,
  isDone,
})

describe('what looks like a usual stream, and is none', () => {
  const head = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"${MODEL}","choices":[`
  const usage = (count: number) =>
    `"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count}}`
  const event = (delta: string, reason: string, count: number) =>
    `${head}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}],${usage(count)}}\n\n`
  const token = (count: number, text = 'a') => event(`{"content":"${text}"}`, 'null', count)
  const begun = [event('{"role":"assistant","content":""}', 'null', 0), token(1), token(2)]
  const end = (reason: string) => event('{"content":""}', reason, 2)
  const total = `${head}],${usage(2)}}\n\n`
  const done = 'data: [DONE]\n\n'

  test.each<[string, string[]]>([
    ['an end by an error', [...begun, end('"error"'), total, done]],
    ['an end that has failed', [...begun, end('"failed"'), total, done]],
    ['an end with a reason in escapes', [...begun, end('"st\\u006fp"'), total, done]],
    [
      'an error in the usage of all',
      [...begun, end('"stop"'), total.replace('{"id"', '{"error":"x","id"'), done],
    ],
    [
      'a status in the usage of all',
      [...begun, end('"stop"'), total.replace('{"id"', '{"status":"failed","id"'), done],
    ],
    [
      'another reason behind the usage of all',
      [...begun, end('"stop"'), total.replace('}}\n', '},"stop_reason":"xx"}\n'), done],
    ],
    [
      'a status behind the fingerprint',
      [
        ...begun,
        end('"stop"'),
        total.replace('}}\n', '},"system_fingerprint":"x","status":"failed"}\n'),
        done,
      ],
    ],
    ['a usage of all twice', [...begun, end('"stop"'), total, total, done]],
    ['an end twice', [...begun, end('"stop"'), end('"stop"'), total, done]],
    ['a token behind the end', [...begun, end('"stop"'), token(3), total, done]],
    ['a token behind the usage of all', [...begun, end('"stop"'), total, token(3), done]],
    ['an event behind [DONE]', [...begun, end('"stop"'), total, done, token(3)]],
    ['no end', [...begun, total, done]],
    ['no usage of all', [...begun, end('"stop"'), done]],
    [
      'a null that a server puts where a count was',
      [
        begun[0]?.replace('null}]', 'null,"matched_stop":null}]') ?? '',
        token(1),
        end('"stop"'),
        total,
        done,
      ],
    ],
  ])('%s comes to the same as by the long way', (_, events) => {
    const pieces = events.map((one) => Buffer.from(one))
    for (const taken of ['nothing', 'running', 'all'] as const) {
      for (const isWritten of [true, false]) {
        const short = play({ taken }, pieces, isWritten)
        const long = playLong({ taken }, pieces)
        expect(short.sent, taken).toBe(long.sent)
        expect(endOf(short), taken).toEqual(endOf(long))
        if (short.told) expect(short.told, taken).toEqual(long.metered)
      }
    }
  })

  test('a stop text of the caller is not taken for the reason, whatever stands in it', () => {
    const stopped = (text: string) =>
      end('"stop"').replace('}],', `,"stop_reason":"${text}","token_ids":null}],`)
    const usual = begun.map((one) => one.replace('}],', ',"stop_reason":null,"token_ids":null}],'))
    // The reason of a usual event stands so far before its count.
    for (let before = 0; before < 60; before++) {
      for (const text of ['h________:n', 'h______n\\":n', 'finish_reason\\":null']) {
        const events = [...usual, stopped(text + 'X'.repeat(before)), total, done]
        const pieces = events.map((one) => Buffer.from(one))
        const [short, long] = [
          play({ taken: 'all' }, pieces, true),
          playLong({ taken: 'all' }, pieces),
        ]
        expect(short.sent).toBe(long.sent)
        expect(endOf(short)).toEqual(endOf(long))
      }
    }
  })
})
