import type { Ticket } from './admit.ts'
import { type Refusal, type Told, tell } from './outcome.ts'

/** An error of the gate's own, ready to be sent. Header names are in lower case. */
export type Answer = { status: number; headers: { [name: string]: string }; body: string }

/**
 * The longest wait a caller is told. One official SDK sleeps as long as it is told to, another one
 * gives up above 60 s (sdk-contract.md).
 */
const RETRY_SECONDS_MAX = 60

/**
 * The answer to a refused request, in the caller's dialect.
 *
 * `status` overrides the usual one of the outcome (nginx's own 502 or 431); 0 leaves it.
 */
export function answerRefusal(ticket: Ticket, status: number, requestId: string): Answer {
  const told = tell(ticket.outcome as Refusal)
  const headers: { [name: string]: string } = { 'content-type': 'application/json' }
  let message = told.message
  if (ticket.allow) {
    headers['allow'] = ticket.allow
    message = `Method not allowed: this route takes ${ticket.allow}`
    status = 405
  }
  if (told.status === 401) headers['www-authenticate'] = 'Bearer'
  if (ticket.retryAfterSeconds !== undefined) {
    const seconds = Math.min(ticket.retryAfterSeconds, RETRY_SECONDS_MAX)
    headers['retry-after'] = `${seconds}`
    headers['retry-after-ms'] = `${seconds * 1000}`
  }
  const body = ticket.dialect === 'anthropic' ? anthropic : openai
  return {
    status: status || told.status,
    headers,
    body: JSON.stringify(body(told, message, requestId)),
  }
}

/** OpenAI's error object: all four fields, `code` and `param` may be null. */
function openai(told: Told, message: string): object {
  return { error: { message, type: told.type, param: null, code: told.code } }
}

/** Anthropic's error object. */
function anthropic(told: Told, message: string, requestId: string): object {
  return {
    type: 'error',
    error: { type: told.anthropicType, message },
    request_id: requestId,
  }
}
