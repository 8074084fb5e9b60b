import type { Problem, Role } from '../config/shapes.ts'

export type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE'

/** Who calls the admin API: what the audit log says of a token. */
export type Who = { id: string; name: string; role: Role }

/** The files of the gate, by their paths. */
export type Places = {
  /** The folder of policy.json and clients.json. */
  dir: string
  /** The folder that the workers write into. */
  stateDir: string
  ledger: string
  audit: string
}

/** A call that was authenticated, allowed by its role, and whose body could be read. */
export type Call = {
  method: Method
  /** The path as it was sent, without the query. */
  path: string
  /** What stands in the path where the route has `{name}`, decoded. */
  params: { [name: string]: string }
  /** The query, decoded. Of a name that stands twice the first holds. */
  query: { [name: string]: string }
  /** A header of the request, `Accept` or `If-Match`; undefined where there is none. */
  header(name: string): string | undefined
  /** The JSON of the body; undefined where there is none. */
  body: unknown
  who: Who
  /** nginx's id of the request, and the address of the caller. */
  id: string
  remote: string
  places: Places
  nowMs: number
}

/** An answer. */
export type Reply = {
  status: number
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is, with this type. */
  text?: string
  contentType?: string
  headers?: { [name: string]: string }
  /** Fields of the body that are told once, and left out when the answer is replayed. */
  once?: string[]
  /** What was changed; absent where nothing was. */
  audit?: Change
}

/** What the audit log says of a change: the changed fields before and after, without any secret. */
export type Change = { action: string; target: string; before: unknown; after: unknown }

/** Answers a call. What throws is answered with 500, and stands in the error log. */
export type Handler = (call: Call) => Reply | Promise<Reply>

/** A call that is not answered as it was meant to be, RFC 9457. */
export type ProblemBody = {
  type: string
  title: string
  status: number
  detail: string
  problems?: Problem[]
}
