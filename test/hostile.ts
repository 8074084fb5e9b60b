import type { Method } from '../src/core/admin/types.ts'

/*
 * Bodies and queries of the admin API that are meant to cost much, for every call that takes one. Each is
 * made in a size, so that tests can double it.
 */

export type Hostile = {
  /** What it has many of. */
  name: string
  call: `${Method} ${string}`
  /** With so many entries, characters or fields. */
  make(count: number): string
  /** The most of them that the bounds let in; twice as many are refused or as cheap. */
  most: number
  /** How many times as long as a usual body it may take, where that is not what all may. */
  times?: number
}

type Make = Hostile['make']

/** `"a0":VALUE,"a1":VALUE` */
function fields(prefix: string, value: string): Make {
  return (count) =>
    Array.from({ length: count }, (_, i) => `"${prefix}${i.toString(36)}":${value}`).join(',')
}

const object = (prefix: string, value: string): Make => wrap('{', fields(prefix, value), '}')
const list = (value: string): Make => wrap('[', (count) => Array(count).fill(value).join(','), ']')
const text = (piece: string): Make => wrap('"', (count) => piece.repeat(count), '"')

function wrap(before: string, make: Make, after: string): Make {
  return (count) => `${before}${make(count)}${after}`
}

/** The policy with one field more. */
const policy = (field: string, make: Make) => wrap(`{"version":1,"${field}":`, make, '}')
/** The policy with one plan that has one field. */
const plan = (field: string, make: Make) => policy('plans', wrap(`{"a":{"${field}":`, make, '}}'))
/** The policy with many plans, of ten entries each. */
const plans = (field: string, value: string): Make =>
  policy('plans', (count) => object('p', `{"${field}":${list(value)(10)}}`)(Math.ceil(count / 10)))

const keys = (make: Make) => wrap('{"dryRun":true,"keys":', make, '}')

function importOf(clientOf: (i: number) => string, more = ''): Make {
  return keys((count) => {
    const made = Array.from({ length: count }, (_, i) => {
      const id = i.toString(36).padStart(8, '0')
      const sha256 = i.toString(16).padStart(64, '0')
      return `{"line":${i + 1},"client":"${clientOf(i)}","id":"${id}","sha256":"${sha256}"${more}}`
    })
    return `[${made.join(',')}]`
  })
}

const VALIDATE = 'POST /policy/validate'

/** A text below what is compared with it, so that each is looked for among all that are known. */
const nearly = 'cachesaltsecre'

/** Names of four characters that all have the same hash on QuickJS, h * 263 + c: 36,000 of them. */
const sameHash: Make = (count) => {
  const pair = (k: number) => String.fromCharCode(0x1000 - k, 0x1000 + 263 * k)
  const names = Array.from({ length: count }, (_, i) => pair(i % 190) + pair(Math.floor(i / 190)))
  return `{${names.map((name) => `"${name}":0`).join(',')}}`
}

/** What any call may get: JSON that costs much to be read. */
const shapes: [name: string, make: Make, most: number][] = [
  ['fields', object('a', '1'), 900],
  ['fields in wide characters', object('é', '1'), 900],
  ['fields with escapes', object('\\u0061', '1'), 900],
  ['lists', list('[]'), 999],
  ['objects', list('{}'), 999],
  ['objects with a name', list('{"a":1}'), 499],
  ['strings', list('""'), 999],
  ['numbers', list('1'), 8000],
  ['digits', wrap('', (count) => '1'.repeat(count), ''), 16000],
  ['blanks', wrap('{', (count) => ' '.repeat(count), '}'), 16000],
  ['blanks behind a name', wrap('{"a"', (count) => ' '.repeat(count), ':1}'), 16000],
  ['quotes in a string', text('\\"'), 8000],
  ['backslashes in a string', text('\\\\'), 8000],
  ['characters of a name', wrap('{"', (count) => 'a'.repeat(count), '":1}'), 4000],
  ['wide characters', text('é'), 8000],
  ['brackets that close nothing', (count) => ']'.repeat(count), 16000],
  ['quotes without an end', (count) => `${'"a",'.repeat(count)}"`, 999],
]

const bodies: Hostile[] = [
  // What QuickJS takes for these is bounded, but more than their bytes account for.
  { ...hostile('names with the same hash', VALIDATE, sameHash, 6000), times: 40 },
  {
    ...hostile(
      'names with the same hash, again and again',
      VALIDATE,
      wrap('[', (count) => Array(count).fill(sameHash(3000)).join(','), ']'),
      6,
    ),
    times: 40,
  },
  hostile('empty plans', VALIDATE, policy('plans', object('a', '{}')), 5000),
  hostile('plans that are none', VALIDATE, policy('plans', object('a', '1')), 5000),
  hostile('plans with bad names', VALIDATE, policy('plans', object('!', '{}')), 5000),
  hostile(
    'plans with an unknown field',
    VALIDATE,
    policy('plans', object('a', '{"limit":1}')),
    5000,
  ),
  hostile(
    'plans that lack a secret',
    VALIDATE,
    policy('plans', object('a', '{"cacheSalt":true}')),
    5000,
  ),
  hostile('groups', VALIDATE, policy('groups', object('a', '{}')), 5000),
  hostile('prices that lack all', VALIDATE, policy('prices', object('a', '{}')), 5000),
  hostile('unknown fields', VALIDATE, wrap('{"version":1,', fields(nearly, '1'), '}'), 4990),
  hostile(
    'unknown fields of a plan',
    VALIDATE,
    policy('plans', wrap('{"a":', object('shado', '1'), '}')),
    4990,
  ),
  hostile('unknown routes', VALIDATE, policy('routes', object('completion', '"off"')), 4990),
  hostile(
    'fields below a long name',
    VALIDATE,
    policy('plans', wrap(`{"${'a'.repeat(4000)}":`, object('b', '1'), '}')),
    4990,
  ),
  hostile('models', VALIDATE, plan('models', list('"m"')), 49_000),
  hostile('models of plans', VALIDATE, plans('models', '"m"'), 34_000),
  hostile('addresses', VALIDATE, plan('addresses', list('"1.2.3.4"')), 49_000),
  hostile('addresses of plans', VALIDATE, plans('addresses', '"2001:db8::1/64"'), 34_000),
  hostile('scopes that are none', VALIDATE, plans('scopes', '"inferenc"'), 34_000),
  hostile('colons of an address', VALIDATE, plan('addresses', wrap('[', text('1:'), ']')), 500_000),
  hostile(
    'characters of the URL',
    VALIDATE,
    policy(
      'url',
      wrap('"http://', (count) => 'a.'.repeat(count), '"'),
    ),
    500_000,
  ),
  hostile(
    'digits of a number',
    VALIDATE,
    policy('maxInFlight', (count) => '1'.repeat(count)),
    1_000_000,
  ),
  hostile('numbers in a list', VALIDATE, plan('models', list('1')), 500_000),
  hostile('backslashes', VALIDATE, policy('url', text('\\\\')), 500_000),
  hostile(
    'blanks',
    VALIDATE,
    wrap('', (count) => ' '.repeat(count), '{}'),
    1_000_000,
  ),
  hostile('plans', 'PUT /policy', policy('plans', object('a', '{}')), 5000),
  hostile('models', 'PUT /clients/app', wrap('{"models":', list('"m"'), '}'), 9000),
  hostile('characters of a note', 'PUT /clients/app', wrap('{"note":', text('é'), '}'), 120_000),
  hostile('characters of a plan', 'PUT /clients/app', wrap('{"plan":', text('a'), '}'), 250_000),
  hostile('fields', 'PUT /clients/app', object('disable', '1'), 4990),
  hostile('fields', 'PATCH /clients/app', object('disable', '1'), 4990),
  hostile('fields that go', 'PATCH /clients/app', object('disable', 'null'), 4990),
  hostile('addresses', 'PUT /plans/a', wrap('{"addresses":', list('"1.2.3.4"'), '}'), 9000),
  hostile('fields', 'PUT /plans/a', object('shado', '1'), 4990),
  hostile('fields', 'POST /clients/app/keys', object('expire', '1'), 990),
  hostile(
    'digits of an expiry',
    'POST /clients/app/keys',
    wrap('{"expires":"2026-01-01T00:00:00.', (count) => '1'.repeat(count), 'Z"}'),
    16_000,
  ),
  hostile('fields', 'POST /clients/app/keys/rotate', object('graceSecond', '1'), 900),
  hostile('fields', 'POST /keys/verify', object('sha25', '1'), 990),
  hostile('fields', 'POST /keys/aaaaaaaa/revoke', object('a', '1'), 990),
  hostile('fields', `POST /requests/${'0'.repeat(32)}/cut`, object('a', '1'), 990),
  hostile(
    'keys of many clients',
    'POST /import',
    importOf((i) => `c${i}`),
    8000,
  ),
  hostile(
    'keys of one client',
    'POST /import',
    importOf(() => 'c'),
    8000,
  ),
  hostile(
    'keys with bad names',
    'POST /import',
    importOf(() => '!'),
    8000,
  ),
  hostile(
    'keys with a field more',
    'POST /import',
    importOf(() => 'c', ',"i":1'),
    8000,
  ),
  hostile('keys that lack all', 'POST /import', keys(list('{}')), 10_000),
  hostile('keys that are none', 'POST /import', keys(list('1')), 500_000),
  hostile('fields', 'POST /import', object('dryRu', '1'), 4990),
]

const withBodies = [...new Set(bodies.map(({ call }) => call))]

/** Every body: those of a call, and the shapes for each of the calls. */
export const hostileBodies: Hostile[] = [
  ...bodies,
  ...withBodies.flatMap((call) =>
    shapes.map(([name, make, most]) => hostile(`JSON: ${name}`, call, make, most)),
  ),
]

/** Queries, which nginx bounds at 8 KB. */
export const hostileQueries: Hostile[] = [
  hostile('parameters', 'GET /clients', (count) => `${'a&'.repeat(count)}limit=1`, 3500),
  hostile('the same parameter', 'GET /clients', (count) => 'limit=1&'.repeat(count), 900),
  hostile('encoded characters', 'GET /clients', (count) => `q=${'%C3%A9'.repeat(count)}`, 1200),
  hostile('characters of q', 'GET /clients', (count) => `q=${'a'.repeat(count)}`, 7000),
  hostile('characters of after', 'GET /clients', (count) => `after=${'a'.repeat(count)}`, 7000),
  hostile('digits of a limit', 'GET /clients', (count) => `limit=${'1'.repeat(count)}`, 7000),
  hostile('dots of a cursor', 'GET /requests', (count) => `after=${'.'.repeat(count)}`, 7000),
  hostile(
    'digits of a cursor',
    'GET /requests',
    (count) => `after=none-${'1'.repeat(count)}`,
    7000,
  ),
  hostile('digits of a limit', 'GET /requests', (count) => `limit=${'1'.repeat(count)}`, 7000),
  hostile('commas of by', 'GET /usage', (count) => `by=${','.repeat(count)}`, 7000),
  hostile('dimensions', 'GET /usage', (count) => `by=client${',client'.repeat(count)}`, 1000),
  hostile(
    'digits of since',
    'GET /usage',
    (count) => `since=2026-01-01T00:00:00.${'1'.repeat(count)}Z`,
    7000,
  ),
  hostile('digits of days', 'GET /usage', (count) => `since=${'1'.repeat(count)}d`, 7000),
  hostile('characters of q', 'GET /balances', (count) => `q=${'a'.repeat(count)}`, 7000),
  hostile('digits of a limit', 'GET /audit', (count) => `limit=${'1'.repeat(count)}`, 7000),
]

function hostile(name: string, call: Hostile['call'], make: Make, most: number): Hostile {
  return { name, call, make, most }
}
