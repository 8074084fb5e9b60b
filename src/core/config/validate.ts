import { checkAddresses, checkAdmins, checkSalt } from './checks.ts'
import {
  finishRun,
  hasOwn,
  interpret,
  interpretName,
  isFull,
  isObject,
  type Run,
  report,
  startRun,
} from './interpret.ts'
import { formatPath } from './path.ts'
import { replace } from './replace.ts'
import { clientSchema, clientsSchema, NAME_PATTERN, policySchema, type Schema } from './schema.ts'
import type { Policy, Problem } from './shapes.ts'
import { closest } from './suggest.ts'

type Fields = { [name: string]: unknown }

/** Where an id or a hash was seen first. */
type Owners = { [value: string]: string }

/** A validation of clients.json that is under way. `problems` is complete when it is done. */
export type ClientsValidation = {
  problems: Problem[]
  run: Run
  schema: Schema
  clients: Fields
  names: string[]
  /** Index of the next name. */
  next: number
  /** null when no policy could be read: then plans are not looked up. */
  plans: Fields | null
  /** What was said of plans that are not there: many clients may have the same one. Dotted names. */
  noPlan: { [dotted: string]: string }
  /** Whether cache salts can be made; taken for granted where no policy could be read. */
  hasSecret: boolean
  idOwners: Owners
  hashOwners: Owners
}

/** A validation of policy.json that is under way. */
export type PolicyValidation = {
  run: Run
  document: unknown
  hasSecret: boolean
  /** What has names that people give: each is walked by itself. */
  sections: Section[]
  /** Index of the section, and in it of the next name. */
  section: number
  next: number
}

type Section = { field: string; pattern: string; schema: Schema; entries: Fields; names: string[] }

/** Checks a parsed policy.json: all its problems, none when it is good. */
export function validatePolicy(document: unknown): Problem[] {
  const state = startPolicyValidation(document)
  while (validateNextEntry(state));
  return endPolicyValidation(state)
}

/** Begins to check a parsed policy.json; validateNextEntry() goes on, since it may have thousands. */
export function startPolicyValidation(document: unknown): PolicyValidation {
  const run = startRun()
  const schema = policySchema()
  const properties = schema.properties || {}
  const sections: Section[] = []
  Object.keys(properties).forEach((field) => {
    const named = properties[field] as Schema
    if (!named.propertyNames || !named.additionalProperties) return
    const found = isObject(document) ? document[field] : undefined
    const entries = isObject(found) ? found : {}
    const names = Object.keys(entries)
    const isAbove = named.maxProperties !== undefined && names.length > named.maxProperties
    const pattern = named.propertyNames.pattern
    const of = named.additionalProperties
    sections.push({ field, pattern, schema: of, entries, names: isAbove ? [] : names })
    properties[field] = replace(named, {
      propertyNames: undefined,
      additionalProperties: undefined,
    })
  })
  interpret(run, schema, document)
  const hasSecret = isObject(document) && document['cacheSaltSecret'] !== undefined
  return { run, document, hasSecret, sections, section: 0, next: 0 }
}

/** Checks one more plan, group or price; false when there was none left. */
export function validateNextEntry(state: PolicyValidation): boolean {
  const section = state.sections[state.section]
  if (!section) return false
  const name = section.names[state.next]
  if (name === undefined) {
    state.section++
    state.next = 0
    return true
  }
  state.next++
  const run = state.run
  const entry = section.entries[name]
  run.place.push(section.field, name)
  interpretName(run, section.pattern, name)
  interpret(run, section.schema, entry)
  if (section.field === 'plans') {
    checkAddresses(run, entry)
    checkSalt(run, entry, state.hasSecret)
  }
  run.place.length = 0
  return true
}

/** All that was found; says how many problems are not among it. */
export function endPolicyValidation(state: PolicyValidation): Problem[] {
  if (isObject(state.document)) checkAdmins(state.run, state.document['admins'])
  finishRun(state.run)
  return state.run.problems
}

/** Checks a parsed clients.json. Without a policy the names of plans are not looked up. */
export function validateClients(document: unknown, policy: Policy | null): Problem[] {
  const state = startClientsValidation(document, policy)
  validateNextClients(state, state.names.length)
  return endClientsValidation(state)
}

/** Begins to check a parsed clients.json; validateNextClients() goes on in slices. */
export function startClientsValidation(
  document: unknown,
  policy: Policy | null,
): ClientsValidation {
  const run = startRun()
  interpret(run, frameSchema(), document)
  const found = isObject(document) ? document['clients'] : undefined
  const clients = isObject(found) ? found : {}
  const plans = policy && isObject(policy.plans) ? policy.plans : {}
  return {
    problems: run.problems,
    run,
    schema: clientSchema(),
    clients,
    names: Object.keys(clients),
    next: 0,
    plans: policy ? plans : null,
    noPlan: {},
    hasSecret: !policy || policy.cacheSaltSecret !== undefined,
    idOwners: {},
    hashOwners: {},
  }
}

/** Checks up to `count` more clients, and tells whether all have been. */
export function validateNextClients(state: ClientsValidation, count: number): boolean {
  const end = Math.min(state.names.length, state.next + count)
  const place = state.run.place
  place.push('clients', '')
  for (; state.next < end; state.next++) {
    const name = state.names[state.next] || ''
    place[1] = name
    checkClient(state, name, state.clients[name])
  }
  place.pop()
  place.pop()
  return end === state.names.length
}

/** All that was found; says how many problems are not among it. */
export function endClientsValidation(state: ClientsValidation): Problem[] {
  finishRun(state.run)
  return state.problems
}

/**
 * Checks further clients by name, which need not stand in the document that the run began with: for
 * those who read the file in portions. An id or hash that appears twice is found in all of them.
 */
export function validateMoreClients(
  state: ClientsValidation,
  clients: Fields,
  names: string[],
): void {
  state.clients = clients
  state.names = names
  state.next = 0
  validateNextClients(state, names.length)
}

/**
 * The schema of clients.json without the names of the clients and what they hold, which come in
 * slices: matching 100,000 names alone takes half a second on the njs engine.
 */
function frameSchema(): Schema {
  const schema = clientsSchema()
  if (schema.properties) schema.properties['clients'] = { type: 'object' }
  return schema
}

function checkClient(state: ClientsValidation, name: string, client: unknown): void {
  const run = state.run
  interpretName(run, NAME_PATTERN, name)
  interpret(run, state.schema, client)
  if (!isObject(client)) return
  if (client['addresses'] !== undefined) checkAddresses(run, client)
  checkSalt(run, client, state.hasSecret)
  if (client['plan'] !== undefined) checkPlan(state, client['plan'])
  const keys = client['keys']
  if (!Array.isArray(keys)) return
  run.place.push('keys', 0)
  for (let i = 0; i < keys.length; i++) {
    const key: unknown = keys[i]
    if (!isObject(key)) continue
    run.place[3] = i
    checkUnique(state, name, 'id', key['id'])
    checkUnique(state, name, 'sha256', key['sha256'])
  }
  run.place.length = 2
}

function checkPlan(state: ClientsValidation, plan: unknown): void {
  if (typeof plan !== 'string' || !state.plans || hasOwn(state.plans, plan)) return
  state.run.place.push('plan')
  report(state.run, isFull(state.run) ? '' : describeNoPlan(state, state.plans, plan))
  state.run.place.pop()
}

function describeNoPlan(state: ClientsValidation, plans: Fields, plan: string): string {
  const said = state.noPlan[`.${plan}`]
  if (said !== undefined) return said
  const known = Object.keys(plans)
  const meant = closest(plan, known, state.run.effort)
  const hint = meant === null ? listPlans(known) : `did you mean ${meant}?`
  const message = `No plan "${plan.slice(0, 40)}" in policy.json; ${hint}`
  state.noPlan[`.${plan}`] = message
  return message
}

function listPlans(known: string[]): string {
  return known.length > 0 ? `known are ${known.slice(0, 20).join(', ')}` : 'it has no plans yet'
}

/**
 * Reports an id or hash that another key has, and says where that is. Only the client is remembered
 * and its key looked up then, because there may be 200,000 of these.
 */
function checkUnique(
  state: ClientsValidation,
  name: string,
  field: 'id' | 'sha256',
  value: unknown,
): void {
  // What the schema refuses was reported. What it accepts is lower case hexadecimal or 8 characters
  // without capitals, and so no name that every object has.
  if (typeof value !== 'string' || value.length !== (field === 'id' ? 8 : 64)) return
  const owners = field === 'id' ? state.idOwners : state.hashOwners
  const owner = owners[value]
  if (typeof owner !== 'string') {
    owners[value] = name
    return
  }
  state.run.place.push(field)
  report(state.run, isFull(state.run) ? '' : describeTwin(state, owner, field, value))
  state.run.place.pop()
}

function describeTwin(
  state: ClientsValidation,
  owner: string,
  field: 'id' | 'sha256',
  value: string,
): string {
  const at = indexOfKey(state.clients[owner], field, value)
  // A client of an earlier portion is not at hand any more.
  const first = formatPath(at < 0 ? ['clients', owner] : ['clients', owner, 'keys', at])
  return field === 'id'
    ? `The id is also that of ${first}; ids are unique`
    : `The same key stands at ${first} already; remove one of the two`
}

function indexOfKey(client: unknown, field: string, value: string): number {
  const keys = isObject(client) ? client['keys'] : []
  if (!Array.isArray(keys)) return -1
  return keys.findIndex((key) => isObject(key) && key[field] === value)
}
