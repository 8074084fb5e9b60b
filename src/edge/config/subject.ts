import crypto from 'crypto'
import type { Limited } from '../../core/config/record.ts'
import { subjectName } from '../../core/limits/counters.ts'

/** Sixty bits: among 100,000 subjects two get the same id with a chance of one in 200 million. */
const ID_LENGTH = 10

/** The id of a client, key or group in the counters. */
export function subjectId(of: Limited['of'], name: string): string {
  return hash(subjectName(of, name)).slice(0, ID_LENGTH)
}

/** The id of a subject by its name, `client:app`. */
export function idOf(name: string): string {
  const at = name.indexOf(':')
  return subjectId(name.slice(0, at) as Limited['of'], name.slice(at + 1))
}

/**
 * What keeps the prefix cache of a client apart from all others (CVE-2025-46570): an HMAC, so that
 * nobody can work out another one's; base64url, because vLLM refuses some characters (vllm-wire.md, 3c).
 */
export function cacheSalt(secret: string, client: string): string {
  return crypto.createHmac('sha256', secret).update(client).digest('base64url')
}

function hash(text: string): string {
  return crypto.createHash('sha256').update(text).digest('base64url')
}
