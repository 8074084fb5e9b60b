import { STAMP_ENTRY } from '../core/record.ts'
import { sendRefusal } from './refusal.ts'
import { clientsZone } from './registry.ts'
import { type GateRequest, ticketFor } from './ticket.ts'

/** How often, and how long, a request waits for the first load after a cold start. */
const LOAD_POLL_MS = 20
const LOAD_WAIT_MS_MAX = 30000

/** The access door: returns to let the request go on to proxy_pass in the same location. */
export function access(r: GateRequest): void | Promise<void> {
  const ticket = ticketFor(r)
  // Not an async function, which would cost every request a promise.
  if (ticket.loading) return waitUntilLoaded(r, LOAD_WAIT_MS_MAX)
  if (ticket.outcome !== 'ok') sendRefusal(r, ticket)
}

/** The content door: hands an admitted request to the location where proxy_pass stands. */
export function enter(r: GateRequest): void | Promise<void> {
  const ticket = ticketFor(r)
  if (ticket.loading) {
    return waitUntilLoaded(r, LOAD_WAIT_MS_MAX).then(() => {
      if (ticketFor(r).outcome === 'ok') r.internalRedirect('@tollgate')
    })
  }
  if (ticket.outcome === 'ok') r.internalRedirect('@tollgate')
  else sendRefusal(r, ticket)
}

/**
 * Waits for housekeeping, which loads the files right after the start, and refuses what may not be
 * admitted when it has, or has found that it cannot. Housekeeping alone reads and checks the files:
 * nothing of that is in the memory of a stream.
 */
function waitUntilLoaded(r: GateRequest, leftMs: number): Promise<void> {
  return new Promise<void>((resolve) => {
    setTimeout(resolve, LOAD_POLL_MS)
  }).then(() => {
    const ticket = ticketFor(r)
    // What housekeeping found wrong stands in the error log once, and not for every request.
    const isOver = leftMs <= 0 || clientsZone().has(STAMP_ENTRY)
    if (ticket.loading && !isOver) return waitUntilLoaded(r, leftMs - LOAD_POLL_MS)
    if (ticket.outcome !== 'ok') sendRefusal(r, ticket)
    return undefined
  })
}
