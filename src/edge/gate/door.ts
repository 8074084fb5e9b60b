import type { Ticket } from '../../core/admit/admit.ts'
import { claim, claimEarly, needsBody, refund } from '../../core/limits/claim.ts'
import { type Early, type Figures, giveBack, tellLimits } from '../../core/limits/reserve.ts'
import { watchEnding } from './ending.ts'
import { setReason } from './reason.ts'
import { setRefusal } from './refusal.ts'
import { openTill, readRules } from './registry.ts'
import type { GateRequest } from './request.ts'
import { showRunning } from './running.ts'
import { ticketFor, uploadOf } from './ticket.ts'

/**
 * `$tollgate_verdict`, for the `if` of a site that passes requests itself: `ok`, or the outcome that refuses. It
 * takes from no limit. Test it for `ok` alone: nginx makes the variable of a broken handler an empty string and
 * goes on.
 */
export function verdict(r: GateRequest): string {
  const outcome = ticketFor(r).outcome
  r.variables['tollgate_outcome'] = outcome
  return outcome
}

/**
 * `$tollgate_admission`, in the `if` of gate.conf and nowhere else: as the verdict, and takes what is known
 * before the body, so that who is above a limit is refused before it is read.
 */
export function admission(r: GateRequest): string {
  // There is no answer yet. In a log it would judge what nginx has refused.
  if (r.status) return ''
  const ticket = ticketFor(r)
  if (ticket.outcome === 'ok') {
    watchEnding(r, ticket)
    chargeEarly(r, ticket)
  }
  if (ticket.outcome !== 'ok') setRefusal(r, ticket)
  return ticket.outcome
}

/**
 * `$tollgate_target`, in the proxy_pass of gate.conf, when `mirror` has had the body read: `ok` to the server
 * behind, `refused` to the one that tells why. Anything else, so an empty one too, is nginx's 500: no
 * admission, no target (door.md, 1).
 */
export function target(r: GateRequest): string {
  const ticket = r.ticket
  if (!ticket || !r.ending || ticket.outcome !== 'ok' || ticket.atMs !== undefined) return ''
  charge(r, ticket, isRead(r) ? bodyOf(r) : null)
  if (ticket.outcome !== 'ok') {
    setReason(r, ticket)
    return 'refused'
  }
  if (r.record) showRunning(r)
  return 'ok'
}

/** What the gate gets of the body; empty where there is none. */
function bodyOf(r: GateRequest): Buffer {
  // njs before 0.8.10 throws for a body that nginx has put into a file.
  return r.variables['request_body_file'] ? Buffer.alloc(0) : r.requestBuffer || Buffer.alloc(0)
}

function isRead(r: GateRequest): boolean {
  return (
    r.route !== undefined && r.record !== undefined && needsBody(r.route, r.record, readRules())
  )
}

/** Takes what is known before the body; of routes that take one. */
function chargeEarly(r: GateRequest, ticket: Ticket): void {
  if (!r.route || !r.record || r.route.method === 'GET') return
  const nowMs = Date.now()
  const early = claimEarly(ticket, r.route, r.record, uploadOf(r), openTill(r), nowMs)
  if (early && 'hold' in early) r.early = early as Early
  else if (early) r.variables['tollgate_told'] = tellLimits(early as Figures, ticket.dialect, nowMs)
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
}

/** The second half of admission: body, limits, budgets. */
function charge(r: GateRequest, ticket: Ticket, body: Buffer | null): void {
  const nowMs = Date.now()
  if (r.route && r.record) {
    const till = openTill(r)
    // Its body is there.
    if (ticket.hold && ticket.hold.amounts.u) giveBack(till, ticket.hold, 'u')
    // In a file it would not reach vLLM, see gate.conf; the buffer there is as large as the limit.
    if (r.variables['request_body_file']) {
      ticket.outcome = 'body_too_large'
      refund(ticket, till)
    } else {
      const figures = claim(ticket, r.route, r.record, body, r.early || null, till, nowMs)
      delete r.early
      if (figures) r.variables['tollgate_told'] = tellLimits(figures, ticket.dialect, nowMs)
    }
    if (ticket.edits) r.variables['tollgate_rewrites'] = '1'
    if (r.record.priority !== undefined) r.variables['tollgate_priority'] = `${r.record.priority}`
  } else ticket.atMs = nowMs
  if (ticket.outcome === 'invalid_body' && r.headersIn['Content-Encoding']) ticket.isEncoded = true
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
}
