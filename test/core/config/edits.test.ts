import { describe, expect, test } from 'vitest'
import { parseAssignment, setClientFields, setPlanFields } from '../../../src/cli/edits/fields.ts'
import {
  addKey,
  findKey,
  keyState,
  removeClient,
  revokeKey,
  rotateKeys,
  setDisabled,
} from '../../../src/core/config/edits.ts'
import { importKeys } from '../../../src/core/config/imports.ts'
import type { Client, Clients, Key, Policy } from '../../../src/core/config/shapes.ts'
import { formatTime } from '../../../src/core/time.ts'

const nowMs = Date.UTC(2026, 10, 23, 9)
const hourMs = 3_600_000
const policy: Policy = { version: 1, plans: { standard: {}, gold: {} } }

function key(id: string, fields: Partial<Key> = {}): Key {
  return { id: id.padEnd(8, '0'), sha256: id.padEnd(64, '0'), created: formatTime(0), ...fields }
}

function documentOf(clients: { [name: string]: Client }): Clients {
  return { version: 1, clients }
}

/** An edit that must not change what it was given. */
function frozen(clients: { [name: string]: Client }): Clients {
  const freeze = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    Object.freeze(value)
    Object.values(value).forEach(freeze)
  }
  const document = documentOf(clients)
  freeze(document)
  return document
}

const wanted = (client: string, id = 'ff') => ({ client, ...pick(key(id)), nowMs })
const pick = ({ id, sha256 }: Key) => ({ id, sha256 })

/** The result of an edit that was made. */
function made<T extends object>(result: T | { refused: string }): T {
  if ('refused' in result) throw new Error(result.refused)
  return result
}

describe('addKey', () => {
  test('makes a new client on the plan standard', () => {
    const before = frozen({})
    const added = made(addKey(before, policy, wanted('app'), undefined))
    expect(added.isNewClient).toBe(true)
    expect(added.document.clients.app).toEqual({
      plan: 'standard',
      keys: [{ ...pick(key('ff')), created: '2026-11-23T09:00:00Z' }],
    })
  })

  test('names no plan when the policy has no standard', () => {
    const added = made(addKey(frozen({}), { version: 1 }, wanted('app'), undefined))
    expect(added.client.plan).toBeUndefined()
  })

  test('adds to a client that is there, and shares all others', () => {
    const before = frozen({ app: { keys: [key('aa')] }, other: { keys: [] } })
    const added = made(addKey(before, policy, wanted('app'), undefined))
    expect(added.client.keys.map((one) => one.id)).toEqual(['aa000000', 'ff000000'])
    expect(added.document.clients.other).toBe(before.clients.other)
  })

  test.each([
    ['a name that is none', wanted('my app'), undefined, 'clients["my app"]: Not a valid name'],
    ['the name __proto__', wanted('__proto__'), undefined, 'Not a valid name'],
    ['a plan that is missing', wanted('app2'), 'gald', 'did you mean gold?'],
    ['another plan than the client has', wanted('app'), 'gold', 'client set app plan=gold'],
    ['an id that is taken', wanted('app', 'aa'), undefined, 'id aa000000 is taken'],
    [
      'a key that is there',
      { ...wanted('x'), sha256: key('aa').sha256 },
      undefined,
      'client "app"',
    ],
    ['an expiry that is past', { ...wanted('app'), expiresMs: nowMs }, undefined, 'is past'],
  ])('refuses %s', (_name, request, plan, message) => {
    const before = frozen({ app: { plan: 'standard', keys: [key('aa')] } })
    expect(addKey(before, policy, request, plan)).toMatchObject({
      refused: expect.stringContaining(message),
    })
  })
})

describe('rotateKeys', () => {
  const later = formatTime(nowMs + hourMs)
  const sooner = formatTime(nowMs + 1000)
  const past = formatTime(nowMs - 1000)

  test.each([
    ['a key that never expires', {}, later],
    ['a key that expires after the grace', { expires: formatTime(nowMs + 2 * hourMs) }, later],
    ['a key that expires within the grace', { expires: sooner }, sooner],
    ['a key that has expired', { expires: past }, past],
    ['a revoked key', { revoked: past }, undefined],
  ])('gives the right end to %s', (_name, fields, expires) => {
    const before = frozen({ app: { keys: [key('aa', fields)] } })
    const rotated = made(rotateKeys(before, policy, wanted('app'), hourMs))
    expect(rotated.client.keys[0]?.expires).toBe(expires)
    expect(rotated.client.keys[1]?.id).toBe('ff000000')
  })

  test('gives the new key what the old ones have of their own', () => {
    const own = { limits: { concurrency: 2 }, budgets: { tokensPerDay: 100 } }
    const keys = [key('aa', own), key('bb', own), key('cc', { revoked: past })]
    const rotated = made(rotateKeys(frozen({ app: { keys } }), policy, wanted('app'), 0))
    expect(rotated.key).toMatchObject({ id: 'ff000000', ...own })
    const different = [...keys, key('dd', { limits: { concurrency: 3 } })]
    expect(
      rotateKeys(frozen({ app: { keys: different } }), policy, wanted('app'), 0),
    ).toMatchObject({
      refused: expect.stringMatching(/^The live keys of app have different limits/),
    })
  })

  test('names the keys that will end, and needs a client', () => {
    const keys = [key('aa'), key('bb', { revoked: past })]
    const rotated = made(rotateKeys(frozen({ app: { keys } }), policy, wanted('app'), 0))
    expect(rotated.expiring.map((one) => one.id)).toEqual(['aa000000'])
    expect(rotateKeys(frozen({ app: { keys } }), policy, wanted('apq'), 0)).toMatchObject({
      refused: 'No client "apq"; did you mean app?',
    })
  })
})

describe('revokeKey', () => {
  test('keeps the record, and the first time of two', () => {
    const once = made(revokeKey(frozen({ app: { keys: [key('aa')] } }), 'aa000000', nowMs))
    expect(once.key.revoked).toBe('2026-11-23T09:00:00Z')
    const twice = made(revokeKey(once.document, 'aa000000', nowMs + hourMs))
    expect(twice).toMatchObject({ wasRevoked: true, key: { revoked: '2026-11-23T09:00:00Z' } })
    expect(twice.document).toBe(once.document)
  })

  test('refuses an id that no key has', () => {
    expect(revokeKey(frozen({}), 'zz', nowMs)).toHaveProperty('refused')
  })
})

describe('keyState', () => {
  test.each([
    ['a key without an end', {}, {}, 'live'],
    ['a key that expires next second', {}, { expires: formatTime(nowMs + 1000) }, 'live'],
    ['a key that expires now', {}, { expires: formatTime(nowMs) }, 'expired'],
    ['a key whose end nobody can read', {}, { expires: 'soon' }, 'expired'],
    ['a key of a disabled client', { disabled: true }, {}, 'disabled'],
    ['a revoked key of one', { disabled: true }, { revoked: formatTime(0) }, 'revoked'],
  ])('tells %s', (_name, client, fields, state) => {
    expect(keyState({ keys: [], ...client }, key('aa', fields), nowMs)).toBe(state)
  })
})

describe('setDisabled and removeClient', () => {
  test('disable, enable and remove without a trace', () => {
    const before = frozen({ app: { keys: [key('aa')] }, other: { keys: [] } })
    const disabled = made(setDisabled(before, 'app', true))
    expect(disabled.client.disabled).toBe(true)
    const enabled = made(setDisabled(disabled.document, 'app', false))
    expect(enabled.document).toEqual(before)
    const removed = made(removeClient(enabled.document, 'app'))
    expect(Object.keys(removed.document.clients)).toEqual(['other'])
    expect(findKey(removed.document, 'aa000000')).toBeNull()
  })

  test('do not take what every object has for a client', () => {
    expect(removeClient(frozen({}), 'constructor')).toHaveProperty('refused')
    expect(setDisabled(frozen({}), 'toString', true)).toHaveProperty('refused')
  })
})

describe('setClientFields', () => {
  const app: Client = { plan: 'standard', keys: [], limits: { concurrency: 2 } }

  test.each([
    [
      'a number',
      'limits.requestsPerMinute=50',
      { limits: { concurrency: 2, requestsPerMinute: 50 } },
    ],
    ['plain text', 'note=on call: Kim', { note: 'on call: Kim' }],
    ['text that looks like a number', 'note=5', { note: '5' }],
    ['text in JSON', 'note="a\\nb"', { note: 'a\nb' }],
    ['a truth', 'disabled=true', { disabled: true }],
    ['a list in JSON', 'models=["a,b"]', { models: ['a,b'] }],
    ['a list as it is said', 'scopes=inference, models', { scopes: ['inference', 'models'] }],
    ['a whole object', 'limits={"concurrency":3}', { limits: { concurrency: 3 } }],
    ['a value with an = in it', 'note=a=b', { note: 'a=b' }],
  ])('takes %s', (_name, text, fields) => {
    const assignment = made(parseAssignment(text, 'client'))
    const set = made(setClientFields(frozen({ app }), policy, 'app', [assignment]))
    expect(set.client).toEqual({ ...app, ...fields })
  })

  test.each([
    ['an empty value', 'limits.concurrency='],
    ['null', 'limits.concurrency=null'],
    ['null for the whole', 'limits=null'],
  ])('takes a field away by %s, and the object that is left empty', (_name, text) => {
    const assignment = made(parseAssignment(text, 'client'))
    const set = made(setClientFields(frozen({ app }), policy, 'app', [assignment]))
    expect(set.client).toEqual({ plan: 'standard', keys: [] })
  })

  test.each([
    ['no =', 'note', 'Expected FIELD=VALUE'],
    ['no field', '=5', 'Expected FIELD=VALUE'],
    ['a misspelt field', 'limits.requestPerMinute=5', 'did you mean requestsPerMinute?'],
    ['a field without its parent', 'requestsPerMinute=5', 'did you mean limits.requestsPerMinute?'],
    ['a field below text', 'plan.x=5', 'plan.x: Unknown field'],
    ['the keys', 'keys=[]', 'tollgate key create'],
    ['one key', 'keys[0].note=x', 'tollgate key create'],
    ['__proto__', '__proto__.x=5', 'Unknown field'],
    ['constructor', 'limits.constructor=5', 'Unknown field'],
  ])('refuses %s', (_name, text, message) => {
    expect(parseAssignment(text, 'client')).toMatchObject({
      refused: expect.stringContaining(message),
    })
  })

  test.each([
    [
      'a wrong type',
      'limits.concurrency=many',
      'clients.app.limits.concurrency: Must be an integer',
    ],
    ['a plan that is missing', 'plan=golf', 'did you mean gold?'],
    [
      'an address that is none',
      'addresses=10.0.0.1,localhost',
      'clients.app.addresses[1]: Must be',
    ],
  ])('refuses %s with its path', (_name, text, message) => {
    const assignment = made(parseAssignment(text, 'client'))
    expect(setClientFields(frozen({ app }), policy, 'app', [assignment])).toMatchObject({
      refused: expect.stringContaining(message),
    })
  })
})

describe('setPlanFields', () => {
  test('changes a plan, makes a new one, and refuses what is none', () => {
    Object.freeze(policy.plans)
    const set = made(setPlanFields(policy, 'gold', [{ path: 'limits.concurrency', value: 5 }]))
    expect(set).toMatchObject({ isNewPlan: false, plan: { limits: { concurrency: 5 } } })
    expect(made(setPlanFields(policy, 'free', [])).policy.plans).toHaveProperty('free', {})
    expect(setPlanFields(policy, '__proto__', [])).toHaveProperty('refused')
    expect(parseAssignment('plan=gold', 'plan')).toHaveProperty('refused')
  })
})

describe('importKeys', () => {
  const choices = { nowMs, plan: undefined, note: 'imported' }
  const line = (number: number, identity: string, id: string) => ({
    line: number,
    identity,
    ...pick(key(id)),
  })

  test('adds, skips what is there, and does not move a key to another client', () => {
    const before = frozen({ app: { keys: [key('aa', { revoked: formatTime(0) })] } })
    const lines = [line(1, 'app', 'aa'), line(2, 'web', 'aa'), line(3, 'web', 'bb')]
    const result = importKeys(before, policy, [...lines, line(4, 'web', 'cc')], choices)
    expect(result.skipped).toEqual([{ line: 1, client: 'app', id: 'aa000000', state: 'revoked' }])
    expect(result.problems.map((problem) => problem.line)).toEqual([2])
    expect(result.added.map((one) => one.id)).toEqual(['bb000000', 'cc000000'])
    expect(result.document.clients.web).toMatchObject({ plan: 'standard', keys: [{}, {}] })
    const again = importKeys(result.document, policy, lines.slice(2), choices)
    expect(again.added).toEqual([])
  })
})
