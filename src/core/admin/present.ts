import { type KeyState, keyState } from '../config/edits.ts'
import { replace } from '../config/replace.ts'
import { effectiveGrant } from '../config/resolve.ts'
import type { Client, Grant, Key, Policy } from '../config/shapes.ts'

/** A key as it is shown: without its hash, which nobody needs to see. */
export type ShownKey = Omit<Key, 'sha256'> & { state: KeyState }
export type ShownClient = Omit<Client, 'keys'> & { name: string; keys: ShownKey[] }

/** What stands in a policy for a secret that there is, and that nobody is shown. */
export const KEPT = '(kept)'

export function showKey(client: Client, key: Key, nowMs: number): ShownKey {
  const shown = replace(key, { state: keyState(client, key, nowMs) }) as Partial<Key> & ShownKey
  delete shown.sha256
  if (!shown.expires) delete shown.expires
  if (!shown.revoked) delete shown.revoked
  return shown
}

/** A client as it is shown: its own fields as in the file, and its keys. */
export function showClient(name: string, client: Client, nowMs: number): ShownClient {
  const shown = replace({ name }, client)
  const keys = client.keys.map((key) => showKey(client, key, nowMs))
  return replace(shown, { keys })
}

/** The same, with what holds for it when its plan is looked up. */
export function showWhole(
  name: string,
  client: Client,
  policy: Policy,
  nowMs: number,
): ShownClient & { effective: Grant } {
  const effective = effectiveGrant(client, policy)
  return Object.assign(showClient(name, client, nowMs), { effective })
}

/** A policy as it is shown: without its tokens, and without the value of its secret. */
export function showPolicy(policy: Policy): Policy {
  const shown = replace({}, policy) as Policy
  delete shown.admins
  if (shown.cacheSaltSecret !== undefined) shown.cacheSaltSecret = KEPT
  return shown
}
