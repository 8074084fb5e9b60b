import { describe, expect, test } from 'vitest'
import { findUnpriced } from '../../../src/core/config/prices.ts'
import type { Client, Policy } from '../../../src/core/config/shapes.ts'

const price = { input: 1, output: 2 }
const budgets = { costPerDay: 5 }
const keys: [] = []
const key = { id: 'aaaaaaaa', sha256: '0'.repeat(64), created: '2026-01-01T00:00:00Z' }

function find(client: Partial<Client>, policy: Partial<Policy> = {}): string[] {
  const clients = { app: { keys, ...client } }
  const found = findUnpriced({ version: 1, clients }, { version: 1, ...policy })
  return found.map(({ path, message }) => `${path}: ${message}`)
}

describe('I: findUnpriced', () => {
  test('names the client, what it may use, and the fix', () => {
    expect(find({ budgets })).toEqual([
      'clients.app: A budget in cost holds, and any model may be used: requests for one without a ' +
        'price are refused. Give "*" a price in policy.json, or list models that have one',
    ])
    const models = ['llama-*', 'qwen', 'x']
    expect(find({ budgets, models }, { prices: { x: price } })).toEqual([
      'clients.app: A budget in cost holds, and these models have no price: llama-*, qwen. Requests ' +
        'for them are refused: give them, or "*", a price in policy.json',
    ])
  })

  const rows: [string, Partial<Client>, Partial<Policy>, string[]][] = [
    ['a budget in tokens', { budgets: { tokensPerDay: 1 } }, {}, []],
    ['a budget of a month', { budgets: { costPerMonth: 1 } }, {}, ['clients.app']],
    ['any model, while all have a price', { budgets }, { prices: { '*': price } }, []],
    ['any model, while some have one', { budgets }, { prices: { 'a-*': price } }, ['clients.app']],
    [
      'any model among others',
      { budgets, models: ['a-1', '*'] },
      { prices: { 'a-*': price } },
      ['clients.app'],
    ],
    ['a name with a price', { budgets, models: ['a-1'] }, { prices: { 'a-1': price } }, []],
    [
      'a name that a pattern prices',
      { budgets, models: ['a-1'] },
      { prices: { 'a-*': price } },
      [],
    ],
    [
      'a pattern that is priced as it is',
      { budgets, models: ['a-*'] },
      { prices: { 'a-*': price } },
      [],
    ],
    [
      'a pattern that a wider one prices',
      { budgets, models: ['a-b-*'] },
      { prices: { 'a-*': price } },
      [],
    ],
    [
      'a pattern of which some have a price',
      { budgets, models: ['a-*'] },
      { prices: { 'a-1': price, 'a-b*': price } },
      ['clients.app'],
    ],
    ['a budget of its plan', { plan: 'gold' }, { plans: { gold: { budgets } } }, ['clients.app']],
    [
      'models of its plan',
      { plan: 'gold', budgets },
      { plans: { gold: { models: ['a'] } }, prices: { a: price } },
      [],
    ],
    ['a budget of its group', { group: 'web' }, { groups: { web: { budgets } } }, ['clients.app']],
    ['a budget of a key', { keys: [{ ...key, budgets }] }, {}, ['clients.app']],
    ['a client that is disabled', { budgets, disabled: true }, {}, []],
    [
      'audio, which has the price of all models',
      { budgets, models: ['a'], scopes: ['audio'] },
      { prices: { a: price } },
      ['clients.app'],
    ],
    ['audio that nobody gave it by name', { budgets, models: ['a'] }, { prices: { a: price } }, []],
    ['a plan that nobody has', {}, { plans: { gold: { budgets } } }, ['plans.gold']],
    [
      'a plan that somebody has, who is named',
      { plan: 'gold' },
      { plans: { gold: { budgets } } },
      ['clients.app'],
    ],
  ]
  test.each(rows)('%s', (_, client, policy, paths) => {
    expect(find(client, policy).map((text) => text.split(':')[0])).toEqual(paths)
  })

  test('of many clients 20 are named, and the others counted', () => {
    const names = Array.from({ length: 5020 }, (_, i) => `app-${i}`)
    const clients = Object.fromEntries(names.map((name) => [name, { keys, budgets }]))
    const found = findUnpriced({ version: 1, clients }, { version: 1 })
    expect(found).toHaveLength(21)
    expect(found[20]).toEqual({ path: 'clients', message: 'The same is true of 5000 more' })
  })
})
