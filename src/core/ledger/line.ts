import type { Ticket } from '../admit/admit.ts'
import type { Outcome } from '../admit/outcome.ts'

/** What nginx knows of a request at its end, in the log phase. */
export type Ending = {
  status: number
  /** $request_completion: the whole answer was sent to the caller. */
  isComplete: boolean
  /** The meter stands in the location that answered. */
  isMetered: boolean
  /** The meter saw the last piece of the answer. */
  sawLast: boolean
}

/**
 * One line of the ledger. Absent means unknown, 0 means none; times are RFC 3339, UTC. The schema is
 * docs/ledger.md.
 */
export type LedgerLine = {
  version: 1
  time: string
  id: string
  client?: string
  key?: string
  group?: string
  route?: string
  outcome: Outcome
  /** The outcome that a limit in shadow would have had. */
  shadow?: Outcome
  /** Which limit or budget it was: `requestsPerMinute of client`. */
  limit?: string
  status: number
  /** The model that was asked for, and the one that answered. */
  model?: string
  served?: string
  stream?: boolean
  promptTokens?: number
  cachedTokens?: number
  completionTokens?: number
  reasoningTokens?: number
  audioSeconds?: number
  /** In the unit of the policy's prices. */
  cost?: number
  /** The tokens are not the engine's own count. */
  estimated?: true
  reservedTokens?: number
  ttftMs?: number
  /** What the gate itself took before the request went on or was refused. */
  admissionMs?: number
  tokensPerSecond?: number
  finishReason?: string
  upstream?: string
  upstreamStatus?: number
  durationMs: number
  bytesIn: number
  bytesOut: number
  remote: string
}

/**
 * How a request ended. nginx logs 200 when the caller leaves in mid-stream and when the server
 * breaks off, and its own completion flag is set in the second case: only both marks together tell
 * the three apart (njs.md, section 2.5).
 */
export function endOf(ticket: Ticket | null, ending: Ending): Outcome {
  if (!ticket) return outcomeOfStatus(ending.status)
  if (ticket.outcome !== 'ok') return ticket.outcome
  if (!ending.isComplete) return 'client_aborted'
  // 204 and 304 have no body, so the meter is not called.
  const hasBody = ending.status !== 204 && ending.status !== 304
  return ending.isMetered && hasBody && !ending.sawLast ? 'upstream_aborted' : 'ok'
}

/** What nginx meant by an error of its own: one that met the request before or after admission. */
export function outcomeOfStatus(status: number): Outcome {
  switch (status) {
    case 401:
      return 'missing_key'
    case 403:
      return 'address_denied'
    case 404:
    case 405:
      return 'unknown_route'
    case 413:
      return 'body_too_large'
    case 499:
      return 'client_aborted'
    // A Transfer-Encoding or a version of HTTP that nginx does not know.
    case 501:
    case 505:
      return 'bad_request'
    case 502:
    case 503:
    case 504:
      return 'upstream_unavailable'
    default:
      return status >= 400 && status < 500 ? 'bad_request' : 'gate_error'
  }
}
