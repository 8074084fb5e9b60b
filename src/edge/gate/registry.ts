import crypto from 'crypto'
import { type KeyRecord, PRICES_ENTRY, RULES_ENTRY, type Rules } from '../../core/config/record.ts'
import type { Price } from '../../core/config/shapes.ts'
import { EPOCH_COUNTER, pidName } from '../../core/limits/counters.ts'
import type { Zones } from '../../core/limits/reserve.ts'
import type { GateRequest } from './request.ts'

/** A longer record, of many addresses or models say, is parsed each time. */
const RECORD_CHARS_MAX = 2048

/** The worker, base 36. Of its process, so that it may stand here; empty until somebody asks. */
export let worker = ''

/** Names the worker. `process` would be made anew each time that it is asked for, and takes 6,000 instructions. */
export function workerOf(r: GateRequest): string {
  if (worker === '') worker = pidName(Number(r.variables['pid']))
  return worker
}

/** SHA-256 of a secret, in hexadecimal. */
export function hashOf(secret: string): string {
  return crypto.createHash('sha256').update(secret).digest('hex')
}

/** To open a zone takes 1,000 to 3,000 instructions, to ask it half of that: so they are kept. */
export let zones: Zones | null = null
export let clients: NgxSharedDict<string> | null = null
let counters: NgxSharedDict<number> | null = null
export let running: NgxSharedDict<string> | null = null

/** The zones in which limits and budgets are counted. */
export function openZones(): Zones {
  if (!zones) {
    zones = {
      windows: numberZone('tollgate_windows'),
      counters: countersZone(),
    }
  }
  return zones
}

/** Opens the zones that every request asks. */
export function openFirst(): void {
  clients = ngx.shared['tollgate_clients'] as NgxSharedDict<string>
  running = ngx.shared['tollgate_running'] as NgxSharedDict<string>
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

export function numberZone(name: string): NgxSharedDict<number> {
  return ngx.shared[name] as NgxSharedDict<number>
}

/**
 * What was parsed last, with its text in the zone, which it is compared with at each request: so nothing can be
 * stale. On QuickJS it stays in the context, whose requests have it for a comparison; njs's own engine begins
 * each request anew. Nobody may change it.
 */
let rulesText = ''
let rules: Rules | null = null
let pricesText = ''
let prices: { [pattern: string]: Price } | null = null
let lastHash = ''
let lastText = ''
let lastRecord: KeptRecord | null = null

/** A record that stays in its context, with what is written of it for each request: see whoOf() and beginOf(). */
export type KeptRecord = KeyRecord & { who?: string; begin?: string }

/** The records of the last few keys, since each context holds them. Kept from a context's second record on. */
const RECORDS_MAX = 8
let records: { [hash: string]: { text: string; record: KeptRecord } } | null = null
let recordsKept = 0

/** The record under the SHA-256 of a secret. */
export function findRecord(hash: string): KeyRecord | undefined {
  const text = clientsZone().get(hash)
  return text === undefined ? undefined : recordOf(hash, text)
}

/** The same, of its text in the zone. */
export function recordOf(hash: string, text: string): KeptRecord {
  if (hash === lastHash && text === lastText) return keepWords(lastRecord as KeptRecord)
  const kept = records && records[hash]
  const isKept = kept && kept.text === text
  const record = isKept ? kept.record : (JSON.parse(text) as KeyRecord)
  // njs's own engine comes here for one record alone.
  const isAgain = lastHash !== ''
  lastHash = hash
  lastText = text
  lastRecord = record
  if (isKept) return keepWords(record)
  if (!isAgain || text.length > RECORD_CHARS_MAX) return record
  if (!records || recordsKept++ >= RECORDS_MAX) {
    records = Object.create(null) as NonNullable<typeof records>
    recordsKept = 1
  }
  records[hash] = { text, record }
  return record
}

function keepWords(record: KeptRecord): KeptRecord {
  if (record.who === undefined) {
    record.who = whoOf(record)
    record.begin = beginOf(record)
  }
  return record
}

/** Whose a request is, among those that run: see core/running.ts. */
export function whoOf(record: KeyRecord): string {
  return record.client + ' ' + record.key + ' ' + (record.group || '') + ' '
}

/** How the line of a request begins that ended well, up to the name of its route. */
export function beginOf(record: KeyRecord): string {
  const end = record.group === undefined ? '' : '","group":"' + record.group
  return (
    '"outcome":"ok","client":"' + record.client + '","key":"' + record.key + end + '","route":"'
  )
}

/** What the policy says of every request. */
export function readRules(): Rules {
  const text = (clients || clientsZone()).get(RULES_ENTRY) || '{}'
  if (text === rulesText) return rules as Rules
  rules = text === '{}' ? {} : JSON.parse(text)
  rulesText = text
  return rules as Rules
}

/** The prices of the policy, by model. */
export function readPrices(): { [pattern: string]: Price } {
  const text = clientsZone().get(PRICES_ENTRY) || '{}'
  if (text === pricesText) return prices as { [pattern: string]: Price }
  prices = text === '{}' ? {} : (JSON.parse(text) as { [pattern: string]: Price })
  pricesText = text
  return prices
}
