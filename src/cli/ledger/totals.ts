import { fateOf, modelOf } from '../../core/ledger/fate.ts'
import { NANOS } from '../../core/limits/cost.ts'
import { formatTime } from '../../core/time.ts'
import { hourOf } from '../../core/usage/rows.ts'
import type { Entry } from './line.ts'

/** Sums over some requests. Cost is in nano-units, see core/limits/cost.ts, so that its sums are exact. */
export type Totals = {
  requests: number
  refused: number
  errors: number
  aborted: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
  audioSeconds: number
  costNanos: number
  /** At least one of the requests was not counted by the engine itself. */
  isEstimated: boolean
}

export type Dimension = 'client' | 'key' | 'group' | 'model' | 'day' | 'hour'

/** Sums by name; what came after the last group that was kept is in `rest`. */
export type Grouped = { groups: Map<string, Totals>; rest: Totals; total: Totals }

/** Days and hours of years are far fewer; names that callers make up need not be. */
export const GROUPS_MAX = 50_000
/** Beyond it a name is cut: callers choose the names of models. */
const NAME_CHARACTERS_MAX = 200
const HOUR_MS = 3_600_000

export function noTotals(): Totals {
  return {
    requests: 0,
    refused: 0,
    errors: 0,
    aborted: 0,
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    audioSeconds: 0,
    costNanos: 0,
    isEstimated: false,
  }
}

/** Adds one entry of the ledger, be it a request or a summary of many. */
export function addEntry(totals: Totals, entry: Entry): void {
  const { line } = entry
  if (entry.kind === 'summary') {
    totals.requests += entry.line.requests
    totals.refused += entry.line.refused
    totals.errors += entry.line.errors
    totals.aborted += entry.line.aborted
  } else {
    totals.requests++
    const fate = fateOf(entry.line.outcome, entry.line.status)
    if (fate !== 'ok') totals[fate]++
  }
  totals.promptTokens += line.promptTokens ?? 0
  totals.cachedTokens += line.cachedTokens ?? 0
  totals.completionTokens += line.completionTokens ?? 0
  totals.reasoningTokens += line.reasoningTokens ?? 0
  totals.audioSeconds += line.audioSeconds ?? 0
  totals.costNanos += Math.round((line.cost ?? 0) * NANOS)
  if (line.estimated) totals.isEstimated = true
}

/** Adds sums to others. */
export function addTotals(totals: Totals, more: Totals): void {
  for (const name of Object.keys(totals) as (keyof Totals)[]) {
    if (name !== 'isEstimated') totals[name] += more[name]
  }
  totals.isEstimated ||= more.isEstimated
}

export function noGroups(): Grouped {
  return { groups: new Map(), rest: noTotals(), total: noTotals() }
}

/** Adds an entry to its group and to the total. */
export function addGrouped(
  grouped: Grouped,
  entry: Entry,
  by: Dimension,
  zoneMinutes: number,
): void {
  addEntry(grouped.total, entry)
  const name = nameIn(entry, by, zoneMinutes)
  let totals = grouped.groups.get(name)
  if (!totals) {
    const isFull = grouped.groups.size >= GROUPS_MAX
    totals = isFull ? grouped.rest : noTotals()
    if (!isFull) grouped.groups.set(name, totals)
  }
  addEntry(totals, entry)
}

/** The group of an entry; '' where the line does not say. Hours are those of UTC, by the time zone's clock. */
function nameIn({ kind, timeMs, line }: Entry, by: Dimension, zoneMinutes: number): string {
  switch (by) {
    case 'day':
      return formatTime(timeMs, zoneMinutes).slice(0, 10)
    case 'hour': {
      // The sum of a day has no hours: it is told apart by having none.
      if (kind === 'summary') return formatTime(timeMs, zoneMinutes).slice(0, 10)
      const text = formatTime(hourOf(timeMs) * HOUR_MS, zoneMinutes)
      return text.slice(0, 16).replace('T', ' ')
    }
    case 'model':
      return cut(modelOf(line) ?? '')
    default:
      return cut(line[by] ?? '')
  }
}

function cut(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name
  // Copied: a slice would keep the whole name in memory.
  return Buffer.from(`${name.slice(0, NAME_CHARACTERS_MAX)}…`).toString()
}
