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
  /** Tighter than those of its client, which hold as well. */
  limits?: Limits
  budgets?: Budgets
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

/** Ceilings over a calendar day or month of the policy's time zone. Cost is in the unit of the policy's prices. */
export type Budgets = {
  tokensPerDay?: number
  tokensPerMonth?: number
  costPerDay?: number
  costPerMonth?: number
  hard?: boolean
}

/** Parameters that are refused unless `request.allow` names them. */
export type GuardedParameter =
  | 'background'
  | 'store'
  | 'previous_response_id'
  | 'bytes_only'
  | 'request_id'
  | 'kv_transfer_params'
  | 'ec_transfer_params'
  | 'vllm_xargs'
  | 'use_beam_search'
  | 'lora'
  | 'lora_path'
  | 'rid'
  | 'bootstrap_host'
  | 'id_slot'

/** Ceilings of one request. */
export type RequestCeilings = {
  maxOutputTokens?: number
  maxInputTokens?: number
  n?: number
  bestOf?: number
  topLogprobs?: number
  promptLogprobs?: number
  /** Prompts of a completion, inputs of an embedding, documents of a rerank. */
  inputs?: number
  /** What becomes of a number above its ceiling; where nothing can be clamped it is refused. */
  excess?: 'clamp' | 'refuse'
  allow?: GuardedParameter[]
}

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

/**
 * Where token counts come from: the engine's running and final counts, asked for in the body
 * (`exact`); the final one alone, for servers that refuse `continuous_usage_stats` (`final`); only
 * what the server tells unasked, with nothing put into the body (`unasked`). `off`: as that where a limit or budget
 * counts tokens or cost; of all other requests nothing is counted.
 */
export type Metering = 'exact' | 'final' | 'unasked' | 'off'

/** Prices in the unit of the cost budgets, per million tokens, and per second of audio. */
export type Price = {
  input: number
  /** Prompt tokens from the prefix cache; left out: as `input`. */
  cachedInput?: number
  output: number
  audioSecond?: number
}

/** What the clients of a group share. */
export type Group = { limits?: Limits; budgets?: Budgets; note?: string }

/** What a token of the admin API may do: look, or change everything but the tokens. */
export type Role = 'read' | 'write'

/** One token of the admin API. Only the hash of its secret is stored. */
export type Admin = {
  /** Public, as that of a key. */
  id: string
  /** Whose it is, for the audit log. */
  name: string
  role: Role
  sha256: string
  created: string
  expires?: string | null
  revoked?: string | null
  note?: string
}

/** policy.json: written by people. */
export type Policy = {
  version: 1
  /** Where callers reach the gate, `https://llm.example.com`: for examples that are handed out. */
  url?: string
  /** Where days and months of budgets and of usage begin: `+08:00`; left out, UTC. */
  timeZone?: string
  plans?: { [name: string]: Grant }
  groups?: { [name: string]: Group }
  routes?: { [name: string]: RouteAccess }
  lockout?: Lockout
  metering?: Metering
  /** By the name of a model, or a pattern such as `llama-*`; the longest that fits holds. */
  prices?: { [model: string]: Price }
  /** The model that the server takes where a request names none. */
  defaultModel?: string
  /** Output tokens that are reserved where a request names no maximum. */
  defaultOutputTokens?: number
  /** Requests in flight of all clients together; beyond it those above their share are refused. */
  maxInFlight?: number
  /** Makes the cache salts; clients whose `cacheSalt` is on need it. */
  cacheSaltSecret?: string
  /** Who may call the admin API. Changed by the command line alone. */
  admins?: Admin[]
}

/** One thing wrong in a file: where (`clients.app.keys[0].sha256`), and what, with the fix. */
export type Problem = { path: string; message: string }
