import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'
import { describeError } from '../ask.ts'
import { Refused } from '../output.ts'
import { describeProblem, locate, type RemoteProblem } from './problems.ts'
import type { AdminTarget } from './target.ts'

/** One call of the admin API. */
export type AdminCall = {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** With its query, encoded. */
  path: string
  body?: unknown
  headers?: Record<string, string>
}

/** What the API answered. */
export type AdminReply = { status: number; etag: string | null; body: unknown }

/** Makes a call, and refuses when the API does: with its reason, and what can be done. */
export async function call(target: AdminTarget, wanted: AdminCall): Promise<AdminReply> {
  const reply = await tryCall(target, wanted)
  if (reply.status < 400) return reply
  throw new ProblemReply(target, wanted, reply)
}

/** What the API refused: a caller may know better what to do with it. */
export class ProblemReply extends Refused {
  status: number
  problem: RemoteProblem

  constructor(target: AdminTarget, { method }: AdminCall, reply: AdminReply) {
    const problem = reply.body as RemoteProblem
    super(describeProblem(target.url, method, problem), (problem.problems ?? []).map(locate))
    this.status = reply.status
    this.problem = problem
  }
}

async function tryCall(target: AdminTarget, wanted: AdminCall): Promise<AdminReply> {
  const { url } = target
  const { response, raw } = await exchange(target, wanted).catch((error: unknown) => {
    throw new Refused(describeSilence(target, error, wanted.method))
  })
  const status = response.statusCode ?? 0
  const etag = response.headers.etag ?? null
  if (status === 204) return { status, etag, body: null }
  const body = parse(response, raw)
  if (body !== undefined && status >= 200 && (status < 300 || status >= 400)) {
    return { status, etag, body }
  }
  throw new Refused(
    `${url} does not answer as the admin API of Tollgate does (${status}): compare the address with ` +
      'listen in tollgate/admin.conf',
  )
}

async function exchange(target: AdminTarget, wanted: AdminCall) {
  const response = await send(target, wanted)
  return { response, raw: await text(response) }
}

function send(target: AdminTarget, { method, path, body, headers }: AdminCall) {
  const { scheme, host, port, socketPath, base, token } = target
  const sent = body === undefined ? undefined : JSON.stringify(body)
  const place = socketPath === null ? { host, port } : { socketPath, host }
  const options = {
    ...place,
    method,
    path: base + path,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    agent: false as const,
    signal: AbortSignal.timeout(target.timeoutMs),
  }
  return new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = (scheme === 'https' ? requestTls : requestPlain)(options, resolve)
    outgoing.on('error', reject)
    outgoing.end(sent)
  })
}

/** JSON that is an object; anything else comes from another server, such as a proxy's error page. */
function parse(response: IncomingMessage, raw: string): object | undefined {
  if (!/^application\/(problem\+)?json\b/.test(response.headers['content-type'] ?? '')) {
    return undefined
  }
  try {
    const body: unknown = JSON.parse(raw)
    return typeof body === 'object' && body !== null ? body : undefined
  } catch {
    return undefined
  }
}

function describeSilence({ url, timeoutMs }: AdminTarget, error: unknown, method: string): string {
  if (error instanceof Error && error.name === 'AbortError') {
    const seconds = timeoutMs / 1000
    const doubt = method === 'GET' ? '' : '; look first whether it was done all the same'
    return `The admin API at ${url} gave no answer within ${seconds} s${doubt}`
  }
  return (
    `Cannot reach the admin API at ${url}: ${describeError(error)}. Is nginx running there, and does ` +
    'listen in tollgate/admin.conf name this address?'
  )
}
