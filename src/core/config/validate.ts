import { parseBlock } from '../admit/address.ts'
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
import {
  ADDRESS_CHARS_MAX,
  clientSchema,
  clientsSchema,
  LIST_MAX,
  NAME_PATTERN,
  NAMED_MAX,
  policySchema,
  type Schema,
} from './schema.ts'
import type { Client, Clients, Grant, Policy, Problem } from './shapes.ts'
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

/** Checks a parsed policy.json: all its problems, none when it is good. */
export function validatePolicy(document: unknown): Problem[] {
  const run = startRun()
  interpret(run, policySchema(), document)
  const plans = isObject(document) ? document['plans'] : undefined
  const hasSecret = isObject(document) && document['cacheSaltSecret'] !== undefined
  const names = isObject(plans) ? Object.keys(plans) : []
  if (isObject(plans) && names.length <= NAMED_MAX) {
    run.place.push('plans')
    names.forEach((name) => {
      run.place.push(name)
      checkAddresses(run, plans[name])
      checkSalt(run, plans[name], hasSecret)
      run.place.pop()
    })
    run.place.pop()
  }
  if (isObject(document)) checkAdmins(run, document['admins'])
  finishRun(run)
  return run.problems
}

/** Reports ids and hashes of tokens that stand twice. */
function checkAdmins(run: Run, admins: unknown): void {
  if (!Array.isArray(admins)) return
  const places: { [value: string]: number } = {}
  run.place.push('admins', 0)
  admins.forEach((admin: unknown, i) => {
    run.place[1] = i
    const fields: ('id' | 'sha256')[] = ['id', 'sha256']
    fields.forEach((field) => {
      const value = isObject(admin) ? admin[field] : undefined
      if (typeof value !== 'string') return
      const first = places[`${field}.${value}`]
      if (first === undefined) {
        places[`${field}.${value}`] = i
        return
      }
      run.place.push(field)
      report(run, `Stands at admins[${first}] already; remove one of the two`)
      run.place.pop()
    })
  })
  run.place.length = 0
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

function checkAddresses(run: Run, grant: unknown): void {
  const addresses = isObject(grant) ? grant['addresses'] : undefined
  // The schema has refused what is longer.
  if (!Array.isArray(addresses) || addresses.length > LIST_MAX) return
  run.place.push('addresses', 0)
  for (let i = 0; i < addresses.length; i++) {
    run.place[run.place.length - 1] = i
    const address: unknown = addresses[i]
    if (typeof address !== 'string' || address.length > ADDRESS_CHARS_MAX) continue
    if (!parseBlock(address)) {
      report(run, 'Must be an address or a CIDR block such as 10.0.0.0/8 or 2001:db8::/32')
    }
  }
  run.place.pop()
  run.place.pop()
}

/** Reports a salt that could not be made: without it the prefix cache would not be apart. */
function checkSalt(run: Run, grant: unknown, hasSecret: boolean): void {
  if (hasSecret || !isObject(grant) || grant['cacheSalt'] !== true) return
  run.place.push('cacheSalt')
  report(run, 'Needs cacheSaltSecret in policy.json: any random text of 16 characters or more')
  run.place.pop()
}

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
