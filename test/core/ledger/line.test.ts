import { describe, expect, test } from 'vitest'
import type { Ticket } from '../../../src/core/admit/admit.ts'
import { endOf, outcomeOfStatus } from '../../../src/core/ledger/line.ts'

const admitted: Ticket = { outcome: 'ok', dialect: 'openai', route: 'chat', client: 'app' }
const usual = { status: 200, isComplete: true, isMetered: true, sawLast: true }

describe('endOf', () => {
  test.each([
    ['a whole answer', {}, 'ok'],
    ['an error of the server behind', { status: 400 }, 'ok'],
    ['a caller that left in mid-stream', { isComplete: false, sawLast: false }, 'client_aborted'],
    ['a caller that left after the last piece', { isComplete: false }, 'client_aborted'],
    [
      'a caller that left before the first byte',
      { status: 499, isComplete: false, sawLast: false },
      'client_aborted',
    ],
    ['a server that broke off', { sawLast: false }, 'upstream_aborted'],
    ['204, which has no body', { status: 204, sawLast: false }, 'ok'],
    ['304, which has no body', { status: 304, sawLast: false }, 'ok'],
    ['a location without the meter', { isMetered: false, sawLast: false }, 'ok'],
    [
      'a location without the meter that the caller left',
      { isMetered: false, sawLast: false, isComplete: false },
      'client_aborted',
    ],
  ])('%s', (_, difference, expected) => {
    expect(endOf(admitted, { ...usual, ...difference })).toBe(expected)
  })

  test('a refused request keeps its outcome, however it ended', () => {
    const refused: Ticket = { outcome: 'expired_key', dialect: 'openai' }
    expect(endOf(refused, { ...usual, isComplete: false, status: 499 })).toBe('expired_key')
  })

  test('a request that nginx refused by itself is known by its status', () => {
    expect(endOf(null, { ...usual, status: 400 })).toBe('bad_request')
    expect(endOf(null, { ...usual, status: 499, isComplete: false })).toBe('client_aborted')
  })
})

describe('outcomeOfStatus', () => {
  test.each([
    [400, 'bad_request'],
    [401, 'missing_key'],
    [403, 'address_denied'],
    [404, 'unknown_route'],
    [405, 'unknown_route'],
    [408, 'bad_request'],
    [413, 'body_too_large'],
    [414, 'bad_request'],
    [431, 'bad_request'],
    [494, 'bad_request'],
    [499, 'client_aborted'],
    [500, 'gate_error'],
    [501, 'bad_request'],
    [502, 'upstream_unavailable'],
    [503, 'upstream_unavailable'],
    [504, 'upstream_unavailable'],
    [505, 'bad_request'],
    [507, 'gate_error'],
    [0, 'gate_error'],
    [200, 'gate_error'],
  ])('%i is %s', (status, outcome) => {
    expect(outcomeOfStatus(status)).toBe(outcome)
  })
})
