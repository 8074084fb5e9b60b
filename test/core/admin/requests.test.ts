import { describe, expect, test } from 'vitest'
import { checkCondition } from '../../../src/core/admin/etag.ts'
import { endJson, lookOn, startJson } from '../../../src/core/admin/json.ts'
import { mergePatch } from '../../../src/core/admin/patch.ts'
import { listProblems, problem } from '../../../src/core/admin/problems.ts'
import { listAdminRoutes, matchRoute, parseQuery } from '../../../src/core/admin/routes.ts'

/** In the smallest slices, as a body that is long is read. */
function readJson(text: string, partsMax = 100) {
  const look = startJson(text, partsMax)
  while (lookOn(look, 1));
  return endJson(look)
}

describe('readJson', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['"a,{[\\"]}"', 'a,{["]}'],
    ['{"a":[{"b":1},{"b":2}],"b":{"a":{}}}', { a: [{ b: 1 }, { b: 2 }], b: { a: {} } }],
    ['["a","a"]', ['a', 'a']],
    ['{"a":"a","b":"a"}', { a: 'a', b: 'a' }],
    ['{"a\\\\":1,"a":2}', { 'a\\': 1, a: 2 }],
    ['{"constructor":1,"toString":2}', { constructor: 1, toString: 2 }],
    [`${'['.repeat(16)}${']'.repeat(16)}`, JSON.parse(`${'['.repeat(16)}${']'.repeat(16)}`)],
  ])('%s', (text, value) => {
    expect(readJson(text)).toEqual({ value })
  })

  test.each([
    ['nothing', '', 'not JSON'],
    ['a comma too many', '[1,]', 'not JSON'],
    ['two values', '{} {}', 'not JSON'],
    ['a name twice', '{"a":1,"a":1}', '"a" twice'],
    ['a name twice, with something between', '{"a":{"b":[]},"c":[{}],"a":1}', '"a" twice'],
    ['a name twice, escaped', '{"a":1,"\\u0061":1}', '"a" twice'],
    ['a name twice in a list', '[{"x":1,"x":1}]', '"x" twice'],
    ['__proto__', '{"__proto__":null}', '__proto__'],
    ['__proto__, escaped', '{"a":{"__prot\\u006f__":{}}}', '__proto__'],
    ['too many levels', '['.repeat(17), 'deeper than 16'],
    ['a string without an end', '{"a', 'does not end'],
    ['a string that ends in a backslash', '{"a\\"', 'does not end'],
    ['a broken name', '{"\\x":1}', 'broken'],
  ])('refuses %s', (_, text, fault) => {
    expect(readJson(text)).toEqual({ fault: expect.stringContaining(fault) })
  })
})

describe('mergePatch', () => {
  // RFC 7396, appendix A.
  test.each<[unknown, unknown, unknown]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{}, { constructor: { a: 1 } }, { constructor: { a: 1 } }],
  ])('of %j and %j is %j', (target, patch, result) => {
    const before = structuredClone(target)
    expect(mergePatch(target, patch)).toEqual(result)
    expect(target).toEqual(before)
  })
})

describe('matchRoute', () => {
  test('finds every route by its own path', () => {
    for (const route of listAdminRoutes()) {
      const path = route.path.replace(/\{\w+\}/g, 'x')
      expect(matchRoute(route.method, path)).toMatchObject({ route })
    }
  })

  test.each<[string, string, string, object]>([
    ['a name with an encoded slash', 'GET', '/clients/a%2Fb', { params: { name: 'a/b' } }],
    ['a name with a plus, which is one', 'GET', '/clients/a+b', { params: { name: 'a+b' } }],
    ['HEAD is GET', 'HEAD', '/me', { route: { method: 'GET' } }],
    ['an unknown path', 'GET', '/nothing', { fault: 'unknown' }],
    ['no path', 'GET', '', { fault: 'unknown' }],
    ['a slash more', 'GET', '/me/', { fault: 'unknown' }],
    ['two slashes', 'GET', '//me', { fault: 'unknown' }],
    ['an empty name', 'GET', '/clients/', { fault: 'unknown' }],
    ['other capitals', 'GET', '/ME', { fault: 'unknown' }],
    ['no UTF-8', 'GET', '/clients/%ff', { fault: 'encoding' }],
    ['a wrong method', 'POST', '/me', { allow: 'GET' }],
    ['a method that nobody knows', 'constructor', '/policy', { allow: 'GET, PUT' }],
  ])('%s', (_, method, path, match) => {
    expect(matchRoute(method, path)).toMatchObject(match)
  })

  test('only what writes needs the role for it', () => {
    const odd = listAdminRoutes().filter(
      ({ method, role }) => (method === 'GET') !== (role === 'read'),
    )
    expect(odd.map(({ path }) => path)).toEqual(['/keys/verify', '/policy/validate'])
  })
})

test('parseQuery decodes, and takes the first of two', () => {
  expect(parseQuery('a=1&b=x+y%2B&a=2&c=%ff&d&=e&__proto__=f&g=')).toEqual({
    ...{ a: '1', b: 'x y+', g: '' },
  })
})

describe('checkCondition', () => {
  test.each<[string, string | undefined, string | undefined, string | null, number | null]>([
    ['the right one', '"a"', undefined, '"a"', null],
    ['one of several', '"b", "a"', undefined, '"a"', null],
    ['any', '*', undefined, '"a"', null],
    ['another one', '"b"', undefined, '"a"', 412],
    ['a weak one', 'W/"a"', undefined, '"a"', 412],
    ['any, of what is not there', '*', undefined, null, 412],
    ['nothing', undefined, undefined, '"a"', 428],
    ['nothing, for something new', undefined, undefined, null, 428],
    ['something new that is new', undefined, '*', null, null],
    ['something new that is there', undefined, '*', '"a"', 412],
    ['not this one, which it is', undefined, '"a"', '"a"', 412],
    ['not that one, which it is not', undefined, '"b"', '"a"', null],
  ])('%s', (_, match, noneMatch, etag, status) => {
    const reply = checkCondition({ match, noneMatch }, etag)
    expect(reply?.status ?? null).toBe(status)
  })
})

test('every problem has a title, and the status in its body', () => {
  for (const name of listProblems()) {
    const { status, body } = problem(name, 'detail')
    expect(body).toEqual({
      type: `/problems/${name}`,
      title: expect.stringMatching(/^[A-Z].*[^.]$/),
      status,
      detail: 'detail',
    })
  }
})
