import type { Limited } from '../config/record.ts'
import { limitedOf, planOf } from '../config/resolve.ts'
import type { Client, Key, Limits, Policy } from '../config/shapes.ts'
import type { Balance } from '../ledger/fold.ts'
import { dayOf, formatTime, monthOf, startOfDay, startOfMonth } from '../time.ts'
import { NANOS } from './cost.ts'
import { subjectName } from './counters.ts'
import { BUDGETS, type BudgetName, type BudgetRow } from './table.ts'
import { type LimitsTaken, takenFor } from './taken.ts'

/*
 * What of its limits and budgets a client has used, and what is left: as `tollgate balance --json` prints
 * it, and as the admin API answers it.
 */

/** One budget as it stands. Cost is in the unit of the prices; null is without a limit. */
export type Standing = {
  budget: BudgetName
  limit: number | null
  used: number
  /** By what runs now; null where nginx has not said, and without a limit. */
  reserved: number | null
  left: number | null
  renews: string
}

/** One limit of a minute or of requests in flight; how much of it is taken, where nginx has said. */
export type Rate = {
  limit: keyof Limits
  value: number
  taken: number | null
  left: number | null
}

/** One client, key or group, with what holds for it. */
export type Subject = {
  of: Limited['of']
  name: string
  rates: Rate[]
  isHard: boolean
  standings: Standing[]
}

/** A client with all whose limits hold for it. */
export type ClientBalance = {
  client: string
  plan: string | null
  group: string | null
  disabled: boolean
  shadow: boolean
  /** RFC 3339. */
  time: string
  subjects: Subject[]
  /** What the figures lack. */
  notices: string[]
}

/** What is known of the subjects, by their names as in subjectName(). */
export type SubjectCounts = {
  used(id: string): Balance | undefined
  taken(id: string): LimitsTaken | undefined
}

/** The client first, even when nothing limits it, then its keys and its group where something does. */
export function collectLimited(name: string, client: Client, policy: Policy): Limited[] {
  const nobody: Key = { id: '', sha256: '', created: '' }
  const found: Limited[] = [{ of: 'client', id: subjectName('client', name) }]
  const places: { [id: string]: number } = { [subjectName('client', name)]: 0 }
  const keys = client.keys.length > 0 ? client.keys : [nobody]
  keys.forEach((key) => {
    limitedOf(name, client, key, policy, { subjectId: subjectName }).forEach((one) => {
      const place = places[one.id]
      places[one.id] = place === undefined ? found.length : place
      found[places[one.id] as number] = one
    })
  })
  return found
}

/** How the limits of a client stand. `limited` is what collectLimited() gives. */
export function describeBalance(
  name: string,
  client: Client,
  policy: Policy,
  limited: Limited[],
  counts: SubjectCounts,
  notices: string[],
  nowMs: number,
  zoneMinutes?: number,
): ClientBalance {
  const plan = planOf(client, policy)
  const shadow = client.shadow === undefined ? plan.shadow : client.shadow
  return {
    client: name,
    plan: client.plan === undefined ? null : client.plan,
    group: client.group === undefined ? null : client.group,
    disabled: client.disabled === true,
    shadow: shadow === true,
    time: new Date(nowMs).toISOString(),
    subjects: limited.map((one) =>
      describeSubject(one, counts.used(one.id), counts.taken(one.id), nowMs, zoneMinutes || 0),
    ),
    notices,
  }
}

function describeSubject(
  one: Limited,
  used: Balance | undefined,
  taken: LimitsTaken | undefined,
  nowMs: number,
  zoneMinutes: number,
): Subject {
  const budgets = one.budgets || {}
  // Without any budget both counts of tokens are shown all the same, for the client itself.
  const shown = BUDGETS.filter(
    (row) =>
      budgets[row.name] !== undefined ||
      (one.of === 'client' && hasUse(row, used, nowMs, zoneMinutes)),
  )
  return {
    of: one.of,
    name: one.id.slice(one.of.length + 1),
    rates: describeRates(one.limits || {}, taken),
    isHard: budgets.hard === true,
    standings: shown.map((row) =>
      describeStanding(row, budgets[row.name], used, taken, nowMs, zoneMinutes),
    ),
  }
}

function describeRates(limits: Limits, taken: LimitsTaken | undefined): Rate[] {
  return (Object.keys(limits) as (keyof Limits)[]).map((limit) => {
    const value = limits[limit] || 0
    const now = taken ? takenFor(taken, limit) : null
    return { limit, value, taken: now, left: now === null ? null : Math.max(0, value - now) }
  })
}

function hasUse(
  row: BudgetRow,
  used: Balance | undefined,
  nowMs: number,
  zoneMinutes: number,
): boolean {
  return row.unit === 'tokens' || usedOfBudget(row, used, nowMs, zoneMinutes) > 0
}

function describeStanding(
  row: BudgetRow,
  limit: number | undefined,
  balance: Balance | undefined,
  taken: LimitsTaken | undefined,
  nowMs: number,
  zoneMinutes: number,
): Standing {
  const used = usedOfBudget(row, balance, nowMs, zoneMinutes)
  const isCost = row.unit === 'cost'
  const unit = isCost ? NANOS : 1
  const held = taken ? (isCost ? taken.heldCost : taken.heldTokens) : null
  const renews = renewalOf(row, nowMs, zoneMinutes)
  const standing = { budget: row.name, used: used / unit, renews }
  if (limit === undefined) {
    return Object.assign(standing, { limit: null, reserved: null, left: null })
  }
  return Object.assign(standing, {
    limit: limit / unit,
    reserved: held === null ? null : held / unit,
    left: Math.max(0, limit - used - (held || 0)) / unit,
  })
}

/** Tokens, or cost in nano-units, of the running day or month. */
function usedOfBudget(
  row: BudgetRow,
  balance: Balance | undefined,
  nowMs: number,
  zoneMinutes: number,
): number {
  if (!balance) return 0
  const sums =
    row.per === 'day'
      ? balance.days[dayOf(nowMs, zoneMinutes)]
      : balance.months[monthOf(nowMs, zoneMinutes)]
  return sums ? sums[row.unit === 'tokens' ? 0 : 1] : 0
}

/** The first moment of the next day or month. */
function renewalOf(row: BudgetRow, nowMs: number, zoneMinutes: number): string {
  const next =
    row.per === 'day'
      ? startOfDay(dayOf(nowMs, zoneMinutes) + 1, zoneMinutes)
      : startOfMonth(monthOf(nowMs, zoneMinutes) + 1, zoneMinutes)
  return formatTime(next, zoneMinutes)
}
