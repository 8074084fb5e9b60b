import crypto from 'crypto'
import type { Registry } from '../../core/admit/admit.ts'
import type { LockoutRule } from '../../core/admit/lockout.ts'
import {
  type KeyRecord,
  type Limited,
  LOCKOUT_ENTRY,
  PRICES_ENTRY,
  ROUTES_ENTRY,
  RULES_ENTRY,
  type Rules,
} from '../../core/config/record.ts'
import type { Price } from '../../core/config/shapes.ts'
import type { Till } from '../../core/limits/claim.ts'
import { BIRTH_COUNTER, EPOCH_COUNTER, pidName } from '../../core/limits/counters.ts'
import type { Zones } from '../../core/limits/reserve.ts'
import type { GateRequest } from './request.ts'

/** A longer record, of many addresses or models say, is parsed each time. */
const RECORD_CHARS_MAX = 2048

/**
 * The worker, base 36. A constant of the process, so that it may stand here: `process` is made anew each
 * time that it is asked for, which takes 2 us on QuickJS.
 */
export const WORKER = pidName(process.pid)

/** The zones of http.conf, as admit() asks for them. A missing zone throws, and so refuses. */
export const REGISTRY: Registry = {
  routes: () => clientsZone().get(ROUTES_ENTRY),
  find(secret, call) {
    call.hash = crypto.createHash('sha256').update(secret).digest('hex')
    return findRecord(call.hash)
  },
  lockoutRule: readLockoutRule,
  badKeys: () => numberZone('tollgate_badkeys'),
}

/** What claim() asks for, by the rules that the request began with. It holds until the next request asks. */
export function openTill(r: GateRequest): Till {
  const rules = rulesOf(r)
  const upstream = rules.maxInFlight === undefined ? '' : r.variables['tollgate_upstream'] || ''
  if (till) {
    till.rules = rules
    till.upstream = upstream
    return till
  }
  const zones = openZones()
  till = {
    windows: zones.windows,
    counters: zones.counters,
    slots: zones.slots,
    rules,
    prices: readPrices,
    upstream,
    pid: WORKER,
  }
  return till
}

let till: Till | null = null

/** The rules that a request began with. */
export function rulesOf(r: GateRequest): Rules {
  r.rules = r.rules || readRules()
  return r.rules
}

/** To open a zone takes 1,000 to 2,000 instructions, to ask it half of that: so they are kept. */
let zones: Zones | null = null
let clients: NgxSharedDict<string> | null = null
let counters: NgxSharedDict<number> | null = null
let running: NgxSharedDict<string> | null = null

/** The zones in which limits and budgets are counted. */
export function openZones(): Zones {
  if (!zones) {
    zones = {
      windows: numberZone('tollgate_windows'),
      counters: countersZone(),
      slots: numberZone('tollgate_slots'),
    }
  }
  return zones
}

/** The zone with one record per key, see core/config/record.ts. */
export function clientsZone(): NgxSharedDict<string> {
  if (!clients) clients = ngx.shared['tollgate_clients'] as NgxSharedDict<string>
  return clients
}

/** The zone of what lasts longer than a minute, see core/limits/counters.ts. */
export function countersZone(): NgxSharedDict<number> {
  if (!counters) counters = numberZone('tollgate_counters')
  return counters
}

/** Moves on when keys or budgets may have changed. */
export function readEpoch(): number {
  return countersZone().get(EPOCH_COUNTER) || 0
}

/** The zone of the requests in flight, see core/running.ts. */
export function runningZone(): NgxSharedDict<string> {
  if (!running) running = ngx.shared['tollgate_running'] as NgxSharedDict<string>
  return running
}

/**
 * What was parsed last, with its text in the zone, which it is compared with at each request: so nothing can be
 * stale. On QuickJS it stays in the context, whose requests have it for a comparison; njs's own engine begins
 * each request anew. Nobody may change it.
 */
let rulesText = '{}'
let rules: Rules = {}
let pricesText = '{}'
let prices: { [pattern: string]: Price } = {}

/** The same of the records of keys: those of the last few, since each context holds them. */
const RECORDS_MAX = 8
let records: { [hash: string]: { text: string; record: KeyRecord } } = Object.create(null)
let recordsKept = 0

/** The record under the SHA-256 of a secret. */
export function findRecord(hash: string): KeyRecord | undefined {
  const text = clientsZone().get(hash)
  if (text === undefined) return undefined
  const kept = records[hash]
  if (kept && kept.text === text) return kept.record
  const record = JSON.parse(text) as KeyRecord
  if (text.length > RECORD_CHARS_MAX) return record
  if (recordsKept++ >= RECORDS_MAX) {
    records = Object.create(null)
    recordsKept = 1
  }
  records[hash] = { text, record }
  return record
}

/** What the policy says of every request. */
export function readRules(): Rules {
  const text = clientsZone().get(RULES_ENTRY) || '{}'
  if (text !== rulesText) {
    rules = JSON.parse(text)
    rulesText = text
  }
  return rules
}

/** The prices of the policy, by model. */
export function readPrices(): { [pattern: string]: Price } {
  const text = clientsZone().get(PRICES_ENTRY) || '{}'
  if (text !== pricesText) {
    prices = JSON.parse(text)
    pricesText = text
  }
  return prices
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

function numberZone(name: string): NgxSharedDict<number> {
  return ngx.shared[name] as NgxSharedDict<number>
}
