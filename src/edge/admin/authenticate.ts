import crypto from 'crypto'
import { problem } from '../../core/admin/problems.ts'
import type { Reply, Who } from '../../core/admin/types.ts'
import { ADMINS_ENTRY } from '../../core/config/record.ts'
import type { Admin } from '../../core/config/shapes.ts'
import { findAdmin, parseToken, readBearer } from '../../core/config/token.ts'
import { clientsZone } from '../gate/registry.ts'

const HOW = 'Send "Authorization: Bearer tga_...": make a token with tollgate admin token create'

/**
 * Who calls, by the token in the header: what policy.json said of tokens when it was last loaded. An
 * unknown token, an expired and a revoked one are told apart by nobody who does not hold it.
 */
export function authenticate(r: NginxHTTPRequest, nowMs: number): Who | Reply {
  const kept = clientsZone().get(ADMINS_ENTRY)
  if (kept === undefined) {
    const reply = problem('loading', 'policy.json has not been loaded: see the error log of nginx')
    reply.headers = { 'Retry-After': '1' }
    return reply
  }
  const token = readBearer(r.headersIn['Authorization'])
  if (token === null) return refuse(HOW)
  const admin = 'id' in parseToken(token) ? find(JSON.parse(kept) as Admin[], token, nowMs) : null
  if (!admin) {
    ngx.log(ngx.WARN, `Tollgate refused an admin token from ${r.remoteAddress}`)
    return refuse(`The token is unknown, expired or revoked. ${HOW}`)
  }
  return { id: admin.id, name: admin.name, role: admin.role }
}

function find(admins: Admin[], token: string, nowMs: number): Admin | null {
  return findAdmin(admins, crypto.createHash('sha256').update(token).digest('hex'), nowMs)
}

function refuse(detail: string): Reply {
  const reply = problem('unauthorized', detail)
  reply.headers = { 'WWW-Authenticate': 'Bearer' }
  return reply
}
