import type { Ticket } from '../../core/admit/admit.ts'
import { STAMP_ENTRY } from '../../core/config/record.ts'
import { claim, claimEarly, needsBody, refund } from '../../core/limits/claim.ts'
import { BIRTH_COUNTER } from '../../core/limits/counters.ts'
import { type Early, type Figures, giveBack, limitVariables } from '../../core/limits/reserve.ts'
import { sendRefusal } from './refusal.ts'
import { clientsZone, countersZone, openTill, rulesOf } from './registry.ts'
import { showRunning } from './running.ts'
import {
  admitAnew,
  type GateRequest,
  heldTicket,
  keepTicket,
  ticketFor,
  uploadOf,
} from './ticket.ts'

/** How often, and how long, a request waits for the first load after a cold start. */
const LOAD_POLL_MS = 20
const LOAD_WAIT_MS_MAX = 30000

/** The access door: returns to let the request go on to proxy_pass in the same location. */
export function access(r: GateRequest): void | Promise<void> {
  // Kept by charge(): JSON is dear.
  const ticket = heldTicket(r) || admitAnew(r)
  // Not an async function, which would cost every request a promise.
  if (!ticket.loading) return readAndCharge(r, ticket)
  // First of all: njs 1.0.2 never gives the body to who asks for it after having waited.
  keepTicket(r, ticket)
  return r.readRequestArrayBuffer().then((bytes) =>
    waitUntilLoaded(r, LOAD_WAIT_MS_MAX).then((loaded) => {
      chargeBody(r, loaded, Buffer.from(bytes))
    }),
  )
}

/**
 * `$tollgate_admission`, in the content door's `if`: as `$tollgate_verdict`, and takes what is known before
 * the body, so that who is above a limit is refused before it is read. For enter.conf alone.
 */
export function admission(r: GateRequest): string {
  const ticket = heldTicket(r) || admitAnew(r)
  // There is no answer yet. In a log nobody would give back what is taken.
  if (r.variables['status'] === '000') chargeEarly(r, ticket)
  keepTicket(r, ticket)
  return ticket.loading ? 'loading' : ticket.outcome
}

/** The content door: hands an admitted request to the location where proxy_pass stands. */
export function enter(r: GateRequest): void | Promise<void> {
  const ticket = ticketFor(r)
  if (!ticket.loading) return chargeAndPass(r, ticket)
  return waitUntilLoaded(r, LOAD_WAIT_MS_MAX).then((loaded) => chargeAndPass(r, loaded))
}

/**
 * Where body.conf has sent a GET whose body nothing had announced: it has been read, and the request begins
 * anew. Its path has nothing to decode, see http.conf.
 */
export function again(r: GateRequest): void {
  const variables = r.variables
  const args = variables['args']
  r.internalRedirect((variables['uri'] || '') + (args ? `?${args}` : ''))
}

/** In the access door the gate reads the body itself. */
function readAndCharge(r: GateRequest, ticket: Ticket): void | Promise<void> {
  // What nginx will read later is taken from all limits at once, unless it is large.
  const route = r.route
  const isWaiting = isRead(r) || (route && route.method === 'POST' && uploadOf(r))
  if (ticket.outcome !== 'ok' || !isWaiting) return charge(r, ticket, null)
  chargeEarly(r, ticket)
  if (ticket.outcome !== 'ok') return charge(r, ticket, null)
  // Should nginx refuse the body, its error page has to know who it was.
  keepTicket(r, ticket)
  return r.readRequestArrayBuffer().then((bytes) => {
    chargeBody(r, ticket, Buffer.from(bytes))
  })
}

function chargeBody(r: GateRequest, ticket: Ticket, body: Buffer): void {
  charge(r, ticket, ticket.outcome === 'ok' && isRead(r) ? body : null)
  // A stream that runs for minutes does not keep what it was asked.
  if (ticket.edits) r.body = body
}

/** In the content door nginx has read the body before the handler runs. */
function chargeAndPass(r: GateRequest, ticket: Ticket): void {
  const body = ticket.outcome === 'ok' && isRead(r) ? bodyOf(r) : null
  charge(r, ticket, body)
  if (ticket.outcome === 'ok') r.internalRedirect('@tollgate')
}

/** What the gate has or gets of the body; empty where there is none. */
function bodyOf(r: GateRequest): Buffer {
  // njs before 0.8.10 throws for a body that nginx has put into a file.
  return r.variables['request_body_file'] ? Buffer.alloc(0) : r.requestBuffer || Buffer.alloc(0)
}

function isRead(r: GateRequest): boolean {
  return r.route !== undefined && r.record !== undefined && needsBody(r.route, r.record, rulesOf(r))
}

/** Takes what is known before the body; once, and of routes that take one. */
function chargeEarly(r: GateRequest, ticket: Ticket): void {
  if (ticket.outcome !== 'ok' || ticket.hold || !r.route || !r.record) return
  if (r.route.method === 'GET') return
  const nowMs = Date.now()
  let early: Early | Figures | null
  try {
    early = claimEarly(ticket, r.route, r.record, uploadOf(r), openTill(r), nowMs)
  } catch (error) {
    // A full zone. The error page has to know who it was.
    keepTicket(r, ticket)
    throw error
  }
  if (early && 'hold' in early) r.early = early as Early
  else if (early) setVariables(r, limitVariables(early as Figures, ticket.dialect, nowMs))
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
}

/** The second half of admission: body, limits, budgets. Answers what is refused. */
function charge(r: GateRequest, ticket: Ticket, body: Buffer | null): void {
  const nowMs = Date.now()
  if (ticket.outcome === 'ok' && r.route && r.record) {
    const till = openTill(r)
    const hold = ticket.hold
    if (hold && hold.amounts.u) {
      // Its body is there. Noted at once, lest what follows breaks and it goes back twice.
      giveBack(till, hold, 'u')
      keepTicket(r, ticket)
    }
    // In a file it would not reach vLLM, see server.conf; the buffer there is as large as the limit.
    if (r.variables['request_body_file']) {
      ticket.outcome = 'body_too_large'
      refund(ticket, till)
    } else {
      const figures = claim(ticket, r.route, r.record, body, r.early || null, till, nowMs)
      delete r.early
      if (figures) setVariables(r, limitVariables(figures, ticket.dialect, nowMs))
    }
    if (ticket.edits) r.variables['tollgate_rewrites'] = '1'
    if (r.record.priority !== undefined) r.variables['tollgate_priority'] = `${r.record.priority}`
  }
  if (ticket.outcome === 'invalid_body' && r.headersIn['Content-Encoding']) ticket.isEncoded = true
  ticket.spentMs = (ticket.spentMs || 0) + Date.now() - nowMs
  keepTicket(r, ticket)
  if (ticket.outcome !== 'ok') sendRefusal(r, ticket)
  else if (r.record) showRunning(r)
}

/** A header that js sets costs 9 us on QuickJS, a variable that nginx makes one of costs one. */
function setVariables(r: GateRequest, values: { [variable: string]: string }): void {
  const variables = r.variables
  Object.keys(values).forEach((name) => {
    variables[name] = values[name]
  })
}

/**
 * Waits for housekeeping, which loads the files right after the start and adds up the ledger. When it
 * has, or has found that it cannot, the request is judged. Housekeeping alone reads and checks the
 * files: nothing of that is in the memory of a stream.
 */
function waitUntilLoaded(r: GateRequest, leftMs: number): Promise<Ticket> {
  return new Promise<void>((resolve) => {
    setTimeout(resolve, LOAD_POLL_MS)
  }).then(() => {
    // What housekeeping found wrong stands in the error log once, and not for every request. Asked
    // before the ticket, which then has all that was found.
    const hasLooked = clientsZone().has(STAMP_ENTRY) && countersZone().has(BIRTH_COUNTER)
    const ticket = ticketFor(r)
    const isOver = leftMs <= 0 || hasLooked
    return ticket.loading && !isOver ? waitUntilLoaded(r, leftMs - LOAD_POLL_MS) : ticket
  })
}
