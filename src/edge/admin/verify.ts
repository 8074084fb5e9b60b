import { showKey } from '../../core/admin/present.ts'
import { problem } from '../../core/admin/problems.ts'
import { invalid } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { findKeyByHash } from '../../core/config/edits.ts'
import { isObject } from '../../core/config/interpret.ts'
import { HASH_PATTERN } from '../../core/config/schema.ts'
import { readSome } from '../config/store.ts'

/**
 * POST /keys/verify: which key has this SHA-256, for somebody who holds the key and does not send it. A
 * POST, because a path stands in logs.
 */
export async function verifyKey(call: Call): Promise<Reply> {
  const sha256 = isObject(call.body) ? call.body['sha256'] : undefined
  if (typeof sha256 !== 'string' || !new RegExp(HASH_PATTERN).test(sha256)) {
    const message = 'Must be 64 hexadecimal digits in lower case, the SHA-256 of the key'
    return invalid([{ path: 'sha256', message }])
  }
  const found = await readSome(call.places.dir, { name: null, keys: [sha256] })
  if ('status' in found) return found
  const owner = findKeyByHash(found.clients, sha256)
  if (!owner) return problem('unknown-key', 'No key has this SHA-256')
  const shown = showKey(owner.client, owner.key, call.nowMs)
  return { status: 200, body: Object.assign(shown, { client: owner.name }) }
}
