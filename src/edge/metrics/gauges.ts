import { version } from '../../../package.json'
import {
  LIMITED_ENTRY,
  type Limited,
  type LoadState,
  STATE_ENTRY,
} from '../../core/config/record.ts'
import { counterName, FULL_COUNTER, UNLOGGED_COUNTER } from '../../core/limits/counters.ts'
import { takenOf } from '../../core/limits/taken.ts'
import { addLimited } from '../../core/metrics/limited.ts'
import { addSample, type Samples } from '../../core/metrics/text.ts'
import { clientOf, isWaiting, MARK_PREFIX } from '../../core/running.ts'
import { clean, OTHER } from '../../core/usage/rows.ts'
import { idOf } from '../config/subject.ts'
import { clientsZone, countersZone, openZones, runningZone } from '../gate/registry.ts'
import { readCursor } from '../ledger/sums.ts'
import { listWorkers } from '../running/workers.ts'
import { zoneInForce } from '../timezone.ts'
import { readRowsState } from '../usage/rows.ts'
import { metricsZone } from './tally.ts'

/** More are counted under OTHER: a zone that is listed is locked for its writers, 1 ms for 1,000. */
const LISTED_MAX = 5000

/** Everything that is as it is now, and needs no counting. */
export function addGauges(samples: Samples, nowMs: number): void {
  const own = metricsZone()
  const start = (own.get('start') || nowMs) / 1000
  const engine = njs.engine || 'njs'
  const versions = { version, nginx: ngx.version, njs: njs.version, engine }
  addSample(samples, 'tollgate_build_info', versions, 1)
  addSample(samples, 'tollgate_start_time_seconds', {}, start)
  addSample(samples, 'tollgate_workers', {}, listWorkers().length)
  addRunning(samples)
  addLimits(samples, nowMs)
  addLockouts(samples, nowMs)
  addConfiguration(samples)
  addLedger(samples)
  addZones(samples)
  const turn = (own.get('turn') || 0) / 1000
  addSample(samples, 'tollgate_housekeeping_last_run_timestamp_seconds', {}, turn)
  addSample(samples, 'tollgate_housekeeping_errors', {}, own.get('errors') || 0)
  addSample(samples, 'tollgate_series_dropped', {}, own.get('dropped') || 0)
  addSample(samples, 'tollgate_counters_full', {}, countersZone().get(FULL_COUNTER) || 0)
  addSample(samples, 'tollgate_requests_unlogged', {}, countersZone().get(UNLOGGED_COUNTER) || 0)
}

/** By client. What a dead worker left is in here until housekeeping takes it away, a minute at most. */
function addRunning(samples: Samples): void {
  const zone = runningZone()
  const counts: { [client: string]: number } = {}
  const items = zone.items(LISTED_MAX)
  items.forEach((item) => {
    if ((item[0] as string).startsWith(MARK_PREFIX) || isWaiting(item[1] as string)) return
    const client = `.${clientOf(item[1] as string)}`
    counts[client] = (counts[client] || 0) + 1
  })
  const rest = items.length < LISTED_MAX ? 0 : zone.size() - items.length
  if (rest > 0) counts[`.${OTHER}`] = (counts[`.${OTHER}`] || 0) + rest
  const clients = Object.keys(counts)
  clients.forEach((client) => {
    const labels = { client: clean(client.slice(1)) }
    addSample(samples, 'tollgate_requests_in_flight', labels, counts[client] as number)
  })
  if (clients.length === 0) addSample(samples, 'tollgate_requests_in_flight', { client: '' }, 0)
}

function addLimits(samples: Samples, nowMs: number): void {
  const zones = openZones()
  const zone = zoneInForce()
  const limited = JSON.parse(clientsZone().get(LIMITED_ENTRY) || '[]') as Limited[]
  limited.forEach((subject) => {
    const id = idOf(subject.id)
    const levels = {
      taken: takenOf(zones, id, nowMs),
      used: (kind: Parameters<typeof counterName>[0], window: number) =>
        countersZone().get(counterName(kind, id, window, zone)) || 0,
    }
    addLimited(samples, subject, levels, nowMs, zone)
  })
}

function addLockouts(samples: Samples, nowMs: number): void {
  const zone = ngx.shared['tollgate_badkeys'] as NgxSharedDict<number>
  const locked = zone
    .items(LISTED_MAX)
    .filter((item) => (item[0] as string).startsWith('l:') && (item[1] as number) > nowMs)
  addSample(samples, 'tollgate_locked_out_addresses', {}, locked.length)
}

function addConfiguration(samples: Samples): void {
  const state = JSON.parse(clientsZone().get(STATE_ENTRY) || '{}') as Partial<LoadState>
  const loadedMs = state.loaded ? Date.parse(state.loaded) : 0
  const isLoaded = state.problems !== undefined && state.problems.length === 0
  const add = (what: string, value: number) =>
    addSample(samples, `tollgate_config_${what}`, {}, value)
  add('generation', state.generation || 0)
  add('last_load_timestamp_seconds', loadedMs / 1000)
  add('last_load_successful', isLoaded ? 1 : 0)
  add('clients', state.clients || 0)
  add('keys', state.keys || 0)
}

function addLedger(samples: Samples): void {
  const own = metricsZone()
  const cursor = readCursor()
  const rows = readRowsState()
  const isWrong = cursor && (cursor.readProblem || cursor.writeProblem || cursor.stateProblem)
  const problem = isWrong || (cursor && cursor.rowsProblem) ? 1 : 0
  addSample(samples, 'tollgate_ledger_lines', {}, own.get('lines') || 0)
  addSample(samples, 'tollgate_ledger_skipped_lines', {}, own.get('skipped') || 0)
  addSample(samples, 'tollgate_ledger_behind_bytes', {}, cursor ? cursor.behindBytes : 0)
  addSample(samples, 'tollgate_ledger_problem', {}, problem)
  addSample(samples, 'tollgate_usage_open_rows', {}, rows ? rows.open : 0)
  addSample(samples, 'tollgate_usage_closed_bytes', {}, rows ? rows.closed.bytes : 0)
}

function addZones(samples: Samples): void {
  Object.keys(ngx.shared)
    .filter((name) => name.startsWith('tollgate_'))
    .forEach((name) => {
      const zone = ngx.shared[name] as NgxSharedDict<string | number>
      const labels = { zone: name }
      addSample(samples, 'tollgate_zone_capacity_bytes', labels, zone.capacity)
      addSample(samples, 'tollgate_zone_free_bytes', labels, zone.freeSpace())
    })
}
