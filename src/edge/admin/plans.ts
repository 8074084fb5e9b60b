import { describeChange } from '../../core/admin/change.ts'
import { setPlan } from '../../core/admin/clients.ts'
import { checkCondition } from '../../core/admin/etag.ts'
import { problem } from '../../core/admin/problems.ts'
import { conditionOf, refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { hasOwn } from '../../core/config/interpret.ts'
import { PLANS_ENTRY } from '../../core/config/record.ts'
import { replace, withoutNamed } from '../../core/config/replace.ts'
import type { Grant, Policy } from '../../core/config/shapes.ts'
import { editPolicy, usersOf } from '../config/policystore.ts'
import { readPolicy } from '../config/store.ts'
import { clientsZone } from '../gate/registry.ts'
import { tagged } from './clients.ts'
import { etagOf } from './hash.ts'

const USERS_TOLD = 5

/** GET /plans. */
export function listPlans(call: Call): Reply {
  const policy = readPolicy(call.places.dir)
  if ('status' in policy) return policy
  const plans = policy.plans || {}
  const counts = readCounts()
  const shown = Object.keys(plans).map((name) => showPlan(name, plans[name] as Grant, counts))
  return { status: 200, body: { plans: shown } }
}

/** GET /plans/{name}. */
export function getPlan(call: Call): Reply {
  const name = call.params['name'] as string
  const policy = readPolicy(call.places.dir)
  if ('status' in policy) return policy
  const plan = storedPlan(policy, name)
  return plan ? tagged(200, plan, showPlan(name, plan, readCounts())) : unknownPlan(name)
}

/** PUT /plans/{name}. */
export async function putPlan(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const result = await editPolicy(call.places.dir, (current) => {
    const before = storedPlan(current, name)
    const refused = checkCondition(conditionOf(call), before && etagOf(before))
    if (refused) return refused
    const edited = setPlan(current, name, call.body === undefined ? {} : call.body)
    return 'refused' in edited ? edited : replace(edited, { before })
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-plan')
  const shown = showPlan(name, result.plan, readCounts())
  const reply = tagged(result.before ? 200 : 201, result.plan, shown)
  const action = result.before ? 'plan.change' : 'plan.create'
  return Object.assign(reply, { audit: describeChange(action, name, result.before, result.plan) })
}

/** DELETE /plans/{name}. */
export async function deletePlan(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const users = await usersOf(call.places.dir, name)
  if ('status' in users) return users
  const result = await editPolicy(call.places.dir, (current) => {
    const before = storedPlan(current, name)
    if (!before) return unknownPlan(name)
    const refused = checkCondition(conditionOf(call), etagOf(before))
    if (refused) return refused
    if (users.length > 0) return inUse(name, users)
    return { policy: replace(current, { plans: withoutNamed(current.plans, name) }), before }
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-plan')
  return { status: 204, audit: describeChange('plan.remove', name, result.before, null) }
}

type Counts = { [plan: string]: number }

/** How many clients have each plan in the configuration that is in force. */
function readCounts(): Counts {
  return JSON.parse(clientsZone().get(PLANS_ENTRY) || '{}')
}

/** A plan as it is shown: with how many clients have it. */
function showPlan(name: string, plan: Grant, counts: Counts): object {
  const clients = hasOwn(counts, name) ? (counts[name] as number) : 0
  return replace({ name, clients }, plan)
}

function storedPlan(policy: Policy, name: string): Grant | null {
  const plans = policy.plans || {}
  return hasOwn(plans, name) ? (plans[name] as Grant) : null
}

function unknownPlan(name: string): Reply {
  return problem('unknown-plan', `No plan "${name.slice(0, 128)}" in policy.json`)
}

function inUse(name: string, users: string[]): Reply {
  const some = users.slice(0, USERS_TOLD).join(', ')
  const more = users.length > USERS_TOLD ? ' and others' : ''
  return problem('in-use', `Plan "${name}" is that of ${some}${more}: give them another one first`)
}
