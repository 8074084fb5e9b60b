import { formatAudit } from '../../core/admin/auditline.ts'
import { problem } from '../../core/admin/problems.ts'
import { matchRoute, parseQuery } from '../../core/admin/routes.ts'
import type { Call, Method, Reply, Who } from '../../core/admin/types.ts'
import { startSlice } from '../giveway.ts'
import { authenticate } from './authenticate.ts'
import { readBody } from './body.ts'
import { findHandler } from './handlers.ts'
import { answerOnce } from './idempotency.ts'
import { placesOf } from './places.ts'

/**
 * What an answer with 200 leaves this handler as: nginx compares If-Match and If-None-Match of the
 * request with the ETag of an answer that is 200, and would make a 412 of a change that was made; njs
 * 0.8.9 even crashes then. showStatus() comes after that and puts it right.
 */
const OK_IN_DISGUISE = 299

/** js_content of the admin listener: every call of the admin API. */
export async function api(r: NginxHTTPRequest): Promise<void> {
  let reply: Reply
  try {
    reply = await answer(r)
  } catch (error) {
    ngx.log(ngx.ERR, `Tollgate's admin API broke: ${describe(error as Error)}`)
    reply = problem('broken', 'See the error log of nginx, by the id in X-Request-Id')
  }
  send(r, reply)
}

/** js_header_filter of the same location. */
export function showStatus(r: NginxHTTPRequest): void {
  if (r.status === OK_IN_DISGUISE) r.status = 200
}

/** The first thing that is wrong decides: path, method, token, role, body. */
async function answer(r: NginxHTTPRequest): Promise<Reply> {
  startSlice()
  const target = r.variables['request_uri'] || ''
  const cut = target.indexOf('?')
  const path = cut < 0 ? target : target.slice(0, cut)
  const nowMs = Date.now()
  const who = authenticate(r, nowMs)
  const match = matchRoute(r.method, path)
  if ('fault' in match) return faultOf(match.fault, who)
  if ('allow' in match) return notAllowed(r.method, match.allow, who)
  if ('status' in who) return who
  if (match.route.role === 'write' && who.role !== 'write') {
    return problem('read-role', `The token "${who.id}" has the role read; this needs write`)
  }
  const body = await readBody(r, match.route)
  if ('status' in body) return body
  const call: Call = {
    method: match.route.method,
    path,
    params: match.params,
    query: parseQuery(cut < 0 ? '' : target.slice(cut + 1)),
    header: (name) => r.headersIn[name],
    body: body.value,
    who,
    id: r.variables['request_id'] || '',
    remote: r.remoteAddress,
    places: placesOf(r),
    nowMs,
  }
  const handler = findHandler(match.route)
  // What only looks may be asked again: kept answers of it would let a reading token fill the zone.
  const isChange = call.method === 'POST' && match.route.role === 'write'
  const key = isChange ? call.header('Idempotency-Key') : undefined
  const reply =
    key === undefined ? await handler(call) : await answerOnce(call, key, body.bytes, handler)
  if (reply.audit) r.variables['tollgate_audit'] = formatAudit(call, reply.audit)
  return reply
}

/** Without a token nobody learns which paths there are. */
function faultOf(fault: 'unknown' | 'encoding', who: Who | Reply): Reply {
  if ('status' in who) return who
  if (fault === 'encoding') return problem('bad-request', 'The path is not encoded as UTF-8')
  return problem('unknown-path', 'The calls are listed in /openapi.json')
}

function notAllowed(method: string, allow: string, who: Who | Reply): Reply {
  if ('status' in who) return who
  const reply = problem('method-not-allowed', `${method as Method} is not one of ${allow}`)
  reply.headers = { Allow: allow }
  return reply
}

function send(r: NginxHTTPRequest, reply: Reply): void {
  const headers = reply.headers || {}
  Object.keys(headers).forEach((name) => {
    r.headersOut[name] = headers[name] as string
  })
  const status = reply.status === 200 ? OK_IN_DISGUISE : reply.status
  if (reply.status === 204) {
    r.return(204)
    return
  }
  r.headersOut['Content-Type'] = reply.contentType || 'application/json'
  r.return(status, reply.text === undefined ? JSON.stringify(reply.body) : reply.text)
}

function describe(error: Error): string {
  return error && error.stack ? error.stack : `${error}`
}
