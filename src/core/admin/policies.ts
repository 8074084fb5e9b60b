import type { Refused } from '../config/edits.ts'
import { hasOwn, isObject } from '../config/interpret.ts'
import { replace } from '../config/replace.ts'
import type { Policy } from '../config/shapes.ts'
import { refuseAll } from './clients.ts'
import { KEPT } from './present.ts'

/**
 * The policy that a body comes to: tokens stay as they are, and so does a secret that is said to be kept.
 * What was read by GET /policy can be sent back. What else is wrong with it has to be looked for yet.
 */
export function readPolicyBody(body: unknown, current: Policy): { policy: Policy } | Refused {
  if (!isObject(body)) return refuseAll([{ path: '', message: 'Must be an object' }])
  const policy = replace({}, body) as unknown as Policy
  if (policy.cacheSaltSecret === KEPT) {
    if (current.cacheSaltSecret === undefined) {
      const message = 'There is none to be kept: leave it out, or send any random text'
      return refuseAll([{ path: 'cacheSaltSecret', message }])
    }
    policy.cacheSaltSecret = current.cacheSaltSecret
  }
  if (current.admins) policy.admins = current.admins
  return { policy }
}

/** What clients rely on that the next policy has no more: plans, and the secret of the salts. */
export function findLost(
  current: Policy,
  next: Policy,
): { plans: string[]; isSecretLost: boolean } {
  const plans = next.plans || {}
  return {
    plans: Object.keys(current.plans || {}).filter((name) => !hasOwn(plans, name)),
    isSecretLost: current.cacheSaltSecret !== undefined && next.cacheSaltSecret === undefined,
  }
}

/** Whether a body tries to change who may call. */
export function hasAdmins(body: unknown): boolean {
  return isObject(body) && body['admins'] !== undefined
}
