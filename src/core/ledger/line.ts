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
 * One line of the ledger. Absent means unknown, 0 means none. The schema is docs/ledger.md. The gate
 * writes version 1 whole; of version 2 nginx writes what it knows by itself, and the gate fragmentOf().
 */
export type LedgerLine = {
  version: 1 | 2
  /** RFC 3339: in version 1 UTC with milliseconds, in version 2 local time to the second. */
  time: string
  /** Since version 2: the same in seconds since 1970, with milliseconds. */
  at?: number
  id: string
  client?: string
  key?: string
  group?: string
  /** Reserved: who signed the token of the caller, and whom the client named as its own user. */
  issuer?: string
  endUser?: string
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
  /** Reserved: the group of servers that the model belongs to, and the nginx of a fleet. */
  target?: string
  node?: string
  upstream?: string
  upstreamStatus?: number
  durationMs: number
  bytesIn: number
  bytesOut: number
  remote: string
}

/** What of a line nginx writes by itself, see nginx/tollgate/ledger.conf. */
type Native =
  | 'version'
  | 'time'
  | 'at'
  | 'id'
  | 'status'
  | 'durationMs'
  | 'bytesIn'
  | 'bytesOut'
  | 'remote'
  | 'upstream'
  | 'upstreamStatus'

/** What of a line only the gate knows. */
export type LineFragment = Partial<Omit<LedgerLine, Native>>

/**
 * The inside of a JSON object with what the gate knows of a request, never empty: nginx puts it into
 * the line as it is. Written out, since JSON.stringify of a whole line took a tenth of a request.
 * Names out of the configuration keep to its patterns, and outcomes to their list: these cannot hold
 * what JSON would escape. A number that is none is left out, as unknown.
 */
export function fragmentOf(line: LineFragment): string {
  let text = `"outcome":"${line.outcome || 'gate_error'}"`
  if (line.client) text += `,"client":"${line.client}"`
  if (line.key) text += `,"key":"${line.key}"`
  if (line.group) text += `,"group":"${line.group}"`
  if (line.route) text += `,"route":"${line.route}"`
  if (line.shadow) text += `,"shadow":"${line.shadow}"`
  if (line.limit) text += `,"limit":${quote(line.limit)}`
  if (line.issuer) text += `,"issuer":${quote(line.issuer)}`
  if (line.endUser !== undefined) text += `,"endUser":${quote(line.endUser)}`
  if (line.target) text += `,"target":${quote(line.target)}`
  if (line.node) text += `,"node":${quote(line.node)}`
  if (line.model !== undefined) text += `,"model":${quote(line.model)}`
  if (line.served !== undefined) text += `,"served":${quote(line.served)}`
  if (line.stream) text += ',"stream":true'
  if (isAmount(line.promptTokens)) text += `,"promptTokens":${line.promptTokens}`
  if (isAmount(line.cachedTokens)) text += `,"cachedTokens":${line.cachedTokens}`
  if (isAmount(line.completionTokens)) text += `,"completionTokens":${line.completionTokens}`
  if (isAmount(line.reasoningTokens)) text += `,"reasoningTokens":${line.reasoningTokens}`
  if (isAmount(line.audioSeconds)) text += `,"audioSeconds":${line.audioSeconds}`
  if (isAmount(line.cost)) text += `,"cost":${line.cost}`
  if (line.estimated) text += ',"estimated":true'
  if (isAmount(line.reservedTokens)) text += `,"reservedTokens":${line.reservedTokens}`
  if (isAmount(line.admissionMs)) text += `,"admissionMs":${line.admissionMs}`
  if (isAmount(line.ttftMs)) text += `,"ttftMs":${line.ttftMs}`
  if (isAmount(line.tokensPerSecond)) text += `,"tokensPerSecond":${line.tokensPerSecond}`
  if (line.finishReason !== undefined) text += `,"finishReason":${quote(line.finishReason)}`
  return text
}

/** Not of what is absent, not of NaN, not of Infinity: a server may count to 1e308 twice. */
function isAmount(value: number | undefined): boolean {
  return (value as number) >= 0 && (value as number) < Infinity
}

/** A text of somebody else's. */
function quote(text: string): string {
  return JSON.stringify(text)
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
