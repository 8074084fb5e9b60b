import { clientOf, keyState, newClient, newKey } from './edits.ts'
import { replace } from './replace.ts'
import type { Client, Clients, Key, Policy } from './shapes.ts'

/** A key to import: where it stands in the file, whose it is, and its id and hash. */
export type ImportedKey = { line: number; identity: string; id: string; sha256: string }

export type ImportResult = {
  document: Clients
  added: { line: number; client: string; id: string }[]
  /** Keys that are there already, with what they are now. */
  skipped: { line: number; client: string; id: string; state: string }[]
  problems: { line: number; identity: string | null; message: string }[]
}

type Owner = { name: string; key: Key }

/**
 * Adds many keys at once, and their clients where those are new. A key that its client has already
 * is skipped, so that the same file can be imported again.
 */
export function importKeys(
  document: Clients,
  policy: Policy,
  keys: ImportedKey[],
  choices: { nowMs: number; plan: string | undefined; note: string },
): ImportResult {
  const clients = replace(document.clients, {})
  const result: ImportResult = {
    document: replace(document, { clients }),
    added: [],
    skipped: [],
    problems: [],
  }
  const owners = indexKeys(document)
  keys.forEach((wanted) => {
    const owner = owners.hashes[wanted.sha256]
    if (owner) {
      skipOrRefuse(result, wanted, owner, choices.nowMs)
      return
    }
    const holder = owners.ids[wanted.id]
    if (holder) {
      const message = `The id ${wanted.id} is that of another key, of client ${holder.name}`
      result.problems.push({ line: wanted.line, identity: wanted.identity, message })
      return
    }
    const client = clientOf(result.document, wanted.identity) || newClient(policy, choices.plan)
    const key = newKey({
      client: wanted.identity,
      id: wanted.id,
      sha256: wanted.sha256,
      nowMs: choices.nowMs,
      note: choices.note,
    })
    clients[wanted.identity] = withKey(client, key)
    owners.hashes[wanted.sha256] = { name: wanted.identity, key }
    owners.ids[wanted.id] = { name: wanted.identity, key }
    result.added.push({ line: wanted.line, client: wanted.identity, id: wanted.id })
  })
  return result
}

function withKey(client: Client, key: Key): Client {
  return replace(client, { keys: client.keys.concat([key]) })
}

function skipOrRefuse(
  result: ImportResult,
  wanted: ImportedKey,
  owner: Owner,
  nowMs: number,
): void {
  const line = wanted.line
  const id = owner.key.id
  if (owner.name !== wanted.identity) {
    const message = `This key is that of client ${owner.name} already (${id}); it was not moved`
    result.problems.push({ line, identity: wanted.identity, message })
    return
  }
  const client = clientOf(result.document, owner.name)
  const state = client ? keyState(client, owner.key, nowMs) : 'live'
  result.skipped.push({ line, client: owner.name, id, state })
}

/** Hashes have 64 characters and ids no capitals, so none is a name that every object has. */
function indexKeys(document: Clients): {
  hashes: { [sha256: string]: Owner }
  ids: { [id: string]: Owner }
} {
  const hashes: { [sha256: string]: Owner } = {}
  const ids: { [id: string]: Owner } = {}
  Object.keys(document.clients).forEach((name) => {
    const client = clientOf(document, name)
    if (!client) return
    client.keys.forEach((key) => {
      hashes[key.sha256] = { name, key }
      ids[key.id] = { name, key }
    })
  })
  return { hashes, ids }
}
