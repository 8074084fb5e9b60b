/** A response with a body that is known before it is sent. */
export type BodyAnswer = {
  kind: 'body'
  status: number
  headers: Record<string, string>
  body: string | Buffer
  /** How long the engine works on it; scaled by the request's ttft and itl. */
  tokens: number
}

/**
 * A stream of events. The first token leaves after ttft, together with the head; each further one after itl;
 * the tail directly behind the last.
 */
export type StreamAnswer = { kind: 'stream'; headers: Record<string, string>; plan: StreamPlan }

export type Answer = BodyAnswer | StreamAnswer

export type StreamPlan = {
  /** Of each choice. */
  tokens: number
  choices: number
  head: string[]
  /** One event of one choice: a token, or several with `join`. Called once per event, so it only joins strings. */
  token(event: number, choice: number): string
  tail: string[]
  /** What stands in place of the remaining tokens and the tail when the engine fails mid-stream. */
  failure: Failure
  /** No event holds anything but ASCII: such strings are written without a copy. */
  isAscii: boolean
}

/** Events, a connection that closes without a last chunk, or a stream that nothing ends. */
export type Failure = string[] | 'close' | 'hang'

export const done = 'data: [DONE]\n\n'

export function json(body: string, tokens = 0): BodyAnswer {
  return {
    kind: 'body',
    status: 200,
    headers: { 'content-type': 'application/json' },
    body,
    tokens,
  }
}

export function stream(plan: StreamPlan): StreamAnswer {
  return { kind: 'stream', headers: { 'content-type': 'text/event-stream; charset=utf-8' }, plan }
}
