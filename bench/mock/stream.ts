import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Clock } from '../../src/mock/clock.ts'
import { nowUs } from '../clock.ts'

/** What the body asks for: `max_tokens`, and as its `user`, a field that nobody has to look at, the pace. */
type Pace = {
  tokens: number
  firstMs: number
  gapMs: number
  isCounted: boolean
  isSummed: boolean
}

const HEAD =
  'HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\n' +
  'transfer-encoding: chunked\r\n\r\n'

// An event of 200 bytes: a short id and model, and as its text the moment it was sent, 13 digits.
const OPEN =
  'data: {"id":"chatcmpl-0123","object":"chat.completion.chunk","created":1764000000,' +
  '"model":"bench-8b","choices":[{"index":0,"delta":{"content":"'
const CLOSE = '"},"logprobs":null,"finish_reason":null}]'
const LAST = '"},"logprobs":null,"finish_reason":"length"}]'
const PROMPT_TOKENS = 15
const DONE = 'data: [DONE]\n\n'

/** Streams events at the pace that the body names, each by the clock and not by the one before it. */
export function startStream(socket: Socket, body: string, clock: Clock): void {
  const pace = readPace(body)
  const startMs = performance.now() + pace.firstMs
  let sent = 0
  const step = {
    step(): void {
      if (socket.destroyed) return
      sent += 1
      const isLast = sent === pace.tokens
      const head = sent === 1 ? HEAD : ''
      socket.write(`${head}${chunk(eventOf(pace, sent))}${isLast ? endOf(pace) : ''}`, 'latin1')
      if (!isLast) clock.at(startMs + sent * pace.gapMs, step)
    },
  }
  clock.at(startMs, step)
}

function readPace(body: string): Pace {
  const number = (name: string, otherwise: number) => {
    const found = new RegExp(`${name}"?[:=]([\\d.]+)`).exec(body)
    return found === null ? otherwise : Number(found[1])
  }
  return {
    tokens: number('max_tokens', 16),
    firstMs: number('firstMs', 0),
    gapMs: number('gapMs', 0),
    isCounted: body.includes('"continuous_usage_stats":true'),
    isSummed: body.includes('"include_usage":true'),
  }
}

function eventOf(pace: Pace, sent: number): string {
  const text = `${Math.round(nowUs())}`.padStart(13, '0').slice(-13)
  const end = sent === pace.tokens ? LAST : CLOSE
  return `${OPEN}${text}${end}${pace.isCounted ? `,"usage":${usageOf(sent)}` : ''}}\n\n`
}

function usageOf(sent: number): string {
  return `{"prompt_tokens":${PROMPT_TOKENS},"total_tokens":${PROMPT_TOKENS + sent},"completion_tokens":${sent}}`
}

// vLLM writes these in turns of its event loop, so they are chunks of their own.
function endOf(pace: Pace): string {
  const sum = `${OPEN.slice(0, OPEN.indexOf('[') + 1)}],"usage":${usageOf(pace.tokens)}}\n\n`
  return `${pace.isSummed ? chunk(sum) : ''}${chunk(DONE)}0\r\n\r\n`
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}
