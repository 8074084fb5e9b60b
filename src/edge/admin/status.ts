import { version } from '../../../package.json'
import { listAlerts, type Status, type ZoneState } from '../../core/admin/status.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { ADMINS_ENTRY, URL_ENTRY } from '../../core/config/record.ts'
import { BIRTH_COUNTER } from '../../core/limits/counters.ts'
import { formatZone } from '../../core/time.ts'
import { whyNotWritable } from '../config/replacement.ts'
import { clientsZone, countersZone } from '../gate/registry.ts'
import { ledgerState, readState } from '../housekeeping.ts'
import { readCursor } from '../ledger/sums.ts'
import { listWorkers } from '../running/workers.ts'
import { zoneInForce } from '../timezone.ts'

/** GET /status. */
export function status(call: Call): Reply {
  const zone = clientsZone()
  const state = readState(zone)
  const bornMs = countersZone().get(BIRTH_COUNTER)
  const cursor = readCursor()
  const workers = listWorkers()
  const why = whyNotWritable(call.places.dir)
  const found: Omit<Status, 'alerts'> = {
    version,
    time: new Date(call.nowMs).toISOString(),
    nginx: ngx.version,
    njs: njs.version,
    engine: njs.engine || 'njs',
    startedAt: bornMs === undefined ? null : new Date(bornMs).toISOString(),
    gateUrl: zone.get(URL_ENTRY) || null,
    timeZone: formatZone(zoneInForce()),
    generation: state.generation,
    loaded: state.loaded,
    elapsedMs: state.elapsedMs,
    clients: state.clients,
    keys: state.keys,
    problems: state.problems,
    notices: state.notices,
    ledger: cursor ? ledgerState(cursor) : null,
    zones: listZones(),
    workers,
    inFlight: workers.reduce((sum, worker) => sum + worker.inFlight, 0),
    isWritable: why === null,
  }
  if (why !== null) found.whyNotWritable = why
  const admins = JSON.parse(zone.get(ADMINS_ENTRY) || '[]')
  const alerts = listAlerts(found, admins, call.nowMs)
  return { status: 200, body: Object.assign({ alerts }, found) }
}

function listZones(): ZoneState[] {
  const names = Object.keys(ngx.shared).filter((name) => name.startsWith('tollgate_'))
  return names.sort().map((name) => {
    const zone = ngx.shared[name] as NgxSharedDict<string | number>
    return {
      name,
      capacityBytes: zone.capacity,
      freeBytes: zone.freeSpace(),
      entries: zone.size(),
    }
  })
}
