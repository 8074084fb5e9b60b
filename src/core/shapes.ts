/**
 * The shapes of the two configuration files, as people and tools write them. What nginx reads at
 * run time is the resolved record of resolve.ts.
 */

/** A permission over a group of routes. */
export type Scope = 'inference' | 'embeddings' | 'audio' | 'models' | 'tokenize' | 'admin'

/** One credential of a client. Only the hash of its secret is stored. */
export type Key = {
  /** Public: 8 characters of a-z and 0-9, unique over all clients. */
  id: string
  /** SHA-256 of the whole key as the caller sends it, 64 hexadecimal digits in lower case. */
  sha256: string
  /** RFC 3339, like every time here. */
  created: string
  expires?: string | null
  revoked?: string | null
  note?: string
}

/** Ceilings over a sliding minute, and over requests in flight. */
export type Limits = {
  requestsPerMinute?: number
  tokensPerMinute?: number
  inputTokensPerMinute?: number
  outputTokensPerMinute?: number
  concurrency?: number
}

/** Ceilings over a calendar day or month (UTC). Cost is in the unit of the policy's prices. */
export type Budgets = {
  tokensPerDay?: number
  tokensPerMonth?: number
  costPerDay?: number
  costPerMonth?: number
  hard?: boolean
}

/** Ceilings of one request. */
export type RequestCeilings = { maxOutputTokens?: number; maxInputTokens?: number; n?: number }

/** What a plan gives, and what a client may override field by field. */
export type Grant = {
  scopes?: Scope[]
  models?: string[]
  /** CIDR blocks or single addresses, IPv4 and IPv6. */
  addresses?: string[]
  limits?: Limits
  budgets?: Budgets
  request?: RequestCeilings
  priority?: number
  cacheSalt?: boolean
  shadow?: boolean
  note?: string
}

export type Client = Grant & {
  plan?: string
  group?: string
  disabled?: boolean
  keys: Key[]
}

/** clients.json: written by the tools, readable by people. */
export type Clients = { version: 1; clients: { [name: string]: Client } }

/** How a route of the table in route.ts is opened: not at all, with a key, or for everybody. */
export type RouteAccess = 'off' | 'key' | 'public'

/** When an address that keeps sending bad keys is locked out. */
export type Lockout = { badKeysPerMinute?: number; seconds?: number }

/** policy.json: written by people. */
export type Policy = {
  version: 1
  plans?: { [name: string]: Grant }
  routes?: { [name: string]: RouteAccess }
  lockout?: Lockout
}

/** One thing wrong in a file: where (`clients.app.keys[0].sha256`), and what, with the fix. */
export type Problem = { path: string; message: string }
