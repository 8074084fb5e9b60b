import { describe, expect, test } from 'vitest'
import { readKeyBody } from '../../../src/core/admin/bodies.ts'
import { patchClient, setClient, setPlan } from '../../../src/core/admin/clients.ts'
import { endReading, readKeys, startReading } from '../../../src/core/admin/importbody.ts'
import { endJson, lookOn, startJson } from '../../../src/core/admin/json.ts'
import { readPolicyBody } from '../../../src/core/admin/policies.ts'
import { boundsOf, listAdminRoutes, matchRoute } from '../../../src/core/admin/routes.ts'
import { clientOf } from '../../../src/core/config/edits.ts'
import { importKeys } from '../../../src/core/config/imports.ts'
import type { Clients, Grant, Policy } from '../../../src/core/config/shapes.ts'
import { closest } from '../../../src/core/config/suggest.ts'
import {
  endPolicyValidation,
  startPolicyValidation,
  validateClients,
  validateNextEntry,
  validatePolicy,
} from '../../../src/core/config/validate.ts'
import { type Hostile, hostileBodies } from '../../hostile.ts'

/** A text that counts how many of its characters are looked at. */
class CountingText {
  visits = 0
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  get length() {
    return this.#text.length
  }
  charCodeAt(at: number): number {
    this.visits++
    return this.#text.charCodeAt(at)
  }
  indexOf(wanted: string, from: number): number {
    const found = this.#text.indexOf(wanted, from)
    this.visits += (found < 0 ? this.#text.length : found + 1) - from
    return found
  }
  slice(start: number, end: number): string {
    this.visits += end - start
    return this.#text.slice(start, end)
  }
}

/** A value that counts how often its fields are read, looked for and listed, as are those of what is in it. */
function counting<T>(value: T, work: { reads: number }): T {
  if (typeof value !== 'object' || value === null) return value
  const inner = Object.entries(value).map(([name, one]) => [name, counting(one, work)])
  const copy = Array.isArray(value) ? inner.map(([, one]) => one) : Object.fromEntries(inner)
  return new Proxy(copy, {
    get(target, name) {
      work.reads++
      return Reflect.get(target, name)
    },
    has(target, name) {
      work.reads++
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor(target, name) {
      work.reads++
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys(target) {
      const names = Reflect.ownKeys(target)
      work.reads += names.length
      return names
    },
  })
}

const policy: Policy = { version: 1, plans: { gold: {} } }
const clients: Clients = { version: 1, clients: { app: { keys: [] } } }
// Each has lost its plan, whatever the next policy has.
for (let i = 0; i < 200; i++) clients.clients[`lost${i}`] = { plan: 'goldd', keys: [] }

/** What a call does with its body, as far as core does it. */
function handle(call: string, body: unknown): void {
  const [line = ''] = call.split(/ (?=\/requests|\/keys\/)/)
  switch (line) {
    case 'PUT /policy':
    case 'POST /policy/validate': {
      const read = readPolicyBody(body, policy)
      if ('policy' in read && validatePolicy(read.policy).length === 0) {
        expect(validateClients(clients, read.policy)).toHaveLength(51)
      }
      return
    }
    case 'PUT /clients/app':
      setClient(clients, policy, 'app', body)
      return
    case 'PATCH /clients/app':
      patchClient(clients, policy, 'app', body)
      expect(clientOf(clients, 'app')).toEqual({ keys: [] })
      return
    case 'PUT /plans/a':
      setPlan(policy, 'a', body)
      return
    case 'POST /clients/app/keys':
    case 'POST /clients/app/keys/rotate':
      readKeyBody(body, call.endsWith('rotate'))
      return
    case 'POST /import': {
      const reading = startReading(body)
      readKeys(reading, reading.given.length)
      const read = endReading(reading)
      if (Array.isArray(read)) return
      importKeys(clients, policy, read.keys, { nowMs: 0, plan: undefined, note: '' })
      return
    }
    default:
      // Nothing of the body but one field of verify is looked at.
      expect(call).toMatch(/^POST \/(keys\/(verify|\w{8}\/revoke)|requests\/\w{32}\/cut)$/)
  }
}

function routeOf({ call }: Pick<Hostile, 'call'>) {
  const [method = '', path = ''] = call.split(' ')
  const match = matchRoute(method, path)
  if (!('route' in match)) throw new Error(`No route fits ${call}`)
  return match.route
}

function readsOf(text: string, act: (body: unknown) => void): number {
  const work = { reads: 0 }
  const body: unknown = JSON.parse(text)
  act(counting(body, work))
  return work.reads
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('E: hostile bodies', () => {
  const rows = hostileBodies.map((hostile): [string, Hostile] => [
    `${hostile.name} at ${hostile.call}`,
    hostile,
  ])

  test('stand in the table for every call that takes a body', () => {
    const called = new Set(hostileBodies.map((hostile) => routeOf(hostile).path))
    const taking = listAdminRoutes().filter(({ method }) => !/GET|DELETE/.test(method))
    expect(taking.map(({ path }) => path).filter((path) => !called.has(path))).toEqual([])
  })

  test.each(rows)('%s are looked through once', (_name, { make }) => {
    for (const count of [500, 4000]) {
      const text = new CountingText(make(count))
      const look = startJson(text as unknown as string, null)
      while (lookOn(look, 100));
      expect(text.visits).toBeLessThan(4 * text.length + 100)
    }
  })

  test.each(rows.filter(([, { make }]) => isJson(make(1))))(
    '%s are judged in a time that grows with them',
    (_name, hostile) => {
      const act = (body: unknown) => handle(hostile.call, body)
      const small = readsOf(hostile.make(600), act)
      const large = readsOf(hostile.make(1200), act)
      expect(large).toBeLessThan(2.2 * small + 500)
    },
  )

  test('that are compared with one another are found out by the same measure', () => {
    const act = (body: unknown) => {
      const names = Object.keys(body as object)
      names.forEach((name) => {
        Object.keys(body as object).indexOf(name)
      })
    }
    const { make } = hostileBodies.find(({ name }) => name === 'unknown fields') as Hostile
    expect(readsOf(make(1200), act)).toBeGreaterThan(3.5 * readsOf(make(600), act))
  })

  test.each(rows)('%s are as many as the call lets in', (_name, hostile) => {
    const { make, most } = hostile
    const { bytes, parts } = boundsOf(routeOf(hostile))
    const text = make(most)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(bytes)
    const look = startJson(text, parts)
    lookOn(look, text.length)
    expect(look.excess).toBeNull()
  })
})

describe('E: a body', () => {
  const read = (text: string, parts = 1000) => {
    const look = startJson(text, parts)
    while (lookOn(look, 50));
    return endJson(look)
  }
  const names = (count: number) =>
    `{${Array.from({ length: count }, (_, i) => `"a${i}":0`).join(',')}}`

  test.each<[string, string, string | null]>([
    ['as many names as there may be', names(6000), null],
    ['a name more', names(6001), 'has more than 6000 different names'],
    [
      'a name more, in several objects',
      `[{"a":${names(3000)}},{"b":${names(3500).replaceAll('"a', '"b')}}]`,
      'has more than 6000 different names',
    ],
    ['the same names again and again', `[${Array(6).fill(names(3000)).join(',')}]`, null],
    [
      'very many names again and again',
      `[${Array(30).fill(names(5000)).join(',')}]`,
      'has too many names that are different',
    ],
    ['as many parts as there may be', `[${'{},'.repeat(199_998)}1]`, null],
    [
      'a part more',
      `[${'{},'.repeat(200_000)}1]`,
      'has more than 200000 strings, objects and lists',
    ],
    ['a name as long as one may be', `{"${'a'.repeat(4094)}":1}`, null],
    ['a longer name', `{"${'a'.repeat(4095)}":1}`, 'has a name of more than 4096 characters'],
    ['a long string', `{"a":"${'a'.repeat(9999)}"}`, null],
  ])('with %s is judged by its size before it is parsed', (_name, text, excess) => {
    expect(read(text, 200_000)).toEqual(excess === null ? { value: JSON.parse(text) } : { excess })
  })

  test('of a real configuration is within all bounds', () => {
    const grant: Grant = {
      scopes: ['inference', 'embeddings', 'audio', 'models'],
      models: ['Qwen/Qwen3-8B', 'llama-*', 'bge-m3'],
      addresses: ['10.0.0.0/8', '2001:db8::/32'],
      limits: { requestsPerMinute: 600, tokensPerMinute: 1e6, concurrency: 20 },
      budgets: { tokensPerDay: 1e8, costPerMonth: 1000, hard: true },
      request: { maxOutputTokens: 4096, excess: 'refuse', allow: ['store'] },
      note: 'Team of the second floor',
    }
    const plans = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`plan-${i}`, grant]))
    const groups = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`g${i}`, { limits: { concurrency: i } }]),
    )
    const document = { version: 1, plans, groups }
    const { bytes, parts } = boundsOf(routeOf({ call: 'PUT /policy' }))
    const text = JSON.stringify(document, null, 1)
    expect(Buffer.byteLength(text)).toBeLessThan(bytes)
    expect(read(text, parts)).toEqual({ value: document })
    expect(validatePolicy(document)).toEqual([])
  })
})

describe('E: a validation', () => {
  test('spends a bounded effort on names that may have been meant, and lists fifty problems', () => {
    const fields = Array.from({ length: 20_000 }, (_, i) => [`cacheSaltSecre${i}`, 1])
    const state = startPolicyValidation({ version: 1, ...Object.fromEntries(fields) })
    const before = state.run.effort.left
    while (validateNextEntry(state));
    const problems = endPolicyValidation(state)
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(300_000)
    expect(problems).toHaveLength(51)
    expect(problems[0]?.message).toBe('Unknown field; did you mean cacheSaltSecret?')
    expect(problems[50]?.message).toBe('19950 more problems are not listed')
  })

  test('says once that all clients have lost the same plan, and which was meant', () => {
    const plans = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`plan-${i}`, {}]))
    const lost = Array.from({ length: 300 }, (_, i) => [`c${i}`, { plan: 'plan4999', keys: [] }])
    const document = { version: 1, clients: Object.fromEntries(lost) }
    const problems = validateClients(document, { version: 1, plans } as Policy)
    expect(problems).toHaveLength(51)
    const messages = new Set(problems.map(({ message }) => message))
    expect([...messages]).toEqual([
      expect.stringContaining('did you mean plan-'),
      '250 more problems are not listed',
    ])
  })

  test('tells a place by the beginning of a long name', () => {
    const plans = { ['a'.repeat(100_000)]: { b: 1 } }
    const [first, second] = validatePolicy({ version: 1, plans })
    expect(first?.path).toBe(`plans["${'a'.repeat(256)}..."]`)
    expect(second?.path.length).toBeLessThan(300)
  })

  test.each(['plans', 'groups', 'prices'])('takes 5,000 %s, and no more', (field) => {
    const entry = field === 'prices' ? { input: 1, output: 1 } : {}
    const of = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, entry]))
    expect(validatePolicy({ version: 1, [field]: of(5000) })).toEqual([])
    expect(validatePolicy({ version: 1, [field]: of(5001) })).toEqual([
      { path: field, message: 'Must have at most 5000 entries, not 5001' },
    ])
  })

  test('takes no plan more where there are as many as there may be', () => {
    const plans = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`n${i}`, {}]))
    expect(setPlan({ version: 1, plans }, 'n0', { note: 'x' })).toMatchObject({ plan: {} })
    expect(setPlan({ version: 1, plans }, 'more', {})).toMatchObject({
      problems: [{ message: 'There are 5000 plans, the most there can be' }],
    })
  })
})

describe('E: closest', () => {
  test.each<[string, string[], string | null]>([
    ['requestPerMinute', ['tokensPerMinute', 'requestsPerMinute'], 'requestsPerMinute'],
    ['LIMIT', ['limits', 'note'], 'limits'],
    ['nte', ['note', 'not'], 'note'],
    ['abc', ['xyz', 'abcdef'], null],
    ['abcdef', ['badcfe', 'abcxyz'], null],
    ['', ['a', 'bc'], 'a'],
    ['kitten', ['sitting', 'mitten'], 'mitten'],
    ['aaaabbbbccccddddeeee', ['bbbbccccddddeeee', 'x'.repeat(20)], 'bbbbccccddddeeee'],
  ])('of %j among %j is %j', (name, candidates, meant) => {
    expect(closest(name, candidates)).toBe(meant)
  })

  test('is the same as by the whole table of distances', () => {
    const letters = 'ab'
    const word = (seed: number) =>
      Array.from({ length: 3 + (seed % 9) }, (_, i) => letters[(seed >> (i % 20)) & 1]).join('')
    for (let seed = 1; seed < 3000; seed++) {
      const name = word(seed * 7919)
      const candidate = word(seed * 104_729)
      const far = Math.min(6, Math.max(1, Math.floor(name.length / 3)))
      const expected = distance(name, candidate) <= far ? candidate : null
      expect([name, candidate, closest(name, [candidate])]).toEqual([name, candidate, expected])
    }
  })

  test('stops at its effort, with the nearest so far', () => {
    const effort = { left: 2000 }
    const candidates = ['abcdefgx', ...Array(10_000).fill('zzzzzzzz'), 'abcdefgh']
    expect(closest('abcdefgh', candidates, effort)).toBe('abcdefgx')
    expect(effort.left).toBeGreaterThan(-100)
    expect(closest('abcdefgh', ['abcdefgh'], effort)).toBeNull()
  })
})

function distance(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= one.length; i++) {
    const above = rows[i - 1] as number[]
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const replaced = (above[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (above[j] as number) + 1, (row[j - 1] as number) + 1))
    }
    rows.push(row)
  }
  return (rows[one.length] as number[])[other.length] as number
}
