import { expect, test } from 'vitest'
import type { Client } from '../../src/console/api/types.ts'
import {
  changedPaths,
  draftOf,
  KINDS,
  patchOf,
  rebase,
  wrongPaths,
} from '../../src/console/pages/grant/draft.ts'
import { names } from '../../src/console/text/names.ts'
import { BUDGETS, LIMITS } from '../../src/core/limits/table.ts'

const client: Client = {
  name: 'app',
  plan: 'standard',
  models: ['llama-*', 'qwen'],
  limits: { requestsPerMinute: 60 },
  budgets: { costPerMonth: 120, hard: true },
  keys: [],
}
const base = draftOf(client)

test('draftOf() writes every field as it is typed, empty where the plan holds', () => {
  expect(base).toMatchObject({
    plan: 'standard',
    models: 'llama-*\nqwen',
    'limits.requestsPerMinute': '60',
    'limits.concurrency': '',
    'budgets.hard': 'true',
    shadow: '',
  })
})

test('patchOf() holds what was changed and nothing else', () => {
  const draft = { ...base, 'budgets.costPerMonth': '1.5k', 'limits.concurrency': '8' }
  expect(patchOf(base, draft)).toEqual({
    budgets: { costPerMonth: 1500 },
    limits: { concurrency: 8 },
  })
})

test('patchOf() has the fields of something new, from the draft of nothing', () => {
  const draft = { ...draftOf(), 'limits.concurrency': '8', 'budgets.hard': 'true', note: ' x ' }
  expect(patchOf(draftOf(), draft)).toEqual({
    limits: { concurrency: 8 },
    budgets: { hard: true },
    note: 'x',
  })
  expect(patchOf(draftOf(), draftOf())).toEqual({})
})

test('patchOf() takes a field away with null', () => {
  const draft = { ...base, plan: '', 'budgets.hard': '', 'budgets.costPerMonth': '' }
  expect(patchOf(base, draft)).toEqual({
    plan: null,
    budgets: { costPerMonth: null, hard: null },
  })
})

test('patchOf() reads lists by line and by comma', () => {
  expect(patchOf(base, { ...base, models: 'a, b\n\n c ' })).toEqual({ models: ['a', 'b', 'c'] })
})

test('patchOf() keeps false apart from nothing', () => {
  expect(patchOf(base, { ...base, shadow: 'false' })).toEqual({ shadow: false })
})

test('wrongPaths() names what cannot be read', () => {
  const draft = { ...base, 'limits.concurrency': 'many', priority: '1.5' }
  expect(wrongPaths(draft)).toEqual(['limits.concurrency', 'priority'])
})

test('rebase() keeps what was typed, and takes all else as it is now', () => {
  const draft = { ...base, 'budgets.costPerMonth': '200' }
  const now = draftOf({ ...client, budgets: { costPerMonth: 150 }, note: 'changed by another' })
  const moved = rebase(base, draft, now)
  expect(moved).toMatchObject({ 'budgets.costPerMonth': '200', note: 'changed by another' })
  expect(changedPaths(now, moved)).toEqual(['budgets.costPerMonth'])
})

test.each([
  ['limits', LIMITS],
  ['budgets', BUDGETS],
] as const)('the forms have every row of %s, with a name in both languages', (part, rows) => {
  const known = rows.map(({ name }) => name as string)
  const paths = Object.keys(KINDS).filter((path) => path.startsWith(`${part}.`))
  const hard = part === 'budgets' ? ['budgets.hard'] : []
  expect(paths).toEqual([...known.map((name) => `${part}.${name}`), ...hard])
  for (const words of [names.en, names.zh]) {
    expect(Object.keys(words[part])).toEqual(known)
    for (const name of known) expect(words.short).toHaveProperty(name)
  }
})
