import { type KeyBody, readKeyBody, relativeTo } from '../../core/admin/bodies.ts'
import { describeChange } from '../../core/admin/change.ts'
import { type ShownKey, showKey } from '../../core/admin/present.ts'
import { problem } from '../../core/admin/problems.ts'
import { invalid, refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import {
  addKey,
  clientOf,
  findKey,
  type NewKey,
  type Refused,
  reasonOf,
  refuseClient,
  revokeKey,
  rotateKeys,
} from '../../core/config/edits.ts'
import { replace } from '../../core/config/replace.ts'
import { KEY_ID_PATTERN } from '../../core/config/schema.ts'
import type { Client, Key } from '../../core/config/shapes.ts'
import { editClients, readSome, type Wanted } from '../config/store.ts'
import { createSecret } from './secret.ts'

/** A key that is about to be added; `key` is the secret, where it is made here. */
type Made = { request: NewKey; key: string | null }

/** POST /clients/{name}/keys. */
export async function createKey(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const body = readKeyBody(call.body, false)
  if (Array.isArray(body)) return invalid(body)
  const made = make(call, name, body)
  const result = await editClients(call.places.dir, wantedOf(made), (clients, policy) => {
    // The command makes the client too; here a name with a typing error would go unnoticed.
    if (!clientOf(clients, name)) return refuseClient(clients, name)
    return addKey(clients, policy, made.request, undefined)
  })
  if ('status' in result) return result
  if ('refused' in result) return refuseKey(result, name)
  const reply = created(call, made, result.client, result.key)
  const audit = describeChange('key.create', result.key.id, null, auditOf(name, result.key))
  return Object.assign(reply, { audit })
}

/** POST /clients/{name}/keys/rotate. */
export async function rotateKey(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const body = readKeyBody(call.body, true)
  if (Array.isArray(body)) return invalid(body)
  const made = make(call, name, body)
  const result = await editClients(call.places.dir, wantedOf(made), (clients, policy) => {
    const found = clientOf(clients, name)
    const rotated = rotateKeys(clients, policy, made.request, body.graceSeconds * 1000)
    return 'refused' in rotated ? rotated : replace(rotated, { before: found ? found.keys : [] })
  })
  if ('status' in result) return result
  if ('refused' in result) return refuseKey(result, name)
  const reply = created(call, made, result.client, result.key)
  const expiring = result.expiring.map((key) => showKey(result.client, key, call.nowMs))
  Object.assign(reply.body as object, { expiring })
  const audit = describeChange(
    'key.rotate',
    result.key.id,
    { expiring: expiriesOf(result.before, expiring) },
    Object.assign(auditOf(name, result.key), { expiring: expiriesOf(expiring, expiring) }),
  )
  return Object.assign(reply, { audit })
}

/** GET /keys/{id}. */
export async function getKey(call: Call): Promise<Reply> {
  const id = call.params['id'] as string
  if (!isKeyId(id)) return unknownKey(id)
  const found = await readSome(call.places.dir, { name: null, keys: [id] })
  if ('status' in found) return found
  const owner = findKey(found.clients, id)
  if (!owner) return unknownKey(id)
  return { status: 200, body: ownedKey(call, owner.name, owner.client, owner.key) }
}

/** POST /keys/{id}/revoke. */
export async function revoke(call: Call): Promise<Reply> {
  const id = call.params['id'] as string
  if (!isKeyId(id)) return unknownKey(id)
  const wanted = { name: null, keys: [id] }
  const result = await editClients(call.places.dir, wanted, (clients) => {
    const owner = findKey(clients, id)
    const revoked = revokeKey(clients, id, call.nowMs)
    return 'refused' in revoked ? revoked : replace(revoked, { before: owner ? owner.key : null })
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-key')
  const client = clientOf(result.document, result.name) as Client
  const reply: Reply = { status: 200, body: ownedKey(call, result.name, client, result.key) }
  if (result.wasRevoked) return reply
  const after = auditOf(result.name, result.key)
  return Object.assign(reply, { audit: describeChange('key.revoke', id, result.before, after) })
}

/** Of what cannot be one, nobody looks through the file. */
function isKeyId(id: string): boolean {
  return new RegExp(KEY_ID_PATTERN).test(id)
}

function unknownKey(id: string): Reply {
  return problem('unknown-key', `No key has the id "${id.slice(0, 20)}"`)
}

function make(call: Call, client: string, body: KeyBody): Made {
  const secret = body.made ? null : createSecret()
  const made = body.made || (secret as { id: string; sha256: string })
  const request: NewKey = {
    client,
    id: made.id,
    sha256: made.sha256,
    nowMs: call.nowMs,
    expiresMs: body.expiresMs,
    note: body.note,
    limits: body.limits,
    budgets: body.budgets,
  }
  return { request, key: secret ? secret.key : null }
}

/** A key is unique over all clients. */
function wantedOf(made: Made): Wanted {
  return { name: made.request.client, keys: [made.request.id, made.request.sha256] }
}

function created(call: Call, made: Made, client: Client, key: Key): Reply {
  const body = ownedKey(call, made.request.client, client, key)
  const headers = { Location: `/keys/${key.id}` }
  if (made.key === null) return { status: 201, body, headers }
  return { status: 201, body: Object.assign(body, { key: made.key }), headers, once: ['key'] }
}

function ownedKey(call: Call, name: string, client: Client, key: Key) {
  return Object.assign(showKey(client, key, call.nowMs), { client: name })
}

/** Whose key it is stands on this side only, so that it is told as something that differs. */
function auditOf(client: string, key: Key) {
  return Object.assign({ client }, key)
}

/** The expiries of those of some keys that are among others, by ids: a client may have 1,000 keys. */
function expiriesOf(keys: (Key | ShownKey)[], of: ShownKey[]) {
  const wanted: { [dotted: string]: true } = {}
  of.forEach((key) => {
    wanted[`.${key.id}`] = true
  })
  return keys
    .filter((key) => wanted[`.${key.id}`])
    .map((key) => ({ id: key.id, expires: key.expires || null }))
}

/** What is wrong is told where it is in the body: in the file, the new key is the last of its client. */
function refuseKey(refused: Refused, name: string): Reply {
  const problems = reasonOf(refused).problems
  if (!problems) return refusal(refused, 'unknown-client')
  return invalid(
    relativeTo(['clients', name], problems).map((one) => ({
      path: one.path.replace(/^keys\[\d+\]\.?/, ''),
      message: one.message,
    })),
  )
}
