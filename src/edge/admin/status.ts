import { version } from '../../../package.json'
import type { Call, Reply } from '../../core/admin/types.ts'
import { BIRTH_COUNTER } from '../../core/counters.ts'
import { type LoadState, STATE_ENTRY } from '../../core/record.ts'
import { clientsZone, countersZone } from '../registry.ts'

/** GET /status: what runs, what was loaded, and what is wrong. */
export function status(call: Call): Reply {
  const state = JSON.parse(clientsZone().get(STATE_ENTRY) || '{}') as Partial<LoadState>
  const bornMs = countersZone().get(BIRTH_COUNTER)
  const body = {
    version,
    time: new Date(call.nowMs).toISOString(),
    nginx: ngx.version,
    njs: njs.version,
    engine: njs.engine || 'njs',
    startedAt: bornMs === undefined ? null : new Date(bornMs).toISOString(),
  }
  return { status: 200, body: Object.assign(body, state) }
}
