import { wordsOf } from '../limits/words.ts'
import type { Ticket } from './admit.ts'
import { type Refusal, type Told, tell } from './outcome.ts'
import { tellWait } from './wait.ts'

/** An error of the gate's own, ready to be sent. Header names are in lower case. */
export type RefusalAnswer = { status: number; headers: { [name: string]: string }; body: string }

/**
 * The answer to a refused request, in the caller's dialect.
 *
 * `status` overrides the usual one of the outcome (nginx's own 502 or 431); 0 leaves it.
 */
export function answerRefusal(ticket: Ticket, status: number, requestId: string): RefusalAnswer {
  const told = tell(ticket.outcome as Refusal)
  const headers: { [name: string]: string } = { 'content-type': 'application/json' }
  let message = messageOf(ticket) || told.message
  if (ticket.allow) {
    headers['allow'] = ticket.allow
    message = `Method not allowed: this route takes ${ticket.allow}`
    status = 405
  }
  if (ticket.isEncoded) {
    message = 'The request body has a content-encoding: send it as plain JSON'
    status = 415
  }
  if (told.status === 401) headers['www-authenticate'] = 'Bearer'
  if (ticket.retryAfterMs !== undefined) {
    const wait = tellWait(ticket.retryAfterMs).split(' ')
    headers['retry-after'] = wait[1] as string
    headers['retry-after-ms'] = wait[0] as string
  }
  status = status || told.status
  // Asking again is in vain: a spent budget is not there again in a minute, and a bad key stays bad. Without a
  // word clients such as Claude Code ask for a minute, and their address is locked out.
  const isTransient = status >= 500 || status === 408 || status === 429
  if (!isTransient || ticket.outcome === 'budget_spent') headers['x-should-retry'] = 'false'
  const body = ticket.dialect === 'anthropic' ? anthropic : openai
  return {
    status,
    headers,
    body: JSON.stringify(body(told, message, requestId, ticket)),
  }
}

/** What the caller reads instead of the usual words; empty where those do. */
export function messageOf(ticket: Ticket): string {
  if (ticket.message || !ticket.cause) return ticket.message || ''
  return wordsOf(ticket.limit || '', ticket.cause, ticket.retryAfterMs)
}

/** OpenAI's error object: all four fields, `code` and `param` may be null. */
function openai(told: Told, message: string, _id: string, ticket: Ticket): object {
  const param = ticket.param === undefined ? null : ticket.param
  // A rate is of requests or of tokens: the name of the limit tells.
  const isTokens = ticket.outcome === 'rate_limited' && /okens/.test(ticket.limit || '')
  return { error: { message, type: isTokens ? 'tokens' : told.type, param, code: told.code } }
}

/** Anthropic's error object. */
function anthropic(told: Told, message: string, requestId: string): object {
  return {
    type: 'error',
    error: { type: told.anthropicType, message },
    request_id: requestId,
  }
}
