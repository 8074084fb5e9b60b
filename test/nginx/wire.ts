import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Gate } from './harness.ts'

/** Bytes as they arrived, with the time in ms since the epoch, as in the log of the mock. */
export type Piece = { atMs: number; bytes: Buffer }

export type Call = {
  /** The answer, as soon as its header is there. */
  answer: Promise<Answer>
  /** Closes the connection at once and returns the time. */
  abort(): number
}

export type Answer = {
  status: number
  headers: IncomingMessage['headers']
  /** What has arrived so far. */
  pieces: Piece[]
  response: IncomingMessage
  /** The whole body. Rejects when the answer was cut. */
  body(): Promise<Buffer>
}

export type CallOptions = {
  key?: string
  /** Makes it a POST. */
  body?: object
  headers?: Record<string, string>
  /** Without one, each call has a connection of its own. */
  agent?: Agent
  /** Leaves the body unread until someone does. */
  isPaused?: boolean
}

/** Calls with Node's own client, which hands over each piece when it comes. */
export function send(
  gate: Pick<Gate, 'url' | 'key'>,
  path: string,
  options: CallOptions = {},
): Call {
  const body = options.body && JSON.stringify(options.body)
  const outgoing = request(`${gate.url}${path}`, {
    method: body ? 'POST' : 'GET',
    agent: options.agent ?? false,
    headers: {
      authorization: `Bearer ${options.key ?? gate.key}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...options.headers,
    },
  })
  const answer = once(outgoing, 'response').then(([response]) =>
    readAnswer(response, options.isPaused === true),
  )
  // An abort before the header is no failure of the test, and one after it shows in the body.
  answer.catch(() => {})
  outgoing.on('error', () => {})
  outgoing.end(body)
  return {
    answer,
    abort() {
      outgoing.destroy()
      return nowMs()
    },
  }
}

/** Calls and reads the whole answer. */
export async function get(gate: Pick<Gate, 'url' | 'key'>, path: string, options?: CallOptions) {
  const answer = await send(gate, path, options).answer
  return { ...answer, bytes: await answer.body() }
}

export function nowMs(): number {
  return performance.timeOrigin + performance.now()
}

/** A client with one connection that it keeps. */
export function oneConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

/** The pieces of a stream's events, each with the time when its last byte arrived. */
export function eventsOf(pieces: readonly Piece[]): { atMs: number; text: string }[] {
  const events: { atMs: number; text: string }[] = []
  let rest = ''
  for (const { atMs, bytes } of pieces) {
    rest += bytes.toString('latin1')
    const texts = rest.split('\n\n')
    rest = texts.pop() ?? ''
    events.push(...texts.map((text) => ({ atMs, text })))
  }
  return events
}

function readAnswer(response: IncomingMessage, isPaused: boolean): Answer {
  const pieces: Piece[] = []
  const ended = once(response, 'end')
  ended.catch(() => {})
  response.on('error', () => {})
  if (!isPaused) {
    response.on('data', (bytes: Buffer) => pieces.push({ atMs: nowMs(), bytes }))
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    pieces,
    response,
    async body() {
      await ended
      return Buffer.concat(pieces.map(({ bytes }) => bytes))
    },
  }
}
