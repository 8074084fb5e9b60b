import { describe, expect, test } from 'vitest'
import { readAudit } from '../../../src/core/admin/auditline.ts'
import { readKeyBody, relativeTo } from '../../../src/core/admin/bodies.ts'
import { describeChange } from '../../../src/core/admin/change.ts'
import { patchClient, setClient, setPlan } from '../../../src/core/admin/clients.ts'
import { fitsQuery } from '../../../src/core/admin/pages.ts'
import { findLost, readPolicyBody } from '../../../src/core/admin/policies.ts'
import { showPolicy, showWhole } from '../../../src/core/admin/present.ts'
import { listAlerts, type Status } from '../../../src/core/admin/status.ts'
import { withNamed, withoutNamed } from '../../../src/core/config/replace.ts'
import type { Admin, Client, Clients, Policy } from '../../../src/core/config/shapes.ts'

const NOW = Date.UTC(2026, 10, 25)
const sha256 = 'a'.repeat(64)
const key = { id: 'k7q2m9xa', sha256, created: '2026-11-01T00:00:00Z' }
const policy: Policy = { version: 1, plans: { small: { limits: { concurrency: 2 } } } }
const app: Client = { plan: 'small', note: 'n', keys: [key] }
const document: Clients = { version: 1, clients: { app, constructor: { keys: [] } } }

describe('clients', () => {
  test('are replaced with their keys', () => {
    const set = setClient(document, policy, 'app', { group: 'web' })
    expect(set).toMatchObject({ client: { group: 'web', keys: [key] } })
    expect('document' in set && Object.keys(set.document.clients)).toEqual(['app', 'constructor'])
    expect(document.clients['app']).toBe(app)
  })

  test('are changed in parts', () => {
    const patch = { note: null, limits: { concurrency: 1 } }
    expect(patchClient(document, policy, 'app', patch)).toMatchObject({
      client: { plan: 'small', limits: { concurrency: 1 }, keys: [key] },
    })
  })

  test.each<[string, unknown, string]>([
    ['keys', { keys: [] }, 'keys'],
    ['a plan that is not there', { plan: 'large' }, 'plan'],
    ['what is no object', [], ''],
    ['a field that is unknown', { constructor: {} }, 'constructor'],
  ])('refuse %s with its place in the body', (_, body, path) => {
    for (const edit of [setClient, patchClient]) {
      expect(edit(document, policy, 'app', body)).toMatchObject({ problems: [{ path }] })
    }
  })

  test('are shown without hashes, and with what their plan gives', () => {
    expect(showWhole('app', app, policy, NOW)).toEqual({
      ...{ name: 'app', plan: 'small', note: 'n' },
      keys: [{ id: key.id, created: key.created, state: 'live' }],
      effective: {
        scopes: ['inference', 'embeddings', 'audio', 'models'],
        limits: { concurrency: 2 },
      },
    })
  })

  test.each([
    ['', true],
    ['app', true],
    ['mall', true],
    ['n', true],
    ['k7q2', true],
    ['aaaa', false],
  ])('are found by %j: %s', (q, isFound) => {
    expect(fitsQuery(q, 'app', app)).toBe(isFound)
  })
})

test('a plan is replaced, and what is wrong has its place in the body', () => {
  expect(setPlan(policy, 'small', {})).toMatchObject({ plan: {}, policy: { plans: { small: {} } } })
  expect(setPlan(policy, 'a.b', { limits: { x: 1 } })).toMatchObject({
    problems: [{ path: 'limits.x' }],
  })
  expect(relativeTo(['plans', 'a.b'], [{ path: 'plans["a.b"]', message: 'm' }])).toEqual([
    { path: '', message: 'm' },
  ])
})

describe('a policy', () => {
  const admin: Admin = { ...key, name: 'alice', role: 'write' }
  const secret = 'sixteen characters'
  const whole: Policy = { ...policy, cacheSaltSecret: secret, admins: [admin] }

  test('that was shown can be sent back', () => {
    const shown = showPolicy(whole)
    expect(shown).toEqual({ ...policy, cacheSaltSecret: '(kept)' })
    expect(readPolicyBody(shown, whole)).toEqual({ policy: whole })
  })

  test('cannot keep a secret that is not there', () => {
    expect(readPolicyBody({ version: 1, cacheSaltSecret: '(kept)' }, policy)).toMatchObject({
      problems: [{ path: 'cacheSaltSecret' }],
    })
  })

  test('tells what it takes from clients', () => {
    expect(findLost(whole, { version: 1 })).toEqual({ plans: ['small'], isSecretLost: true })
    expect(findLost(whole, whole)).toEqual({ plans: [], isSecretLost: false })
    const named = { ...policy, plans: { constructor: {} } }
    expect(findLost(named, { version: 1 }).plans).toEqual(['constructor'])
  })
})

describe('readKeyBody', () => {
  test('fills in what is left out', () => {
    expect(readKeyBody(undefined, false)).toEqual({
      ...{ expiresMs: undefined, note: undefined, limits: undefined, budgets: undefined },
      ...{ made: null, graceSeconds: 0 },
    })
  })

  test.each<[string, unknown, boolean, string]>([
    ['a list', [], false, ''],
    ['half of a key', { id: 'abcdefgh' }, true, 'sha256'],
    ['a grace of a year and a second', { graceSeconds: 31536001 }, true, 'graceSeconds'],
    ['limits of a rotated key', { limits: {} }, true, 'limits'],
  ])('refuses %s', (_, body, isRotation, path) => {
    expect(readKeyBody(body, isRotation)).toMatchObject([{ path }])
  })
})

describe('describeChange', () => {
  test('has the fields that differ', () => {
    const before = { a: 1, b: [1], c: { d: 1 } }
    expect(describeChange('x', 'y', before, { a: 1, b: [2], e: 5 })).toEqual({
      ...{ action: 'x', target: 'y', before: { b: [1], c: { d: 1 } }, after: { b: [2], e: 5 } },
    })
  })

  test('has no hash and no secret, however deep', () => {
    const secrets = {
      keys: [{ id: 'a', sha256 }],
      admins: [key],
      cacheSaltSecret: 'x',
      p: { sha256 },
    }
    const { before, after } = describeChange('x', 'y', null, secrets)
    expect(before).toBeNull()
    expect(after).toEqual({ keys: [{ id: 'a' }], cacheSaltSecret: '(kept)', p: {} })
  })

  test('has no values when they are too many', () => {
    const large = { note: 'x'.repeat(70_000) }
    expect(describeChange('x', 'y', null, large)).toMatchObject({ after: '(too large)' })
  })
})

test('readAudit gives the newest first, and leaves out what is none', () => {
  const line = (action: string) => JSON.stringify({ action })
  const text = `${line('a')}\n{"cut\n${line('b')}\nnull\n\n${line('c')}\n{"act`
  expect(readAudit(text, 2).map(({ action }) => action)).toEqual(['c', 'b'])
  expect(readAudit(text, 9).map(({ action }) => action)).toEqual(['c', 'b', 'a'])
})

test('names that every object has are names like others', () => {
  const named = withNamed<number>({ a: 1 }, 'constructor', 2)
  expect(named).toEqual({ a: 1, constructor: 2 })
  expect(withNamed(named, 'b', 3)).toEqual({ a: 1, constructor: 2, b: 3 })
  expect(withoutNamed(named, 'constructor')).toEqual({ a: 1 })
  expect(withoutNamed(undefined, 'a')).toEqual({})
})

describe('listAlerts', () => {
  const admins: Admin[] = [{ ...key, name: 'alice', role: 'write' }]
  const ledger = {
    ...{ offset: 0, behindBytes: 0, lines: 0, skipped: 0, countersFull: 0 },
    ...{ notice: null, problem: null },
  }
  const good: Omit<Status, 'alerts'> = {
    ...{
      version: '1',
      time: '',
      nginx: '',
      njs: '',
      engine: 'njs',
      startedAt: null,
      gateUrl: null,
      timeZone: 'Z',
    },
    ...{ generation: 1, loaded: '2026-11-25T00:00:00Z', elapsedMs: 1, clients: 1, keys: 1 },
    ...{ problems: [], notices: [], ledger, workers: [], inFlight: 0, isWritable: true },
    zones: [{ name: 'z', capacityBytes: 100, freeBytes: 20, entries: 1 }],
  }
  const zone = (freeBytes: number) => [{ name: 'z', capacityBytes: 100, freeBytes, entries: 1 }]

  test.each<[string, Partial<Status>, Admin[], string[]]>([
    ['nothing', {}, admins, []],
    ['a zone that is 81 % full', { zones: zone(19) }, admins, ['warning zone_full']],
    ['a zone that is 96 % full', { zones: zone(4) }, admins, ['error zone_full']],
    ['no token', {}, [], ['warning no_writer']],
    ['tokens that only read', {}, [{ ...key, name: 'a', role: 'read' }], ['warning no_writer']],
    [
      'a load that failed, and a file that cannot be written',
      { problems: [{ path: 'p', message: 'm' }], isWritable: false },
      admins,
      ['error load_failed', 'info read_only'],
    ],
    ['nothing loaded', { loaded: null }, admins, ['error not_loaded']],
    ['no sums', { ledger: null }, admins, ['warning no_sums']],
    [
      'a ledger that is in a bad way',
      { ledger: { ...ledger, problem: 'p', notice: 'n', behindBytes: 2e7, countersFull: 1 } },
      admins,
      [
        'error ledger_problem',
        'error counters_full',
        'warning ledger_behind',
        'info ledger_notice',
      ],
    ],
  ])('%s', (_, fields, tokens, expected) => {
    const alerts = listAlerts({ ...good, ...fields }, tokens, NOW)
    expect(alerts.map(({ severity, code }) => `${severity} ${code}`)).toEqual(expected)
    for (const { fix } of alerts) expect(fix).toMatch(/^[A-Z].*[^.]$/)
  })
})
