import type {
  Grant,
  Limits,
  Problem,
  Client as StoredClient,
  Key as StoredKey,
} from '../../core/config/shapes.ts'
import type { BudgetName } from '../../core/limits/table.ts'

/** What the admin API answers, as docs/openapi.json says it. */
export type Role = 'read' | 'write'

export type Me = { id: string; name: string; role: Role }

export type KeyState = 'live' | 'revoked' | 'expired' | 'disabled'

export type Key = Omit<StoredKey, 'sha256'> & { state: KeyState }

/** A key that was just made: `key` is the secret, told this once. */
export type NewKey = Key & { client: string; key?: string; expiring?: Key[] }

export type Client = Omit<StoredClient, 'keys'> & { name: string; keys: Key[] }

/** A client with what its plan gives, resolved. */
export type ClientDetail = Client & { effective: Grant }

/** `clients`: how many have it in the configuration that is in force. */
export type Plan = Grant & { name: string; clients: number }

/** What of a client may be written. */
export type ClientFields = Omit<StoredClient, 'keys'>

export type LimitName = keyof Limits

export type Standing = {
  budget: BudgetName
  limit: number | null
  used: number
  reserved: number | null
  left: number | null
  renews: string
}

export type Rate = { limit: LimitName; value: number; taken: number | null; left: number | null }

export type Subject = {
  of: 'client' | 'key' | 'group'
  name: string
  rates: Rate[]
  isHard: boolean
  standings: Standing[]
}

export type Balance = {
  client: string
  plan: string | null
  group: string | null
  disabled: boolean
  shadow: boolean
  subjects: Subject[]
}

export type RunningRequest = {
  id: string
  worker: number
  client: string
  key: string
  group?: string
  route: string
  model?: string
  stream?: boolean
  startedAt: string
  remote: string
  promptTokens?: number
  completionTokens?: number
  tokensPerSecond?: number | null
  heldTokens?: number
  heldCost?: number
}

export type RunningList = { time: string; total: number; requests: RunningRequest[] }

/** What usage can be told by. */
export type Dimension = 'client' | 'model' | 'key' | 'group'
export type Step = 'hour' | 'day'

export type UsageRow = {
  /** null where the requests had none. */
  client?: string | null
  model?: string | null
  key?: string | null
  group?: string | null
  time?: string
  requests: number
  refused: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
  audioSeconds: number
  cost: number
  estimated: boolean
}

export type Usage = {
  by: string[]
  since: string
  until: string
  isPartial: boolean
  rows: UsageRow[]
}

export type Alert = {
  severity: 'error' | 'warning' | 'info'
  code: string
  message: string
  fix: string
}

export type Zone = { name: string; capacityBytes?: number; freeBytes: number; entries: number }

export type LedgerStatus = {
  offset: number
  behindBytes: number
  lines: number
  skipped: number
  notice: string | null
  problem: string | null
}

export type Status = {
  version: string
  time: string
  nginx: string
  njs: string
  engine: string
  startedAt: string | null
  /** Where callers reach the gate, if the policy says it. */
  gateUrl: string | null
  /** Where days begin: `+08:00`, or `Z`; a gate of an older version does not say. */
  timeZone?: string
  generation: number
  loaded: string | null
  elapsedMs: number
  clients: number
  keys: number
  alerts: Alert[]
  problems: Problem[]
  notices: Problem[]
  ledger: LedgerStatus | null

  zones: Zone[]
  workers: { pid: number; inFlight: number }[]
  inFlight: number
  isWritable: boolean
  whyNotWritable?: string
}

export type AuditEntry = {
  time: string
  id: string
  who: { id: string; name: string }
  remote: string
  action: string
  target: string
  before?: unknown
  after?: unknown
}

/** policy.json as the API tells it; the console does not look into most of it. */
export type PolicyDocument = { [name: string]: unknown; plans?: { [name: string]: Grant } }
