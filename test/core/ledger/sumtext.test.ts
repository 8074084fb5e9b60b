import { describe, expect, test } from 'vitest'
import { addUsed, type Balance, emptyBalance, type Sums } from '../../../src/core/ledger/fold.ts'
import {
  addToBalance,
  formatRowSums,
  newBalance,
  runningOf,
} from '../../../src/core/ledger/sumtext.ts'
import { integersOf } from '../../random.ts'

const RUNNING = runningOf(20_788, 682)
const ODD = [0, 1, 1e15, 2 ** 53 - 1, 1e21, 1.5e300]

/** Numbers as they come, and now and then the odd ones. */
function sumsFrom(below: (bound: number) => number): Sums {
  const one = () => (below(20) === 0 ? (ODD[below(ODD.length)] as number) : below(10_000))
  return [one(), below(2) * one(), 1 + below(3)]
}

describe('addToBalance()', () => {
  test('comes to what parsing and writing comes to', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const below = integersOf(seed)
      let parsed = emptyBalance()
      let text: string | undefined
      for (let i = 0; i < 20; i++) {
        const used = sumsFrom(below)
        const added = text ? addToBalance(text, used, RUNNING) : newBalance(used, RUNNING)
        addUsed(parsed, used, RUNNING)
        expect(added?.text).toBe(JSON.stringify(parsed))
        expect(added?.day).toEqual(parsed.days[RUNNING.day])
        expect(added?.month).toEqual(parsed.months[RUNNING.month])
        text = added?.text
        parsed = JSON.parse(JSON.stringify(parsed))
      }
    }
  })

  const sums: Sums = [1, 2, 3]
  const usual: Balance = { all: sums, days: { 20788: sums }, months: { 682: sums } }

  test.each<[string, object]>([
    ['a day that is over', { ...usual, days: { 20787: sums } }],
    ['a second day', { ...usual, days: { 20787: sums, 20788: sums } }],
    ['a later day', { ...usual, days: { 20788: sums, 20789: sums } }],
    ['no day', { ...usual, days: {} }],
    ['another month', { ...usual, months: { 681: sums } }],
    ['a second month', { ...usual, months: { 682: sums, 683: sums } }],
    ['no month', { ...usual, months: {} }],
    ['what it had before another time zone', { ...usual, before: { day: sums, month: sums } }],
    ['nothing before another time zone', { ...usual, before: {} }],
    ['a sum more', { ...usual, all: [1, 2, 3, 4] }],
    ['a sum less', { ...usual, all: [1, 2] }],
  ])('leaves a balance to the long way that has %s', (_, balance) => {
    expect(addToBalance(JSON.stringify(usual), sums, RUNNING)).not.toBeNull()
    expect(addToBalance(JSON.stringify(balance), sums, RUNNING)).toBeNull()
  })

  test('takes null for nothing, as the long way does', () => {
    const text = JSON.stringify({ ...usual, all: [null, 2, 3] })
    expect(JSON.parse(addToBalance(text, sums, RUNNING)?.text ?? '{}').all).toEqual([1, 4, 6])
  })

  test('leaves a sum to the long way that is larger than any number', () => {
    const large: Sums = [1.5e308, 0, 1]
    const text = newBalance(large, RUNNING)?.text as string
    expect(JSON.parse(text).all).toEqual(large)
    expect(addToBalance(text, large, RUNNING)).toBeNull()
    expect(newBalance([Infinity, 0, 1], RUNNING)).toBeNull()
  })
})

describe('formatRowSums()', () => {
  test('writes what JSON.stringify writes', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const below = integersOf(seed)
      const one = () =>
        below(2) * (below(20) === 0 ? (ODD[below(ODD.length)] as number) : below(999))
      const sums = Array.from({ length: 11 }, one)
      expect(formatRowSums(sums)).toBe(JSON.stringify(sums))
    }
  })

  test.each([
    ['a number is missing', [1, 2]],
    ['there are too many', Array.from({ length: 12 }, () => 1)],
    ['one is no number of JSON', [Infinity, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['one is no number', [NaN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ])('writes it also where %s', (_, sums) => {
    expect(formatRowSums(sums)).toBe(JSON.stringify(sums))
  })
})
