import { defaultScopes, type KeyRecord } from './record.ts'
import type { Client, Grant, Key, Policy, Scope } from './shapes.ts'
import { parseTime } from './time.ts'

/** The packed form of the policy's routes, see routeAccess(). Never empty. */
export function packRoutes(policy: Policy): string {
  const routes = policy.routes || {}
  let packed = ';'
  Object.keys(routes).forEach((name) => {
    packed += `${name}=${routes[name]};`
  })
  return packed
}

/** The record of one key as JSON: the client's fields over its plan's. */
export function resolveKey(name: string, client: Client, key: Key, policy: Policy): string {
  const plan = planOf(client, policy)
  const scopes = client.scopes || plan.scopes
  const addresses = client.addresses || plan.addresses
  const record: KeyRecord = { client: name, key: key.id }
  if (scopes && !isDefault(scopes)) record.scopes = scopes
  if (addresses) record.addresses = addresses
  if (key.expires) record.expires = parseTime(key.expires) || 0
  if (key.revoked) record.revoked = true
  if (client.disabled) record.disabled = true
  return JSON.stringify(record)
}

/** The plan a client names, or one without any rule. */
export function planOf(client: Client, policy: Policy): Grant {
  const plans = policy.plans || {}
  const plan = client.plan
  if (plan === undefined || !Object.prototype.hasOwnProperty.call(plans, plan)) return {}
  return plans[plan] || {}
}

function isDefault(scopes: Scope[]): boolean {
  const usual = defaultScopes()
  return scopes.length === usual.length && scopes.join() === usual.join()
}
