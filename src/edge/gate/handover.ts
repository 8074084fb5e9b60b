import type { Ticket } from '../../core/admit/admit.ts'
import { type Route, routeOf } from '../../core/admit/route.ts'
import type { BodyFacts, BodyRefusal } from '../../core/body/body.ts'
import type { KeyRecord, Rules } from '../../core/config/record.ts'
import { earlyOf, holdOfTaken, noteFacts } from '../../core/limits/claim.ts'
import type { Hold } from '../../core/limits/hold.ts'
import type { Taken } from '../../core/limits/quick.ts'
import { feedWhole, startWhole } from '../../core/meter/meter.ts'
import { meterSeen } from './meter.ts'
import type { Ending, GateRequest } from './request.ts'
import { tillOf } from './till.ts'

/** What the quick way has found of a request, see quick.ts. */
export type Found = {
  route: string
  record: KeyRecord
  hash: string
  rules: Rules
  /** 0: its body is not there yet. */
  atMs: number
  spentMs: number
  facts: BodyFacts | null
  /** What readBody() said, where that was asked. */
  odd: BodyFacts | BodyRefusal | null
  /** What it holds; null where nothing has to be held, or was given back. */
  taken: Taken | null
  /** The name of the server behind, where there is a maxInFlight; else empty. */
  upstream: string
  name: string
  isMetered: boolean
  /** The first piece of the answer, which has been sent on. */
  answer: Buffer | null
  sawLast: boolean
}

/** Leaves on `r` what the long way would have left there. */
export function handOver(r: GateRequest, found: Found): Ending {
  const ending = beginEnding(found)
  r.ticket = ending.ticket
  r.found = { route: routeOf(found.route) as Route, record: found.record }
  r.rules = found.rules
  if (found.odd) r.read = found.odd
  if (found.taken && !found.atMs) r.early = earlyOf(ending.ticket.hold as Hold, found.taken)
  r.ending = ending
  if (found.sawLast) r.sawLast = true
  if (found.answer) meterSeen(r, found.answer)
  return ending
}

/** What settleEnding() has to know of a request that ended before it was handed over. */
export function endingOf(found: Found): Ending {
  const ending = beginEnding(found)
  if (found.answer && found.isMetered) {
    const ticket = ending.ticket
    ending.metered = startWhole(found.route, undefined, ticket.choices, ticket.prompts)
    feedWhole(ending.metered, found.answer)
  }
  return ending
}

function beginEnding(found: Found): Ending {
  return { ticket: ticketOf(found), name: found.name, isSettled: false, metered: null }
}

function ticketOf(found: Found): Ticket {
  const record = found.record
  const ticket: Ticket = {
    outcome: 'ok',
    dialect: 'openai',
    route: found.route,
    client: record.client,
    key: record.key,
    hash: found.hash,
    spentMs: found.spentMs,
  }
  if (record.group !== undefined) ticket.group = record.group
  if (found.atMs) ticket.atMs = found.atMs
  const facts = found.facts
  if (facts) {
    noteFacts(ticket, facts)
    if (facts.edits.length > 0) ticket.edits = facts.edits
  }
  const taken = found.taken
  const route = routeOf(found.route) as Route
  if (taken) ticket.hold = holdOfTaken(route, record, tillOf(found.rules, found.upstream), taken)
  return ticket
}
