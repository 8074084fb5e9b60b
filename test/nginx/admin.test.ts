import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectHeaders, expectProblem, read } from './adminapi.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ask } from './raw.ts'
import { findEngines } from './setups.ts'

const PAST = '2026-01-02T00:00:00Z'

watchLogs()

describe.each(await findEngines())('$name: the admin API', (setup) => {
  const writer = makeAdmin({ name: 'alice' })
  const reader = makeAdmin({ name: 'bob', role: 'read' })
  const expired = makeAdmin({ expires: PAST })
  const revoked = makeAdmin({ revoked: PAST })
  const admins = [writer, reader, expired, revoked].map(({ record }) => record)
  let gate: Gate
  let listener: { port: number }
  beforeAll(async () => {
    gate = await startGate(setup, {
      policy: { version: 1, admins },
      async prepare(root) {
        const folder = join(root, 'tollgate', 'console')
        await writeFile(join(folder, 'index.html'), '<!doctype html><title>Console</title>')
        await writeFile(join(folder, 'app.js'), 'export {}')
      },
    })
    gate.expectErrors(/client intended to send too large body/)
    listener = { port: Number(new URL(gate.adminUrl).port) }
  })
  afterAll(() => gate.stop())

  const call = (path: string, init: Parameters<Gate['admin']>[1] = {}) =>
    gate.admin(path, { token: writer.token, ...init })
  const bearer = ({ token }: { token: string }) => `Authorization: Bearer ${token}`

  describe('authentication', () => {
    test('tells a token whose it is', async () => {
      const response = await call('/me')
      expect(response.status).toBe(200)
      expectHeaders(response)
      const { id } = writer.record
      expect(await read(response)).toEqual({ id, name: 'alice', role: 'write' })
      const other = await call('/me', { token: reader.token })
      expect(await read(other)).toMatchObject({ name: 'bob', role: 'read' })
    })

    test.each<[string, () => string | null]>([
      ['no token', () => null],
      ['an expired one', () => expired.token],
      ['a revoked one', () => revoked.token],
      ['one that nobody knows', () => makeAdmin().token],
      ['one with a typing error', () => `${writer.token.slice(0, -1)}_`],
      ['a key of a client', () => gate.key],
      ['its hash', () => writer.record.sha256],
      ['its id', () => writer.record.id],
      ['the name of a property', () => '__proto__'],
    ])('refuses %s', async (_, token) => {
      const response = await call('/me', { token: token() })
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      await expectProblem(response, 401, 'unauthorized')
    })

    test('takes no token from the URL, a cookie or another scheme', async () => {
      const { token } = writer
      for (const path of [`/me?token=${token}`, `/me?access_token=${token}`, `/me/${token}`]) {
        await expectProblem(await call(path, { token: null }), 401, 'unauthorized')
      }
      for (const headers of [
        { authorization: `Basic ${token}` },
        { authorization: token },
        { authorization: `Bearer ${token} ${token}` },
        { authorization: `Bearer ${token},${token}` },
        { cookie: `token=${token}` },
        { 'x-api-key': token },
      ]) {
        const response = await call('/me', { token: null, headers })
        await expectProblem(response, 401, 'unauthorized')
      }
    })

    test('refuses two Authorization headers', async () => {
      const answer = await ask(listener, 'GET', '/me', [bearer(writer), bearer(reader)])
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body)).toMatchObject({ type: '/problems/bad-request', status: 400 })
    })

    test('tells nobody without a token which paths there are', async () => {
      for (const path of ['/clients', '/nothing', '/%ff']) {
        await expectProblem(await call(path, { token: null }), 401, 'unauthorized')
      }
    })

    test('a token that is revoked is refused within a second', async () => {
      const leaver = makeAdmin()
      await gate.setPolicy({ version: 1, admins: [...admins, leaver.record] })
      expect((await call('/me', { token: leaver.token })).status).toBe(200)
      const gone = { ...leaver.record, revoked: PAST }
      await gate.setPolicy({ version: 1, admins: [...admins, gone] })
      await until('401', async () => (await call('/me', { token: leaver.token })).status === 401)
    })
  })

  test('a token that may read cannot write', async () => {
    const { token } = reader
    const body = await expectProblem(
      await call('/clients/app', { token, method: 'PUT', body: {} }),
      403,
      'read-role',
    )
    expect(body.detail).toContain('write')
  })

  describe('requests', () => {
    test('an unknown path, an unknown method', async () => {
      await expectProblem(await call('/nothing'), 404, 'unknown-path')
      await expectProblem(await call('/clients/a/b/c'), 404, 'unknown-path')
      await expectProblem(await call('/clients/'), 404, 'unknown-path')
      await expectProblem(await call('/clients/%ff'), 400, 'bad-request')
      const response = await call('/me', { method: 'DELETE' })
      expect(response.headers.get('allow')).toBe('GET')
      await expectProblem(response, 405, 'method-not-allowed')
      const other = await call('/clients/app', { method: 'OPTIONS' })
      expect(other.headers.get('allow')).toBe('GET, PUT, PATCH, DELETE')
      expect(other.status).toBe(405)
    })

    test('HEAD is GET without a body', async () => {
      const response = await call('/me', { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(await response.text()).toBe('')
    })

    test.each([
      ['no JSON', '{"a":', 'bad-json', 'is not JSON'],
      ['nothing but a bracket', '{', 'bad-json', 'is not JSON'],
      ['a string without an end', '{"a":"b', 'bad-json', 'does not end'],
      ['a name that stands twice', '{"note":"a","note":"b"}', 'bad-json', 'twice'],
      ['the same, escaped', '{"note":"a","n\\u006fte":"b"}', 'bad-json', 'twice'],
      ['one further down', '{"limits":{"a":1,"a":1}}', 'bad-json', '"a" twice'],
      ['__proto__', '{"limits":{"__proto__":{"a":1}}}', 'bad-json', '__proto__'],
      ['too deep', '['.repeat(50) + ']'.repeat(50), 'bad-json', 'deeper'],
      ['very deep', '['.repeat(500_000), 'bad-json', 'deeper'],
    ])('refuses a body with %s', async (_, body, name, detail) => {
      const response = await call('/policy/validate', { method: 'POST', body })
      expect((await expectProblem(response, 400, name)).detail).toContain(detail)
    })

    test('refuses a body that is too large, or of another type', async () => {
      const large = JSON.stringify({ note: 'x'.repeat(1_048_577) })
      const tooLarge = await call('/policy/validate', { method: 'POST', body: large })
      await expectProblem(tooLarge, 413, 'too-large')
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
        const headers = { 'content-type': type }
        const response = await call('/policy/validate', { method: 'POST', body: '{}', headers })
        await expectProblem(response, 415, 'unsupported-type')
      }
    })
  })

  test('/status tells what runs', async () => {
    const body = await read(await call('/status'))
    expect(body).toMatchObject({
      generation: expect.any(Number),
      clients: 1,
      keys: 1,
      problems: [],
    })
    expect(body.version).toMatch(/^\d+\.\d+\.\d+/)
    expect(body.nginx).toBe(setup.nginx.nginxVersion)
    expect(body.engine).toBe(setup.nginx.engine === 'qjs' ? 'QuickJS' : 'njs')
  })

  describe('files', () => {
    test('/openapi.json needs no token', async () => {
      const response = await call('/openapi.json', { token: null })
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
      expect(await read(response)).toMatchObject({ openapi: '3.1.0' })
      const post = await call('/openapi.json', { method: 'POST', body: {} })
      expect(await read(post)).toMatchObject({ type: '/problems/method-not-allowed' })
    })

    test.each([
      ['/', 'text/html; charset=utf-8'],
      ['/console/', 'text/html; charset=utf-8'],
      ['/console/app.js', 'text/javascript; charset=utf-8'],
    ])('%s is a file of the console, under a strict policy', async (path, type) => {
      const { status, headers } = await call(path, { token: null })
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe(type)
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self';/,
      )
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toBe('no-cache')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    })

    test.each(['/console/nothing.js', '/console/../tollgate.js', '/console/..%2ftollgate.js'])(
      '%s is none',
      async (path) => {
        const answer = await ask(listener, 'GET', path)
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect(answer.headers['content-type']).toBe('application/problem+json')
      },
    )

    test('where the console was not built, there is none', async () => {
      await rm(join(gate.runDir, '..', 'tollgate', 'console', 'index.html'))
      await expectNothing('/')
      await expectNothing('/console/')
    })

    async function expectNothing(path: string) {
      const response = await call(path, { token: null })
      expect(response.status).toBe(404)
      expect(await read(response)).toMatchObject({ type: '/problems/unknown-path' })
    }
  })
})
