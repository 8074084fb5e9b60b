import { createHash, randomBytes } from 'node:crypto'
import { formatKey, keyId } from '../core/config/key.ts'
import { formatToken } from '../core/config/token.ts'

/** A new key, its public id, and the hash that is stored of it. */
export type Secret = { id: string; key: string; sha256: string }

/** Makes a key of 256 random bits. */
export function createSecret(): Secret {
  const id = createKeyId()
  const key = formatKey(id, randomBytes(32))
  return { id, key, sha256: sha256Hex(key) }
}

/** Makes a token of the admin API, of 256 random bits. */
export function createToken(): { id: string; token: string; sha256: string } {
  const id = createKeyId()
  const token = formatToken(id, randomBytes(32))
  return { id, token, sha256: sha256Hex(token) }
}

/** Makes a public id by itself, for a key that was made elsewhere. */
export function createKeyId(): string {
  return keyId(randomBytes(32))
}

/** The hash under which a key is stored, of its UTF-8 bytes. */
export function sha256Hex(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
