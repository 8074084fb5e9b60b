import type { Limited } from '../config/record.ts'
import { limitedOf } from '../config/resolve.ts'
import type { Client, Limits, Policy } from '../config/shapes.ts'
import { NANOS } from '../limits/cost.ts'
import { type CounterKind, subjectName } from '../limits/counters.ts'
import { BUDGETS } from '../limits/table.ts'
import { type LimitsTaken, takenFor } from '../limits/taken.ts'
import { dayOf, monthOf } from '../time.ts'
import { addSample, type Samples } from './text.ts'

/** Clients, keys and groups whose limits and budgets are told, in the order of clients.json. */
const LIMITED_MAX = 500

/** Notes whose limits and budgets hold for a client, each once, with names instead of ids. */
export function noteLimited(list: Limited[], name: string, client: Client, policy: Policy): void {
  if (list.length >= LIMITED_MAX) return
  client.keys.forEach((key, at) => {
    // Its client and group are the same for each key.
    if (at > 0 && !key.limits && !key.budgets) return
    limitedOf(name, client, key, policy, { subjectId: subjectName }).forEach((one) => {
      const isNew = list.length < LIMITED_MAX && !list.some((other) => other.id === one.id)
      if (isNew) list.push(one)
    })
  })
}

/** What is known of the counters of a subject. */
export type Levels = {
  taken: LimitsTaken
  /** What is used of the day or month that runs, in tokens or nano-units; see counters.ts. */
  used(kind: CounterKind, window: number): number
}

/** Adds the gauges of one subject. */
export function addLimited(
  samples: Samples,
  subject: Limited,
  levels: Levels,
  nowMs: number,
  zoneMinutes?: number,
): void {
  const cut = subject.id.indexOf(':')
  const labels = { subject: subject.id.slice(0, cut), name: subject.id.slice(cut + 1) }
  addLimits(samples, labels, subject.limits || {}, levels.taken)
  const budgets = subject.budgets || {}
  BUDGETS.forEach((one) => {
    const limit = budgets[one.name]
    if (typeof limit !== 'number') return
    const isCost = one.unit === 'cost'
    const scale = isCost ? NANOS : 1
    const window = one.per === 'day' ? dayOf(nowMs, zoneMinutes) : monthOf(nowMs, zoneMinutes)
    const of = Object.assign(Object.assign({}, labels), { period: one.per })
    const held = isCost ? levels.taken.heldCost : levels.taken.heldTokens
    const add = (what: string, value: number) =>
      addSample(samples, `tollgate_budget_${what}_${one.unit}`, of, value / scale)
    add('limit', limit)
    add('used', levels.used(one.kind, window))
    add('reserved', held)
  })
}

function addLimits(
  samples: Samples,
  labels: { subject: string; name: string },
  limits: Limits,
  taken: LimitsTaken,
): void {
  Object.keys(limits).forEach((name) => {
    const limit = name as keyof Limits
    const value = limits[limit]
    if (value === undefined) return
    const of = Object.assign(Object.assign({}, labels), { limit })
    addSample(samples, 'tollgate_limit', of, value)
    addSample(samples, 'tollgate_limit_used', of, takenFor(taken, limit))
  })
}
