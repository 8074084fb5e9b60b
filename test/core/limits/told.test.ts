import { describe, expect, test } from 'vitest'
import type { Figures } from '../../../src/core/limits/refusal.ts'
import { tellLimits } from '../../../src/core/limits/refusal.ts'

const NOW = Date.UTC(2026, 10, 29, 12)
const minutes = (limit: number, left: number, count: number) => ({
  limit,
  left,
  resetMs: NOW + count * 60000,
})

// What nginx makes of it is compared with limitVariables() in test/nginx/native.test.ts.
describe('tellLimits', () => {
  const requests = { q: minutes(10, 9, 1) }
  const tokens = { t: minutes(1000, 980, 2) }
  const budget = { r: minutes(50, 0, 720) }
  const both = { i: minutes(500, 490, 1), o: minutes(600, 30, 2) }

  test.each<[string, Figures, string]>([
    ['no limit', {}, ''],
    ['requests alone', requests, '10 9 1m0s   '],
    ['tokens alone', tokens, '   1000 980 2m0s'],
    ['both', { ...requests, ...tokens }, '10 9 1m0s 1000 980 2m0s'],
    ['a budget, which stands in for tokens', budget, '   50 0 12h0m0s'],
    ['tokens before a budget', { ...tokens, ...budget }, '   1000 980 2m0s'],
    ['input and output tokens, of which OpenAI has no headers', both, ''],
  ])('of OpenAI has %s', (_, figures, text) => {
    expect(tellLimits(figures, 'openai', NOW)).toBe(text)
  })

  test.each<[string, Figures, string]>([
    ['no limit', {}, ''],
    ['requests alone', requests, '10 9 1m0s    2026-11-29T12:01:00Z       '],
    [
      'all',
      { ...requests, ...tokens, ...both },
      '10 9 1m0s 1000 980 2m0s 2026-11-29T12:01:00Z 2026-11-29T12:02:00Z ' +
        '500 490 2026-11-29T12:01:00Z 600 30 2026-11-29T12:02:00Z',
    ],
  ])('of Anthropic has %s', (_, figures, text) => {
    expect(tellLimits(figures, 'anthropic', NOW)).toBe(text)
  })
})
