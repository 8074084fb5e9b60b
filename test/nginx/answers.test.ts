import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Clients } from '../../src/core/config/shapes.ts'
import { edit } from './edit.ts'
import { freePort, type Gate, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ask, exchange, firstAnswer, firstOf, message, open, type RawAnswer } from './raw.ts'
import { expectRefusal } from './refusals.ts'
import { findEngines } from './setups.ts'

const [chat, messages] = ['/v1/chat/completions', '/v1/messages']
const bodyBytesMax = 65_536

watchLogs()

/** Replaces settings in the installed files, so that tests need not wait for them. */
function change(changes: [file: string, from: string, to: string][]) {
  return async (root: string) => {
    for (const [file, from, to] of changes) await edit(join(root, 'tollgate', file), from, to)
  }
}

describe.each(await findEngines())('$name', (setup) => {
  let gate: Gate
  const secrets: Record<string, string> = {}
  const clients: Clients = { version: 1, clients: {} }
  const past = '2026-01-02T00:00:00Z'
  const named = {
    expired: [{}, { expires: past }],
    revoked: [{}, { revoked: past }],
    disabled: [{ disabled: true }, {}],
    elsewhere: [{ addresses: ['10.0.0.0/8'] }, {}],
    scopeless: [{ scopes: [] }, {}],
  } as const
  for (const [name, [client, key]] of Object.entries(named)) {
    const { secret, record } = makeKey()
    secrets[name] = secret
    clients.clients[name] = {
      ...client,
      keys: [{ ...record, ...key }],
    } as Clients['clients'][string]
  }

  beforeAll(async () => {
    gate = await startGate(setup, {
      clients,
      policy: { version: 1, lockout: { badKeysPerMinute: 30, seconds: 1 } },
      serverExtra: 'client_body_timeout 300ms; if ($arg_closed) { return 503; }',
      prepare: change([
        ['gate.conf', 'client_max_body_size 32m', `client_max_body_size ${bodyBytesMax}`],
        ['upstream.conf', 'proxy_read_timeout 3600s', 'proxy_read_timeout 300ms'],
      ]),
    })
    gate.expectErrors(/client intended to send too large (chunked )?body/)
    // njs says this of every caller that leaves, or is too slow, while js_access waits for its body.
    gate.expectErrors(/upstream timed out .*reading response header/)
    gate.expectErrors(/upstream prematurely closed connection while reading response header/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  async function expectRefused(
    path: string,
    lines: string[],
    [status, outcome]: [number, string],
    body = '',
  ): Promise<RawAnswer> {
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    const answer = await ask(gate, 'POST', path, [...lines, ...length], body)
    expect(answer.status).toBe(status)
    expectRefusal(answer, path, outcome)
    const id = answer.headers['x-request-id']
    await until('the line of the request', async () => {
      return (await gate.ledger()).some((line) => line.id === id)
    })
    const line = (await gate.ledger()).find((line) => line.id === id)
    expect(line).toMatchObject({ status, outcome })
    return answer
  }

  describe.each([chat, messages])('%s', (path) => {
    test.each([
      ['missing_key', 401, [], undefined],
      ['invalid_key', 401, ['x-api-key: tg_bad'], undefined],
      ['ambiguous_key', 401, ['x-api-key: tg_bad', 'api-key: tg_other'], undefined],
      ['expired_key', 401, [], 'expired'],
      ['revoked_key', 401, [], 'revoked'],
      ['client_disabled', 403, [], 'disabled'],
      ['address_denied', 403, [], 'elsewhere'],
      ['scope_denied', 403, [], 'scopeless'],
    ])('%s', async (outcome, status, lines, client) => {
      const key = client ? [`Authorization: Bearer ${secrets[client]}`] : []
      await expectRefused(path, [...lines, ...key], [status, outcome])
      expect(gate.mock.log()).toHaveLength(0)
    })

    const good = () => `Authorization: Bearer ${gate.key}`

    test('a wrong method', async () => {
      const answer = await ask(gate, 'DELETE', path, [good()])
      expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
      expectRefusal(answer, path, 'unknown_route')
      expect(answer.body).toContain('Method not allowed: this route takes POST')
    })

    test('nginx’s own 400', async () => {
      await expectRefused(path, [good(), good()], [400, 'bad_request'])
      await expectRefused(path, ['Content-Length: x', good()], [400, 'bad_request'])
      expect(gate.mock.log()).toHaveLength(0)
    })

    test('431 for headers beyond the buffers', async () => {
      await expectRefused(path, [`X-Long: ${'x'.repeat(9000)}`], [431, 'bad_request'])
    })

    test('408, without an answer, for a body that does not come', async () => {
      const { length } = await gate.ledger()
      const lines = [good(), 'Content-Length: 10']
      expect(await exchange(gate, message('POST', path, lines))).toBe('')
      const line = (await gate.ledger(length + 1))[length]
      expect(line).toMatchObject({ client: 'app', outcome: 'client_aborted', status: 408 })
      expect(gate.mock.log()).toHaveLength(0)
    })

    test('501 for a coding that nginx does not know', async () => {
      await expectRefused(path, [good(), 'Transfer-Encoding: gzip'], [501, 'bad_request'])
    })

    test('413 by Content-Length, at once; the largest body passes', async () => {
      const long = [good(), `Content-Length: ${bodyBytesMax + 1}`, 'Expect: 100-continue']
      const answer = await firstOf(gate, message('POST', path, long))
      expect(answer.status).toBe(413)
      expectRefusal(answer, path, 'body_too_large')
      expect(gate.mock.log()).toHaveLength(0)
      await ask(
        gate,
        'POST',
        path,
        [good(), `Content-Length: ${bodyBytesMax}`],
        '{}'.padEnd(bodyBytesMax),
      )
      expect(gate.mock.log().map((record) => record.bodyBytes)).toEqual([bodyBytesMax])
    })

    test('413 for a chunked body that grows too large', async () => {
      const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`
      const body = `${chunk}${chunk}1\r\nx\r\n0\r\n\r\n`
      const lines = ['Connection: close', good(), 'Transfer-Encoding: chunked']
      const answer = firstAnswer(await exchange(gate, message('POST', path, lines, body)))
      expect(answer.status).toBe(413)
      expectRefusal(answer, path, 'body_too_large')
      expect(gate.mock.log()).toHaveLength(0)
    })

    test('502 for a server that dies before its answer', async () => {
      const query = `${path}?mock=die:before`
      await expectRefused(query, [good()], [502, 'upstream_unavailable'], '{}')
    })

    test('503 for a site that was closed', async () => {
      await expectRefused(`${path}?closed=1`, [good()], [503, 'upstream_unavailable'])
      expect(gate.mock.log()).toHaveLength(0)
    })

    test('504 for a server that does not answer in time', async () => {
      const query = `${path}?mock=hang`
      await expectRefused(query, [good()], [504, 'upstream_unavailable'], '{}')
      await until('nginx to hang up', () => gate.mock.log()[0]?.closedAt !== null)
    })

    test('a bad key is refused without waiting for the body', async () => {
      const lines = ['x-api-key: tg_bad', 'Content-Length: 60000']
      const sentMs = Date.now()
      const answer = await firstOf(gate, message('POST', path, lines, 'the first bytes of it'))
      expect(answer.status).toBe(401)
      expect(Date.now() - sentMs).toBeLessThan(250)
      expect(readdirSync(join(gate.runDir, 'client_body_temp'), { recursive: true })).toEqual([])
    })
  })

  test('a public route takes no body from callers without a key', async () => {
    const { status } = await firstOf(gate, message('GET', '/health', ['Content-Length: 60000']))
    const chunked = message('GET', '/health', ['Transfer-Encoding: chunked'], '5\r\nhello')
    expect([status, (await firstOf(gate, chunked)).status]).toEqual([400, 400])
    expect((await ask(gate, 'GET', '/health', ['Content-Length: 0'])).status).toBe(200)
    expect(gate.mock.log()).toHaveLength(1)
  })

  test('404 on a path that is none', async () => {
    await expectRefused('/nowhere', [], [404, 'unknown_route'])
    await expectRefused('/tollgate-error?200', [], [404, 'unknown_route'])
  })

  test('414 for a line beyond the buffers', async () => {
    await expectRefused(`${chat}?${'x'.repeat(9000)}`, [], [414, 'bad_request'])
  })

  test('505 for a version of HTTP that nginx does not know', async () => {
    const text = await exchange(gate, `GET ${chat} HTTP/3.0\r\nHost: gate\r\n\r\n`)
    expect(firstAnswer(text).status).toBe(505)
    expectRefusal(firstAnswer(text), chat, 'bad_request')
  })

  test.each([
    ['no request', 'nonsense\r\n\r\n'],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['no Host', `GET ${chat} HTTP/1.1\r\n\r\n`],
    ['two Hosts', message('GET', chat, ['Host: other'])],
    ['a Host that is none', `GET ${chat} HTTP/1.1\r\nHost: a/../b\r\n\r\n`],
    ['a NUL in a header', message('GET', chat, ['X: a\0b'])],
  ])('400 for %s', async (_, text) => {
    const answer = firstAnswer(await exchange(gate, text))
    expect(answer.status).toBe(400)
    expectRefusal(answer, chat, 'bad_request')
    expect((await gate.ledger()).at(-1)).toMatchObject({ outcome: 'bad_request', status: 400 })
  })

  test('a caller that sends nothing, or hangs up within its header, is told nothing', async () => {
    const { length } = await gate.ledger()
    ;(await open(gate.port)).destroy()
    const socket = await open(gate.port)
    socket.end('GET /v1/mod')
    await until('the line', async () => (await gate.ledger()).length > length)
    const [line, ...more] = (await gate.ledger()).slice(length)
    expect([line?.outcome, line?.status, more.length]).toEqual(['bad_request', 400, 0])
  })

  test('every answer has an id of its own, never the caller’s, and it is in the ledger', async () => {
    const ids = new Set<string>()
    const lines = ['X-Request-Id: mine', 'Request-Id: mine']
    const paths = ['/v1/models', '/v1/models', '/nowhere', '/health', `${chat}?mock=status:500`]
    for (const path of paths) {
      const answer = await ask(gate, 'GET', path, [`x-api-key: ${gate.key}`, ...lines])
      const id = answer.headers['x-request-id'] ?? ''
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      ids.add(id)
    }
    expect(ids.size).toBe(paths.length)
    const last = (await gate.ledger()).slice(-paths.length)
    expect(new Set(last.map((line) => line.id))).toEqual(ids)
  })

  test('an answer of the server on an Anthropic route has the id under both names, once', async () => {
    const body = JSON.stringify({ model: 'x', messages: [], max_tokens: 1 })
    const response = await gate.call(messages, { body })
    const id = response.headers.get('x-request-id')
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(response.headers.get('request-id')).toBe(id)
    expect(gate.mock.log()[0]?.headers['x-request-id']).toBe(id)
  })

  test('429 for a locked-out address, in both dialects', async () => {
    for (let i = 0; i < 40; i++) await ask(gate, 'POST', chat, [`x-api-key: tg_bad${i}`])
    for (const path of [chat, messages]) {
      const lines = ['x-api-key: tg_bad']
      const { headers } = await expectRefused(path, lines, [429, 'locked_out'])
      expect([headers['retry-after'], headers['retry-after-ms']]).toEqual(['1', '1000'])
    }
  })

  test('502 for a server that is not there, and 500 for a gate that breaks', async () => {
    const upstreamServer = `127.0.0.1:${await freePort()}`
    const dead = await startGate(setup, { upstreamServer })
    dead.expectErrors(/connect\(\) failed \(111: /)
    const broken = await startGate(setup, {
      isEager: true,
      prepare: change([['http.conf', 'zone=tollgate_clients:', 'zone=tollgate_misnamed:']]),
    })
    broken.expectErrors(/TypeError: cannot (read|get) property/)
    for (const path of [chat, messages]) {
      const gone = await ask(
        dead,
        'POST',
        path,
        [`x-api-key: ${dead.key}`, 'Content-Length: 2'],
        '{}',
      )
      expect(gone.status).toBe(502)
      expectRefusal(gone, path, 'upstream_unavailable')
      const refused = await ask(broken, 'POST', path, [`x-api-key: ${broken.key}`])
      expect(refused.status).toBe(500)
      expectRefusal(refused, path, 'gate_error')
    }
    expect((await ask(broken, 'GET', '/health')).status).toBe(500)
    expect((await dead.ledger(2))[0]).toMatchObject({ client: 'app', status: 502 })
    expect((await broken.ledger(3))[0]).toMatchObject({ outcome: 'gate_error', status: 500 })
    expect(broken.mock.log()).toHaveLength(0)
    await dead.stop()
    await broken.stop()
  })
})
