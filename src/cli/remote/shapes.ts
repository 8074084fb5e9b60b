import type { Client, Clients, Key, Policy } from '../../core/config/shapes.ts'
import { sha256Hex } from '../secret.ts'

/** A key, a client and a plan as the admin API shows them. */
export type RemoteKey = Omit<Key, 'sha256'> & { state: string }
export type RemoteClient = Omit<Client, 'keys'> & {
  name: string
  keys: RemoteKey[]
  effective?: object
}

/** What the API shows in the place of a secret that is there. */
const KEPT = '(kept)'

/**
 * A client as the edits of core take it. The API shows no hash, and the rules of clients.json want one:
 * what stands in its place is never sent or shown.
 */
export function clientOf({
  name: _,
  effective: _effective,
  keys,
  ...fields
}: RemoteClient): Client {
  return { ...fields, keys: keys.map(keyOf) }
}

export function keyOf({ state: _, ...key }: RemoteKey): Key {
  return { ...key, sha256: sha256Hex(key.id) }
}

/** A document of one client, or of none. */
export function documentOf(name: string, client: Client | undefined): Clients {
  return { version: 1, clients: client ? { [name]: client } : {} }
}

/** What the API takes of a client: its fields, while its keys have calls of their own. */
export function fieldsOf({ keys: _, ...fields }: Client): object {
  return fields
}

/** A policy as the edits of core take it, with some secret where there is one. */
export function policyOf(policy: Policy): Policy {
  if (policy.cacheSaltSecret !== KEPT) return policy
  return { ...policy, cacheSaltSecret: sha256Hex(KEPT) }
}
