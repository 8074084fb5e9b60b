import { describe, expect, test } from 'vitest'
import { priceOf } from '../../../src/core/limits/cost.ts'

const price = (input: number) => ({ input, output: 2 * input })
const dear = price(9)
const cheap = price(1)
const usual = price(4)

describe('I: priceOf', () => {
  const rows: [string, string, string, object, object | null][] = [
    ['what is served, whatever was asked', 'big', 'small', { big: dear, small: cheap }, dear],
    ['what is served by a pattern', 'big-1', 'small', { 'big-*': dear, small: cheap }, dear],
    ['the longest that fits', 'big-1', '', { 'b*': cheap, 'big-*': dear, '*': usual }, dear],
    ['what was asked, where what is served has none', 'x', 'small', { small: cheap }, cheap],
    ['what was asked before all models', 'x', 'small', { '*': usual, small: cheap }, cheap],
    ['what is served before all models', 'big', 'x', { '*': usual, big: dear }, dear],
    ['all models, where neither has one', 'x', 'y', { '*': usual, small: cheap }, usual],
    ['what was asked, where the server tells nothing', '', 'small', { small: cheap }, cheap],
    ['all models, where nothing is told', '', '', { '*': usual, small: cheap }, usual],
    ['none where neither has one', 'x', 'y', { small: cheap }, null],
    ['none where nothing is told', '', '', { small: cheap }, null],
    ['none without prices', 'x', 'y', {}, null],
    ['none of what every object has', 'constructor', '__proto__', { small: cheap }, null],
  ]
  test.each(rows)('%s', (_, served, asked, prices, expected) => {
    expect(priceOf(served, asked, prices as { [pattern: string]: typeof dear })).toEqual(expected)
  })
})
