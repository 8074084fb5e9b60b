import { endJson, lookOn, startJson } from '../../core/admin/json.ts'
import { problem } from '../../core/admin/problems.ts'
import { type AdminRoute, boundsOf } from '../../core/admin/routes.ts'
import type { Reply } from '../../core/admin/types.ts'
import { giveWay } from '../giveway.ts'

const JSON_TYPE = 'application/json'
const PATCH_TYPE = 'application/merge-patch+json'

/** Characters of a body that are looked through in one go, some milliseconds. */
const SLICE_CHARS = 32768

/**
 * The body of a call, and its value, undefined where there is none. nginx has read it, up to 1 MB; most
 * calls take less, and none takes what is too much to be worked on in one go.
 */
export async function readBody(
  r: NginxHTTPRequest,
  route: AdminRoute,
): Promise<{ value: unknown; bytes: Buffer } | Reply> {
  const method = route.method
  const bytes = method === 'GET' || method === 'DELETE' ? undefined : r.requestBuffer
  if (!bytes || bytes.length === 0) return { value: undefined, bytes: Buffer.alloc(0) }
  const types = method === 'PATCH' ? [PATCH_TYPE, JSON_TYPE] : [JSON_TYPE]
  const type = ((r.headersIn['Content-Type'] || '').split(';')[0] as string).trim().toLowerCase()
  if (types.indexOf(type) < 0) {
    return problem('unsupported-type', `The body has to be sent as ${types.join(' or ')}`)
  }
  const bounds = boundsOf(route)
  if (bytes.length > bounds.bytes) {
    const detail = `This call takes at most ${bounds.bytes} bytes, not ${bytes.length}`
    return problem('too-large', detail)
  }
  const look = startJson(bytes.toString('utf8'), bounds.parts)
  while (lookOn(look, SLICE_CHARS)) await giveWay()
  const read = endJson(look)
  if ('fault' in read) return problem('bad-json', `The body ${read.fault}`)
  if ('excess' in read) return problem('too-large', `The body ${read.excess}`)
  return { value: read.value, bytes }
}
