import type { Status as RemoteStatus } from '../../core/admin/status.ts'
import type { Refused as EditRefused, NewKey } from '../../core/config/edits.ts'
import type { Imported, ImportedKey, ImportMode } from '../../core/config/imports.ts'
import type { LoadState } from '../../core/config/record.ts'
import type { Client, Clients, Key, Policy } from '../../core/config/shapes.ts'
import type { ClientBalance } from '../../core/limits/standing.ts'
import type { RunningReply } from '../../core/running.ts'
import type { Unanswered } from '../ledger/ask.ts'
import type { Entry } from '../ledger/line.ts'
import type { Period } from '../ledger/period.ts'
import type { Dimension, Grouped } from '../ledger/totals.ts'
import type { Inspection } from './documents.ts'

/** What is known of a gate's configuration. Over the admin API the hashes of keys are stand-ins. */
export type Known = { clients: Clients; policy: Policy }

/** A key, and whose it is. */
export type FoundKey = { name: string; client: Client; key: Key }

export type UsageQuestion = {
  by: Dimension
  period: Period
  client: string | undefined
  ledger: string | undefined
  /** Where days begin, minutes east of UTC. */
  zoneMinutes: number
}

/**
 * What was used. `ledger` is the file that was read, null over the admin API; `period` is what was asked
 * for, and there as whole hours or days.
 */
export type Usage = { ledger: string | null; period: Period; grouped: Grouped; notices: string[] }

/** Which requests are to be shown: of those that have ended, the last so many `lines` at first. */
export type TailQuestion = { client: string | undefined; lines: number; ledger: string | undefined }

/** Who is told of requests as they end, and of what came in between. */
export type TailListener = { show(entry: Entry): void; remark(text: string): void }

/** How an import is made: on what plan new clients are, and what is noted at the keys. */
export type ImportOrder = ImportMode & { plan: string | undefined; note: string }

/** How the gate is: what it has loaded, and over the admin API also how nginx is. */
export type Status = Partial<RemoteStatus> & Omit<LoadState, 'ledger'>

/**
 * What commands need of a gate: its files on this machine (files.ts), or its admin API (remote.ts).
 * Everything refuses by throwing Refused; edits are the pure functions of core/config/edits.ts.
 */
export type Store = {
  /** For people: the folder, or the address. */
  place: string
  /** Whether there is anything to look into: the folder may be absent. */
  isThere(): Promise<boolean>
  load(): Promise<Known>
  loadClient(name: string): Promise<Client>
  findKey(id: string): Promise<FoundKey>
  /** A key by its SHA-256. Null when it is unknown. */
  findKeyByHash(sha256: string): Promise<FoundKey | null>
  /** All that is wrong with the configuration. */
  inspect(): Promise<Inspection>
  /** Writes clients.json anew in the layout of the tools. */
  rewrite(): Promise<void>
  addKey(
    request: NewKey,
    plan: string | undefined,
  ): Promise<{ client: Client; key: Key; isNewClient: boolean }>
  rotateKeys(request: NewKey, graceMs: number): Promise<{ key: Key; expiring: Key[] }>
  /** Adds many keys that were read out of a file, all or none of them. */
  importKeys(keys: ImportedKey[], order: ImportOrder): Promise<Imported>
  revokeKey(id: string, nowMs: number): Promise<{ name: string; key: Key; wasRevoked: boolean }>
  /** Edits the fields of one client, not its keys. */
  editClient(
    name: string,
    edit: (clients: Clients, policy: Policy) => { document: Clients; client: Client } | EditRefused,
  ): Promise<{ client: Client; policy: Policy }>
  removeClient(name: string): Promise<Client>
  editPlan<T extends { policy: Policy }>(
    name: string,
    edit: (policy: Policy) => T | EditRefused,
  ): Promise<T>
  balance(name: string, ledger: string | undefined): Promise<ClientBalance>
  /** Where days of the policy begin, minutes east of UTC; 0 where nobody can read it. */
  zoneMinutes(): Promise<number>
  usage(question: UsageQuestion): Promise<Usage>
  /** What runs right now. */
  running(ledger: string | undefined): Promise<RunningReply | Unanswered>
  /** Tells of requests as they end, until `ending`. */
  tail(question: TailQuestion, listener: TailListener, ending: AbortSignal): Promise<void>
  status(): Promise<Status>
}
