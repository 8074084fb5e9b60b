import { expect, test } from 'vitest'
import {
  closeOver,
  feed,
  finishMeter,
  isQuick,
  type Metered,
  type MeterPlan,
  startMeter,
  takeQuickly,
} from '../../../src/core/meter/meter.ts'
import { planOf } from './plan.ts'

/** Numbers below a bound, the same for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
}

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

/** A stream as vLLM has it, with what others may do in between. */
function draw(pick: (below: number) => number): string[] {
  const tail = TAILS[pick(TAILS.length)] as string
  const isCounted = pick(8) > 0
  const events: string[] = []
  const usage = (count: number, more = '') =>
    `,"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count}${more}}`
  const length = 1 + pick(30)
  let count = 0
  const head = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"hn${'n'.repeat(pick(40))}","choices":[`
  events.push(
    `${head}{"index":0,"delta":{"role":"assistant","content":""},${tail}}]${isCounted ? usage(0) : ''}}\n\n`,
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
    const details =
      pick(15) === 0
        ? ',"completion_tokens_details":{"reasoning_tokens":1}'
        : pick(3) === 0
          ? ',"completion_tokens_details":null'
          : ''
    const skips = pick(20) === 0
    events.push(
      `${head}{"index":0,"delta":${delta},${own}}]${isCounted && !skips ? usage(count, details) : ''}}\n\n`,
    )
    if (pick(25) === 0) events.push(': keep-alive\n\n')
  }
  if (pick(5) > 0) events.push(`${head}]${usage(count)}}\n\n`)
  if (pick(12) === 0) events.push('data: {"error": {"message": "x", "code": 500}}\n\n')
  if (pick(5) > 0) events.push('data: [DONE]\n\n')
  return events
}

/** Each event by itself, some in halves and some together. */
function split(events: string[], pick: (below: number) => number): Buffer[] {
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

/** As edge/gate/meter.ts does it; `hasQuick` says whether takeQuickly() is asked at all. */
function play(plan: Partial<MeterPlan>, pieces: Buffer[], hasQuick: boolean, isWritten = false) {
  const meter = startMeter(planOf(plan))
  let sent = ''
  let quick = 0
  for (const piece of pieces) {
    const data = Buffer.from(piece)
    const length = hasQuick && isQuick(meter) ? takeQuickly(meter, data) : 0
    if (length > 0) {
      quick++
      if (!meter.takesOut) sent += data
      // On njs's own engine the end is sent by itself.
      else if (isWritten) sent += closeOver(meter, data, length)
      else sent += `${data.toString('utf8', 0, length)}}\n\n`
    } else sent += Buffer.concat(feed(meter, data, false) ?? [piece]).toString()
  }
  sent += Buffer.concat(feed(meter, Buffer.alloc(0), true) ?? []).toString()
  return { sent, metered: finishMeter(meter), isDone: meter.isDone, quick }
}

/** A line end that came by itself leaves one more between events. */
function eventsOf(sent: string): string[] {
  return sent.split(/\n\n+/)
}

test.each([1, 2, 3, 4, 5])(
  'the quick way of an event comes to the same as the long one: seed %i',
  (seed) => {
    const pick = random(seed)
    let quick = 0
    for (let turn = 0; turn < 400; turn++) {
      const pieces = split(draw(pick), pick)
      for (const taken of ['nothing', 'running', 'all'] as const) {
        const short = play({ taken }, pieces, true, pick(2) === 0)
        const long = play({ taken }, pieces, false)
        const why = `turn ${turn}, ${taken}:\n${pieces.length}`
        expect(eventsOf(short.sent), why).toEqual(eventsOf(long.sent))
        const told = ({ metered, isDone }: { metered: Metered; isDone: boolean }) => ({
          ...metered,
          isDone,
        })
        expect(told(short), why).toEqual(told(long))
        quick += short.quick
      }
    }
    // Most of what can go that way does.
    expect(quick).toBeGreaterThan(8000)
  },
)
