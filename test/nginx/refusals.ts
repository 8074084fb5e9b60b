import { expect } from 'vitest'
import type { RawAnswer } from './raw.ts'

/** Words of both dialects: OpenAI's code and type, Anthropic's type. */
const words: Record<string, [string, string, string]> = {
  unknown_route: ['unknown_route', 'invalid_request_error', 'not_found_error'],
  missing_key: ['missing_key', 'invalid_request_error', 'authentication_error'],
  invalid_key: ['invalid_api_key', 'invalid_request_error', 'authentication_error'],
  expired_key: ['invalid_api_key', 'invalid_request_error', 'authentication_error'],
  revoked_key: ['invalid_api_key', 'invalid_request_error', 'authentication_error'],
  ambiguous_key: ['ambiguous_key', 'invalid_request_error', 'authentication_error'],
  client_disabled: ['client_disabled', 'invalid_request_error', 'permission_error'],
  address_denied: ['address_denied', 'invalid_request_error', 'permission_error'],
  scope_denied: ['scope_denied', 'invalid_request_error', 'permission_error'],
  bad_request: ['bad_request', 'invalid_request_error', 'invalid_request_error'],
  body_too_large: ['body_too_large', 'invalid_request_error', 'request_too_large'],
  locked_out: ['locked_out', 'requests', 'rate_limit_error'],
  upstream_unavailable: ['upstream_unavailable', 'server_error', 'api_error'],
  gate_error: ['gate_error', 'server_error', 'api_error'],
}

/** Holds an answer against what it should be: a refusal in the caller's dialect, with its id, and nothing of a key in it. */
export function expectRefusal(answer: RawAnswer, path: string, outcome: string): void {
  const [code = '', type, anthropicType] = words[outcome] ?? []
  const isAnthropic = path.startsWith('/v1/messages')
  const id = answer.headers['x-request-id']
  expect(id).toMatch(/^[0-9a-f]{32}$/)
  expect(answer.headers['request-id']).toBe(isAnthropic ? id : undefined)
  expect(answer.headers['content-type']).toBe('application/json')
  const body: unknown = JSON.parse(answer.body)
  const text = expect.stringMatching(/^[A-Z].{10,}$/)
  if (isAnthropic) {
    const error = { type: anthropicType, message: text }
    expect(body).toEqual({ type: 'error', error, request_id: id })
  } else expect(body).toEqual({ error: { message: text, type, param: null, code } })
  expect(answer.headers['www-authenticate']).toBe(answer.status === 401 ? 'Bearer' : undefined)
  // Asking again is of use for a rate, a time-out, and what is wrong with servers.
  const isTransient = answer.status >= 500 || answer.status === 408 || answer.status === 429
  expect(answer.headers['x-should-retry']).toBe(isTransient ? undefined : 'false')
  expect(JSON.stringify(answer)).not.toContain('tg_')
}
