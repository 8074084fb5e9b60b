import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { findNotices } from '../../../src/core/config/notices.ts'
import { clientsSchema, policySchema } from '../../../src/core/config/schema.ts'
import type { Policy } from '../../../src/core/config/shapes.ts'
import {
  startClientsValidation,
  validateClients,
  validateMoreClients,
  validateNextClients,
  validatePolicy,
} from '../../../src/core/config/validate.ts'
import { parseTime } from '../../../src/core/time.ts'

const policy: Policy = { version: 1, plans: { standard: {}, gold: {} } }
const sha256 = (digit: string) => digit.repeat(64)
const key = { id: 'k7q2m9xa', sha256: sha256('a'), created: '2026-11-23T09:00:00Z' }
const withApp = (app: object) => ({ version: 1, clients: { app } })
const withKey = (fields: object) => withApp({ keys: [{ ...key, ...fields }] })

/** Rows: a sentence, the document, and the path and a part of the message; null when it is good. */
type Row = [string, unknown, [string, string] | null]

const clientRows: Row[] = [
  ['no clients', { version: 1, clients: {} }, null],
  ['a schema for editors', { $schema: './x.json', version: 1, clients: {} }, null],
  ['a client without keys', withApp({ keys: [] }), null],
  ['a client named constructor', { version: 1, clients: { constructor: { keys: [] } } }, null],
  ['a key that never expires', withKey({ expires: null }), null],
  ['a key that expires, with an offset', withKey({ expires: '2027-02-28T23:59:59+14:00' }), null],
  ['a limit of zero', withApp({ keys: [], limits: { concurrency: 0 } }), null],
  ['the largest count', withApp({ keys: [], limits: { concurrency: 2 ** 53 - 1 } }), null],
  ['a cost with a fraction', withApp({ keys: [], budgets: { costPerDay: 0.5 } }), null],
  ['a note of 1024 characters beyond UTF-16', withApp({ keys: [], note: '😀'.repeat(1024) }), null],

  ['an array for the document', [], ['', 'Must be an object, not an array']],
  ['null for the document', null, ['', 'Must be an object, not null']],
  ['no version', { clients: {} }, ['', 'The field version is missing']],
  ['another version', { version: 2, clients: {} }, ['version', 'Must be 1']],
  ['no clients at all', { version: 1 }, ['', 'The field clients is missing']],
  ['clients as an array', { version: 1, clients: [] }, ['clients', 'Must be an object']],
  ['a client that is a number', withApp(3 as never), ['clients.app', 'not a number']],
  ['a client without the field keys', withApp({}), ['clients.app', 'field keys is missing']],
  [
    'a name with a space',
    { version: 1, clients: { 'my app': { keys: [] } } },
    ['clients["my app"]', 'Not a valid name'],
  ],
  [
    'a name with a dot, whose path is quoted',
    { version: 1, clients: { 'a.b': {} } },
    ['clients["a.b"]', 'missing'],
  ],
  ['a misspelt field', withApp({ keys: [], limit: {} }), ['clients.app.limit', 'mean limits?']],
  [
    'a misspelt field further down',
    withApp({ keys: [], limits: { requestPerMinute: 5 } }),
    ['clients.app.limits.requestPerMinute', 'Unknown field; did you mean requestsPerMinute?'],
  ],
  [
    'a field named as what every object has',
    withApp({ keys: [], toString: 1 }),
    ['clients.app.toString', 'Unknown field'],
  ],
  [
    'a field named __proto__',
    JSON.parse('{"version":1,"clients":{"app":{"keys":[],"__proto__":{}}}}'),
    ['clients.app.__proto__', 'Unknown field'],
  ],
  [
    'a limit with a fraction',
    withApp({ keys: [], limits: { concurrency: 1.5 } }),
    ['clients.app.limits.concurrency', 'Must be an integer'],
  ],
  [
    'a limit below zero',
    withApp({ keys: [], limits: { concurrency: -1 } }),
    ['clients.app.limits.concurrency', 'Must be at least 0, not -1'],
  ],
  [
    'one more than the largest count',
    withApp({ keys: [], limits: { concurrency: 2 ** 53 } }),
    ['clients.app.limits.concurrency', 'Must be at most'],
  ],
  [
    'a scope that is none',
    withApp({ keys: [], scopes: ['inferense'] }),
    ['clients.app.scopes[0]', 'did you mean inference?'],
  ],
  [
    'seven scopes',
    withApp({ keys: [], scopes: Array(7).fill('audio') }),
    ['clients.app.scopes', 'at most 6 entries'],
  ],
  ['a note too long', withApp({ keys: [], note: 'x'.repeat(1025) }), ['clients.app.note', '1024']],
  ['an id with capitals', withKey({ id: 'K7q2m9xa' }), ['clients.app.keys[0].id', '8 characters']],
  ['a hash too short', withKey({ sha256: 'ab' }), ['clients.app.keys[0].sha256', '64 hexadec']],
  [
    'a date without a time',
    withKey({ created: '2026-11-23' }),
    ['clients.app.keys[0].created', ''],
  ],
  [
    'a day that is not in the calendar',
    withKey({ expires: '2026-02-29T00:00:00Z' }),
    ['clients.app.keys[0].expires', 'Must be a date and time'],
  ],
]

/** What a schema cannot say. */
const meaningRows: Row[] = [
  ['a plan of the policy', withApp({ keys: [], plan: 'gold' }), null],
  [
    'a plan that is missing',
    withApp({ keys: [], plan: 'golf' }),
    ['clients.app.plan', 'mean gold?'],
  ],
  [
    'a plan named as what every object has',
    withApp({ keys: [], plan: 'constructor' }),
    ['clients.app.plan', 'known are standard, gold'],
  ],
  ['addresses', withApp({ keys: [], addresses: ['10.0.0.0/8', '::1'] }), null],
  [
    'an address that is none',
    withApp({ keys: [], addresses: ['::1', '10.0.0.0/33'] }),
    ['clients.app.addresses[1]', 'CIDR'],
  ],
  [
    'an id twice in one client',
    withApp({ keys: [key, { ...key, sha256: sha256('b') }] }),
    ['clients.app.keys[1].id', 'also that of clients.app.keys[0]'],
  ],
  [
    'a hash twice over two clients',
    { version: 1, clients: { a: { keys: [key] }, b: { keys: [{ ...key, id: 'bbbbbbbb' }] } } },
    ['clients.b.keys[0].sha256', 'stands at clients.a.keys[0] already'],
  ],
]

const policyRows: Row[] = [
  ['the smallest policy', { version: 1 }, null],
  ['a route switched off', { version: 1, routes: { chat: 'off' } }, null],
  ['health for everybody', { version: 1, routes: { health: 'public' } }, null],
  ['chat for everybody', { version: 1, routes: { chat: 'public' } }, ['routes.chat', 'off, key']],
  ['an unknown route', { version: 1, routes: { chats: 'key' } }, ['routes.chats', 'mean chat?']],
  ['a lock-out of a second', { version: 1, lockout: { seconds: 1 } }, null],
  [
    'a lock-out of no time',
    { version: 1, lockout: { seconds: 0 } },
    ['lockout.seconds', 'least 1'],
  ],
  ['a time zone', { version: 1, timeZone: '+08:00' }, null],
  ['a time zone in quarter hours', { version: 1, timeZone: '-03:30' }, null],
  ['UTC', { version: 1, timeZone: 'Z' }, null],
  [
    'the name of a time zone, with its fix',
    { version: 1, timeZone: 'Asia/Taipei' },
    ['timeZone', 'such as +08:00'],
  ],
  ['a time zone beyond the east', { version: 1, timeZone: '+14:15' }, ['timeZone', '+14:00']],
  ['a time zone in minutes', { version: 1, timeZone: '+08:07' }, ['timeZone', 'quarter hours']],
  ['a time zone as a number', { version: 1, timeZone: 8 }, ['timeZone', 'Must be a string']],
  ['an address', { version: 1, url: 'https://llm.example.com' }, null],
  ['an address with a port and a prefix', { version: 1, url: 'http://[::1]:8001/v1/llm/' }, null],
  ...[
    'llm.example.com',
    'ftp://llm.example.com',
    'https://',
    'https://alice@llm.example.com',
    'https://llm.example.com?x=1',
    'https://llm.example.com/#x',
    'https://llm.example.com/v1',
    'https://llm.example.com/v1/',
    'https://llm.example.com//',
    'https://llm example.com',
    "https://llm.example.com/'",
  ].map((url): Row => [`the address ${url}`, { version: 1, url }, ['url', 'no /v1 at the end']]),
  ['an address that is too long', { version: 1, url: `http://${'a'.repeat(250)}` }, ['url', '256']],
  [
    'a plan with keys',
    { version: 1, plans: { a: { keys: [] } } },
    ['plans.a.keys', 'Unknown field'],
  ],
]

function check(problems: { path: string; message: string }[], expected: [string, string] | null) {
  if (expected === null) {
    expect(problems).toEqual([])
    return
  }
  expect(problems[0]?.path).toBe(expected[0])
  expect(problems[0]?.message).toContain(expected[1])
}

describe('validateClients', () => {
  test.each([...clientRows, ...meaningRows])('judges %s', (_name, document, expected) => {
    check(validateClients(document, policy), expected)
  })

  test('lists fifty problems and counts the others', () => {
    const clients = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`c${i}`, {}]))
    const problems = validateClients({ version: 1, clients }, policy)
    expect(problems).toHaveLength(51)
    expect(problems[50]?.message).toBe('10 more problems are not listed')
  })

  test('never repeats a string of the document, which may be a key in the wrong place', () => {
    const secret = 'tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv'
    const fields = { id: secret, sha256: secret, created: secret, expires: secret }
    const app = { ...withKey(fields).clients.app, scopes: [secret], addresses: [secret], group: 5 }
    expect(JSON.stringify(validateClients(withApp(app), policy))).not.toContain('tg_')
  })

  test('does not look plans up when there is no policy to look in', () => {
    expect(validateClients(withApp({ keys: [], plan: 'x' }), null)).toEqual([])
  })

  test('takes 100,000 clients (the time is printed, not judged)', () => {
    const clients = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => {
        const id = i.toString(36).padStart(8, '0')
        const hash = i.toString(16).padStart(64, '0')
        return [`c${i}`, { plan: 'gold', keys: [{ ...key, id, sha256: hash }] }]
      }),
    )
    const document: unknown = JSON.parse(JSON.stringify({ version: 1, clients }))
    const startMs = performance.now()
    expect(validateClients(document, policy)).toEqual([])
    console.log(`validateClients: 100,000 clients in ${Math.round(performance.now() - startMs)} ms`)
  })
})

describe('validateNextClients', () => {
  test('finds in slices what is found at once, and says when it is done', () => {
    const clients = { a: { keys: [key] }, b: {}, c: { keys: [key] } }
    const state = startClientsValidation({ version: 1, clients }, policy)
    expect(validateNextClients(state, 2)).toBe(false)
    expect(validateNextClients(state, 1)).toBe(true)
    expect(state.problems).toEqual(validateClients({ version: 1, clients }, policy))
    expect(state.problems).toHaveLength(3)
  })
})

describe('validatePolicy', () => {
  test.each(policyRows)('judges %s', (_name, document, expected) => {
    check(validatePolicy(document), expected)
  })

  test('finds a bad address in a plan', () => {
    const document = { version: 1, plans: { a: { addresses: ['10.0.0.256'] } } }
    check(validatePolicy(document), ['plans.a.addresses[0]', 'CIDR'])
  })
})

describe('the schemas', () => {
  // The types of documents are of no use to ajv here: unions are what the schemas are about.
  const ajv = new Ajv2020({ allowUnionTypes: true, unicodeRegExp: false })
  ajv.addFormat('date-time', (text: string) => parseTime(text) !== null)
  const isClients = ajv.compile(clientsSchema())
  const isPolicy = ajv.compile(policySchema())

  test.each(clientRows)('mean the same to ajv: %s', (_name, document, expected) => {
    expect(isClients(document)).toBe(expected === null)
  })
  test.each(policyRows)('mean the same to ajv: %s', (_name, document, expected) => {
    expect(isPolicy(document)).toBe(expected === null)
  })
})

describe('parseTime', () => {
  test.each([
    ['the epoch', '1970-01-01T00:00:00Z', 0],
    ['an offset, as an earlier time', '1970-01-01T01:00:00+01:00', 0],
    ['an offset behind', '1969-12-31T23:30:00-00:30', 0],
    ['a fraction, cut to ms', '1970-01-01T00:00:00.12399Z', 123],
    ['lower case', '1970-01-01t00:00:00z', 0],
    ['a leap day', '2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['a leap day of a century', '2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['no leap day of a century', '1900-02-29T00:00:00Z', null],
    ['the 31st of a short month', '2026-04-31T00:00:00Z', null],
    ['hour 24', '2026-04-30T24:00:00Z', null],
    ['a leap second', '2016-12-31T23:59:60Z', null],
    ['no zone', '2026-04-30T00:00:00', null],
    ['an empty fraction', '2026-04-30T00:00:00.Z', null],
    ['something behind', '2026-04-30T00:00:00Zx', null],
    ['an empty text', '', null],
  ])('reads %s', (_name, text, ms) => {
    expect(parseTime(text)).toBe(ms)
  })
})

describe('validateMoreClients', () => {
  test('finds a key again that stood in an earlier portion, and names its client', () => {
    const state = startClientsValidation({ version: 1, clients: {} }, { version: 1 })
    const key = { id: 'abcd1234', sha256: 'a'.repeat(64), created: '2026-01-01T00:00:00Z' }
    validateMoreClients(state, { one: { keys: [key] } }, ['one'])
    validateMoreClients(state, { two: { keys: [key] } }, ['two'])
    expect(state.problems).toEqual([
      {
        path: 'clients.two.keys[0].id',
        message: 'The id is also that of clients.one; ids are unique',
      },
      {
        path: 'clients.two.keys[0].sha256',
        message: 'The same key stands at clients.one already; remove one of the two',
      },
    ])
  })
})

describe('findNotices', () => {
  const keys: [] = []
  const prices = { '*': { input: 1, output: 2 } }

  test.each([
    ['nothing to say', { a: { keys, group: 'x' } }, {}, []],
    [
      'a cost budget while nothing has a price, of each client',
      { a: { keys, budgets: { costPerDay: 1 } }, b: { keys, budgets: { costPerMonth: 1 } } },
      {},
      ['clients.a', 'clients.b'],
    ],
    ['a cost budget with prices', { a: { keys, budgets: { costPerDay: 1 } } }, { prices }, []],
    ['a token budget', { a: { keys, budgets: { tokensPerDay: 1 } } }, {}, []],
    [
      'a cost budget of a plan',
      {},
      { plans: { gold: { budgets: { costPerDay: 1 } } } },
      ['plans.gold'],
    ],
    [
      'a group that the policy does not know while it knows others',
      { a: { keys, group: 'wed' } },
      { groups: { web: {} } },
      ['clients.a.group'],
    ],
    ['a group that it knows', { a: { keys, group: 'web' } }, { groups: { web: {} } }, []],
  ])('%s', (_, clients, fields, expected) => {
    const notices = findNotices({ version: 1, clients }, { version: 1, ...fields })
    expect(notices.map((notice) => notice.path)).toEqual(expected)
  })
})

describe('cacheSalt', () => {
  const salted = { keys: [], cacheSalt: true }
  const secret = { version: 1, cacheSaltSecret: 'sixteen-or-more!' } as const

  test('needs the secret that salts are made with', () => {
    const problems = validateClients(withApp(salted), policy)
    expect(problems.map((problem) => problem.path)).toEqual(['clients.app.cacheSalt'])
    expect(validateClients(withApp(salted), secret)).toEqual([])
    expect(validateClients(withApp({ keys: [], cacheSalt: false }), policy)).toEqual([])
  })

  test('in a plan as well', () => {
    const plans = { gold: { cacheSalt: true } }
    const problems = validatePolicy({ version: 1, plans })
    expect(problems.map((problem) => problem.path)).toEqual(['plans.gold.cacheSalt'])
    expect(validatePolicy({ ...secret, plans })).toEqual([])
  })
})
