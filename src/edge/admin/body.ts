import { readJson } from '../../core/admin/json.ts'
import { problem } from '../../core/admin/problems.ts'
import type { Method, Reply } from '../../core/admin/types.ts'

const JSON_TYPE = 'application/json'
const PATCH_TYPE = 'application/merge-patch+json'

/** The body of a call, and its value, undefined where there is none. nginx has read it, up to 1 MB. */
export function readBody(
  r: NginxHTTPRequest,
  method: Method,
): { value: unknown; bytes: Buffer } | Reply {
  const bytes = method === 'GET' || method === 'DELETE' ? undefined : r.requestBuffer
  if (!bytes || bytes.length === 0) return { value: undefined, bytes: Buffer.alloc(0) }
  const types = method === 'PATCH' ? [PATCH_TYPE, JSON_TYPE] : [JSON_TYPE]
  const type = ((r.headersIn['Content-Type'] || '').split(';')[0] as string).trim().toLowerCase()
  if (types.indexOf(type) < 0) {
    return problem('unsupported-type', `The body has to be sent as ${types.join(' or ')}`)
  }
  const read = readJson(bytes.toString('utf8'))
  if ('fault' in read) return problem('bad-json', `The body ${read.fault}`)
  return { value: read.value, bytes }
}
