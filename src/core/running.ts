/**
 * A request in flight, as people see it. It stands as JSON in the zone `tollgate_running` under the
 * process id of its worker (pidName(), five characters) and nginx's id of the request.
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
  /** What it holds of budgets: tokens, and cost in nano-units. */
  heldTokens?: number
  heldCost?: number
}

/** The name of a request in the zone. */
export function runningName(pid: string, id: string): string {
  return pid + id
}

/** What somebody wants to know: ask.json beside the ledger, where root alone can write. */
export type Question = {
  /** Tells this question from others. */
  id: string
  /** Names as in subjectName(): `client:app`. */
  subjects: string[]
}

/** How much of its limits is taken by a subject right now; 0 also where it has no such limit. */
export type Taken = {
  inFlight: number
  heldTokens: number
  /** Nano-units. */
  heldCost: number
  requestsPerMinute: number
  tokensPerMinute: number
  inputTokensPerMinute: number
  outputTokensPerMinute: number
}

/** The housekeeping's answer: running.json in the folder of the workers. */
export type Reply = {
  /** The question that it answers. */
  id: string
  /** RFC 3339. */
  time: string
  /** How many requests run; of very many not all are listed. */
  total: number
  requests: (Running & { id: string; worker: number })[]
  subjects: { [name: string]: Taken }
}

/** A question is answered at every turn for so long after it was written. */
export const QUESTION_MS = 5000

/** The file of the question, beside the ledger; that of the reply, in the workers' folder. */
export const QUESTION_FILE = 'ask.json'
export const REPLY_FILE = 'running.json'
