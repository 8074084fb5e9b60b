import { NANOS } from '../../core/limits/cost.ts'
import { formatTime, parseTime } from '../../core/time.ts'
import { addTotals, noGroups, noTotals, type Totals } from '../ledger/totals.ts'
import type { Usage, UsageQuestion } from '../store/store.ts'
import type { Wire } from './wire.ts'

/** One row of GET /usage. */
type Row = Partial<Record<Exclude<keyof Totals, 'costNanos' | 'isEstimated'>, number>> & {
  client?: string | null
  key?: string | null
  group?: string | null
  model?: string | null
  time?: string | null
  cost?: number
  estimated?: boolean
}

type UsageAnswer = { isPartial?: boolean; since: string; until: string; rows: Row[] }

/** What stands for all names that were too many to keep. */
const OTHER = '(other)'

/** As far back as the gate keeps sums. */
const KEPT = { hour: '8d', others: '400d' }

const PARTIAL =
  'Not all of this is in the sums of the gate: by hour they are kept for 8 days, else for 400, and ' +
  'begin with the first request that this version has seen'

/** What was used, by the sums that the gate keeps. */
export async function readUsage(
  wire: Wire,
  { by, period, client }: Omit<UsageQuestion, 'ledger' | 'zoneMinutes'>,
): Promise<Usage> {
  const query = new URLSearchParams({ by, since: by === 'hour' ? KEPT.hour : KEPT.others })
  if (period.sinceMs !== null) query.set('since', formatTime(period.sinceMs))
  if (period.untilMs !== null) query.set('until', formatTime(period.untilMs))
  if (client !== undefined) query.set('client', client)
  const { body } = await wire.get<UsageAnswer>(`/usage?${query}`)
  const grouped = noGroups()
  for (const row of body.rows) {
    const totals = totalsOf(row)
    const name = nameOf(row, by)
    if (name === OTHER) addTotals(grouped.rest, totals)
    else grouped.groups.set(name, totals)
    addTotals(grouped.total, totals)
  }
  return {
    ledger: null,
    period: {
      sinceMs: period.sinceMs === null ? null : parseTime(body.since),
      untilMs: period.untilMs === null ? null : parseTime(body.until),
    },
    grouped,
    notices: body.isPartial ? [PARTIAL] : [],
  }
}

function nameOf(row: Row, by: UsageQuestion['by']): string {
  const name = (by === 'day' || by === 'hour' ? row.time : row[by]) ?? ''
  if (name === OTHER || (by !== 'day' && by !== 'hour')) return name
  return by === 'day' ? name.slice(0, 10) : name.slice(0, 16).replace('T', ' ')
}

function totalsOf({ cost = 0, estimated, ...row }: Row): Totals {
  const totals = noTotals()
  for (const name of Object.keys(totals) as (keyof Totals)[]) {
    if (name !== 'costNanos' && name !== 'isEstimated') totals[name] = row[name] ?? 0
  }
  totals.costNanos = Math.round(cost * NANOS)
  totals.isEstimated = estimated === true
  return totals
}
