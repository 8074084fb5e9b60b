import { once } from 'node:events'
import { createServer, isIP } from 'node:net'
import { resolve } from 'node:path'
import { ADMIN_PORT, RARE_PORT } from '../install/layout.ts'
import { Misused, Refused } from '../output.ts'

/** Where the gate listens: nginx's words, and an address that a caller on this machine can use. */
export type Listen = { host: string; port: number; listen: string; url: string }

/** Where requests go: nginx's words, and the text for people. */
export type Upstream = {
  /** What stands behind `server` in the upstream block. */
  server: string
  scheme: 'http' | 'https'
  url: string
  /** The name that the upstream's certificate is for; null without TLS, or with an address. */
  tlsName: string | null
  /** Where to connect: an address and a port, or a socket. */
  host: string
  port: number
  socketPath: string | null
}

const PORT_MAX = 65535

/** Reads `8001`, `0.0.0.0:8001` or `[::1]:8001`; port 0 is any free one. Throws on anything else. */
export function parseListen(text: string): Listen {
  const match = /^(?:(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]|localhost):)?(\d{1,5})$/.exec(text)
  const host = (match?.[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '').replace('localhost', '127.0.0.1')
  const port = Number(match?.[2])
  if (match === null || isIP(host) === 0 || port > PORT_MAX) {
    throw new Misused(
      `Cannot listen on "${text}": name a port such as 8001, or an address and a port such as ` +
        '0.0.0.0:8001 or [::1]:8001',
    )
  }
  return describeListen(host, port)
}

function describeListen(host: string, port: number): Listen {
  const bracketed = (address: string) => (isIP(address) === 6 ? `[${address}]` : address)
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return {
    host,
    port,
    listen: `${bracketed(host)}:${port}`,
    url: `http://${bracketed(near)}:${port}`,
  }
}

/** Makes sure that the gate can listen there, and puts a free port in the place of port 0. */
export async function claim(wanted: Listen): Promise<Listen> {
  const { port, error } = await tryListen(wanted.host, wanted.port)
  if (error === null) return describeListen(wanted.host, port)
  if (error === 'EADDRINUSE') {
    throw new Refused(`Port ${wanted.port} is in use: choose another with --listen`)
  }
  if (error === 'EACCES') {
    throw new Refused(`No permission to listen on port ${wanted.port}: choose one from 1024 on`)
  }
  throw new Refused(
    `Cannot listen on ${wanted.listen} (${error}): choose an address of this machine`,
  )
}

/** The preferred port of this machine, or a free one when it is taken; never one of `others`. */
export async function pickPort(preferred: number, others: number[] = []): Promise<number> {
  if (!others.includes(preferred)) {
    const { port, error } = await tryListen('127.0.0.1', preferred)
    if (error === null) return port
  }
  for (;;) {
    const { port, error } = await tryListen('127.0.0.1', 0)
    if (error !== null) throw new Refused(`Cannot listen on 127.0.0.1 (${error})`)
    if (!others.includes(port)) return port
  }
}

/** Where the admin API and our own server for refusals listen: on their ports, or on free ones. */
export async function pickListens(): Promise<{ adminListen: string; rareListen: string }> {
  const admin = await pickPort(ADMIN_PORT)
  const rare = await pickPort(RARE_PORT, [admin])
  return { adminListen: `127.0.0.1:${admin}`, rareListen: `127.0.0.1:${rare}` }
}

/** Listens for a moment: the port, where 0 was any, and why it cannot be had; null: it can. */
export async function tryListen(
  host: string,
  port: number,
): Promise<{ port: number; error: string | null }> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    const address = server.address()
    return { port: address && typeof address === 'object' ? address.port : port, error: null }
  } catch (error) {
    return { port, error: codeOf(error) }
  } finally {
    server.close()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

/** Reads `http://host:port`, `https://host` or `unix:PATH`. Throws on anything else. */
export function parseUpstream(text: string): Upstream {
  if (text.startsWith('unix:')) return parseSocket(text.slice('unix:'.length))
  const url = parseUrl(text)
  const rest = text.replace(/^https?:\/\/[^/?#]*\/?/i, '')
  if (rest !== '') {
    throw new Misused(
      `Cannot use --upstream ${url.origin} with the path "/${rest}": the caller's path goes to vLLM ` +
        `as it is, so that what was judged is what vLLM sees. Name ${url.origin} alone`,
    )
  }
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  // vLLM listens on IPv4 unless told otherwise, and nginx would send half of the requests to ::1.
  const host = url.hostname === 'localhost' ? '127.0.0.1' : url.hostname
  const port = url.port || (scheme === 'https' ? '443' : '80')
  const isName = isIP(url.hostname.replace(/[[\]]/g, '')) === 0
  const tlsName = scheme === 'https' && isName ? url.hostname : null
  const place = { host: host.replace(/[[\]]/g, ''), port: Number(port), socketPath: null }
  return { server: `${host}:${port}`, scheme, url: url.origin, tlsName, ...place }
}

function parseUrl(text: string): URL {
  const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^(\[[0-9a-f:.]+\]|[\w.-]+)$/i.test(url.hostname)) {
    throw new Misused(
      `Cannot use --upstream "${text.replace(/\/\/[^/]*@/, '//')}": name vLLM as ` +
        'http://127.0.0.1:8000, https://host or unix:/path/of/the.sock',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new Misused(
      `Cannot use --upstream ${url.origin} with a user or password in it: name the key of vLLM ` +
        'in the environment variable TOLLGATE_UPSTREAM_KEY',
    )
  }
  return url
}

function parseSocket(text: string): Upstream {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (text === '' || /["\\$:\u0000-\u001f]/.test(text)) {
    throw new Misused(
      `Cannot use --upstream "unix:${text}": name the socket, as in unix:/run/vllm.sock`,
    )
  }
  const path = resolve(text)
  const place = { host: 'localhost', port: 0, socketPath: path }
  return { server: `"unix:${path}"`, scheme: 'http', url: `unix:${path}`, tlsName: null, ...place }
}
