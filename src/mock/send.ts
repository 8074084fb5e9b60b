import type { ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import { type BodyAnswer, done, type StreamAnswer, type StreamPlan } from './answer.ts'
import type { Clock } from './clock.ts'
import { createFrame, endOpen } from './frame.ts'
import { type MockRecord, now } from './log.ts'
import { eventsIn, failsAfter, type Settings } from './settings.ts'
import { createWriter, sendPieces } from './write.ts'

const comment = ': keep-alive\n\n'

/** Sends a body when the engine would be done with it. */
export function sendBody(
  response: ServerResponse,
  answer: BodyAnswer,
  settings: Settings,
  record: MockRecord,
  clock: Clock,
): void {
  const workMs =
    answer.tokens > 0
      ? settings.ttftMs + (answer.tokens - 1) * settings.itlMs
      : answer.status === 200
        ? settings.ttftMs
        : 0
  const step = () => void writeBody(response, answer, settings, record)
  if (workMs > 0) clock.at(performance.now() + workMs, { step })
  else step()
}

async function writeBody(
  response: ServerResponse,
  answer: BodyAnswer,
  settings: Settings,
  record: MockRecord,
): Promise<void> {
  if (response.destroyed) return
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  // uvicorn keeps connections open without saying so.
  response.removeHeader('connection')
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.length })
  if (settings.die === 'header' || settings.die === 'body') {
    response.flushHeaders()
    const part = settings.die === 'body' ? body.subarray(0, Math.floor(body.length / 2)) : ''
    if (part.length > 0) record.firstByteAt = now()
    return breakOff(response, record, part)
  }
  if (settings.splitBytes > 0) {
    response.flushHeaders()
    record.firstByteAt = now()
    await sendPieces(
      (piece) => response.write(piece),
      body,
      settings,
      () => response.destroyed,
    )
    if (response.destroyed) return
    response.end()
  } else {
    record.firstByteAt = body.length > 0 ? now() : null
    response.end(body)
  }
  record.lastByteAt = now()
}

/**
 * Sends what is left to send and closes the connection, so that the caller misses the rest.
 * The time of closing is noted here already: that tells this end from a caller's.
 */
export function breakOff(
  response: ServerResponse,
  record: MockRecord,
  last: string | Buffer = '',
): void {
  record.closedAt = now()
  const socket = response.socket
  if (socket === null) return
  // end() and not destroy(): what was written must arrive, and only then the end of the connection.
  if (last.length > 0) response.write(last, () => socket.end())
  else socket.end()
}

/**
 * Streams events: the head of the response at once, as vLLM does before it has a token,
 * the first token after ttft, the others itl apart, by the clock and not by each other.
 */
export function sendStream(
  response: ServerResponse,
  answer: StreamAnswer,
  settings: Settings,
  record: MockRecord,
  clock: Clock,
): void {
  const startMs = performance.now()
  response.removeHeader('connection')
  response.writeHead(200, { ...answer.headers, 'transfer-encoding': 'chunked' })
  response.flushHeaders()
  if (settings.die === 'header') {
    breakOff(response, record)
    return
  }
  const stepMs = settings.itlMs * settings.join
  const dueMs = (step: number): number => startMs + settings.ttftMs + step * stepMs
  const events = eventsOf(answer.plan, settings)
  if (settings.cutBytes > 0) {
    void sendCut(response, events, settings, record)
    return
  }
  if (settings.splitBytes > 0 || settings.die === 'body') {
    void sendSlowly(response, events, settings, record, clock, dueMs)
    return
  }
  const write = createWriter(response, answer.plan.isAscii)
  let step = 0
  const pace = { step: run }
  clock.at(dueMs(0), pace)

  function run(): void {
    // Many tokens are due at once when itl is 0. A bound per turn lets other streams, and aborts, come between.
    for (let turn = 0; turn < 64; turn++) {
      if (response.destroyed) return
      const state = events.send(step, (text, isEvent) => {
        record.firstByteAt ??= now()
        if (isEvent) record.eventsSent += 1
        write(text)
      })
      step += 1
      if (state !== 'more') {
        finish(response, record, state)
        return
      }
      if (response.socket?.writableNeedDrain === true) {
        response.socket.once('drain', run)
        return
      }
      if (dueMs(step) > performance.now()) break
    }
    clock.at(dueMs(step), pace)
  }
}

function finish(response: ServerResponse, record: MockRecord, state: 'end' | 'die' | 'hang'): void {
  if (state === 'end') end(response, record)
  else if (state === 'die') breakOff(response, record)
}

function end(response: ServerResponse, record: MockRecord): void {
  record.lastByteAt = now()
  response.end()
}

type Events = {
  /** Sends the events of one step; says whether the stream goes on, ends, breaks off here, or stands still. */
  send(step: number, write: (text: string, isEvent: boolean) => void): State
}

type State = 'more' | 'end' | 'die' | 'hang'

/** Applies the settings that change which events are sent. */
function eventsOf(plan: StreamPlan, settings: Settings): Events {
  const limit = typeof settings.die === 'number' ? settings.die : Number.POSITIVE_INFINITY
  const fails = failsAfter(settings) <= plan.tokens
  const steps = eventsIn(fails ? failsAfter(settings) : plan.tokens, settings)
  const head = settings.errorAfter === 'first' ? [] : plan.head
  const tail = fails ? plan.failure : plan.tail
  const frame = createFrame(settings)
  let sent = 0

  function send(step: number, write: (text: string, isEvent: boolean) => void): State {
    const emit = (event: string, isLast = false): boolean => {
      if (sent >= limit) return false
      if (settings.comments && sent > 0) write(frame(comment), false)
      const text = frame(event)
      write(isLast ? endOpen(text, settings) : text, true)
      sent += 1
      return true
    }
    if (step === 0) for (const event of head) if (!emit(event)) return 'die'
    if (step < steps) {
      for (let choice = 0; choice < plan.choices; choice++) {
        if (!emit(plan.token(step, choice))) return 'die'
      }
    }
    if (step < steps - 1) return 'more'
    if (tail === 'hang') return 'hang'
    if (tail === 'close') return 'die'
    const ends = tail.filter((event) => event !== done || settings.done)
    for (const [index, event] of ends.entries()) {
      if (!emit(event, index === ends.length - 1)) return 'die'
    }
    return 'end'
  }

  return { send }
}

async function sendSlowly(
  response: ServerResponse,
  events: Events,
  settings: Settings,
  record: MockRecord,
  clock: Clock,
  dueMs: (step: number) => number,
): Promise<void> {
  for (let step = 0; ; step++) {
    await new Promise<void>((resolve) => clock.at(dueMs(step), { step: resolve }))
    const texts: { text: string; isEvent: boolean }[] = []
    const state = events.send(step, (text, isEvent) => texts.push({ text, isEvent }))
    for (const { text, isEvent } of texts) {
      if (response.destroyed) return
      record.firstByteAt ??= now()
      const bytes = Buffer.from(text)
      if (settings.die === 'body') {
        return breakOff(response, record, bytes.subarray(0, Math.floor(bytes.length / 2)))
      }
      await sendPieces(
        (piece) => response.write(piece),
        bytes,
        settings,
        () => response.destroyed,
      )
      if (isEvent) record.eventsSent += 1
    }
    if (response.destroyed) return
    if (state !== 'more') return finish(response, record, state)
  }
}

/** Sends a whole stream in pieces that do not heed where events end: the first of `cutBytes`, the others of `splitBytes`. */
async function sendCut(
  response: ServerResponse,
  events: Events,
  settings: Settings,
  record: MockRecord,
): Promise<void> {
  let text = ''
  let state: State = 'more'
  for (let step = 0; state === 'more'; step++) {
    state = events.send(step, (event, isEvent) => {
      text += event
      if (isEvent) record.eventsSent += 1
    })
  }
  const bytes = Buffer.from(text)
  record.firstByteAt = now()
  const parts = [bytes.subarray(0, settings.cutBytes), bytes.subarray(settings.cutBytes)]
  for (const part of parts) {
    await sendPieces(
      (piece) => response.write(piece),
      part,
      part === parts[0] ? { ...settings, splitBytes: 0 } : settings,
      () => response.destroyed,
    )
  }
  if (response.destroyed) return
  finish(response, record, state)
}
