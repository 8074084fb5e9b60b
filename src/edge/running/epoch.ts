import { EPOCH_COUNTER } from '../../core/limits/counters.ts'
import { countersZone } from '../gate/registry.ts'

/** Tells running streams that keys and budgets may have changed. */
export function moveEpoch(): void {
  countersZone().incr(EPOCH_COUNTER, 1, 0)
}
