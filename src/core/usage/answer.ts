import { NANOS } from '../limits/cost.ts'
import { formatTime, formatZone } from '../time.ts'
import type { UsageGroups, UsageQuery } from './query.ts'
import type { RowSums } from './rows.ts'

type UsageRow = { [field: string]: string | number | boolean | null }

/**
 * The answer to GET /usage: times in their order, then who used most. Names that a line does not have are
 * null, cost is in the unit of the prices.
 */
export function describeUsage(query: UsageQuery, groups: UsageGroups): object {
  const all = Object.keys(groups.groups).map((name) => groups.groups[name] as Group)
  const at = query.by.findIndex(isTime)
  all.sort((a, b) => order(a, b, at))
  return {
    by: query.by,
    since: formatTime(query.sinceMs, query.zoneMinutes),
    until: formatTime(query.untilMs, query.zoneMinutes),
    timeZone: formatZone(query.zoneMinutes),
    isPartial: groups.isPartial,
    rows: all.map((group) => describeGroup(query, group)),
  }
}

type Group = { values: string[]; sums: RowSums }

function isTime(dimension: string): boolean {
  return dimension === 'hour' || dimension === 'day'
}

function order(a: Group, b: Group, timeAt: number): number {
  const time = timeAt < 0 ? 0 : Number(a.values[timeAt]) - Number(b.values[timeAt])
  if (time) return time
  const of = (group: Group, field: number) => group.sums[field] as number
  const tokens = (group: Group) => of(group, 4) + of(group, 6)
  return of(b, 9) - of(a, 9) || tokens(b) - tokens(a) || of(b, 0) - of(a, 0)
}

function describeGroup(query: UsageQuery, group: Group): UsageRow {
  const row: UsageRow = {}
  query.by.forEach((dimension, at) => {
    const value = group.values[at] as string
    // What did not fit has no time either.
    if (!isTime(dimension)) row[dimension] = value || null
    else row['time'] = Number(value) >= 0 ? formatTime(Number(value), query.zoneMinutes) : value
  })
  const of = (field: number) => group.sums[field] as number
  return Object.assign(row, {
    requests: of(0),
    refused: of(1),
    errors: of(2),
    aborted: of(3),
    promptTokens: of(4),
    cachedTokens: of(5),
    completionTokens: of(6),
    reasoningTokens: of(7),
    audioSeconds: of(8) / 1000,
    cost: of(9) / NANOS,
    estimated: of(10) > 0,
  })
}
