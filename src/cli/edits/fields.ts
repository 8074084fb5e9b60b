import {
  clientOf,
  putClient,
  type Refused,
  refuseClient,
  refuseProblems,
} from '../../core/config/edits.ts'
import { describeUnknownField, hasOwn, isObject } from '../../core/config/interpret.ts'
import { replace, withNamed } from '../../core/config/replace.ts'
import { clientSchema, policySchema, type Schema } from '../../core/config/schema.ts'
import type { Client, Clients, Grant, Policy } from '../../core/config/shapes.ts'
import { closest } from '../../core/config/suggest.ts'
import { validateClients, validatePolicy } from '../../core/config/validate.ts'

type Fields = { [name: string]: unknown }

/** A field to set, by its dotted path (`limits.requestsPerMinute`). null takes it away. */
export type Assignment = { path: string; value: unknown }

/** Sets fields of a client; what does not fit is refused with its path. */
export function setClientFields(
  document: Clients,
  policy: Policy,
  name: string,
  assignments: Assignment[],
): { document: Clients; client: Client } | Refused {
  const found = clientOf(document, name)
  if (!found) return refuseClient(document, name)
  const changed = applyAll(found, clientSchema(), assignments)
  if ('refused' in changed) return changed
  const alone = { version: 1, clients: { [name]: changed.fields } }
  const refused = refuseProblems(validateClients(alone, policy))
  if (refused) return refused
  const client = changed.fields as Client
  return { document: putClient(document, name, client), client }
}

/** Sets fields of a plan; a plan that is not there yet is made. */
export function setPlanFields(
  policy: Policy,
  name: string,
  assignments: Assignment[],
): { policy: Policy; plan: Grant; isNewPlan: boolean } | Refused {
  const plans = policy.plans || {}
  const isNewPlan = !hasOwn(plans, name)
  const changed = applyAll(plans[name] && !isNewPlan ? plans[name] : {}, planSchema(), assignments)
  if ('refused' in changed) return changed
  const plan = changed.fields as Grant
  const refused = refuseProblems(validatePolicy(replace(policy, { plans: { [name]: plan } })))
  if (refused) return refused
  return { policy: replace(policy, { plans: withNamed(plans, name, plan) }), plan, isNewPlan }
}

/**
 * Reads FIELD=VALUE as it is typed. A field for text takes the value as it stands; others take JSON,
 * and lists also `a,b,c`. An empty value and `null` take the field away.
 */
export function parseAssignment(text: string, of: 'client' | 'plan'): Assignment | Refused {
  const equals = text.indexOf('=')
  if (equals < 1) return { refused: 'Expected FIELD=VALUE, such as limits.requestsPerMinute=50' }
  const path = text.slice(0, equals)
  const field = findField(of === 'client' ? clientSchema() : planSchema(), path)
  if ('refused' in field) return field
  return { path, value: readValue(text.slice(equals + 1), field.schema) }
}

function planSchema(): Schema {
  const properties = policySchema().properties
  const plans = properties ? properties['plans'] : undefined
  const plan = plans ? plans.additionalProperties : undefined
  if (!plan) throw new Error('The schema of policy.json has no plans')
  return plan
}

function applyAll(
  grant: object,
  schema: Schema,
  assignments: Assignment[],
): { fields: Fields } | Refused {
  let fields = grant as Fields
  for (let i = 0; i < assignments.length; i++) {
    const assignment = assignments[i]
    if (!assignment) continue
    const field = findField(schema, assignment.path)
    if ('refused' in field) return field
    fields = setAt(fields, assignment.path.split('.'), assignment.value)
  }
  return { fields }
}

/** Sets one field in copies of the objects on the way to it; an object left empty goes too. */
function setAt(fields: Fields, names: string[], value: unknown): Fields {
  const name = names[0] || ''
  const copy = Object.assign({}, fields)
  let inner = value
  if (names.length > 1) {
    const found = fields[name]
    const changed = setAt(isObject(found) ? found : {}, names.slice(1), value)
    inner = Object.keys(changed).length > 0 ? changed : null
  }
  if (inner === null || inner === undefined) delete copy[name]
  else copy[name] = inner
  return copy
}

/** The schema of a field. Only names that the schema has pass, so `__proto__` and the like do not. */
function findField(schema: Schema, path: string): { schema: Schema } | Refused {
  if (path === 'keys' || path.slice(0, 5) === 'keys.' || path.slice(0, 5) === 'keys[') {
    return { refused: 'keys: Keys are changed with: tollgate key create, rotate, revoke' }
  }
  const names = path.split('.')
  let found = schema
  for (let i = 0; i < names.length; i++) {
    const name = names[i] || ''
    const next = found.properties && hasOwn(found.properties, name) && found.properties[name]
    if (!next) return { refused: `${path.slice(0, 128)}: ${explainField(schema, found, name)}` }
    found = next
  }
  return { schema: found }
}

function explainField(root: Schema, parent: Schema, name: string): string {
  if (!parent.properties) return 'Unknown field; the one before it has no fields of its own'
  const nested = parent === root ? findNested(root, name) : null
  return nested === null
    ? describeUnknownField(name, parent)
    : `Unknown field; did you mean ${nested}?`
}

/** Where a field stands that was named without its parent, or nearly: requestPerMinute. */
function findNested(root: Schema, name: string): string | null {
  const properties = root.properties || {}
  const parents: { [field: string]: string } = {}
  Object.keys(properties).forEach((parent) => {
    Object.keys(properties[parent]?.properties || {}).forEach((field) => {
      parents[field] = parent
    })
  })
  // A mistyped field of the root is meant more likely than one further down.
  if (closest(name, Object.keys(properties)) !== null) return null
  const field = closest(name, Object.keys(parents))
  return field === null ? null : `${parents[field]}.${field}`
}

function readValue(text: string, schema: Schema): unknown {
  if (text === '' || text === 'null') return null
  const json = parseJson(text)
  if (schema.type === 'string') return json && typeof json.value === 'string' ? json.value : text
  if (json) return json.value
  if (schema.type === 'array') return text.split(',').map((part) => part.trim())
  return text
}

function parseJson(text: string): { value: unknown } | null {
  try {
    return { value: JSON.parse(text) }
  } catch (_error) {
    return null
  }
}
