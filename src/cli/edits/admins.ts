import { type Refused, refuseProblems } from '../../core/config/edits.ts'
import { replace } from '../../core/config/replace.ts'
import type { Admin, Policy, Role } from '../../core/config/shapes.ts'
import { validatePolicy } from '../../core/config/validate.ts'
import { formatTime } from '../../core/time.ts'

/*
 * Edits of the tokens in policy.json, as values like those of edits.ts. The command line alone uses
 * them: the admin API can neither read nor change who may call it.
 */

/** A token to add. `sha256` is that of the whole token, in hexadecimal. */
export type NewAdmin = {
  id: string
  name: string
  role: Role
  sha256: string
  nowMs: number
  expiresMs?: number | undefined
  note?: string | undefined
}

/** Adds a token. Several may have the same name: that is how tokens rotate. */
export function addAdmin(
  policy: Policy,
  request: NewAdmin,
): { policy: Policy; admin: Admin } | Refused {
  if (request.expiresMs !== undefined && request.expiresMs <= request.nowMs) {
    return { refused: `The expiry ${formatTime(request.expiresMs)} is past; name a later time` }
  }
  const admin: Admin = {
    id: request.id,
    name: request.name,
    role: request.role,
    sha256: request.sha256,
    created: formatTime(request.nowMs),
  }
  if (request.expiresMs !== undefined) admin.expires = formatTime(request.expiresMs)
  if (request.note) admin.note = request.note
  const changed = replace(policy, { admins: (policy.admins || []).concat([admin]) })
  return refuseProblems(validatePolicy(changed)) || { policy: changed, admin }
}

/** Revokes a token for good. Its record stays, so that the audit log can be read. */
export function revokeAdmin(
  policy: Policy,
  id: string,
  nowMs: number,
): { policy: Policy; admin: Admin; wasRevoked: boolean } | Refused {
  const admins = policy.admins || []
  const found = admins.find((admin) => admin.id === id)
  if (!found) {
    return { refused: `No token has the id "${id.slice(0, 20)}"; see: tollgate admin token list` }
  }
  if (found.revoked) return { policy, admin: found, wasRevoked: true }
  const admin = replace(found, { revoked: formatTime(nowMs) })
  const changed = admins.map((other) => (other === found ? admin : other))
  return { policy: replace(policy, { admins: changed }), admin, wasRevoked: false }
}
