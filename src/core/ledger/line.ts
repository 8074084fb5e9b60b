import type { Ticket } from '../admit/admit.ts'
import type { Outcome } from '../admit/outcome.ts'
import type { Usage } from '../meter/usage.ts'

/** What nginx knows of a request at its end, in the log phase: the variables by these names. */
export type Ending = {
  variables: { [name: string]: string | undefined }
  /** The meter saw the last piece of the answer. */
  sawLast?: boolean
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
  /** Bytes of text in the prompt, and choices of the answer where there are several: the averages are learned from these. */
  promptBytes?: number
  choices?: number
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

type Reserved = 'issuer' | 'endUser' | 'target' | 'node'

/** What of a line only the gate knows. */
export type LineFragment = Partial<Omit<LedgerLine, Native | Reserved>>

/** More than anybody counts: a server may tell 1e308 twice, and Infinity is no number of JSON. */
const AMOUNT_MAX = 1e300

/** A number of a line as far as it counts: a line may hold whatever a server said. */
export function amount(value: unknown): number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : 0
}

/**
 * The inside of a JSON object with what the gate knows of a request, never empty: nginx puts it into
 * the line as it is. Of one that was not admitted whoOf() is all of it.
 *
 * Written out, since for a usual line JSON.stringify takes 68,000 instructions on QuickJS, and this
 * 44,000; on njs's own engine 37,000 and 34,000, where it were 76,000 with templates in place of `+`,
 * with a function that looks at each number, and with a text quoted that was quoted before.
 */
export function fragmentOf(line: LineFragment): string {
  return (
    whoOf(line.outcome, line, line.admissionMs) +
    usedOf(
      line,
      line.model,
      line.served,
      line.stream,
      line.promptBytes,
      line.choices,
      line.estimated,
      line.cost,
      line.reservedTokens,
      line.ttftMs,
      line.tokensPerSecond,
      line.finishReason,
    )
  )
}

/**
 * The first part of a fragment. Names out of the configuration keep to its patterns, and outcomes to
 * their list: these hold nothing that JSON would escape.
 */
export function whoOf(outcome: Outcome | undefined, line: Who, admissionMs?: number): string {
  let text = whoIs(outcome || 'gate_error', line.client, line.key, line.group, line.route)
  const shadow = line.shadow
  if (shadow) text += ',"shadow":"' + shadow + '"'
  const limit = line.limit
  if (limit) text += ',"limit":' + JSON.stringify(limit)
  const admission = admissionMs as number
  if (admission >= 0 && admission < AMOUNT_MAX) text += ',"admissionMs":' + admission
  return text
}

/** What it begins with. */
export function whoIs(
  outcome: Outcome,
  client: string | undefined,
  key: string | undefined,
  group: string | undefined,
  route: string | undefined,
): string {
  let text = '"outcome":"' + outcome + '"'
  if (client) text += ',"client":"' + client + '"'
  if (key) text += ',"key":"' + key + '"'
  if (group) text += ',"group":"' + group + '"'
  if (route) text += ',"route":"' + route + '"'
  return text
}

/** Who asked, where, and which limit it was: a line has it, and a ticket. */
type Who = Pick<LedgerLine, 'client' | 'key' | 'group' | 'route' | 'shadow' | 'limit'>

/** The last model, and how it stands in JSON: quoting takes 5,000 instructions, and a request asks three times. */
let lastModel = ''
let lastQuoted = '""'

/** The name of a model as JSON. */
export function quoteModel(model: string): string {
  if (model !== lastModel) {
    lastQuoted = JSON.stringify(model)
    lastModel = model
  }
  return lastQuoted
}

/**
 * The rest of it, with a comma before each field. A number that is none is left out, as unknown. It takes values, since
 * an object of them is as dear as their text.
 */
export function usedOf(
  usage: Usage,
  model: string | undefined,
  served: string | undefined,
  isStream: boolean | undefined,
  promptBytes: number | undefined,
  choices: number | undefined,
  isEstimated: boolean | undefined,
  cost: number | undefined,
  reserved: number | undefined,
  ttftMs: number | undefined,
  speed: number | undefined,
  reason: string | undefined,
): string {
  let text = ''
  if (model !== undefined) text = ',"model":' + quoteModel(model)
  if (served !== undefined) text += ',"served":' + quoteModel(served)
  if (isStream) text += ',"stream":true'
  if (promptBytes) text += ',"promptBytes":' + promptBytes
  if (choices) text += ',"choices":' + choices
  if (isEstimated) text += ',"estimated":true'
  const prompt = usage.promptTokens as number
  if (prompt >= 0 && prompt < AMOUNT_MAX) text += ',"promptTokens":' + prompt
  const cached = usage.cachedTokens as number
  if (cached >= 0 && cached < AMOUNT_MAX) text += ',"cachedTokens":' + cached
  const completion = usage.completionTokens as number
  if (completion >= 0 && completion < AMOUNT_MAX) text += ',"completionTokens":' + completion
  const reasoning = usage.reasoningTokens as number
  if (reasoning >= 0 && reasoning < AMOUNT_MAX) text += ',"reasoningTokens":' + reasoning
  const audio = usage.audioSeconds as number
  if (audio >= 0 && audio < AMOUNT_MAX) text += ',"audioSeconds":' + audio
  if (cost !== undefined && cost >= 0 && cost < AMOUNT_MAX) text += ',"cost":' + cost
  if (reserved !== undefined && reserved >= 0 && reserved < AMOUNT_MAX)
    text += ',"reservedTokens":' + reserved
  if (ttftMs !== undefined && ttftMs >= 0 && ttftMs < AMOUNT_MAX) text += ',"ttftMs":' + ttftMs
  if (speed !== undefined && speed >= 0 && speed < AMOUNT_MAX) text += ',"tokensPerSecond":' + speed
  if (reason === 'stop') text += ',"finishReason":"stop"'
  else if (reason !== undefined) text += ',"finishReason":' + JSON.stringify(reason)
  return text
}

/**
 * How a request ended. nginx logs 200 when the caller leaves in mid-stream and when the server
 * breaks off, and its own completion flag is set in the second case: only both marks together tell
 * the three apart (njs.md, section 2.5). `hasFailed`: the server has told an error in its answer, for which its callers leave.
 */
export function endOf(ticket: Ticket | null, ending: Ending, hasFailed?: boolean): Outcome {
  const variables = ending.variables
  if (ticket && ticket.outcome !== 'ok') return ticket.outcome
  if (hasFailed) return 'upstream_error'
  // The whole answer was sent to the caller.
  if (ticket && variables['request_completion'] !== 'OK') return 'client_aborted'
  const status = Number(variables['status']) || 0
  if (!ticket) return outcomeOfStatus(status)
  if (!ending.sawLast && isCutShort(status, variables)) return 'upstream_aborted'
  return status >= 500 ? 'upstream_error' : 'ok'
}

/** 204 and 304 have no body, so the meter is not called; and it stands in the guarded location alone. */
function isCutShort(status: number, variables: Ending['variables']): boolean {
  return status !== 204 && status !== 304 && variables['tg_metered'] === '1'
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
