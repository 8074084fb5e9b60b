import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'

/** A server, as an address or a UNIX socket. */
export type Target = {
  scheme: 'http' | 'https'
  host: string
  port: number
  socketPath: string | null
}

/** What it answered, or why it did not: a phrase such as "connection refused". */
export type HttpReply = { status: number; body: string } | { error: string }

const TIMEOUT_MS = 3_000
const BODY_BYTES_MAX = 1_048_576

/** Sends a GET and never throws. The certificate matters only where a credential is sent. */
export function ask(target: Target, path: string, headers = {}): Promise<HttpReply> {
  const { scheme, host, port, socketPath } = target
  const place = socketPath === null ? { host, port } : { socketPath, host: 'localhost' }
  const options = { ...place, path, headers, timeout: TIMEOUT_MS, agent: false }
  return new Promise((resolve) => {
    const take = (response: IncomingMessage) => {
      readBody(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body }),
        (error) => resolve({ error: describeError(error) }),
      )
    }
    const outgoing =
      scheme === 'https'
        ? requestTls({ ...options, rejectUnauthorized: 'authorization' in headers }, take)
        : requestPlain(options, take)
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 3 s')))
    outgoing.on('error', (error) => resolve({ error: describeError(error) }))
    outgoing.end()
  })
}

/** The first model that a vLLM lists, or null. */
export async function firstModel(target: Target, headers = {}): Promise<string | null> {
  const reply = await ask(target, '/v1/models', headers)
  if ('error' in reply || reply.status !== 200) return null
  try {
    const { data } = JSON.parse(reply.body) as { data?: { id?: unknown }[] }
    const id = data?.[0]?.id
    return typeof id === 'string' ? id : null
  } catch {
    return null
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const piece of response.setEncoding('utf8')) {
    body += String(piece)
    if (body.length > BODY_BYTES_MAX) break
  }
  return body
}

const PHRASES: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'no such socket',
  EACCES: 'no permission',
  ENOTFOUND: 'no such host',
  ECONNRESET: 'connection closed without an answer',
}

/** Why a server cannot be reached, as a phrase. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  return PHRASES[code] ?? (error.message || code)
}
