import { describe, expect, test } from 'vitest'
import type { Ticket } from '../../../src/core/admit/admit.ts'
import {
  endOf,
  fragmentOf,
  type LineFragment,
  outcomeOfStatus,
  whoOf,
} from '../../../src/core/ledger/line.ts'
import { integersOf } from '../../random.ts'

const admitted: Ticket = { outcome: 'ok', dialect: 'openai', route: 'chat', client: 'app' }
const usual = { status: 200, isComplete: true, isMetered: true, sawLast: true }

/** The same as nginx tells it. */
function endingOf(difference: Partial<typeof usual>) {
  const { status, isComplete, isMetered, sawLast } = { ...usual, ...difference }
  const variables = {
    status: `${status}`,
    request_completion: isComplete ? 'OK' : '',
    tg_metered: isMetered ? '1' : '',
  }
  return { variables, sawLast }
}

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
    expect(endOf(admitted, endingOf(difference))).toBe(expected)
  })

  test('a refused request keeps its outcome, however it ended', () => {
    const refused: Ticket = { outcome: 'expired_key', dialect: 'openai' }
    expect(endOf(refused, endingOf({ isComplete: false, status: 499 }))).toBe('expired_key')
  })

  test('a request that nginx refused by itself is known by its status', () => {
    expect(endOf(null, endingOf({ status: 400 }))).toBe('bad_request')
    expect(endOf(null, endingOf({ status: 499, isComplete: false }))).toBe('client_aborted')
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

describe('fragmentOf', () => {
  const everything: LineFragment = {
    outcome: 'cut_budget',
    client: 'https+issuer:team@site',
    key: 'k7q2m9xa',
    group: 'web',
    route: 'chat',
    shadow: 'rate_limited',
    limit: 'requestsPerMinute of client',
    model: 'asked',
    served: 'answered',
    stream: true,
    promptTokens: 512,
    cachedTokens: 0,
    completionTokens: 128,
    reasoningTokens: 3,
    audioSeconds: 2.5,
    cost: 0.0000576,
    estimated: true,
    reservedTokens: 1536,
    admissionMs: 0,
    ttftMs: 84,
    tokensPerSecond: 52.1,
    finishReason: 'stop',
  }
  const read = (fragment: LineFragment) => JSON.parse(`{${fragmentOf(fragment)}}`)

  test('has every field, as it is', () => {
    expect(read(everything)).toEqual(everything)
  })

  test('has each field alone', () => {
    for (const [name, value] of Object.entries(everything)) {
      const one = { outcome: 'ok', [name]: value }
      expect(read(one as LineFragment)).toEqual(one)
    }
  })

  test('begins with what is all of it where a request was not admitted', () => {
    const { outcome, client, key, group, route, shadow, limit, admissionMs } = everything
    const refused = {
      outcome,
      client,
      key,
      group,
      route,
      shadow,
      limit,
      admissionMs,
    } as LineFragment
    const who = whoOf(outcome, refused, admissionMs)
    expect(JSON.parse(`{${who}}`)).toEqual(refused)
    expect(fragmentOf(refused)).toBe(who)
    expect(fragmentOf(everything).startsWith(`${who},`)).toBe(true)
  })

  test('is never empty: without an outcome the gate has failed', () => {
    expect(fragmentOf({})).toBe('"outcome":"gate_error"')
  })

  const hostile = [
    '',
    '"',
    '\\',
    '\\"',
    '","outcome":"ok","x":"',
    '\n\r\t\b\f\u0000\u001f\u007f',
    '\u2028\u2029\ufeff',
    '\ud800',
    'a\udc00b',
    '模型-😀',
    '</script>',
    '__proto__',
    'x'.repeat(5000),
    '"'.repeat(300),
  ]
  test.each(['model', 'served', 'finishReason', 'limit'])('takes any text as %s', (name) => {
    for (const text of hostile) {
      // None is not an empty one.
      if (text === '' && name === 'limit') continue
      const fragment = { outcome: 'ok', [name]: text } as LineFragment
      expect(read(fragment)).toEqual(fragment)
      // A line of the ledger is one line.
      expect(fragmentOf(fragment)).not.toMatch(/[\n\r]/)
    }
  })

  test('random texts and numbers come out as they went in', () => {
    const random = integersOf(7)
    const text = () =>
      Array.from({ length: random(12) }, () => String.fromCharCode(random(random(4) ? 128 : 65536)))
    for (let i = 0; i < 3000; i++) {
      const fragment: LineFragment = { outcome: 'ok' }
      if (random(2)) fragment.model = text().join('')
      if (random(2)) fragment.served = text().join('')
      if (random(2)) fragment.finishReason = text().join('')
      if (random(2)) fragment.promptTokens = random(2) ? random(1e6) : random(1e6) * 1e15
      if (random(2)) fragment.cost = random(1e6) / 10 ** random(20)
      expect(read(fragment)).toEqual(fragment)
    }
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])('leaves out %d, as unknown', (number) => {
    const fragment = { outcome: 'ok' as const, promptTokens: number, cost: number, ttftMs: number }
    expect(read(fragment)).toEqual({ outcome: 'ok' })
  })
})
