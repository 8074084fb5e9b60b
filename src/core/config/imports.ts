import { clientOf, keyState, newClient, newKey, type Refused } from './edits.ts'
import { hasOwn } from './interpret.ts'
import { replace, setNamed, withoutNamed } from './replace.ts'
import { KEYS_MAX } from './schema.ts'
import type { Client, Clients, Key, Policy } from './shapes.ts'

/** A key to import: where it stands in the file, whose it is, and its id and hash. */
export type ImportedKey = { line: number; identity: string; id: string; sha256: string }

export type ImportChoices = {
  nowMs: number
  /** Of new clients; undefined: the usual one. */
  plan: string | undefined
  note: string
}

/** What is made of an import with problems: `isPartial` takes the rest of it, `isDry` only tells. */
export type ImportMode = { isPartial: boolean; isDry: boolean }

export type ImportResult = {
  document: Clients
  added: { line: number; client: string; id: string }[]
  /** Keys that are there already, with what they are now. */
  skipped: { line: number; client: string; id: string; state: string }[]
  problems: { line: number; identity: string | null; message: string }[]
}

/** What came of an import. */
export type Imported = Omit<ImportResult, 'document'> & {
  changed: boolean
  /** Keys without a problem that were not there yet: what was added, or would have been. */
  importable: number
}

type Owner = { name: string; key: Key }

/** An import that is under way: importMore() goes on in slices. */
export type Import = ImportResult & {
  policy: Policy
  choices: ImportChoices
  hashes: { [sha256: string]: Owner }
  ids: { [id: string]: Owner }
  /** Names of the clients whose lists of keys are ours already; the dot is for `constructor`. */
  own: { [dotted: string]: true }
}

/** Refuses a plan that is not there; null when it is, or none was named. */
export function refusePlan(policy: Policy, plan: string | undefined): Refused | null {
  if (plan === undefined || hasOwn(policy.plans || {}, plan)) return null
  const refused = `No plan "${plan}" in policy.json; see: tollgate plan list`
  return Object.assign({ refused }, { why: 'unknown' })
}

/**
 * Adds many keys at once, and their clients where those are new. A key that its client has already
 * is skipped, so that the same file can be imported again.
 */
export function importKeys(
  document: Clients,
  policy: Policy,
  keys: ImportedKey[],
  choices: ImportChoices,
): ImportResult {
  const state = startImport(document, policy, choices)
  importMore(state, keys)
  return state
}

/** Begins an import into a document, which stays as it is. */
export function startImport(document: Clients, policy: Policy, choices: ImportChoices): Import {
  const clients = withoutNamed(document.clients, '')
  const state: Import = {
    document: replace(document, { clients }),
    added: [],
    skipped: [],
    problems: [],
    policy,
    choices,
    hashes: {},
    ids: {},
    own: {},
  }
  indexKeys(state)
  return state
}

/** Adds some keys. */
export function importMore(state: Import, keys: ImportedKey[]): void {
  keys.forEach((wanted) => {
    const owner = state.hashes[wanted.sha256]
    if (owner) {
      skipOrRefuse(state, wanted, owner)
      return
    }
    const holder = state.ids[wanted.id]
    if (holder) {
      refuse(state, wanted, `The id ${wanted.id} is that of another key, of client ${holder.name}`)
      return
    }
    addKey(state, wanted)
  })
}

/** What came of it, and the document: the one from before unless something is to be changed. */
export function endImport(
  before: Clients,
  result: ImportResult,
  mode: ImportMode,
): { document: Clients; imported: Imported } {
  const isGood = result.problems.length === 0 || mode.isPartial
  const changed = isGood && !mode.isDry && result.added.length > 0
  const imported: Imported = {
    changed,
    added: changed ? result.added : [],
    skipped: result.skipped,
    problems: result.problems,
    importable: result.added.length,
  }
  return { document: changed ? result.document : before, imported }
}

function addKey(state: Import, wanted: ImportedKey): void {
  const found = clientOf(state.document, wanted.identity)
  if (found && found.keys.length >= KEYS_MAX) {
    refuse(
      state,
      wanted,
      `The client has ${KEYS_MAX} keys, the most there can be; name another one`,
    )
    return
  }
  const key = newKey({
    client: wanted.identity,
    id: wanted.id,
    sha256: wanted.sha256,
    nowMs: state.choices.nowMs,
    note: state.choices.note,
  })
  ownClient(state, wanted.identity).keys.push(key)
  noteOwner(state, { name: wanted.identity, key })
  state.added.push({ line: wanted.line, client: wanted.identity, id: wanted.id })
}

/** The client with a list of keys that may grow: a new list for each key would be n² of them. */
function ownClient(state: Import, name: string): Client {
  const found = clientOf(state.document, name)
  if (found && state.own[`.${name}`]) return found
  const base = found || newClient(state.policy, state.choices.plan)
  const client = replace(base, { keys: base.keys.slice() })
  setNamed(state.document.clients, name, client)
  state.own[`.${name}`] = true
  return client
}

function skipOrRefuse(state: Import, wanted: ImportedKey, owner: Owner): void {
  const id = owner.key.id
  if (owner.name !== wanted.identity) {
    const message = `This key is that of client ${owner.name} already (${id}); it was not moved`
    refuse(state, wanted, message)
    return
  }
  const client = clientOf(state.document, owner.name)
  const now = client ? keyState(client, owner.key, state.choices.nowMs) : 'live'
  state.skipped.push({ line: wanted.line, client: owner.name, id, state: now })
}

function refuse(state: Import, wanted: ImportedKey, message: string): void {
  state.problems.push({ line: wanted.line, identity: wanted.identity, message })
}

function indexKeys(state: Import): void {
  Object.keys(state.document.clients).forEach((name) => {
    const client = clientOf(state.document, name)
    if (!client) return
    client.keys.forEach((key) => {
      noteOwner(state, { name, key })
    })
  })
}

/** Hashes have 64 characters and ids no capitals, so none is a name that every object has. */
function noteOwner(state: Import, owner: Owner): void {
  state.hashes[owner.key.sha256] = owner
  state.ids[owner.key.id] = owner
}
