import { describe, expect, test } from 'vitest'
import type { KeyRecord, Limited } from '../../../src/core/config/record.ts'
import { bringUpToDate, flatten, hasHard, hasOneOf } from '../../../src/core/limits/flat.ts'

const CLIENT: Limited = {
  of: 'client',
  id: 'ClientClie',
  limits: { concurrency: 4, tokensPerMinute: 900, requestsPerMinute: 0 },
  budgets: { costPerDay: 7e9, tokensPerMonth: 50 },
}
const GROUP: Limited = {
  of: 'group',
  id: 'GroupGroup',
  limits: { requestsPerMinute: 30 },
  budgets: { tokensPerDay: 8 },
}
const [C, G] = [CLIENT.id, GROUP.id]

describe('a list of limits', () => {
  test('has what needs no body first, of all subjects, and a limit of 0 too', () => {
    expect(flatten([CLIENT, GROUP])).toEqual([
      ...[0, C, 0, 0, 4, C, 4, 0, 0, G, 30, 2],
      ...[1, C, 900, 0, 6, C, 50, 0, 7, C, 7e9, 0, 5, G, 8, 2],
    ])
  })

  test('has no soft budget beside a hard one, whose ever that is', () => {
    const list = flatten([CLIENT, { ...GROUP, budgets: { tokensPerDay: 8, hard: true } }])
    expect(list.slice(16)).toEqual([10, C, 50, 0, 11, C, 7e9, 0, 9, G, 8, 2])
    expect([hasHard(list), hasHard(flatten([CLIENT])), hasHard([])]).toEqual([true, false, false])
  })

  test('tells which letters it has, of hard budgets as of soft ones', () => {
    const list = flatten([{ ...GROUP, budgets: { costPerMonth: 8, hard: true } }])
    expect(['q', 'M', 'to', 'dmD'].map((letters) => hasOneOf(list, letters))).toEqual([
      true,
      true,
      false,
      false,
    ])
  })
})

describe('a record of 0.1.0', () => {
  test('gets the list that this version makes', () => {
    const older = { client: 'app', key: 'k', limited: [CLIENT, GROUP] } as unknown as KeyRecord
    bringUpToDate(older)
    expect(older.limited).toEqual(flatten([CLIENT, GROUP]))
    bringUpToDate(older)
    expect(older.limited).toEqual(flatten([CLIENT, GROUP]))
  })

  test('stays as it is without limits', () => {
    const older: KeyRecord = { client: 'app', key: 'k' }
    bringUpToDate(older)
    expect(older).toEqual({ client: 'app', key: 'k' })
  })
})
