import type { Ticket } from './admit/admit.ts'
import type { Outcome } from './admit/outcome.ts'
import { type LineFragment, quoteModel } from './ledger/line.ts'
import type { LimitsTaken } from './limits/taken.ts'
import type { Usage } from './meter/usage.ts'

/**
 * A request in flight, as people see it. In the zone `tollgate_running` stand its address, its tokens so
 * far and its ticket, as runningText() writes them, under the process id of its worker (pidName(), five
 * characters) and nginx's id of the request. Who holds places or tokens has an entry from then on, maybe before its
 * body is there: by that they go back when its worker dies.
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

/**
 * What stands in the zone, with a space between two fields: address, tokens of the prompt and of the answer so far,
 * when it was admitted, client, key, group, route, whether it is a stream, what is held in tokens and cost of budgets and in
 * tokens of the minute, what the gate took of time, and as JSON the model, or a list of model, shadow, limit and what is
 * held: `names`, as heldOf() gives them. An empty field is unknown, and without the time the body is not there yet; none but the last can hold a space.
 */
export function runningText(
  remote: string,
  usage: Usage | null,
  ticket: Ticket,
  names: string,
): string {
  const hold = ticket.hold
  const counts = usage ? usage.promptTokens + ' ' + usage.completionTokens : ' '
  const held = hold ? hold.amounts.r + ' ' + hold.amounts.R + ' ' + hold.amounts.t : '  '
  let who = (ticket.client || '') + ' ' + (ticket.key || '') + ' '
  who += (ticket.group || '') + ' ' + (ticket.route || '')
  const text = runningLine(remote, counts, ticket.atMs || 0, who, ticket.isStream === true, held)
  const model = ticket.model === undefined ? '' : quoteModel(ticket.model)
  return text + (ticket.spentMs || 0) + ' ' + runningEnd(model, names, ticket)
}

/** The last field: `model` as JSON, `names` as heldOf() gives them. */
export function runningEnd(model: string, names: string, ticket?: Ticket): string {
  if (names === '' && !(ticket && ticket.shadow)) return model
  const shadow = ticket && ticket.shadow ? JSON.stringify(ticket.shadow) : 'null'
  const limit = ticket && ticket.limit ? JSON.stringify(ticket.limit) : 'null'
  return '[' + (model || 'null') + ',' + shadow + ',' + limit + ',"' + names + '"]'
}

/** How far a request has moved counters, by its entry: their birth, 0 where that did not matter, and name and amount of each. */
export function readHeld(text: string): { birth: number; held: [string, number][] } {
  const parts = text.split(' ', FIELDS) as string[]
  const names = (readLast(text, parts)[3] || '').split(' ')
  const held = names.slice(1).map((written): [string, number] => {
    const colon = written.indexOf(':')
    const name = decodeURIComponent(colon < 0 ? written : written.slice(0, colon))
    const kind = name.charAt(0)
    if (kind === 'u') return [name, Number(written.slice(colon + 1))]
    return [name, kind === 'r' ? Number(parts[9]) : kind === 'R' ? Number(parts[10]) : 1]
  })
  return { birth: Number(names[0]), held }
}

/** The fields before the last two. */
export function runningLine(
  remote: string,
  counts: string,
  atMs: number,
  who: string,
  isStream: boolean,
  held: string,
): string {
  return (
    remote + ' ' + counts + ' ' + (atMs || '') + ' ' + who + (isStream ? ' 1 ' : '  ') + held + ' '
  )
}

/** Of a request whose body is not there yet: who it is, and what it holds by name. */
export function waitingText(who: string, names: string): string {
  return '    ' + who + WAITING + names + '"]'
}

/** No stream, no amounts, no time; and no model, shadow and limit. */
const WAITING = '     0 [null,null,null,"'

/** Reads it again. */
export function readRunning(text: string): Running {
  const parts = text.split(' ', FIELDS) as string[]
  const model = readLast(text, parts)[0]
  const running: Running = {
    client: parts[4] as string,
    key: parts[5] as string,
    route: parts[7] as string,
    atMs: Number(parts[3]),
    remote: parts[0] as string,
  }
  if (parts[6]) running.group = parts[6]
  if (typeof model === 'string') running.model = model
  if (parts[8]) running.stream = true
  if (isCount(parts[1])) running.promptTokens = Number(parts[1])
  if (isCount(parts[2])) running.completionTokens = Number(parts[2])
  if (parts[9]) {
    running.heldTokens = Number(parts[9])
    running.heldCost = Number(parts[10])
  }
  return running
}

/** Whether its body is not there yet. */
export function isWaiting(text: string): boolean {
  return text.split(' ', 4)[3] === ''
}

/** The client alone, for who counts many. */
export function clientOf(text: string): string {
  return text.split(' ', 5)[4] || ''
}

const FIELDS = 13

function isCount(text: string | undefined): boolean {
  return text !== undefined && text !== '' && Number(text) >= 0
}

/** What of it belongs into the line of a request that ended on an error page. */
export function readShown(text: string): LineFragment {
  const parts = text.split(' ', FIELDS) as string[]
  const last = readLast(text, parts)
  const line: LineFragment = { admissionMs: Number(parts[12]) }
  if (parts[6]) line.group = parts[6]
  if (parts[8]) line.stream = true
  if (Number(parts[11])) line.reservedTokens = Number(parts[11])
  if (typeof last[0] === 'string') line.model = last[0]
  if (last[1]) line.shadow = last[1] as Outcome
  if (last[2]) line.limit = last[2]
  return line
}

/** The last field: a model, or a list. */
function readLast(text: string, parts: string[]): string[] {
  const rest = text.slice(parts.join(' ').length + 1)
  const said = rest ? JSON.parse(rest) : null
  return Array.isArray(said) ? said : [said]
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
