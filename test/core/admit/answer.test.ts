import { describe, expect, test } from 'vitest'
import type { Ticket } from '../../../src/core/admit/admit.ts'
import { answerRefusal } from '../../../src/core/admit/answer.ts'
import type { Refusal } from '../../../src/core/admit/outcome.ts'
import { listRefusals } from '../../../src/core/admit/refusals.ts'
import { tellWait } from '../../../src/core/admit/wait.ts'

const id = '0123456789abcdef0123456789abcdef'

function answer(outcome: Refusal, fields: Partial<Ticket> = {}, status = 0) {
  const { body, ...rest } = answerRefusal({ outcome, dialect: 'openai', ...fields }, status, id)
  return { ...rest, body: JSON.parse(body) }
}

const table: [Refusal, number, string, string, string][] = [
  ['unknown_route', 404, 'unknown_route', 'invalid_request_error', 'not_found_error'],
  ['missing_key', 401, 'missing_key', 'invalid_request_error', 'authentication_error'],
  ['invalid_key', 401, 'invalid_api_key', 'invalid_request_error', 'authentication_error'],
  ['expired_key', 401, 'invalid_api_key', 'invalid_request_error', 'authentication_error'],
  ['revoked_key', 401, 'invalid_api_key', 'invalid_request_error', 'authentication_error'],
  ['ambiguous_key', 401, 'ambiguous_key', 'invalid_request_error', 'authentication_error'],
  ['client_disabled', 403, 'client_disabled', 'invalid_request_error', 'permission_error'],
  ['address_denied', 403, 'address_denied', 'invalid_request_error', 'permission_error'],
  ['scope_denied', 403, 'scope_denied', 'invalid_request_error', 'permission_error'],
  ['bad_request', 400, 'bad_request', 'invalid_request_error', 'invalid_request_error'],
  ['body_too_large', 413, 'body_too_large', 'invalid_request_error', 'request_too_large'],
  ['model_denied', 403, 'model_denied', 'invalid_request_error', 'permission_error'],
  ['invalid_body', 400, 'invalid_body', 'invalid_request_error', 'invalid_request_error'],
  ['parameter_denied', 400, 'parameter_denied', 'invalid_request_error', 'invalid_request_error'],
  ['locked_out', 429, 'locked_out', 'requests', 'rate_limit_error'],
  ['rate_limited', 429, 'rate_limit_exceeded', 'requests', 'rate_limit_error'],
  ['budget_spent', 429, 'insufficient_quota', 'insufficient_quota', 'rate_limit_error'],
  ['upstream_unavailable', 503, 'upstream_unavailable', 'server_error', 'api_error'],
  ['starting', 503, 'starting', 'server_error', 'api_error'],
  ['gate_error', 500, 'gate_error', 'server_error', 'api_error'],
]

describe('answerRefusal', () => {
  test.each(table)('%s is %i with code %s', (outcome, status, code, type, anthropicType) => {
    const openai = answer(outcome)
    expect(openai.status).toBe(status)
    expect(openai.headers['content-type']).toBe('application/json')
    expect(openai.body).toEqual({
      error: { message: expect.stringMatching(/^[A-Z].{10,}[^.]$/), type, param: null, code },
    })
    const anthropic = answer(outcome, { dialect: 'anthropic' })
    expect(anthropic.status).toBe(status)
    expect(anthropic.body).toEqual({
      type: 'error',
      error: { type: anthropicType, message: openai.body.error.message },
      request_id: id,
    })
  })

  test.each([
    ['tokensPerMinute of client', 'tokens'],
    ['inputTokensPerMinute of key', 'tokens'],
    ['requestsPerMinute of group', 'requests'],
    ['concurrency of client', 'requests'],
  ])('a rate of %s is of type %s', (limit, type) => {
    expect(answer('rate_limited', { limit }).body.error).toMatchObject({
      type,
      code: 'rate_limit_exceeded',
    })
  })

  test('nobody can tell an unknown key from an expired or a revoked one', () => {
    const ticket = { client: 'app', key: 'aaaaaaaa' }
    expect(answer('expired_key', ticket)).toEqual(answer('invalid_key'))
    expect(answer('revoked_key', ticket)).toEqual(answer('invalid_key'))
  })

  test('names neither client nor key', () => {
    for (const [outcome] of table) {
      const text = answerRefusal({ outcome, dialect: 'openai', client: 'app7', key: 'k7' }, 0, id)
      expect(JSON.stringify(text)).not.toMatch(/app7|k7/)
    }
  })

  test('401, and nothing else, names the scheme', () => {
    for (const [outcome, status] of table) {
      const scheme = status === 401 ? 'Bearer' : undefined
      expect(answer(outcome).headers['www-authenticate']).toBe(scheme)
    }
  })

  test('a wrong method is 405 and names the right one', () => {
    const refused = answer('unknown_route', { allow: 'POST' })
    expect(refused.status).toBe(405)
    expect(refused.headers.allow).toBe('POST')
    expect(refused.body.error.message).toBe('Method not allowed: this route takes POST')
  })

  test('U: a body with a content-encoding is 415, and named', () => {
    const { status, body, headers } = answer('invalid_body', { isEncoded: true, message: 'x' })
    expect([status, headers['x-should-retry']]).toEqual([415, 'false'])
    expect(body.error.message).toBe(
      'The request body has a content-encoding: send it as plain JSON',
    )
  })

  test('a status of nginx’s own is kept', () => {
    expect(answer('bad_request', {}, 431).status).toBe(431)
    expect(answer('upstream_unavailable', {}, 504).status).toBe(504)
  })

  test.each([
    ['one second', 1000, '1', '1000'],
    ['a part of a second is rounded up in seconds', 1250, '2', '1250'],
    ['exactly the longest wait that SDKs accept', 60000, '60', '60000'],
    ['one second more is cut to it', 61000, '60', '60000'],
    ['an hour is cut to it', 3600000, '60', '60000'],
  ])('a wait of %s', (_, retryAfterMs, seconds, ms) => {
    const { headers } = answer('locked_out', { retryAfterMs })
    expect([headers['retry-after'], headers['retry-after-ms']]).toEqual([seconds, ms])
    expect(tellWait(retryAfterMs)).toBe(`${ms} ${seconds}`)
  })

  test.each([
    ['a bad key', 'invalid_key', 0, 'false'],
    ['no key', 'missing_key', 0, 'false'],
    ['a client that is disabled', 'client_disabled', 0, 'false'],
    ['an unknown route', 'unknown_route', 0, 'false'],
    ['a body that is wrong', 'invalid_body', 0, 'false'],
    ['a body that is too large', 'body_too_large', 0, 'false'],
    ['headers that are too large', 'bad_request', 431, 'false'],
    ['a spent budget', 'budget_spent', 0, 'false'],
    ['a rate', 'rate_limited', 0, undefined],
    ['an address that is locked out', 'locked_out', 0, undefined],
    ['a request that took too long', 'bad_request', 408, undefined],
    ['a server that is down', 'upstream_unavailable', 502, undefined],
    ['a gate that broke', 'gate_error', 0, undefined],
  ] as const)('T: tells SDKs whether to ask again after %s', (_, outcome, status, told) => {
    expect(answer(outcome, {}, status).headers['x-should-retry']).toBe(told)
  })

  test('no wait, no header', () => {
    expect(answer('invalid_key').headers).not.toHaveProperty('retry-after')
  })
})

test('listRefusals lists all of the table', () => {
  expect(listRefusals().toSorted()).toEqual(table.map(([outcome]) => outcome).toSorted())
})
