import type { Edit, Taken } from '../body/body.ts'
import { isDefaultScope, type KeyRecord, routeAccess } from '../config/record.ts'
import type { Cause } from '../limits/refusal.ts'
import type { Hold } from '../limits/reserve.ts'
import { guesserOf, isInside } from './address.ts'
import { findCredential } from './credential.ts'
import { type Counters, countBadKey, type LockoutRule } from './lockout.ts'
import type { Outcome } from './outcome.ts'
import { type Dialect, type Route, routeOf } from './route.ts'

/**
 * A request as the edge reads it. Header values are undefined where the caller sent none. It is a plain object, since
 * closures are dear.
 */
export type Call = {
  /** The name of the route by method and path; empty where there is none. */
  route: string
  /** The name by the path alone, where there is no route. */
  pathRoute?: string
  authorization: string | undefined
  xApiKey: string | undefined
  apiKey: string | undefined
  /** Of a GET, whose routes take none. */
  hasBody?: boolean
  address: string
  nowMs: number
  /** What admit() found, for claim(): of who was admitted under a key. */
  found?: { route: Route; record: KeyRecord } | undefined
  /** SHA-256 of the secret, by find(). */
  hash?: string | undefined
}

/** What admission asks of the platform. */
export type Registry = {
  /** The packed routes of the policy; undefined until one is loaded. */
  routes(): string | undefined
  /** The record of a secret, which nobody may change; undefined when nobody has it. */
  find(secret: string, call: Call): KeyRecord | undefined
  lockoutRule(): LockoutRule
  badKeys(): Counters
}

/**
 * What admission hands to the later handlers of the same request. Client and key stand here as soon
 * as they are known, also when the request is refused.
 */
export type Ticket = {
  outcome: Outcome
  dialect: Dialect
  route?: string
  client?: string
  key?: string
  /** The method that would have been right, for 405. */
  allow?: string
  retryAfterMs?: number
  /** The parameter of the body that is at fault. */
  param?: string
  /** The body that could not be read had a content-encoding, for 415. */
  isEncoded?: true
  /** What the caller reads instead of the usual text of the outcome; by limits, what is to be made words of. */
  message?: string
  cause?: Cause
  /** Which limit or budget refused or, with `shadow`, would have: `requestsPerMinute of client`. */
  limit?: string
  /** The outcome that was not enforced. */
  shadow?: Outcome
  group?: string
  /** The model that was asked for. */
  model?: string
  isStream?: true
  /** What the gate changes in the body, in the order of their places. */
  edits?: Edit[]
  taken?: Taken
  /** The caller asked for the final usage of a stream itself. */
  wantsUsage?: true
  /** What GET /v1/models may show. */
  models?: string[]
  /** Choices of the answer, where more than one. */
  choices?: number
  /** Prompts, where more than one; each has the same number of these choices. */
  prompts?: number
  /** The most tokens of a choice that the server was told. */
  maxOutputTokens?: number
  /** Bytes of text in the prompt, to learn from; absent where there is something else in it. */
  textBytes?: number
  /** What the request holds of limits and budgets. */
  hold?: Hold
  /** When it was admitted, ms since 1970. */
  atMs?: number
  /** What the gate itself has taken so far, by the clock's whole ms; waiting for the body is not in it. */
  spentMs?: number
  /** SHA-256 of the key, to look whether it still holds while a stream runs. Never logged. */
  hash?: string
}

/** Decides over a request by its line, headers and address. The first refusal wins. */
export function admit(call: Call, registry: Registry): Ticket {
  const route = routeOf(call.route || call.pathRoute || '')
  if (!route) return { outcome: 'unknown_route', dialect: 'openai' }
  const ticket: Ticket = { outcome: 'ok', dialect: route.dialect, route: route.name }
  const routes = registry.routes()
  if (routes === undefined) return refuse(ticket, 'starting')
  const access = routeAccess(routes, route.name) || route.access
  if (access === 'off') {
    return { outcome: 'unknown_route', dialect: route.dialect }
  }
  if (!call.route) {
    ticket.allow = route.method
    return refuse(ticket, 'unknown_route')
  }
  if (access === 'key') identify(call, route, ticket, registry)
  // It would be kept in memory for nothing, of public routes for a caller that has no key.
  if (!call.hasBody || route.method !== 'GET' || ticket.outcome !== 'ok') return ticket
  ticket.message = 'This route takes no body'
  return refuse(ticket, 'bad_request')
}

function identify(call: Call, route: Route, ticket: Ticket, registry: Registry): Ticket {
  const credential = findCredential(call.authorization, call.xApiKey, call.apiKey)
  if (credential === 'missing') return refuse(ticket, 'missing_key')
  if (credential === 'ambiguous') return refuseKey(call, ticket, registry, 'ambiguous_key')
  const record = registry.find(credential.secret, call)
  if (record === undefined) return refuseKey(call, ticket, registry, 'invalid_key')
  ticket.client = record.client
  ticket.key = record.key
  const why = whyNot(record, call.nowMs)
  if (why === 'client_disabled') return refuse(ticket, why)
  if (why) return refuseKey(call, ticket, registry, why)
  if (record.addresses && !isInside(call.address, record.addresses)) {
    return refuse(ticket, 'address_denied')
  }
  const scopes = record.scopes
  if (scopes ? !scopes.includes(route.scope) : !isDefaultScope(route.scope)) {
    return refuse(ticket, 'scope_denied')
  }
  if (record.group !== undefined) ticket.group = record.group
  call.found = { route, record }
  return ticket
}

/** Why a key does not hold, now; undefined where it does. */
export function whyNot(record: KeyRecord, nowMs: number): Outcome | undefined {
  if (record.revoked) return 'revoked_key'
  if (record.expires !== undefined && record.expires <= nowMs) return 'expired_key'
  return record.disabled ? 'client_disabled' : undefined
}

function refuse(ticket: Ticket, outcome: Outcome): Ticket {
  ticket.outcome = outcome
  return ticket
}

/**
 * Refuses a bad key, and counts it against the address. A locked-out address is told to wait; what
 * its good keys ask for is not touched.
 */
function refuseKey(call: Call, ticket: Ticket, registry: Registry, outcome: Outcome): Ticket {
  const seconds = countBadKey(
    registry.badKeys(),
    guesserOf(call.address),
    call.nowMs,
    registry.lockoutRule(),
  )
  if (seconds === 0) return refuse(ticket, outcome)
  ticket.retryAfterMs = seconds * 1000
  return refuse(ticket, 'locked_out')
}
