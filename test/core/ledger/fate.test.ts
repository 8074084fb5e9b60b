import { describe, expect, test } from 'vitest'
import { type Fate, fateOf } from '../../../src/core/ledger/fate.ts'

describe('fateOf', () => {
  test.each<[string, number, Fate]>([
    ['ok', 200, 'ok'],
    ['ok', 399, 'ok'],
    ['ok', 400, 'errors'],
    ['upstream_error', 200, 'errors'],
    ['upstream_error', 503, 'errors'],
    ['upstream_aborted', 200, 'errors'],
    ['upstream_unavailable', 502, 'errors'],
    ['gate_error', 500, 'errors'],
    ['client_aborted', 200, 'aborted'],
    ['cut_budget', 200, 'ok'],
    ['rate_limited', 429, 'refused'],
    ['starting', 503, 'refused'],
    ['of_another_version', 200, 'refused'],
  ])('takes %s with status %i for %s', (outcome, status, fate) => {
    expect(fateOf(outcome, status)).toBe(fate)
  })
})
