import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Misused, Refused } from '../output.ts'

/** An admin API, and the token for it. */
export type AdminTarget = {
  /** As it is shown: `http://127.0.0.1:9180`, `unix:/run/tollgate.sock`. */
  url: string
  scheme: 'http' | 'https'
  host: string
  port: number
  socketPath: string | null
  /** What stands before the path of every call; empty unless a proxy has it below one. */
  base: string
  token: string
  /** How long an answer may take: a large clients.json takes seconds, and may have to wait for a lock. */
  timeoutMs: number
}

/** An address that was read. */
export type AdminUrl = Omit<AdminTarget, 'token' | 'timeoutMs'>

const FORMS = 'http://127.0.0.1:9180, https://host or unix:/path/of/the.sock'
const TOKEN_BYTES_MAX = 4096

/**
 * Reads the address of an admin API. Without TLS only this machine can be asked: the token would be
 * for everybody on the way to read.
 */
export function parseAdminUrl(text: string): AdminUrl {
  if (text.startsWith('unix:')) return parseSocket(text.slice('unix:'.length))
  const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : null
  if (url === null) throw new Misused(`Cannot use --admin "${hideUser(text)}": write ${FORMS}`)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Misused(
      `Cannot use --admin ${url.origin} with a user, query or # in it: a token never stands in an ` +
        'address. Set TOLLGATE_ADMIN_TOKEN, or name a file with --admin-token-file',
    )
  }
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  // Not what a file of names makes of it.
  const host = url.hostname === 'localhost' ? '127.0.0.1' : url.hostname.replace(/[[\]]/g, '')
  if (scheme === 'http' && !isLoopback(host)) {
    throw new Misused(
      `Cannot use --admin ${url.origin}: without TLS the token could be read on the way. Write ` +
        `https://${url.host}, or reach it through a tunnel: ssh -L 9180:127.0.0.1:9180 ${url.hostname}`,
    )
  }
  const base = url.pathname.replace(/\/+$/, '')
  const port = Number(url.port || (scheme === 'https' ? 443 : 80))
  return { url: url.origin + base, scheme, host, port, socketPath: null, base }
}

/** The token, from a file that was named, else from the environment: never from an argument. */
export function readToken(file: string | undefined): string {
  const token = (
    file === undefined ? (process.env.TOLLGATE_ADMIN_TOKEN ?? '') : readFile(file)
  ).trim()
  const source = file === undefined ? 'TOLLGATE_ADMIN_TOKEN' : file
  if (token === '') {
    throw new Refused(
      `There is no admin token in ${source}: make one on the host of the gate with tollgate admin ` +
        'token create NAME --role read|write, and set TOLLGATE_ADMIN_TOKEN or --admin-token-file',
    )
  }
  if (/^[\w-]+$/.test(token)) return token
  throw new Refused(
    `What stands in ${source} is no admin token: it begins with tga_, alone in a line`,
  )
}

function parseSocket(path: string): AdminUrl {
  if (path === '') throw new Misused(`Cannot use --admin "unix:": write ${FORMS}`)
  const socketPath = resolve(path)
  const place = { host: 'localhost', port: 0, socketPath, base: '' }
  return { url: `unix:${socketPath}`, scheme: 'http', ...place }
}

function isLoopback(host: string): boolean {
  return (isIP(host) === 4 && host.startsWith('127.')) || host === '::1'
}

/** A password in an address that cannot be read is not shown. */
function hideUser(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//').slice(0, 200)
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, TOKEN_BYTES_MAX)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Refused(`Cannot read the admin token in ${path}: ${code}`)
  }
}
