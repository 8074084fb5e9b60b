import { formatKey, keyId } from '../../core/config/key.ts'
import { sha256Hex } from './hash.ts'

/** A new key, its public id, and the hash that is stored of it: 256 random bits of the system. */
export function createSecret(): { id: string; key: string; sha256: string } {
  const id = keyId(randomBytes())
  const key = formatKey(id, randomBytes())
  return { id, key, sha256: sha256Hex(key) }
}

/** Both engines have WebCrypto as a global, which a module that imports `crypto` does not see. */
function randomBytes(): Uint8Array {
  const bytes = new Uint8Array(32)
  crypto.getRandomValues(bytes)
  return bytes
}
