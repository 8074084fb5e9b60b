import { problem } from '../../core/admin/problems.ts'
import type { Call, Handler, Reply } from '../../core/admin/types.ts'
import { isWorker } from '../running/workers.ts'
import { sha256Hex } from './hash.ts'

/** What stands in the zone for an Idempotency-Key: while the first call runs, and what it was answered. */
type Kept = { body: string; pid: number; reply?: Reply }

const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/

/**
 * Answers a POST with an Idempotency-Key once: who sends the same again, because the answer got lost, gets
 * the same answer and no second key. A secret is not among what is kept, so it cannot be told again.
 * The key is bound to the token, the path and the body, and known for a day.
 */
export async function answerOnce(
  call: Call,
  key: string,
  bodyBytes: Buffer,
  handler: Handler,
): Promise<Reply> {
  if (!KEY_PATTERN.test(key)) {
    return problem('bad-request', 'Idempotency-Key must be 1 to 255 visible ASCII characters')
  }
  const zone = ngx.shared['tollgate_idempotency'] as NgxSharedDict<string>
  const entry = sha256Hex(JSON.stringify([call.who.id, call.method, call.path, key]))
  const body = sha256Hex(bodyBytes)
  const other = claim(zone, entry, { body, pid: process.pid })
  if (other) return 'status' in other ? other : replay(other, body)
  let reply: Reply
  try {
    reply = await handler(call)
  } catch (error) {
    zone.delete(entry)
    throw error
  }
  keep(zone, entry, { body, pid: process.pid, reply })
  return reply
}

/** Notes that the call runs now; what stands there when it did before. */
function claim(zone: NgxSharedDict<string>, entry: string, kept: Kept): Kept | Reply | null {
  const text = JSON.stringify(kept)
  try {
    if (zone.add(entry, text)) return null
    const found = zone.get(entry)
    // It may have expired in between.
    if (found === undefined) return zone.add(entry, text) ? null : stillRuns()
    const other = JSON.parse(found) as Kept
    if (other.reply || isWorker(other.pid)) return other
    // Its worker has died over it.
    zone.set(entry, text)
    return null
  } catch (_) {
    return problem(
      'full',
      'tollgate_idempotency is full: make it larger, or send no Idempotency-Key',
    )
  }
}

function replay(kept: Kept, body: string): Reply {
  if (kept.body !== body) {
    return problem('idempotency-mismatch', 'The first request with it had another body')
  }
  if (!kept.reply) return stillRuns()
  const headers = Object.assign({}, kept.reply.headers)
  headers['Idempotent-Replayed'] = 'true'
  return Object.assign(kept.reply, { headers })
}

function stillRuns(): Reply {
  const reply = problem('still-running', 'Wait for it, and send this again when it was lost')
  reply.headers = { 'Retry-After': '1' }
  return reply
}

/** What may be different the next time, such as a lock that is held, is not kept. */
function keep(zone: NgxSharedDict<string>, entry: string, kept: Kept): void {
  const reply = kept.reply as Reply
  if (reply.status >= 500) {
    zone.delete(entry)
    return
  }
  const body: { [name: string]: unknown } = Object.assign({}, reply.body)
  const once = reply.once || []
  once.forEach((name) => {
    delete body[name]
  })
  const told: Reply = { status: reply.status, body, headers: reply.headers || {} }
  if (reply.contentType) told.contentType = reply.contentType
  try {
    zone.set(entry, JSON.stringify({ body: kept.body, pid: kept.pid, reply: told }))
  } catch (_) {
    // The change is made. Until the entry ends it says 409, which is better than making it twice.
  }
}
