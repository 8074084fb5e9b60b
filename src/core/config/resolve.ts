import { NANOS } from '../limits/cost.ts'
import { areSoft } from '../limits/quick.ts'
import { BUDGETS } from '../limits/table.ts'
import { parseTime, parseZone } from '../time.ts'
import { hasOwn } from './interpret.ts'
import { defaultScopes, type KeyRecord, type Limited, type Rules } from './record.ts'
import type { Budgets, Client, Grant, Key, Limits, Policy, Scope } from './shapes.ts'

/** The packed form of the policy's routes, see routeAccess(). Never empty. */
export function packRoutes(policy: Policy): string {
  const routes = policy.routes || {}
  let packed = ';'
  Object.keys(routes).forEach((name) => {
    packed += `${name}=${routes[name]};`
  })
  return packed
}

/** What resolving needs of the platform: hashes, which core cannot make by itself. */
export type Hashes = {
  /** The id of a subject in the counters, see counters.ts. */
  subjectId(of: Limited['of'], name: string): string
  /** The cache salt of a client, base64url. */
  salt(secret: string, client: string): string
}

/** The record of one key as JSON: the client's fields over its plan's. */
export function resolveKey(
  name: string,
  client: Client,
  key: Key,
  policy: Policy,
  hashes: Hashes,
): string {
  const plan = planOf(client, policy)
  const record: KeyRecord = { client: name, key: key.id }
  const scopes = client.scopes || plan.scopes
  const addresses = client.addresses || plan.addresses
  const models = client.models || plan.models
  const priority = client.priority === undefined ? plan.priority : client.priority
  const request = merge(plan.request, client.request)
  const limited = limitedOf(name, client, key, policy, hashes)
  if (scopes && !isDefault(scopes)) record.scopes = scopes
  if (addresses) record.addresses = addresses
  if (models) record.models = models
  if (request) record.request = request
  if (client.group !== undefined) record.group = client.group
  if (limited.length > 0) record.limited = limited
  if (pick(client.shadow, plan.shadow)) record.shadow = true
  if (priority !== undefined) record.priority = priority
  if (pick(client.cacheSalt, plan.cacheSalt) && policy.cacheSaltSecret) {
    record.salt = hashes.salt(policy.cacheSaltSecret, name)
  }
  if (key.expires) record.expires = parseTime(key.expires) || 0
  if (key.revoked) record.revoked = true
  if (client.disabled) record.disabled = true
  // What cannot be read has expired long ago.
  if (isUsual(record)) record.usual = record.expires === undefined ? 0 : record.expires || 1
  return JSON.stringify(record)
}

/** Whether the quick way of the gate knows all that stands in a record. Of scopes it goes by that of chats alone. */
function isUsual(record: KeyRecord): boolean {
  if (record.scopes && !record.scopes.includes('inference')) return false
  const odd = ['addresses', 'shadow', 'priority', 'salt', 'revoked', 'disabled'] as const
  return areSoft(record.limited || []) && odd.every((name) => record[name] === undefined)
}

/** What holds for a client: its own fields over its plan's, and the default scopes. */
export function effectiveGrant(client: Client, policy: Policy): Grant {
  const plan = planOf(client, policy)
  const grant: Grant = { scopes: client.scopes || plan.scopes || defaultScopes() }
  const addresses = client.addresses || plan.addresses
  const models = client.models || plan.models
  const limits = merge(plan.limits, client.limits)
  const budgets = merge(plan.budgets, client.budgets)
  const request = merge(plan.request, client.request)
  const priority = client.priority === undefined ? plan.priority : client.priority
  if (models) grant.models = models
  if (addresses) grant.addresses = addresses
  if (limits) grant.limits = limits
  if (budgets) grant.budgets = budgets
  if (request) grant.request = request
  if (priority !== undefined) grant.priority = priority
  if (pick(client.cacheSalt, plan.cacheSalt)) grant.cacheSalt = true
  if (pick(client.shadow, plan.shadow)) grant.shadow = true
  return grant
}

/** Whose limits hold for a key: those of its client (plan and client merged), its own, its group's. */
export function limitedOf(
  name: string,
  client: Client,
  key: Key,
  policy: Policy,
  hashes: Pick<Hashes, 'subjectId'>,
): Limited[] {
  const plan = planOf(client, policy)
  const group = client.group
  const groups = policy.groups || {}
  const shared = group !== undefined && hasOwn(groups, group) ? groups[group] : undefined
  const limited: Limited[] = []
  const add = (
    of: Limited['of'],
    subject: string,
    limits: Limits | undefined,
    budgets: Budgets | undefined,
  ) => {
    if (!limits && !budgets) return
    const entry: Limited = { of, id: hashes.subjectId(of, subject) }
    if (limits) entry.limits = limits
    if (budgets) entry.budgets = inNanos(budgets)
    limited.push(entry)
  }
  add('client', name, merge(plan.limits, client.limits), merge(plan.budgets, client.budgets))
  add('key', key.id, key.limits, key.budgets)
  if (group !== undefined && shared) add('group', group, shared.limits, shared.budgets)
  return limited
}

/** Where days and months of a policy begin, minutes east of UTC. */
export function zoneOf(policy: Policy): number {
  return (policy.timeZone !== undefined && parseZone(policy.timeZone)) || 0
}

/**
 * What policy.json says of every request, as JSON; empty where everything is at its default. The time
 * zone is the one in force, see Rules.
 */
export function packRules(policy: Policy, zoneMinutes?: number): string {
  const rules: Rules = {}
  if (policy.metering && policy.metering !== 'exact') rules.metering = policy.metering
  if (policy.defaultModel !== undefined) rules.defaultModel = policy.defaultModel
  if (policy.defaultOutputTokens) rules.defaultOutputTokens = policy.defaultOutputTokens
  if (policy.maxInFlight) rules.maxInFlight = policy.maxInFlight
  if (zoneMinutes) rules.zoneMinutes = zoneMinutes
  const packed = JSON.stringify(rules)
  return packed === '{}' ? '' : packed
}

/** The plan a client names, or one without any rule. */
export function planOf(client: Client, policy: Policy): Grant {
  const plans = policy.plans || {}
  const plan = client.plan
  if (plan === undefined || !hasOwn(plans, plan)) return {}
  return plans[plan] || {}
}

function isDefault(scopes: Scope[]): boolean {
  const usual = defaultScopes()
  return scopes.length === usual.length && scopes.join() === usual.join()
}

/** Field by field: what the client says, else what its plan says; undefined where nothing is said. */
function merge<T extends object>(plan: T | undefined, client: T | undefined): T | undefined {
  const merged = Object.assign(Object.assign({}, plan), client)
  return Object.keys(merged).length > 0 ? (merged as T) : undefined
}

function pick(client: boolean | undefined, plan: boolean | undefined): boolean {
  return (client === undefined ? plan : client) === true
}

function inNanos(budgets: Budgets): Budgets {
  const exact = Object.assign({}, budgets)
  BUDGETS.forEach((row) => {
    const limit = exact[row.name]
    if (row.unit === 'cost' && limit !== undefined) exact[row.name] = Math.round(limit * NANOS)
  })
  return exact
}
