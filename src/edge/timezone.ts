import { RULES_ENTRY, type Rules, ZONE_ENTRY } from '../core/config/record.ts'
import { clientsZone } from './gate/registry.ts'
import { readCursor } from './ledger/sums.ts'

/*
 * Where days and months begin, in minutes east of UTC. What policy.json says comes into force when the
 * sums of its days and months are there, see ledger/recount.ts: until then budgets go on in the old time
 * zone, so that nobody waits and nobody has one for nothing.
 */

/** What policy.json says; null before the first load. */
export function zoneWanted(): number | null {
  const kept = clientsZone().get(ZONE_ENTRY)
  return kept === undefined ? null : Number(kept)
}

/** What requests go by; before the first load, that of the sums, if there are any. */
export function zoneInForce(): number {
  const rules = clientsZone().get(RULES_ENTRY)
  if (rules !== undefined) return (JSON.parse(rules || '{}') as Rules).zoneMinutes || 0
  const cursor = readCursor()
  return cursor && cursor.lines > 0 ? cursor.zoneMinutes : zoneWanted() || 0
}
