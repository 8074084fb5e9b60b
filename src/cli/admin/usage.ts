import { NANOS } from '../../core/cost.ts'
import { formatTime } from '../../core/time.ts'
import { addTotals, noGroups, noTotals, type Totals } from '../ledger/totals.ts'
import type { Usage, UsageQuestion } from './store.ts'
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

type Answer = { isPartial?: boolean; since?: string | null; rows: Row[] }

/** What was used, by the sums that the gate keeps: those of hours for 8 days, of days for 400. */
export async function readUsage(
  wire: Wire,
  { by, period, client }: Omit<UsageQuestion, 'ledger'>,
): Promise<Usage> {
  const query = new URLSearchParams({ by })
  if (period.sinceMs !== null) query.set('since', formatTime(period.sinceMs))
  if (period.untilMs !== null) query.set('until', formatTime(period.untilMs))
  if (client !== undefined) query.set('client', client)
  const { body } = await wire.get<Answer>(`/usage?${query}`)
  const grouped = noGroups()
  for (const row of body.rows) {
    const totals = totalsOf(row)
    grouped.groups.set(nameOf(row, by), totals)
    addTotals(grouped.total, totals)
  }
  const notices = body.isPartial ? ['Not all of this period is in the sums of the gate'] : []
  return { ledger: null, grouped, notices }
}

function nameOf(row: Row, by: UsageQuestion['by']): string {
  if (by === 'day') return (row.time ?? '').slice(0, 10)
  if (by === 'hour') return `${(row.time ?? '').slice(0, 13).replace('T', ' ')}:00`
  return row[by] ?? ''
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
