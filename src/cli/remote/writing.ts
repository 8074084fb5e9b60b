import {
  addKey as addKeyTo,
  type Refused as EditRefused,
  type NewKey,
} from '../../core/config/edits.ts'
import type { Imported, ImportedKey } from '../../core/config/imports.ts'
import type { Client, Clients, Grant, Key, Policy } from '../../core/config/shapes.ts'
import { formatTime } from '../../core/time.ts'
import { count, Refused } from '../output.ts'
import { accept } from '../store/documents.ts'
import type { ImportOrder } from '../store/store.ts'
import { readClient, readPolicy } from './reading.ts'
import {
  clientOf,
  documentOf,
  fieldsOf,
  keyOf,
  type RemoteClient,
  type RemoteKey,
} from './shapes.ts'
import { again, orNull, pathOf, type Wire } from './wire.ts'

/** client_max_body_size of admin.conf. */
const BODY_BYTES_MAX = 1_048_576

/** Adds a key that was made here: the API gets its id and hash, and never the key. */
export function addKey(wire: Wire, request: NewKey, plan: string | undefined) {
  return again(async () => {
    const name = request.client
    const found = await readClient(wire, name).catch(orNull('unknown-client'))
    const policy = await readPolicy(wire)
    const { client } = accept(addKeyTo(documentOf(name, found?.client), policy, request, plan))
    if (found === null) await wire.put(pathOf('clients', name), fieldsOf(client), null)
    const key = await wire.post<RemoteKey>(pathOf('clients', name, 'keys'), bodyOf(request))
    return { client, key: keyOf(key), isNewClient: found === null }
  })
}

/** Sends ids and hashes of keys; the API takes all of them, or none. */
export async function importKeys(
  wire: Wire,
  keys: ImportedKey[],
  { plan, note, isPartial, isDry }: ImportOrder,
): Promise<Imported> {
  const body = {
    keys: keys.map(({ line, identity, id, sha256 }) => ({ line, client: identity, id, sha256 })),
    note,
    ...(plan === undefined ? {} : { plan }),
    ...(isPartial ? { partial: true } : {}),
    ...(isDry ? { dryRun: true } : {}),
  }
  const bytes = Buffer.byteLength(JSON.stringify(body))
  if (bytes > BODY_BYTES_MAX) {
    const most = Math.floor((keys.length * BODY_BYTES_MAX) / bytes)
    throw new Refused(
      `The admin API takes 1 MB at once, and these ${count(keys.length, 'key')} are ${bytes} bytes: ` +
        `split the file, about ${most} keys in each, or import it on the host of the gate`,
    )
  }
  return wire.post<Imported>('/import', body)
}

export async function rotateKeys(
  wire: Wire,
  request: NewKey,
  graceMs: number,
): Promise<{ key: Key; expiring: Key[] }> {
  const path = pathOf('clients', request.client, 'keys', 'rotate')
  const body = { ...bodyOf(request), graceSeconds: graceMs / 1000 }
  const rotated = await wire.post<RemoteKey & { expiring: RemoteKey[] }>(path, body)
  return { key: keyOf(rotated), expiring: rotated.expiring.map(keyOf) }
}

/** Revokes a key, or tells when that was done. */
export async function revokeKey(wire: Wire, id: string) {
  const found = await wire.get<RemoteKey & { client: string }>(pathOf('keys', id))
  const wasRevoked = Boolean(found.body.revoked)
  const path = pathOf('keys', id, 'revoke')
  const key = wasRevoked ? found.body : await wire.post<RemoteKey>(path, {})
  return { name: found.body.client, key: keyOf(key), wasRevoked }
}

/** Edits the fields of a client by a function over a document of that client alone. */
export function editClient(
  wire: Wire,
  name: string,
  edit: (clients: Clients, policy: Policy) => { document: Clients; client: Client } | EditRefused,
): Promise<{ client: Client; policy: Policy }> {
  return again(async () => {
    const found = await readClient(wire, name)
    const policy = await readPolicy(wire)
    const { client } = accept(edit(documentOf(name, found.client), policy))
    const path = pathOf('clients', name)
    const body = await wire.put<RemoteClient>(path, fieldsOf(client), found.etag)
    return { client: clientOf(body), policy }
  })
}

export function removeClient(wire: Wire, name: string): Promise<Client> {
  return again(async () => {
    const { client, etag } = await readClient(wire, name)
    await wire.remove(pathOf('clients', name), etag)
    return client
  })
}

/** Edits one plan by a function over the whole policy. */
export function editPlan<T extends { policy: Policy }>(
  wire: Wire,
  name: string,
  edit: (policy: Policy) => T | EditRefused,
): Promise<T> {
  return again(async () => {
    const path = pathOf('plans', name)
    const found = await wire.get<Grant>(path).catch(orNull('unknown-plan'))
    const result = accept(edit(await readPolicy(wire)))
    await wire.put(path, result.policy.plans?.[name] ?? {}, found?.etag ?? null)
    return result
  })
}

function bodyOf({ id, sha256, expiresMs, note }: NewKey): object {
  return {
    id,
    sha256,
    ...(expiresMs === undefined ? {} : { expires: formatTime(expiresMs) }),
    ...(note ? { note } : {}),
  }
}
