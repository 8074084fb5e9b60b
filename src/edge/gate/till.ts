import type { Registry } from '../../core/admit/admit.ts'
import type { LockoutRule } from '../../core/admit/lockout.ts'
import {
  type KeyRecord,
  type Limited,
  LOCKOUT_ENTRY,
  ROUTES_ENTRY,
  type Rules,
} from '../../core/config/record.ts'
import type { Till } from '../../core/limits/claim.ts'
import { BIRTH_COUNTER } from '../../core/limits/counters.ts'
import {
  clientsZone,
  countersZone,
  findRecord,
  hashOf,
  numberZone,
  openZones,
  readPrices,
  readRules,
} from './registry.ts'
import type { GateRequest } from './request.ts'

/** The zones of http.conf, as admit() asks for them. A missing zone throws, and so refuses. */
export const REGISTRY: Registry = {
  routes: () => clientsZone().get(ROUTES_ENTRY),
  find(secret, call) {
    call.hash = hashOf(secret)
    return findRecord(call.hash)
  },
  lockoutRule: readLockoutRule,
  badKeys: () => numberZone('tollgate_badkeys'),
}

/** What claim() asks for, by the rules that the request began with. It holds until the next request asks. */
export function openTill(r: GateRequest): Till {
  const rules = rulesOf(r)
  const upstream = rules.maxInFlight === undefined ? '' : r.variables['tollgate_upstream'] || ''
  return tillOf(rules, upstream)
}

/** The same by rules; `upstream` is the name of the server behind, where maxInFlight holds. */
export function tillOf(rules: Rules, upstream: string): Till {
  if (till) {
    till.rules = rules
    till.upstream = upstream
    return till
  }
  const zones = openZones()
  till = {
    windows: zones.windows,
    counters: zones.counters,
    rules,
    prices: readPrices,
    upstream,
  }
  return till
}

let till: Till | null = null

/** The rules that a request began with. */
export function rulesOf(r: GateRequest): Rules {
  r.rules = r.rules || readRules()
  return r.rules
}

/** Whether what has been used of a key's budgets is known: not in the first moments after a start. */
export function areBudgetsReady(record: KeyRecord): boolean {
  const limited = record.limited
  if (!limited) return true
  for (let i = 0; i < limited.length; i++) {
    const isReady = !(limited[i] as Limited).budgets || countersZone().has(BIRTH_COUNTER)
    if (!isReady) return false
  }
  return true
}

function readLockoutRule(): LockoutRule {
  return JSON.parse(clientsZone().get(LOCKOUT_ENTRY) || '{}')
}
