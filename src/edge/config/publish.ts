import {
  ADMINS_ENTRY,
  LIMITED_ENTRY,
  LOCKOUT_ENTRY,
  PLANS_ENTRY,
  PRICES_ENTRY,
  PROGRESS_ENTRY,
  ROUTES_ENTRY,
  RULES_ENTRY,
  SOUND_ENTRY,
  STAMP_ENTRY,
  STATE_ENTRY,
  URL_ENTRY,
  ZONE_ENTRY,
} from '../../core/config/record.ts'
import { packRoutes, packRules, resolveKey, zoneOf } from '../../core/config/resolve.ts'
import type { Client, Lockout, Policy } from '../../core/config/shapes.ts'
import { zoneInForce } from '../timezone.ts'
import { cacheSalt, subjectId } from './subject.ts'

const BAD_KEYS_PER_MINUTE = 20
const LOCKOUT_SECONDS = 300
/** Keys are named by their SHA-256 in hexadecimal; no other entry is as long. */
const HASH_LENGTH = 64

const ENTRIES = [
  ADMINS_ENTRY,
  LIMITED_ENTRY,
  LOCKOUT_ENTRY,
  PLANS_ENTRY,
  PRICES_ENTRY,
  PROGRESS_ENTRY,
  ROUTES_ENTRY,
  RULES_ENTRY,
  SOUND_ENTRY,
  STAMP_ENTRY,
  STATE_ENTRY,
  URL_ENTRY,
  ZONE_ENTRY,
]

/** How the records of one load end, as JSON: what another load wrote ends otherwise. */
export function markOf(startedMs: number): string {
  return `,"load":${startedMs}}`
}

/**
 * Writes the records of one client, and tells how many of its keys were written under another one by
 * the same load.
 */
export function publishClient(
  zone: NgxSharedDict<string>,
  name: string,
  client: Client,
  policy: Policy,
  mark: string,
): number {
  const hashes = { subjectId, salt: cacheSalt }
  let duplicates = 0
  client.keys.forEach((key) => {
    const record = resolveKey(name, client, key, policy, hashes).slice(0, -1) + mark
    const written = zone.get(key.sha256)
    if (written !== undefined && written !== record && written.endsWith(mark)) duplicates++
    if (written !== record) zone.set(key.sha256, record)
  })
  return duplicates
}

/** Writes what the policy says beside the keys. With `routes` the first requests are admitted. */
export function publishPolicy(zone: NgxSharedDict<string>, policy: Policy): void {
  put(zone, LOCKOUT_ENTRY, JSON.stringify(lockoutRule(policy.lockout || {})))
  put(zone, ZONE_ENTRY, `${zoneOf(policy)}`)
  put(zone, RULES_ENTRY, packRules(policy, zoneInForce()))
  put(zone, PRICES_ENTRY, policy.prices ? JSON.stringify(policy.prices) : '')
  put(zone, URL_ENTRY, policy.url || '')
  put(zone, ADMINS_ENTRY, JSON.stringify(policy.admins || []))
  put(zone, ROUTES_ENTRY, packRoutes(policy))
}

/** How many keys the zone holds, those that are in no file any more included. */
export function countKeys(zone: NgxSharedDict<string>): number {
  const others = ENTRIES.filter((entry) => zone.has(entry))
  return zone.size() - others.length
}

/** The hashes of all keys in the zone. */
export function listHashes(zone: NgxSharedDict<string>): string[] {
  return zone.keys(zone.size()).filter((entry) => entry.length === HASH_LENGTH)
}

/** Removes a key that another load wrote than the one with this mark. */
export function removeStale(zone: NgxSharedDict<string>, hash: string, mark: string): void {
  const record = zone.get(hash)
  if (record !== undefined && !record.endsWith(mark)) zone.delete(hash)
}

/**
 * Writes an entry that has to be there, also into a full zone: then some keys more are refused than
 * did not fit anyway.
 */
export function putFirst(zone: NgxSharedDict<string>, entry: string, value: string): void {
  try {
    zone.set(entry, value)
  } catch (_) {
    const hashes = listHashes(zone)
    hashes.slice(0, 1 + hashes.length / 16).forEach((hash) => {
      zone.delete(hash)
    })
    zone.set(entry, value)
  }
}

function lockoutRule(lockout: Lockout): object {
  return {
    badKeysPerMinute: lockout.badKeysPerMinute || BAD_KEYS_PER_MINUTE,
    seconds: lockout.seconds || LOCKOUT_SECONDS,
  }
}

function put(zone: NgxSharedDict<string>, entry: string, value: string): void {
  if (zone.get(entry) !== value) zone.set(entry, value)
}
