import { hasOwn } from './interpret.ts'
import { formatPath } from './path.ts'
import { findUnpriced } from './prices.ts'
import type { Client, Clients, Policy, Problem } from './shapes.ts'

/** What is allowed and does other than it seems to, see below and prices.ts. */
export function findNotices(document: Clients, policy: Policy): Problem[] {
  return findUnpriced(document, policy).concat(findLostGroup(document, policy))
}

/** A group that the policy does not know while it knows others; the first one. */
export function findLostGroup(document: Clients, policy: Policy): Problem[] {
  const groups = policy.groups || {}
  const isLost = (name: string) => {
    const group = (document.clients[name] as Client).group
    return group !== undefined && !hasOwn(groups, group)
  }
  const lost = Object.keys(document.clients).find(isLost)
  if (lost === undefined || Object.keys(groups).length === 0) return []
  const path = formatPath(['clients', lost, 'group'])
  return [{ path, message: 'The group is not in policy.json: it is a name in the log only' }]
}
