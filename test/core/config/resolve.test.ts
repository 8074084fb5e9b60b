import { describe, expect, test } from 'vitest'
import { routeAccess } from '../../../src/core/config/record.ts'
import {
  packRoutes,
  packRules,
  planOf,
  resolveKey,
  zoneOf,
} from '../../../src/core/config/resolve.ts'
import type { Client, Grant, Key, Policy } from '../../../src/core/config/shapes.ts'

const key: Key = { id: 'aaaaaaaa', sha256: '0'.repeat(64), created: '2026-01-01T00:00:00Z' }
const policy: Policy = {
  version: 1,
  plans: { small: { scopes: ['models'], addresses: ['10.0.0.0/8'] } },
}

const hashes = {
  subjectId: (of: string, name: string) => `<${of} ${name}>`,
  salt: (secret: string, client: string) => `${secret} ${client}`,
}

function resolved(client: Omit<Client, 'keys'>, of: Key = key): unknown {
  return JSON.parse(resolveKey('app', { ...client, keys: [of] }, of, policy, hashes))
}

describe('resolveKey', () => {
  const plain = { client: 'app', key: 'aaaaaaaa', usual: 0 }
  /** Of a record that the quick way does not know. */
  const odd = { usual: undefined }

  test.each([
    ['nothing said', {}, plain],
    [
      'the plan’s fields',
      { plan: 'small' },
      { ...odd, scopes: ['models'], addresses: ['10.0.0.0/8'] },
    ],
    [
      'the client’s scopes over the plan’s',
      { plan: 'small', scopes: ['audio'] as const },
      { ...odd, scopes: ['audio'], addresses: ['10.0.0.0/8'] },
    ],
    ['no scope at all stays none', { scopes: [] }, { ...odd, scopes: [] }],
    ['no address at all stays none', { addresses: [] }, { ...odd, addresses: [] }],
    ['a plan that is not there gives nothing', { plan: 'large' }, {}],
    ['a plan named like what every object has gives nothing', { plan: 'constructor' }, {}],
    ['a disabled client', { disabled: true }, { ...odd, disabled: true }],
    ['a client that is not disabled', { disabled: false }, {}],
  ])('%s', (_, client, expected) => {
    expect(resolved(client as Omit<Client, 'keys'>)).toEqual({ ...plain, ...expected })
  })

  test.each([
    ['UTC', '2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1)],
    ['an offset', '2026-01-01T00:00:00+02:00', Date.UTC(2025, 11, 31, 22)],
    ['milliseconds', '2026-01-01T00:00:00.250Z', Date.UTC(2026, 0, 1) + 250],
    ['nanoseconds', '2026-01-01T00:00:00.250999999Z', Date.UTC(2026, 0, 1) + 250],
    ['small letters', '2026-01-01t00:00:00z', Date.UTC(2026, 0, 1)],
  ])('an expiry in %s', (_, expires, expected) => {
    expect(resolved({}, { ...key, expires })).toEqual({
      ...plain,
      expires: expected,
      usual: expected,
    })
  })

  test('an expiry that cannot be read has passed already', () => {
    expect(resolved({}, { ...key, expires: 'soon' })).toEqual({
      ...plain,
      expires: 0,
      usual: 1,
    })
  })

  test('no expiry and no revocation are left out', () => {
    expect(resolved({}, { ...key, expires: null, revoked: null })).toEqual(plain)
  })

  test('a revoked key', () => {
    const revoked = '2026-02-01T00:00:00Z'
    expect(resolved({}, { ...key, revoked })).toEqual({
      ...plain,
      ...odd,
      revoked: true,
    })
  })

  test('a client with a name that every object has', () => {
    const record = resolveKey('constructor', { keys: [key] }, key, policy, hashes)
    expect(JSON.parse(record)).toEqual({ ...plain, client: 'constructor' })
  })
})

describe('limits in the record', () => {
  const rich: Policy = {
    version: 1,
    cacheSaltSecret: 'secret',
    groups: { web: { budgets: { costPerMonth: 1.5 } } },
    plans: {
      standard: {
        limits: { requestsPerMinute: 60, concurrency: 4 },
        budgets: { tokensPerDay: 1000, hard: true },
        request: { n: 2, maxOutputTokens: 100 },
        shadow: true,
        cacheSalt: true,
        priority: 5,
        models: ['llama-*'],
      },
    },
  }
  const client = (fields: object): Record<string, unknown> => {
    const app = { plan: 'standard', keys: [key], ...fields }
    return JSON.parse(resolveKey('app', app, key, rich, hashes))
  }

  test('a client has what its plan says', () => {
    expect(client({})).toEqual({
      client: 'app',
      key: 'aaaaaaaa',
      models: ['llama-*'],
      request: { n: 2, maxOutputTokens: 100 },
      limited: [
        {
          of: 'client',
          id: '<client app>',
          limits: { requestsPerMinute: 60, concurrency: 4 },
          budgets: { tokensPerDay: 1000, hard: true },
        },
      ],
      shadow: true,
      priority: 5,
      salt: 'secret app',
    })
  })

  test.each([
    [
      'overrides single limits',
      { limits: { concurrency: 9 } },
      { limits: { requestsPerMinute: 60, concurrency: 9 } },
    ],
    [
      'overrides single budgets',
      { budgets: { hard: false } },
      { budgets: { tokensPerDay: 1000, hard: false } },
    ],
  ])('a client %s', (_, fields, expected) => {
    expect(client(fields)['limited']).toMatchObject([expected])
  })

  test.each([
    ['has hard budgets', {}],
    ['is only watched', { budgets: { hard: false }, cacheSalt: false, priority: undefined }],
  ])('the quick way does not know a client that %s', (_, fields) => {
    expect(client({ ...fields, plan: 'standard' })).not.toHaveProperty('usual')
  })

  test.each([
    [['inference'], 0],
    [['models', 'inference', 'audio'], 0],
    [['embeddings', 'models'], undefined],
    [[], undefined],
  ] as const)('the quick way knows the scopes %j: %j', (scopes, expected) => {
    const app = { scopes: [...scopes], keys: [key] }
    const record = resolveKey('app', app, key, { version: 1 }, hashes)
    expect(JSON.parse(record)['usual']).toBe(expected)
  })

  test('the quick way knows limits, soft budgets, models and ceilings', () => {
    const plan: Grant = { models: ['llama-*'], request: { n: 2 }, limits: { concurrency: 4 } }
    const plans = { standard: { ...plan, budgets: { tokensPerDay: 1000 } } }
    const app = { plan: 'standard', keys: [key] }
    const record = resolveKey('app', app, key, { version: 1, plans }, hashes)
    expect(JSON.parse(record)).toMatchObject({ usual: 0, models: ['llama-*'], request: { n: 2 } })
  })

  test('a client switches off what its plan has on', () => {
    const record = client({ shadow: false, cacheSalt: false, priority: 0 })
    expect(record).not.toHaveProperty('shadow')
    expect(record).not.toHaveProperty('salt')
    expect(record['priority']).toBe(0)
  })

  test('a group and a key add limits of their own, cost in nano-units', () => {
    const tight: Key = { ...key, limits: { requestsPerMinute: 1 } }
    const record = resolveKey('app', { group: 'web', keys: [tight] }, tight, rich, hashes)
    expect(JSON.parse(record)).toMatchObject({
      group: 'web',
      limited: [
        { of: 'key', id: '<key aaaaaaaa>', limits: { requestsPerMinute: 1 } },
        { of: 'group', id: '<group web>', budgets: { costPerMonth: 1.5e9 } },
      ],
    })
  })

  test('a group that the policy does not know is a name only', () => {
    const record = resolveKey('app', { group: 'toString', keys: [key] }, key, rich, hashes)
    expect(JSON.parse(record)).toEqual({
      client: 'app',
      key: 'aaaaaaaa',
      group: 'toString',
      usual: 0,
    })
  })
})

describe('packRules', () => {
  test('is empty at the defaults', () => {
    expect(packRules({ version: 1, metering: 'exact' })).toBe('')
  })

  test('holds the time zone in force, and not what the policy says', () => {
    const rich: Policy = { version: 1, timeZone: '+08:00' }
    expect(packRules(rich)).toBe('')
    expect(packRules(rich, 0)).toBe('')
    expect(JSON.parse(packRules(rich, -210))).toEqual({ zoneMinutes: -210 })
    expect([rich, policy, { version: 1, timeZone: 'Z' } as const].map(zoneOf)).toEqual([480, 0, 0])
  })

  test('holds what differs', () => {
    const rules = { metering: 'off', defaultModel: 'm', defaultOutputTokens: 9, maxInFlight: 8 }
    expect(JSON.parse(packRules({ version: 1, ...rules } as Policy))).toEqual(rules)
  })
})

describe('planOf', () => {
  test('is empty for a client without a plan and a policy without plans', () => {
    expect(planOf({ keys: [] }, policy)).toEqual({})
    expect(planOf({ plan: 'small', keys: [] }, { version: 1 })).toEqual({})
  })
})

describe('packRoutes and routeAccess', () => {
  const packed = packRoutes({
    version: 1,
    routes: { chat: 'off', tokenize: 'key', models: 'public', chat_batch: 'key' },
  })

  test.each([
    ['chat', 'off'],
    ['tokenize', 'key'],
    ['models', 'public'],
    ['chat_batch', 'key'],
    ['batch', null],
    ['chat_', null],
    ['detokenize', null],
    ['token', null],
    ['', null],
  ])('%s is %s', (name, access) => {
    expect(routeAccess(packed, name)).toBe(access)
  })

  test('a policy that names no route is still there', () => {
    expect(packRoutes({ version: 1 })).toBe(';')
    expect(routeAccess(';', 'chat')).toBeNull()
  })
})
