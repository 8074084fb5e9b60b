import crypto from 'crypto'
import type { Registry } from '../../core/admit/admit.ts'
import type { LockoutRule } from '../../core/admit/lockout.ts'
import {
  type KeyRecord,
  LOCKOUT_ENTRY,
  PRICES_ENTRY,
  ROUTES_ENTRY,
  RULES_ENTRY,
  type Rules,
} from '../../core/config/record.ts'
import type { Price } from '../../core/config/shapes.ts'
import type { Till } from '../../core/limits/claim.ts'
import { BIRTH_COUNTER, pidName } from '../../core/limits/counters.ts'
import type { Zones } from '../../core/limits/reserve.ts'
import type { GateRequest } from './request.ts'

/**
 * The worker, base 36. A constant of the process, so that it may stand here: `process` is made anew each
 * time that it is asked for, which takes 2 us on QuickJS.
 */
export const WORKER = pidName(process.pid)

/** The zones of http.conf, as admit() asks for them. A missing zone throws, and so refuses. */
export function openRegistry(r: GateRequest): Registry {
  const clients = clientsZone()
  return {
    routes: clients.get(ROUTES_ENTRY),
    find(secret) {
      r.hash = crypto.createHash('sha256').update(secret).digest('hex')
      return clients.get(r.hash)
    },
    lockoutRule: readLockoutRule,
    badKeys: numberZone('tollgate_badkeys'),
    admitted(route, record) {
      r.route = route
      r.record = record
    },
  }
}

/** What claim() asks for. Not kept on `r`, which it refers to: QuickJS would not free the circle at once. */
export function openTill(r: GateRequest): Till {
  const rules = rulesOf(r)
  const upstream = () => r.variables['tollgate_upstream'] || ''
  const text = () => r.requestText
  const more = { rules, prices: readPrices, upstream, pid: WORKER, text }
  return Object.assign(more, openZones())
}

/** The zones in which limits and budgets are counted. */
export function openZones(): Zones {
  return {
    windows: numberZone('tollgate_windows'),
    counters: countersZone(),
    slots: numberZone('tollgate_slots'),
  }
}

/** The zone with one record per key, see core/config/record.ts. */
export function clientsZone(): NgxSharedDict<string> {
  return ngx.shared['tollgate_clients'] as NgxSharedDict<string>
}

/** The zone of what lasts longer than a minute, see core/limits/counters.ts. */
export function countersZone(): NgxSharedDict<number> {
  return numberZone('tollgate_counters')
}

/** The zone of the requests in flight, see core/running.ts. */
export function runningZone(): NgxSharedDict<string> {
  return ngx.shared['tollgate_running'] as NgxSharedDict<string>
}

/** What the policy says of every request, read once for all that a request asks of it. */
export function rulesOf(r: GateRequest): Rules {
  r.rules = r.rules || (JSON.parse(clientsZone().get(RULES_ENTRY) || '{}') as Rules)
  return r.rules
}

/** The prices of the policy, by model. */
export function readPrices(): { [pattern: string]: Price } {
  return JSON.parse(clientsZone().get(PRICES_ENTRY) || '{}')
}

/** Whether what has been used of a key's budgets is known: not in the first moments after a start. */
export function areBudgetsReady(record: KeyRecord): boolean {
  const hasBudgets = (record.limited || []).some((entry) => entry.budgets !== undefined)
  return !hasBudgets || countersZone().get(BIRTH_COUNTER) !== undefined
}

function readLockoutRule(): LockoutRule {
  return JSON.parse(clientsZone().get(LOCKOUT_ENTRY) || '{}')
}

function numberZone(name: string): NgxSharedDict<number> {
  return ngx.shared[name] as NgxSharedDict<number>
}
