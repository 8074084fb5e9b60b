import { parseTime } from '../time.ts'
import { type Bytes, formatCredential, type KeyProblem, parseCredential } from './key.ts'
import type { Admin } from './shapes.ts'

/**
 * The format of the tokens of the admin API: `tga_<id>_<secret><checksum>`, made as the keys of
 * core/config/key.ts with another prefix, so that neither is ever taken for the other.
 */
export const TOKEN_PREFIX = 'tga_'

/** What a token is at a moment. */
export type AdminState = 'live' | 'revoked' | 'expired'

/** Makes the token of an id and 32 random bytes. */
export function formatToken(id: string, bytes: Bytes): string {
  return formatCredential(TOKEN_PREFIX, id, bytes)
}

/** Reads the public id out of a token, or says what is wrong with it. Nothing is looked up. */
export function parseToken(text: string): { id: string } | { problem: KeyProblem } {
  return parseCredential(TOKEN_PREFIX, text)
}

/** What a token is at a moment. Closed: a date that nobody can read has passed. */
export function adminState(admin: Admin, nowMs: number): AdminState {
  if (admin.revoked) return 'revoked'
  if (!admin.expires) return 'live'
  const expiresMs = parseTime(admin.expires)
  return expiresMs === null || expiresMs <= nowMs ? 'expired' : 'live'
}

/** The one whose token has this hash, in hexadecimal; null when it is unknown, expired or revoked. */
export function findAdmin(admins: Admin[], sha256: string, nowMs: number): Admin | null {
  const found = admins.find((admin) => admin.sha256 === sha256)
  return found && adminState(found, nowMs) === 'live' ? found : null
}

/** The token of an `Authorization` header; null when there is none. */
export function readBearer(header: string | undefined): string | null {
  const match = /^Bearer +([A-Za-z0-9_]+) *$/i.exec(header || '')
  return match ? (match[1] as string) : null
}
