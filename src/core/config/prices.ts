import { priceOf } from '../limits/cost.ts'
import { BUDGETS } from '../limits/table.ts'
import { hasOwn } from './interpret.ts'
import { formatPath } from './path.ts'
import { effectiveGrant, planOf } from './resolve.ts'
import type { Budgets, Client, Clients, Grant, Policy, Problem, Scope } from './shapes.ts'

/** So many clients are named, and the rest is counted. */
const NAMED_MAX = 20

/**
 * Clients that a budget in cost holds for while models that they may use have no price: what asks for these
 * is refused, since it would be free. Plans of which that is true are told where no client has them.
 */
export function findUnpriced(document: Clients, policy: Policy): Problem[] {
  const found: Problem[] = []
  const plans = policy.plans || {}
  const isUsed: { [plan: string]: true } = {}
  let others = 0
  Object.keys(document.clients).forEach((name) => {
    const client = document.clients[name] as Client
    if (client.plan !== undefined) isUsed[`.${client.plan}`] = true
    const grant = effectiveGrant(client, policy)
    if (client.disabled || !isCostly(client, grant, policy)) return
    const scopes = client.scopes || planOf(client, policy).scopes
    const message = describe(grant.models, scopes, policy)
    if (message !== null && found.length < NAMED_MAX) {
      found.push({ path: formatPath(['clients', name]), message })
    } else if (message !== null) others++
  })
  if (others > 0) found.push({ path: 'clients', message: `The same is true of ${others} more` })
  Object.keys(plans).forEach((name) => {
    const plan = plans[name] as Grant
    const message =
      isUsed[`.${name}`] || !hasCost(plan.budgets)
        ? null
        : describe(plan.models, plan.scopes, policy)
    if (message !== null) found.push({ path: formatPath(['plans', name]), message })
  })
  return found
}

/** Whether a budget in cost holds for a client: its own or its plan's, one of a key, or its group's. */
function isCostly(client: Client, grant: Grant, policy: Policy): boolean {
  const groups = policy.groups || {}
  const group = client.group
  const shared = group !== undefined && hasOwn(groups, group) ? groups[group] : undefined
  const isOfKey = client.keys.some((key) => hasCost(key.budgets))
  return hasCost(grant.budgets) || isOfKey || hasCost(shared && shared.budgets)
}

function hasCost(budgets: Budgets | undefined): boolean {
  if (budgets === undefined) return false
  return BUDGETS.some((row) => row.unit === 'cost' && budgets[row.name] !== undefined)
}

/**
 * What may be used and has no price, with the fix; null where all has one. Of audio it tells only where the
 * scope is given by name: by default everybody has it, and hardly any server does.
 */
function describe(
  allowed: string[] | undefined,
  scopes: Scope[] | undefined,
  policy: Policy,
): string | null {
  const prices = policy.prices || {}
  // A pattern that has a star itself is priced by one that fits it as it is written.
  const isUnpriced = (pattern: string) => priceOf('', pattern, prices) === null
  if (!isUnpriced('*')) return null
  const models = (allowed || ['*']).filter(isUnpriced)
  if (models.includes('*')) {
    return (
      'A budget in cost holds, and any model may be used: requests for one without a price are refused. ' +
      'Give "*" a price in policy.json, or list models that have one'
    )
  }
  if (models.length > 0) {
    return (
      `A budget in cost holds, and these models have no price: ${models.join(', ')}. Requests for them are ` +
      'refused: give them, or "*", a price in policy.json'
    )
  }
  if (!(scopes || []).includes('audio')) return null
  return 'A budget in cost holds, and audio has the price of "*" alone: give that one in policy.json'
}
