import type { Call, Reply } from '../../core/admin/types.ts'
import { addCounters, addModels, type Models } from '../../core/metrics/counters.ts'
import {
  formatMetrics,
  OPEN_TYPE,
  PLAIN_TYPE,
  prefersOpen,
  type Samples,
} from '../../core/metrics/text.ts'
import { giveWay } from '../giveway.ts'
import { addGauges } from '../metrics/gauges.ts'
import { metricsZone } from '../metrics/tally.ts'

/** More entries than the bounds of tally.ts leave room for. */
const ENTRIES_MAX = 40000

/** Entries that are told in one go, 2 to 4 ms: the requests of the worker wait for it. */
const SLICE_ENTRIES = 500

/** GET /metrics, for Prometheus: docs/metrics.md. */
export async function metrics(call: Call): Promise<Reply> {
  const samples: Samples = {}
  const models: Models = {}
  const entries = metricsZone().items(ENTRIES_MAX)
  for (let i = 0; i < entries.length; i += SLICE_ENTRIES) {
    addCounters(samples, models, entries.slice(i, i + SLICE_ENTRIES))
    await giveWay()
  }
  addModels(samples, models)
  await giveWay()
  addGauges(samples, call.nowMs)
  const isOpen = prefersOpen(call.header('Accept'))
  const text = formatMetrics(samples, isOpen).join('')
  return { status: 200, text, contentType: isOpen ? OPEN_TYPE : PLAIN_TYPE }
}
