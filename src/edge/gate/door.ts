import { type Ticket, whyNot } from '../../core/admit/admit.ts'
import type { Route } from '../../core/admit/route.ts'
import type { KeyRecord } from '../../core/config/record.ts'
import { claim, claimEarly, isFree, needsBody, refund } from '../../core/limits/claim.ts'
import { type Early, type Figures, giveBack, tellLimits } from '../../core/limits/reserve.ts'
import { watchEnding } from './ending.ts'
import { setReason } from './reason.ts'
import { setRefusal } from './refusal.ts'
import { findRecord, runningZone } from './registry.ts'
import type { Ending, GateRequest } from './request.ts'
import { enlist, enlistEarly } from './running.ts'
import { ticketFor, uploadOf } from './ticket.ts'
import { openTill, rulesOf } from './till.ts'

/** The verdict over a request by its line and headers, see verdict() in quick.ts. */
export function judgeLong(r: GateRequest): string {
  const outcome = ticketFor(r).outcome
  r.variables['tollgate_outcome'] = outcome
  return outcome
}

/** As the verdict, and takes what limits know before the body: `$tg_admission`, see quick.ts. */
export function admitLong(r: GateRequest): string {
  const ticket = ticketFor(r)
  if (ticket.outcome === 'ok') {
    watchEnding(r, ticket)
    chargeEarly(r, ticket)
    enlistEarly(r)
  }
  if (ticket.outcome !== 'ok') setRefusal(r, ticket)
  return ticket.outcome
}

/** `$tg_target` when the body is there, see quick.ts; of a request that was not admitted, or twice, empty. */
export function claimLong(r: GateRequest): string {
  const ticket = r.ticket
  if (!ticket || !r.ending || ticket.outcome !== 'ok' || ticket.atMs !== undefined) return ''
  charge(r, ticket)
  if (ticket.outcome !== 'ok') {
    // It holds nothing any more.
    const ending = r.ending as Ending
    if (ending.name) runningZone().delete(ending.name)
    setReason(r, ticket)
    return 'refused'
  }
  if (r.found) enlist(r)
  return ticket.edits || !isSmall(r) ? 'made' : 'ok'
}

/** nginx passes it on by itself, with one copy more of it: so large ones, or of no known length, are left to body(). */
function isSmall(r: GateRequest): boolean {
  return Number(r.variables['content_length']) <= COPIED_BYTES_MAX
}

export const COPIED_BYTES_MAX = 65536

/** What the gate gets of the body; empty where there is none. */
function bodyOf(r: GateRequest): Buffer {
  return r.requestBuffer || Buffer.alloc(0)
}

/** Takes what is known before the body; of routes that take one. */
function chargeEarly(r: GateRequest, ticket: Ticket): void {
  const found = r.found
  if (!found || found.route.method === 'GET') return
  const uploadBytes = uploadOf(r)
  if (!uploadBytes && isFree(found.route, found.record, rulesOf(r))) return
  const nowMs = Date.now()
  const early = claimEarly(ticket, found.route, found.record, uploadBytes, openTill(r), nowMs)
  if (early && 'hold' in early) r.early = early as Early
  else if (early) r.variables['tg_told'] = tellLimits(early as Figures, ticket.dialect, nowMs)
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
}

/** The second half of admission: body, limits, budgets. */
function charge(r: GateRequest, ticket: Ticket): void {
  const nowMs = Date.now()
  const found = r.found
  ticket.atMs = nowMs
  if (found) {
    const record = renew(r, ticket, found.record, nowMs)
    // Its body is there.
    if (ticket.hold && ticket.hold.amounts.u) giveBack(openTill(r), ticket.hold, 'u')
    // In a file it would not reach vLLM, see gate.conf; the buffer there is as large as the limit. And njs before
    // 0.8.10 throws for it.
    if (r.variables['request_body_file']) ticket.outcome = 'body_too_large'
    if (ticket.outcome !== 'ok') refund(ticket, openTill(r))
    else if (ticket.hold || !isFree(found.route, record, rulesOf(r)))
      chargeBody(r, ticket, record, nowMs)
    if (record.priority !== undefined) r.variables['tg_priority'] = `${record.priority}`
  }
  if (ticket.outcome === 'invalid_body' && r.headersIn['Content-Encoding']) ticket.isEncoded = true
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
}

function chargeBody(r: GateRequest, ticket: Ticket, record: KeyRecord, nowMs: number): void {
  const till = openTill(r)
  const route = (r.found as { route: Route }).route
  const body = needsBody(route, record, till.rules) ? bodyOf(r) : null
  const figures = claim(ticket, route, record, body, r.early || null, till, nowMs, r.read)
  delete r.early
  if (figures) r.variables['tg_told'] = tellLimits(figures, ticket.dialect, nowMs)
}

/**
 * The record of the key as it is now that the body is here, which may have taken long: where it is another one, what
 * was taken is taken anew.
 */
function renew(r: GateRequest, ticket: Ticket, before: KeyRecord, nowMs: number): KeyRecord {
  const record = findRecord(ticket.hash as string)
  if (record !== before) {
    delete r.early
    delete r.read
  }
  const why = record ? whyNot(record, nowMs) : 'invalid_key'
  if (why) ticket.outcome = why
  return record || before
}
