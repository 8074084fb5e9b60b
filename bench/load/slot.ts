import { connect, type Socket } from 'node:net'
import { nowUs } from '../clock.ts'
import type { Recorder } from './recorder.ts'
import type { StreamLoad } from './streams.ts'

/** A connection that carries one stream after the other. */
export type Slot = { socket: Socket }

/** The stream at hand: when it was asked for, when its last event came, and how many have. */
type Current = {
  /** It began while the others began, too. */
  isFirst: boolean
  askedUs: number
  lastUs: number
  tokens: number
  isOver: boolean
}

const EVENT_END = Buffer.from('\n\n')
const CONTENT = Buffer.from('"content":"')
const DONE = Buffer.from('[DONE]')
const DIGITS = 13

/** Opens a connection and streams over it as often as is said; then `onEnd` is called, once. */
export function openSlot(
  load: StreamLoad,
  index: number,
  recorder: Recorder,
  onEnd: () => void,
): Slot {
  const request = requestOf(load, load.keys[index % load.keys.length] ?? '')
  const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true })
  let asked = 0
  let current = ask()

  function ask(): Current {
    asked += 1
    socket.write(request)
    return { isFirst: asked === 1, askedUs: nowUs(), lastUs: 0, tokens: 0, isOver: false }
  }

  function finish(isWhole: boolean): void {
    if (current.isOver) return
    current.isOver = true
    recorder.end(isWhole)
    if (isWhole && asked < load.generations) {
      current = ask()
      return
    }
    socket.destroy()
    onEnd()
  }

  socket.on('data', (data: Buffer) => {
    const arrivedUs = nowUs()
    takeEvents(data, arrivedUs, current, recorder)
    if (data.includes(DONE)) finish(current.tokens === load.tokens)
  })
  socket.on('error', () => finish(false))
  socket.on('close', () => finish(false))
  return { socket }
}

/** Every event with a text in the bytes that have come; they all came now. */
function takeEvents(data: Buffer, arrivedUs: number, current: Current, recorder: Recorder): void {
  let from = 0
  for (;;) {
    const start = data.indexOf(CONTENT, from)
    if (start < 0) return
    const text = start + CONTENT.length
    noteEvent(arrivedUs, current, recorder)
    recorder.addTransit((arrivedUs - Number(data.toString('latin1', text, text + DIGITS))) / 1000)
    from = data.indexOf(EVENT_END, text)
    if (from < 0) return
  }
}

function noteEvent(arrivedUs: number, current: Current, recorder: Recorder): void {
  if (current.tokens > 0) recorder.addGap((arrivedUs - current.lastUs) / 1000)
  else recorder.addFirst((arrivedUs - current.askedUs) / 1000, current.isFirst)
  current.lastUs = arrivedUs
  current.tokens += 1
}

function requestOf(load: StreamLoad, key: string): string {
  const asked = ',"stream_options":{"include_usage":true,"continuous_usage_stats":true}'
  const body =
    `{"model":"bench-8b","messages":[{"role":"user","content":"Tell me something short."}],` +
    `"stream":true,"max_tokens":${load.tokens}${load.asks ? asked : ''},` +
    `"user":"firstMs=${load.firstMs},gapMs=${load.gapMs}"}`
  const headers = {
    host: 'bench',
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': `${body.length}`,
    ...load.headers,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${load.path ?? '/v1/chat/completions'} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}
