import { formatTime, parseTime } from '../time.ts'
import { hasOwn } from './interpret.ts'
import { replace, withNamed, withoutNamed } from './replace.ts'
import type { Budgets, Client, Clients, Key, Limits, Policy, Problem } from './shapes.ts'
import { closest } from './suggest.ts'
import { validateClients } from './validate.ts'

/*
 * Edits of clients.json as values: each takes a document that is valid, leaves it as it is and gives
 * a new one that shares all that did not change, or says why not. The command line and the admin API
 * both use them; time, ids and hashes come from outside.
 */

/** Why an edit was not made, for the person who asked for it. */
export type Refused = { refused: string }

/** The same for programs, which the edits of this file add to it: see reasonOf(). */
export type Reason = {
  /** What was named is not there, or is there already; absent where what was asked for is wrong. */
  why?: 'unknown' | 'taken'
  /** What is wrong where. */
  problems?: Problem[]
}

/** A key to add. `sha256` is that of the whole key, in hexadecimal. */
export type NewKey = {
  client: string
  id: string
  sha256: string
  nowMs: number
  expiresMs?: number | undefined
  note?: string | undefined
  limits?: Limits | undefined
  budgets?: Budgets | undefined
}

export type AddedKey = { document: Clients; client: Client; key: Key }

/** What a key is at a moment: a caller gets in with a live one only. */
export type KeyState = 'live' | 'revoked' | 'expired' | 'disabled'

/** The plan of a new client for which none was named. */
const USUAL_PLAN = 'standard'

/** Adds a key, and its client where that is new: with the plan named, else `standard` if there is one. */
export function addKey(
  document: Clients,
  policy: Policy,
  request: NewKey,
  plan: string | undefined,
): (AddedKey & { isNewClient: boolean }) | Refused {
  const found = clientOf(document, request.client)
  if (found && plan !== undefined && plan !== found.plan) {
    return refuse(
      `Client "${request.client}" is there already with ${found.plan ? `the plan ${found.plan}` : 'no plan'}; change it with: tollgate client set ${request.client} plan=${plan}`,
    )
  }
  const added = appendKey(document, policy, found || newClient(policy, plan), request)
  return 'refused' in added ? added : Object.assign({ isNewClient: !found }, added)
}

/** A client without keys, on the plan named or the usual one. */
export function newClient(policy: Policy, plan: string | undefined): Client {
  const name = plan === undefined && hasOwn(policy.plans || {}, USUAL_PLAN) ? USUAL_PLAN : plan
  return name === undefined ? { keys: [] } : { plan: name, keys: [] }
}

/** The record of a new key. */
export function newKey(request: NewKey): Key {
  const key: Key = {
    id: request.id,
    sha256: request.sha256,
    created: formatTime(request.nowMs),
  }
  if (request.expiresMs !== undefined) key.expires = formatTime(request.expiresMs)
  if (request.limits) key.limits = request.limits
  if (request.budgets) key.budgets = request.budgets
  if (request.note !== undefined && request.note !== '') key.note = request.note
  return key
}

/**
 * Adds a key and lets all other live keys of the client expire after the grace, unless they expire
 * sooner by themselves. It gets the limits and budgets of their own that these have: a rotation takes
 * nobody's limits away.
 */
export function rotateKeys(
  document: Clients,
  policy: Policy,
  request: NewKey,
  graceMs: number,
): (AddedKey & { expiring: Key[] }) | Refused {
  const client = clientOf(document, request.client)
  if (!client) return refuseClient(document, request.client)
  const end = request.nowMs + graceMs
  const expiring: Key[] = []
  const keys = client.keys.map((key) => {
    if (key.revoked || expiryOf(key) <= request.nowMs) return key
    const isSooner = expiryOf(key) <= end
    const old = isSooner ? key : replace(key, { expires: formatTime(end) })
    expiring.push(old)
    return old
  })
  const own = expiring.map((key) => ({ limits: key.limits, budgets: key.budgets }))
  if (own.some((one) => JSON.stringify(one) !== JSON.stringify(own[0]))) {
    return refuse(
      `The live keys of ${request.client} have different limits or budgets of their own, so which are those of the new one is not clear: revoke those that it is not to be like`,
    )
  }
  const wanted = replace(request, own[0] || {})
  const added = appendKey(document, policy, replace(client, { keys }), wanted)
  return 'refused' in added ? added : Object.assign({ expiring }, added)
}

/** Revokes a key for good. Its record stays, so that logs tell a revoked key from an unknown one. */
export function revokeKey(
  document: Clients,
  id: string,
  nowMs: number,
): { document: Clients; name: string; key: Key; wasRevoked: boolean } | Refused {
  const found = findKey(document, id)
  if (!found) {
    return refuse(`No key has the id "${id.slice(0, 20)}"; see: tollgate key list`, 'unknown')
  }
  const name = found.name
  const client = found.client
  const key = found.key
  if (key.revoked) return { document, name, key, wasRevoked: true }
  const revoked = replace(key, { revoked: formatTime(nowMs) })
  const keys = client.keys.map((other) => (other === key ? revoked : other))
  const changed = replace(client, { keys })
  return { document: putClient(document, name, changed), name, key: revoked, wasRevoked: false }
}

/** Finds a key by its public id. */
export function findKey(
  document: Clients,
  id: string,
): { name: string; client: Client; key: Key } | null {
  return searchKey(document, 'id', id)
}

/** Finds a key by the SHA-256 of the whole key, in hexadecimal. */
export function findKeyByHash(
  document: Clients,
  sha256: string,
): { name: string; client: Client; key: Key } | null {
  return searchKey(document, 'sha256', sha256)
}

/** Refuses all keys of a client, or takes them again. */
export function setDisabled(
  document: Clients,
  name: string,
  isDisabled: boolean,
): { document: Clients; client: Client } | Refused {
  const found = clientOf(document, name)
  if (!found) return refuseClient(document, name)
  const client = replace(found, { disabled: true })
  if (!isDisabled) delete (client as Client).disabled
  return { document: putClient(document, name, client), client }
}

/** Takes a client and its keys out of the file. Its keys are unknown from then on, not revoked. */
export function removeClient(
  document: Clients,
  name: string,
): { document: Clients; client: Client } | Refused {
  const client = clientOf(document, name)
  if (!client) return refuseClient(document, name)
  const clients = withoutNamed(document.clients, name)
  return { document: replace(document, { clients }), client }
}

/** The client of a name; undefined when there is none. */
export function clientOf(document: Clients, name: string): Client | undefined {
  return hasOwn(document.clients, name) ? document.clients[name] : undefined
}

/** Says that there is no such client, and which one may have been meant. */
export function refuseClient(document: Clients, name: string): Refused {
  const meant = closest(name, Object.keys(document.clients))
  const hint = meant === null ? 'see: tollgate client list' : `did you mean ${meant}?`
  return refuse(`No client "${name.slice(0, 128)}"; ${hint}`, 'unknown')
}

/** Puts a client into a copy of the document that shares all the others. */
export function putClient(document: Clients, name: string, client: Client): Clients {
  return replace(document, { clients: withNamed(document.clients, name, client) })
}

/** Refuses with the problems of one client or plan, if it has any. */
export function refuseProblems(problems: Problem[]): Refused | null {
  if (problems.length === 0) return null
  const refused = problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ')
  return Object.assign({ refused }, { problems })
}

/** Why an edit was refused, as far as it was said. */
export function reasonOf(refused: Refused): Reason {
  return refused as Reason
}

/** What a key is at a moment. The key's own state comes before that of its client. */
export function keyState(client: Client, key: Key, nowMs: number): KeyState {
  if (key.revoked) return 'revoked'
  if (expiryOf(key) <= nowMs) return 'expired'
  return client.disabled ? 'disabled' : 'live'
}

/** When a key expires, in milliseconds since 1970; Infinity when it never does. */
export function expiryOf(key: Key): number {
  if (!key.expires) return Infinity
  const ms = parseTime(key.expires)
  // Closed: a date that nobody can read has passed.
  return ms === null ? 0 : ms
}

function appendKey(
  document: Clients,
  policy: Policy,
  client: Client,
  request: NewKey,
): AddedKey | Refused {
  if (request.expiresMs !== undefined && request.expiresMs <= request.nowMs) {
    return refuse(`The expiry ${formatTime(request.expiresMs)} is past; name a later time`)
  }
  if (findKey(document, request.id)) {
    return refuse(`The id ${request.id} is taken; try again`, 'taken')
  }
  const twin = findKeyByHash(document, request.sha256)
  if (twin) {
    return refuse(`This key is there already: ${twin.key.id} of client "${twin.name}"`, 'taken')
  }
  const key = newKey(request)
  const changed = replace(client, { keys: client.keys.concat([key]) })
  const alone = { version: 1, clients: { [request.client]: changed } }
  const refused = refuseProblems(validateClients(alone, policy))
  if (refused) return refused
  return { document: putClient(document, request.client, changed), client: changed, key }
}

function searchKey(
  document: Clients,
  field: 'id' | 'sha256',
  value: string,
): { name: string; client: Client; key: Key } | null {
  const names = Object.keys(document.clients)
  for (let i = 0; i < names.length; i++) {
    const name = names[i] || ''
    const client = document.clients[name]
    const key = client && client.keys.find((candidate) => candidate[field] === value)
    if (client && key) return { name, client, key }
  }
  return null
}

function refuse(refused: string, why?: Reason['why']): Refused {
  return Object.assign({ refused }, why ? { why } : {})
}
