import { describe, expect, test } from 'vitest'
import { admit, type Call, type Registry } from '../../../src/core/admit/admit.ts'
import { findRoute, pathOf } from '../../../src/core/admit/routes.ts'
import type { KeyRecord } from '../../../src/core/config/record.ts'

const now = Date.UTC(2026, 0, 1)

/** A call by its request line, of which nginx makes the route. */
type Line = Omit<Call, 'route' | 'pathRoute'> & { method: string; requestLine: string }

const usual: Line = {
  method: 'POST',
  requestLine: 'POST /v1/chat/completions HTTP/1.1',
  authorization: 'Bearer good',
  xApiKey: undefined,
  apiKey: undefined,
  hasBody: false,
  address: '192.0.2.1',
  nowMs: now,
}

function registry(record: Partial<KeyRecord> = {}, routes: string | undefined = ';'): Registry {
  const entries = new Map<string, number>()
  const known: KeyRecord = { client: 'app', key: 'aaaaaaaa', ...record }
  return {
    routes: () => routes,
    find: (secret) => (secret === 'good' ? known : undefined),
    lockoutRule: () => ({ badKeysPerMinute: 2, seconds: 90 }),
    badKeys: () => ({
      get: (key) => entries.get(key),
      set: (key, value) => void entries.set(key, value),
      incr(key, delta, init = 0) {
        entries.set(key, (entries.get(key) ?? init) + delta)
        return entries.get(key) ?? 0
      },
    }),
  }
}

function judge(call: Line, registry: Registry) {
  const route = findRoute(pathOf(call.method, call.requestLine))
  const name = route?.name ?? ''
  return admit(
    { ...call, route: route?.method === call.method ? name : '', pathRoute: name },
    registry,
  )
}

function get(path: string, call: Partial<Line> = {}): Line {
  return { ...usual, method: 'GET', requestLine: `GET ${path} HTTP/1.1`, ...call }
}

describe('admit, the route', () => {
  test.each([
    ['a known route', 'POST /v1/chat/completions HTTP/1.1', 'ok'],
    ['with a query', 'POST /v1/chat/completions?a=b HTTP/1.1', 'ok'],
    ['with an empty query', 'POST /v1/chat/completions? HTTP/1.1', 'ok'],
    ['with a query that holds a question mark', 'POST /v1/chat/completions?a?b HTTP/1.1', 'ok'],
    ['over HTTP/2', 'POST /v1/chat/completions HTTP/2.0', 'ok'],
    ['of HTTP/0.9, without a version', 'POST /v1/chat/completions', 'ok'],
    ['a question mark in the version', 'POST /metrics HTTP/1.1?/v1/completions', 'unknown_route'],
    ['two spaces before the path', 'POST  /v1/chat/completions HTTP/1.1', 'unknown_route'],
    ['a tab behind the path', 'POST /v1/chat/completions\tHTTP/1.1', 'unknown_route'],
    ['a fragment', 'POST /v1/chat/completions#x HTTP/1.1', 'unknown_route'],
    ['an encoded question mark', 'POST /v1/chat/completions%3Fa HTTP/1.1', 'unknown_route'],
    ['an absolute target', 'POST http://a/v1/chat/completions HTTP/1.1', 'unknown_route'],
    ['a target of another method', 'POST a:80 HTTP/1.1', 'unknown_route'],
    ['an asterisk', 'POST * HTTP/1.1', 'unknown_route'],
    ['no path', 'POST', 'unknown_route'],
    ['nothing', '', 'unknown_route'],
  ])('%s', (_, requestLine, outcome) => {
    expect(judge({ ...usual, requestLine }, registry()).outcome).toBe(outcome)
  })

  test('a wrong method names the right one, before any key is looked at', () => {
    const call = get('/v1/chat/completions', { authorization: undefined })
    expect(judge(call, registry())).toEqual({
      outcome: 'unknown_route',
      dialect: 'openai',
      route: 'chat',
      allow: 'POST',
    })
  })

  test.each(['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'get'])('no %s', (method) => {
    const call = { ...usual, method, requestLine: `${method} /v1/models HTTP/1.1` }
    expect(judge(call, registry())).toMatchObject({ outcome: 'unknown_route', allow: 'GET' })
  })

  test('what is off is told like what does not exist, whatever the method', () => {
    const unknown = { outcome: 'unknown_route', dialect: 'openai' }
    expect(judge(get('/nowhere'), registry())).toEqual(unknown)
    expect(judge(get('/metrics'), registry())).toEqual(unknown)
    expect(judge(get('/tokenize'), registry())).toEqual(unknown)
    expect(judge(usual, registry({}, ';chat=off;'))).toEqual(unknown)
  })

  test('a policy opens by name', () => {
    const call = { ...usual, requestLine: 'POST /tokenize HTTP/1.1' }
    const scoped = { scopes: ['tokenize' as const] }
    expect(judge(call, registry(scoped, ';tokenize=key;')).outcome).toBe('ok')
    expect(judge(call, registry(scoped, ';detokenize=key;')).outcome).toBe('unknown_route')
  })

  test('a public route asks nobody, and looks at no key', () => {
    const call = get('/health', { authorization: 'Bearer bad' })
    const ticket = { outcome: 'ok', dialect: 'openai', route: 'health' }
    for (let i = 0; i < 5; i++) expect(judge(call, registry())).toEqual(ticket)
    expect(judge(get('/v1/models'), registry({}, ';models=public;')).client).toBeUndefined()
  })

  test('C: a GET takes no body, with a key and without, and a POST does', () => {
    const body = { hasBody: true }
    expect(judge(get('/health', body), registry()).outcome).toBe('bad_request')
    expect(judge(get('/v1/models', body), registry()).outcome).toBe('bad_request')
    expect(judge(get('/v1/models'), registry()).outcome).toBe('ok')
    expect(judge({ ...usual, ...body }, registry()).outcome).toBe('ok')
  })

  test('before a policy is loaded nothing passes, not even what is public', () => {
    const nothing = { ...registry(), routes: () => undefined }
    expect(judge(get('/health'), nothing)).toMatchObject({ outcome: 'starting' })
    expect(judge(usual, nothing)).toMatchObject({ outcome: 'starting' })
    expect(judge(get('/nowhere'), nothing).outcome).toBe('unknown_route')
  })
})

describe('admit, the key', () => {
  test.each([
    ['a live key', {}, {}, 'ok'],
    ['no key', { authorization: undefined }, {}, 'missing_key'],
    ['an unknown key', { authorization: 'Bearer bad' }, {}, 'invalid_key'],
    ['a key in another case', { authorization: 'Bearer GOOD' }, {}, 'invalid_key'],
    ['two different keys, one of them good', { xApiKey: 'bad' }, {}, 'ambiguous_key'],
    ['the same key twice', { xApiKey: 'good', apiKey: 'good' }, {}, 'ok'],
    ['one ms before expiry', {}, { expires: now + 1 }, 'ok'],
    ['exactly at expiry', {}, { expires: now }, 'expired_key'],
    ['one ms after expiry', {}, { expires: now - 1 }, 'expired_key'],
    ['an expiry of 0', {}, { expires: 0 }, 'expired_key'],
    ['a revoked key', {}, { revoked: true as const }, 'revoked_key'],
    [
      'a revoked key that has expired too',
      {},
      { revoked: true as const, expires: now },
      'revoked_key',
    ],
    ['a disabled client', {}, { disabled: true as const }, 'client_disabled'],
    [
      'an expired key of a disabled client',
      {},
      { disabled: true as const, expires: now },
      'expired_key',
    ],
    ['an address in the list', {}, { addresses: ['192.0.2.0/24'] }, 'ok'],
    ['an address outside of it', {}, { addresses: ['198.51.100.0/24'] }, 'address_denied'],
    ['an empty list of addresses', {}, { addresses: [] }, 'address_denied'],
    [
      'a UNIX socket against a list',
      { address: 'unix:' },
      { addresses: ['::/0'] },
      'address_denied',
    ],
    ['the scope of the route', {}, { scopes: ['inference' as const] }, 'ok'],
    ['another scope', {}, { scopes: ['embeddings' as const] }, 'scope_denied'],
    ['no scope', {}, { scopes: [] }, 'scope_denied'],
    ['wrong address and wrong scope', {}, { addresses: [], scopes: [] }, 'address_denied'],
  ])('%s', (_, call, record, outcome) => {
    const ticket = judge({ ...usual, ...call }, registry(record))
    expect(ticket.outcome).toBe(outcome)
    const isKnown = !['missing_key', 'invalid_key', 'ambiguous_key'].includes(outcome)
    expect(ticket.client).toBe(isKnown ? 'app' : undefined)
    expect(ticket.key).toBe(isKnown ? 'aaaaaaaa' : undefined)
  })

  test('a client with a name that every object has', () => {
    expect(judge(usual, registry({ client: 'constructor' })).client).toBe('constructor')
  })

  test.each([
    ['/v1/models', 'GET', 'ok'],
    ['/v1/chat/completions', 'POST', 'ok'],
    ['/v1/embeddings', 'POST', 'ok'],
    ['/v1/audio/transcriptions', 'POST', 'ok'],
    ['/tokenize', 'POST', 'scope_denied'],
    ['/metrics', 'GET', 'scope_denied'],
    ['/v1/load_lora_adapter', 'POST', 'scope_denied'],
  ])('the default scopes at %s', (path, method, outcome) => {
    const routes = ';tokenize=key;metrics=key;lora_load=key;'
    const call = { ...usual, method, requestLine: `${method} ${path} HTTP/1.1` }
    expect(judge(call, registry({}, routes)).outcome).toBe(outcome)
  })
})

describe('admit, the lock-out', () => {
  const bad = { ...usual, authorization: 'Bearer bad' }

  test('bad keys lock their address out, good keys go on, others are not touched', () => {
    const one = registry()
    const outcomes = [bad, bad, bad].map((call) => judge(call, one).outcome)
    expect(outcomes).toEqual(['invalid_key', 'invalid_key', 'locked_out'])
    expect(judge(bad, one).retryAfterMs).toBe(90000)
    expect(judge(usual, one).outcome).toBe('ok')
    expect(judge({ ...bad, address: '192.0.2.2' }, one).outcome).toBe('invalid_key')
    expect(judge({ ...bad, nowMs: now + 90_000 }, one).outcome).toBe('invalid_key')
  })

  test.each([
    ['expired keys', { expires: now }, {}, 'locked_out'],
    ['revoked keys', { revoked: true as const }, {}, 'locked_out'],
    ['ambiguous keys', {}, { apiKey: 'bad' }, 'locked_out'],
    ['missing keys', {}, { authorization: undefined }, 'missing_key'],
    ['disabled clients', { disabled: true as const }, {}, 'client_disabled'],
    ['wrong addresses', { addresses: [] }, {}, 'address_denied'],
    ['wrong scopes', { scopes: [] }, {}, 'scope_denied'],
    ['unknown routes', {}, { requestLine: 'POST /nowhere HTTP/1.1' }, 'unknown_route'],
  ])('three %s end as the outcome says', (_, record, call, outcome) => {
    const one = registry(record)
    const last = [1, 2, 3].map(() => judge({ ...usual, ...call }, one).outcome).pop()
    expect(last).toBe(outcome)
  })
})
