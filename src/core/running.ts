import type { Ticket } from './admit/admit.ts'
import type { LimitsTaken } from './limits/taken.ts'
import type { Usage } from './meter/usage.ts'

/**
 * A request in flight, as people see it. In the zone `tollgate_running` stand its address, its tokens so
 * far and its ticket, as runningText() writes them, under the process id of its worker (pidName(), five
 * characters) and nginx's id of the request.
 */
export type Running = {
  client: string
  key: string
  group?: string
  route: string
  model?: string
  stream?: true
  /** When it was admitted, ms since 1970. */
  atMs: number
  remote: string
  /** Of a stream, a second old at most; absent while nothing has come. */
  promptTokens?: number
  completionTokens?: number
  /** What it holds of budgets since it was admitted: tokens, and cost in nano-units. */
  heldTokens?: number
  heldCost?: number
}

/** What stands in the zone: the ticket as it is kept anyway, since JSON is dear. */
export function runningText(remote: string, usage: Usage | null, ticket: string): string {
  const counts = usage ? `${usage.promptTokens} ${usage.completionTokens}` : '- -'
  return `${remote} ${counts} ${ticket}`
}

/** Reads it again. */
export function readRunning(text: string): Running {
  const parts = text.split(' ', 3) as [string, string, string]
  const ticket = readTicket(text)
  const running: Running = {
    client: ticket.client || '',
    key: ticket.key || '',
    route: ticket.route || '',
    atMs: ticket.atMs || 0,
    remote: parts[0],
  }
  if (ticket.group !== undefined) running.group = ticket.group
  if (ticket.model !== undefined) running.model = ticket.model
  if (ticket.isStream) running.stream = true
  if (Number(parts[1]) >= 0) running.promptTokens = Number(parts[1])
  if (Number(parts[2]) >= 0) running.completionTokens = Number(parts[2])
  if (ticket.hold) {
    running.heldTokens = ticket.hold.amounts.r
    running.heldCost = ticket.hold.amounts.R
  }
  return running
}

/** The ticket in it, with what the request holds. */
export function readTicket(text: string): Ticket {
  return JSON.parse(text.slice(text.split(' ', 3).join(' ').length)) as Ticket
}

/** The name of a request in the zone. */
export function runningName(pid: string, id: string): string {
  return pid + id
}

/**
 * The entry in the zone that asks for the end of a request: its value is the time of that, ms since
 * 1970. Who sets it moves the epoch. It is no request, and is removed a day later.
 */
export function markName(id: string): string {
  return MARK_PREFIX + id
}

/** No process id in base 36 has a colon. */
export const MARK_PREFIX = 'cut:'

/** Whether an entry of the zone is a request, and no mark. */
export function isRequestName(name: string): boolean {
  return !name.startsWith(MARK_PREFIX)
}

/** What somebody wants to know: ask.json beside the ledger, where root alone can write. */
export type Question = {
  /** Tells this question from others. */
  id: string
  /** Names as in subjectName(): `client:app`. */
  subjects: string[]
}

/** The housekeeping's answer: running.json in the folder of the workers. */
export type RunningReply = {
  /** The question that it answers. */
  id: string
  /** RFC 3339. */
  time: string
  /** How many requests run; of very many not all are listed. */
  total: number
  requests: (Running & { id: string; worker: number })[]
  subjects: { [name: string]: LimitsTaken }
}

/** A question is answered at every turn for so long after it was written. */
export const QUESTION_MS = 5000

/** The file of the question, beside the ledger; that of the reply, in the workers' folder. */
export const QUESTION_FILE = 'ask.json'
export const REPLY_FILE = 'running.json'
