import type { Client } from '../config/shapes.ts'
import { readLimit } from './replies.ts'
import type { Call, Reply } from './types.ts'

/** Which clients a page is to show: some of those that fit, behind one that was shown before. */
export type PageQuery = { q: string; after: string | null; limit: number }

const LIMIT_USUAL = 100
const LIMIT_MAX = 1000
const QUERY_CHARS_MAX = 128

/** Reads `q`, `after` and `limit`. */
export function readPageQuery(call: Call): PageQuery | Reply {
  const limit = readLimit(call, LIMIT_USUAL, LIMIT_MAX)
  if (typeof limit !== 'number') return limit
  const after = call.query['after']
  const q = (call.query['q'] || '').trim().slice(0, QUERY_CHARS_MAX).toLowerCase()
  return { q, after: after === undefined || after === '' ? null : after, limit }
}

/** Whether a client fits what somebody looks for: in its name, group, plan or note, or those of its keys. */
export function fitsQuery(q: string, name: string, client: Client): boolean {
  if (q === '') return true
  const texts = [name, client.group, client.plan, client.note]
  client.keys.forEach((key) => {
    texts.push(key.id, key.note)
  })
  return texts.some((text) => text !== undefined && text.toLowerCase().indexOf(q) >= 0)
}
