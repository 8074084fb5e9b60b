import { admit, type Call, type Ticket } from '../../core/admit/admit.ts'
import { STAMP_ENTRY } from '../../core/config/record.ts'
import { BIRTH_COUNTER } from '../../core/limits/counters.ts'
import { clientsZone, countersZone } from './registry.ts'
import type { GateRequest } from './request.ts'
import { areBudgetsReady, REGISTRY } from './till.ts'

/**
 * What a body counts for that comes without a length, chunked or over HTTP/2: a quarter of the largest. 16 of
 * them fill the bound of a key, so that at worst they are 512 MB; counted as the largest, four would fill it, and
 * of 20 small requests that one connection of HTTP/2 begins at once 16 were refused.
 */
const OPEN_BYTES = 8388608

/**
 * Bodies up to here are not counted while they are on their way: a request takes more by itself, 128 KB
 * on njs's own engine and 600 KB on QuickJS, and how many of them a client has is `concurrency`.
 */
export const SMALL_BYTES_MAX = 16384

/** After this the files and the ledger may have been read, ms. */
const START_RETRY_MS = 1000

/** The ticket of this request by its line, headers and address, which are judged where nobody has yet. */
export function ticketFor(r: GateRequest): Ticket {
  return r.ticket || admitAnew(r)
}

/** The call at hand, which admit() keeps nothing of: it is filled anew for each request. */
let kept: Call | null = null

function admitAnew(r: GateRequest): Ticket {
  const headers = r.headersIn
  const variables = r.variables
  const nowMs = Date.now()
  const route = variables['tollgate_route'] || ''
  if (!kept) kept = {} as Call
  const call = kept
  call.route = route
  call.pathRoute = route === '' ? variables['tg_at_path'] || '' : ''
  call.authorization = headers['Authorization']
  call.xApiKey = headers['x-api-key']
  call.apiKey = headers['api-key']
  call.hasBody = r.method === 'GET' && hasBody(r)
  call.address = r.remoteAddress
  call.nowMs = nowMs
  call.found = undefined
  call.hash = undefined
  const ticket = admit(call, REGISTRY)
  r.ticket = ticket
  const found = call.found as Call['found']
  if (found) {
    r.found = found
    if (call.hash) ticket.hash = call.hash
  }
  if (ticket.outcome === 'starting' || (found && !areBudgetsReady(found.record))) waitFor(ticket)
  if (ticket.outcome === 'ok') variables['tollgate_client'] = ticket.client || ''
  if (ticket.key) variables['tollgate_key'] = ticket.key
  ticket.spentMs = Date.now() - nowMs
  return ticket
}

/**
 * Right after a start the files are not read yet, or not the ledger: nothing here can wait for that, so the
 * caller is told to. When housekeeping has looked and still nothing stands, it cannot be loaded.
 */
function waitFor(ticket: Ticket): void {
  const hasLooked = clientsZone().has(STAMP_ENTRY) && countersZone().has(BIRTH_COUNTER)
  ticket.outcome = hasLooked ? 'gate_error' : 'starting'
  if (!hasLooked) ticket.retryAfterMs = START_RETRY_MS
}

/** HTTP/2 and 3 announce no length; there nginx knows it when it has read the body, see gate.conf. */
function hasBody(r: GateRequest): boolean {
  return Number(r.variables['content_length']) > 0 || r.headersIn['Transfer-Encoding'] !== undefined
}

/**
 * What a request announces to send, as far as it is counted. 0 is a small one, which costs less than the
 * request itself.
 */
export function uploadOf(r: GateRequest): number {
  const length = r.variables['content_length']
  if (length !== undefined) return Number(length) > SMALL_BYTES_MAX ? Number(length) : 0
  const isOpen = r.httpVersion >= '2' || r.headersIn['Transfer-Encoding'] !== undefined
  return isOpen ? OPEN_BYTES : 0
}
