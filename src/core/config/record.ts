import type {
  Budgets,
  Limits,
  Metering,
  Problem,
  RequestCeilings,
  RouteAccess,
  Scope,
} from './shapes.ts'

/**
 * What admission knows of a key: plan and client already merged. It stands as JSON in the zone
 * `tollgate_clients` under the SHA-256 of the secret, in hexadecimal, and is as short as it can be,
 * since there may be 100,000 of them: what is at its default is left out.
 */
export type KeyRecord = {
  client: string
  /** The key's public id. */
  key: string
  /** Left out: defaultScopes(). */
  scopes?: Scope[]
  addresses?: string[]
  /**
   * Present where nothing stands here that the quick way of the gate does not know (edge/gate/quick.ts), and chats are
   * among its scopes: until when that is so, ms since 1970, which is when the key expires; 0: for good.
   */
  usual?: number
  /** Milliseconds since 1970. */
  expires?: number
  revoked?: true
  disabled?: true
  models?: string[]
  request?: RequestCeilings
  group?: string
  /** Whose limits and budgets hold for this key: its client's, its own, its group's. */
  limited?: Limited[]
  /** Limits are evaluated and told, never enforced. */
  shadow?: true
  priority?: number
  /** The cache salt of the client, 43 characters of base64url. */
  salt?: string
  /**
   * When the load began that wrote it, ms since 1970. A load writes all records, so that what has
   * another value is in no file any more.
   */
  load?: number
}

/** One client, key or group with limits or budgets of its own. Cost is in nano-units, see cost.ts. */
export type Limited = {
  of: 'client' | 'key' | 'group'
  /** Ten characters that name it in the counters, see counters.ts. */
  id: string
  limits?: Limits
  budgets?: Budgets
}

/** What policy.json says of every request, in the entry `rules`; defaults are left out. */
export type Rules = {
  metering?: Metering
  defaultModel?: string
  defaultOutputTokens?: number
  maxInFlight?: number
  /**
   * Where days and months begin, minutes east of UTC. Not what the policy says, but what is in force: the
   * sums of a new time zone have to be there first, see edge/ledger/timezone.ts.
   */
  zoneMinutes?: number
}

/**
 * Names of the other entries of that zone. None has the 64 characters of a hash.
 *
 * - `routes`: packRoutes() of policy.json; its presence says that a policy is loaded
 * - `lockout`: JSON of LockoutRule
 * - `rules`: JSON of Rules; empty where everything is at its default
 * - `zone`: the time zone that policy.json says, minutes east of UTC
 * - `prices`: JSON of Policy.prices; empty where there are none
 * - `admins`: JSON of Admin[], who may call the admin API
 * - `url`: where callers reach the gate; empty where policy.json does not say
 * - `plans`: JSON of how many clients have each plan
 * - `limited`: JSON of the first subjects with limits or budgets, by their names, for the metrics
 * - `stamp`: times and sizes of the files that were last looked at
 * - `sound`: the same of files that the admin API has checked or written itself
 * - `progress`: JSON of Progress, while a load of many clients is under way
 * - `state`: JSON of LoadState, for people
 */
export const ROUTES_ENTRY = 'routes'
export const LOCKOUT_ENTRY = 'lockout'
export const RULES_ENTRY = 'rules'
export const ZONE_ENTRY = 'zone'
export const PRICES_ENTRY = 'prices'
export const ADMINS_ENTRY = 'admins'
export const URL_ENTRY = 'url'
export const PLANS_ENTRY = 'plans'
export const LIMITED_ENTRY = 'limited'
export const STAMP_ENTRY = 'stamp'
export const SOUND_ENTRY = 'sound'
export const PROGRESS_ENTRY = 'progress'
export const STATE_ENTRY = 'state'

/** What the last look at the files came to, for people: in the zone, and in state.json. */
export type LoadState = {
  generation: number
  /** When the running configuration was loaded. */
  loaded: string | null
  elapsedMs: number
  clients: number
  keys: number
  /** Why the files as they are now are not in force; empty when they are. */
  problems: Problem[]
  /** What should be mended all the same. */
  notices: Problem[]
  /** How far the ledger is in the sums that the budgets are taken from. */
  ledger?: LedgerState
}

export type LedgerState = {
  /** Bytes of ledger.jsonl that are in the sums, and those of the file being read that are not yet. */
  offset: number
  behindBytes: number
  lines: number
  /** Lines that could not be read. */
  skipped: number
  /** How often a counter could not be kept, because tollgate_counters is full. */
  countersFull: number
  /** What happened to the sums, such as that they were made anew. */
  notice: string | null
  /** Why the ledger cannot be read, or balance.json not be written; null when all is well. */
  problem: string | null
}

/** Whether a client may call it when neither it nor its plan says. */
export function isDefaultScope(scope: Scope): boolean {
  return scope !== 'tokenize' && scope !== 'admin'
}

/** The list of these. */
export function defaultScopes(): Scope[] {
  const scopes: Scope[] = ['inference', 'embeddings', 'audio', 'models', 'tokenize', 'admin']
  return scopes.filter(isDefaultScope)
}

/**
 * Reads how policy.json opens one route out of the packed form, `;chat=off;tokenize=key;`: a string
 * search, because this runs at every request.
 */
export function routeAccess(packed: string, name: string): RouteAccess | null {
  const at = packed.indexOf(`;${name}=`)
  if (at < 0) return null
  switch (packed.charAt(at + name.length + 2)) {
    case 'k':
      return 'key'
    case 'p':
      return 'public'
    default:
      return 'off'
  }
}
