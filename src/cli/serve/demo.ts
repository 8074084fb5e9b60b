import { join } from 'node:path'
import { formatClients } from '../../core/config/clientsfile.ts'
import { addKey, clientOf, expiryOf, type Refused } from '../../core/config/edits.ts'
import type { Admin, Client, Clients, Policy } from '../../core/config/shapes.ts'
import { adminState } from '../../core/config/token.ts'
import { addAdmin } from '../edits/admins.ts'
import { createSecret, createToken } from '../secret.ts'
import { createFile } from '../store/atomic.ts'
import { editAdmins, editClients, FIRST_POLICY } from '../store/documents.ts'

const DEMO = 'demo'
const NOTE = 'made by tollgate serve'
const EXPIRY_MS = 30 * 86_400_000
/** Starts may come often, and a client has at most 1,000 keys. */
const KEYS_KEPT_MAX = 100
/** The same of tokens, of which a policy has 200 at most. */
const TOKENS_KEPT_MAX = 20
const SERVE = 'serve'

/**
 * Writes policy.json and clients.json where they are absent, for a group to read, and returns the paths
 * of those it has written. `schemas` is the folder of the JSON Schemas, as seen from `dir`.
 */
export async function createConfiguration(
  dir: string,
  schemas: string,
  gid?: number,
): Promise<string[]> {
  const policy = { $schema: `${schemas}/policy.schema.json`, ...FIRST_POLICY }
  const clients = { $schema: `${schemas}/clients.schema.json`, version: 1 as const, clients: {} }
  const texts: [string, string][] = [
    [join(dir, 'policy.json'), `${JSON.stringify(policy, null, 2)}\n`],
    [join(dir, 'clients.json'), formatClients(clients)],
  ]
  const written: string[] = []
  for (const [path, text] of texts) if (await createFile(path, text, gid)) written.push(path)
  return written
}

/**
 * Gives client `demo` a fresh key, because the ones before were shown once and are gone. The client
 * is made when there is no other; null when the operator has removed or disabled it.
 */
export async function prepareDemo(dir: string, nowMs: number): Promise<string | null> {
  const secret = createSecret()
  const request = {
    client: DEMO,
    id: secret.id,
    sha256: secret.sha256,
    nowMs,
    expiresMs: nowMs + EXPIRY_MS,
    note: NOTE,
  }
  const edit = (clients: Clients, policy: Policy): DemoEdit | Refused => {
    if (!isDemoWanted(clients)) return { document: clients, key: null }
    const pruned = pruneDemo(clients, nowMs)
    const added = addKey(pruned, policy, request, undefined)
    return 'refused' in added ? added : { document: added.document, key: secret.key }
  }
  return (await editClients(dir, edit)).key
}

type DemoEdit = { document: Clients; key: string | null }

function isDemoWanted(clients: Clients): boolean {
  const demo = clientOf(clients, DEMO)
  return demo ? demo.disabled !== true : Object.keys(clients.clients).length === 0
}

// Only keys that an earlier start has made: those of the operator stay.
function pruneDemo(document: Clients, nowMs: number): Clients {
  const demo = clientOf(document, DEMO)
  if (!demo) return document
  const live = demo.keys.filter((key) => key.note !== NOTE || expiryOf(key) > nowMs)
  const ours = live.filter((key) => key.note === NOTE)
  const surplus = new Set(ours.slice(0, Math.max(0, ours.length + 1 - KEYS_KEPT_MAX)))
  const client: Client = { ...demo, keys: live.filter((key) => !surplus.has(key)) }
  return { ...document, clients: { ...document.clients, [DEMO]: client } }
}

/** Makes a fresh token of the admin API that may write, beside those of earlier starts. */
export async function prepareAdmin(dir: string, nowMs: number): Promise<string> {
  const { id, token, sha256 } = createToken()
  const expiresMs = nowMs + EXPIRY_MS
  const role = 'write' as const
  const request = { id, name: SERVE, role, sha256, nowMs, expiresMs, note: NOTE }
  await editAdmins(dir, (policy) => addAdmin(pruneAdmins(policy, nowMs), request))
  return token
}

function pruneAdmins(policy: Policy, nowMs: number): Policy {
  const admins = policy.admins ?? []
  const isOurs = (admin: Admin) => admin.name === SERVE && admin.note === NOTE
  const live = admins.filter((admin) => !isOurs(admin) || adminState(admin, nowMs) === 'live')
  const ours = live.filter(isOurs)
  const surplus = new Set(ours.slice(0, Math.max(0, ours.length + 1 - TOKENS_KEPT_MAX)))
  return { ...policy, admins: live.filter((admin) => !surplus.has(admin)) }
}
