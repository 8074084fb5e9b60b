import { describe, expect, test } from 'vitest'
import { clientsSchema } from '../../../src/core/config/schema.ts'
import { checksOf } from '../../../src/core/limits/check.ts'
import { tellBudget, tellRate } from '../../../src/core/limits/refusal.ts'
import { BUDGETS, LIMITS } from '../../../src/core/limits/table.ts'
import type { Demand } from '../../../src/core/limits/types.ts'

/** What holds for a request whose client has one ceiling alone. */
function checksFor(part: 'limits' | 'budgets', name: string) {
  const demand = {
    limited: [{ of: 'client', id: 'AbCdEfGhIj', [part]: { [name]: 7 } }],
    isMetered: true,
    nowMs: Date.UTC(2026, 10, 30),
  } as Partial<Demand> as Demand
  return checksOf(demand)
}

describe('the straight code of the hot path keeps to the table', () => {
  test.each(LIMITS)('$name is one check', ({ name, kind, unit, per }) => {
    const { all, first } = checksFor('limits', name)
    expect(all).toHaveLength(1)
    const [check] = all
    expect(check).toMatchObject({ kind, move: `${kind}AbCdEfGhIj`, usedAt: '', limit: 7 })
    expect(check?.before !== '').toBe(per === 'minute')
    // What counts requests needs no body.
    expect(first).toHaveLength(unit === 'requests' ? 1 : 0)
    expect(tellRate(check as never, 1, {}).limit).toBe(`${name} of client`)
  })

  test.each(BUDGETS)('$name is one check', ({ name, kind, unit }) => {
    const { all, first } = checksFor('budgets', name)
    expect(all).toHaveLength(1)
    const [check] = all
    expect(check).toMatchObject({ kind: unit === 'cost' ? 'R' : 'r', before: '', limit: 7 })
    expect(check?.usedAt.startsWith(`${kind}AbCdEfGhIj`)).toBe(true)
    expect(first).toEqual([])
    const { limit, cause } = tellBudget(check as never, 0, 0, {})
    expect(limit).toBe(`${name} of client`)
    expect(cause?.isDaily).toBe(name.endsWith('Day'))
  })
})

test('the schema has each of them, and no more', () => {
  const client = clientsSchema().properties?.['clients']?.additionalProperties
  const parts = client ? client.properties : {}
  const [limits, budgets] = [parts?.['limits']?.properties, parts?.['budgets']?.properties]
  expect(Object.keys(limits ?? {})).toEqual(LIMITS.map(({ name }) => name))
  expect(Object.keys(budgets ?? {})).toEqual([...BUDGETS.map(({ name }) => name), 'hard'])
})
