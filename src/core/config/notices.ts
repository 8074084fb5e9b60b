import { hasOwn } from './interpret.ts'
import { formatPath } from './path.ts'
import type { Client, Clients, Grant, Policy, Problem } from './shapes.ts'

/**
 * What is allowed and does less than it seems to: cost budgets while no model has a price, and groups
 * that the policy does not know while it knows others. One notice of a kind.
 */
export function findNotices(document: Clients, policy: Policy): Problem[] {
  const groups = policy.groups || {}
  const notices: Problem[] = []
  const grants: [string[], Grant][] = []
  const plans = policy.plans || {}
  Object.keys(plans).forEach((name) => {
    grants.push([['plans', name], plans[name] as Grant])
  })
  Object.keys(document.clients).forEach((name) => {
    grants.push([['clients', name], document.clients[name] as Grant])
  })
  const costly = policy.prices ? undefined : grants.find((entry) => hasCostBudget(entry[1]))
  if (costly) {
    const path = formatPath(costly[0].concat(['budgets']))
    notices.push({ path, message: 'No model has a price in policy.json: nothing costs anything' })
  }
  const lost = grants.find((entry) => isUnknownGroup((entry[1] as Client).group, groups))
  if (lost && Object.keys(groups).length > 0) {
    const path = formatPath(lost[0].concat(['group']))
    notices.push({ path, message: 'The group is not in policy.json: it is a name in the log only' })
  }
  return notices
}

function hasCostBudget(grant: Grant): boolean {
  const budgets = grant.budgets || {}
  return budgets.costPerDay !== undefined || budgets.costPerMonth !== undefined
}

function isUnknownGroup(group: string | undefined, groups: object): boolean {
  return group !== undefined && !hasOwn(groups, group)
}
