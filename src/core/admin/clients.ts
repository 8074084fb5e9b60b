import { clientOf, putClient, type Refused } from '../config/edits.ts'
import { hasOwn, isObject } from '../config/interpret.ts'
import { replace, withNamed } from '../config/replace.ts'
import { NAMED_MAX } from '../config/schema.ts'
import type { Client, Clients, Grant, Policy, Problem } from '../config/shapes.ts'
import { validateClients, validatePolicy } from '../config/validate.ts'
import { relativeTo } from './bodies.ts'
import { mergePatch } from './patch.ts'

/*
 * Edits that the admin API makes beside those of edits.ts: as values, like those.
 */

/** Where the other fields of a client are changed that the API shows with it. */
const ELSEWHERE: { [field: string]: string } = {
  name: 'It is the name in the path, and stays',
  keys: 'Keys are changed at /clients/{name}/keys and /keys/{id}',
  effective: 'It is what the plan makes of the other fields',
}

/** Gives a client these fields and no others, and lets it keep its keys. It is made where it is new. */
export function setClient(
  document: Clients,
  policy: Policy,
  name: string,
  fields: unknown,
): { document: Clients; client: Client } | Refused {
  const foreign = findForeign(fields)
  if (foreign) return foreign
  const found = clientOf(document, name)
  const client = replace(fields as object, { keys: found ? found.keys : [] }) as Client
  const problems = validateClients({ version: 1, clients: { [name]: client } }, policy)
  if (problems.length > 0) return refuseAll(relativeTo(['clients', name], problems))
  return { document: putClient(document, name, client), client }
}

/** Changes fields of a client by a merge patch. The client has to be there. */
export function patchClient(
  document: Clients,
  policy: Policy,
  name: string,
  patch: unknown,
): { document: Clients; client: Client } | Refused {
  const foreign = findForeign(patch)
  if (foreign) return foreign
  const fields = replace({}, clientOf(document, name) || { keys: [] }) as Partial<Client>
  delete fields.keys
  return setClient(document, policy, name, mergePatch(fields, patch))
}

/** Gives a plan these fields and no others. */
export function setPlan(
  policy: Policy,
  name: string,
  fields: unknown,
): { policy: Policy; plan: Grant } | Refused {
  const alone = replace(policy, { plans: { [name]: fields as Grant } })
  const problems = validatePolicy(alone)
  if (problems.length > 0) return refuseAll(relativeTo(['plans', name], problems))
  const plan = fields as Grant
  if (!hasOwn(policy.plans || {}, name) && Object.keys(policy.plans || {}).length >= NAMED_MAX) {
    const message = `There are ${NAMED_MAX} plans, the most there can be`
    return refuseAll([{ path: '', message }])
  }
  return { policy: replace(policy, { plans: withNamed(policy.plans, name, plan) }), plan }
}

/** Refuses with problems whose paths are those of the body. */
export function refuseAll(problems: Problem[]): Refused {
  const many = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  return Object.assign({ refused: `Nothing was changed: ${many}` }, { problems })
}

function findForeign(fields: unknown): Refused | null {
  if (!isObject(fields)) return refuseAll([{ path: '', message: 'Must be an object' }])
  const names = Object.keys(ELSEWHERE).filter((name) => fields[name] !== undefined)
  if (names.length === 0) return null
  return refuseAll(names.map((path) => ({ path, message: ELSEWHERE[path] as string })))
}
