import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL, messages } from './clients.ts'
import { edit } from './edit.ts'
import { freePort, type Gate, type GateOptions, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { entriesOf, heldBy, probed, zone } from './probe.ts'
import { ask, exchange, message } from './raw.ts'
import { findEngines } from './setups.ts'
import { get, send } from './wire.ts'

// The rules of the one door: the ways in which a door of this kind was seen to let something through. What of
// them is tested elsewhere: bodiless.test.ts (bodies of a GET over HTTP/2), uploads.test.ts (refusals before the
// body is there), routes.test.ts (paths), start.test.ts (a cold start).

watchLogs()

const BODY = chatOf('prompt:3,tokens:4')
/** As the quick way reads it. */
const USUAL = { model: MODEL, messages }
/** Refused when the body has been read. */
const WRONG = chatOf('prompt:3,tokens:4', { stream: 'yes' })

describe.each(await findEngines())('$name', (setup) => {
  const limited = clientOf({ limits: { concurrency: 2, requestsPerMinute: 100 } })
  const hard = clientOf({ budgets: { tokensPerDay: 900, hard: true } })
  const narrow = clientOf({ limits: { concurrency: 2 }, models: ['other'] })

  async function start(options: GateOptions = {}): Promise<Gate> {
    const clients = documentOf({ limited, narrow, hard })
    const gate = await startGate(setup, probed({ clients, ...options }))
    onTestFinished(() => gate.stop())
    return gate
  }

  /** A gate whose guarded location has these lines before the include, and those behind it. */
  const around = (before: string, behind = '', more: GateOptions = {}) =>
    start({
      ...more,
      async prepare(root, dir) {
        await more.prepare?.(root, dir)
        const include = 'include tollgate/gate.conf;'
        await edit(join(root, 'nginx.conf'), include, `${before}\n${include}\n${behind}`)
      },
    })

  const without = (file: string, text: string | RegExp, to = '') =>
    start({
      isEager: true,
      prepare: (root) => edit(join(root, 'tollgate', file), text, to),
    })

  const chat = (gate: Gate, key = gate.key, body: object = BODY) => get(gate, CHAT, { key, body })

  async function expectNothingHeld(gate: Gate): Promise<void> {
    await until('what was held', async () => {
      const counters = Object.entries(await zone(gate, 'counters'))
      const isFree = counters.every(([name, n]) => !/^[afuRr]/.test(name) || n === 0)
      return isFree && (await entriesOf(gate)).length === 0
    })
    expect(await heldBy(gate, 'limited')).toEqual([0, 0, 0])
  }

  describe('nothing passes unjudged', () => {
    test.each([
      'break;',
      'rewrite ^ /v1/models break;',
      'if ($uri) { break; }',
      'rewrite ^/v1/(.*)$ /v1/$1 break;',
    ])('1. `%s` before the include lets nobody in', async (line) => {
      const gate = await around(line)
      gate.expectErrors(/invalid URL prefix/, /no host in upstream/)
      for (const key of [gate.key, 'nobody', limited.secret]) {
        expect((await chat(gate, key)).status).toBe(500)
        expect((await get(gate, '/v1/models', { key })).status).toBe(500)
      }
      expect((await ask(gate, 'POST', CHAT, ['Content-Length: 2'], '{}')).status).toBe(500)
      expect(gate.mock.log()).toEqual([])
      await expectNothingHeld(gate)
    })

    test.each([
      ['the page that mirror asks for is not there', /location = \/tollgate-read \{[^}]*\}/],
      ['it has another name', 'location = /tollgate-read {'],
    ])('2. %s: the server is asked once at most', async (_, text) => {
      const gate = await without(
        'server.conf',
        text,
        typeof text === 'string' ? 'location = /other {' : '',
      )
      gate.expectErrors(/./)
      await gate.waitForGeneration(1)
      await chat(gate)
      await chat(gate, 'nobody')
      expect(gate.mock.log().length).toBeLessThanOrEqual(1)
    })

    test('2. a rewrite of the server sends no request twice', async () => {
      const gate = await start({ serverExtra: `rewrite ^/tollgate-read$ ${CHAT} last;` })
      expect((await chat(gate)).status).toBe(200)
      expect(gate.mock.log()).toHaveLength(1)
      expect((await chat(gate, 'nobody')).status).toBe(401)
      expect(gate.mock.log()).toHaveLength(1)
    })

    test('an error page that leads back asks the server once, and is settled', async () => {
      const gate = await around('error_page 502 504 /v1/models;', '', {
        prepare: (root) =>
          edit(
            join(root, 'tollgate/upstream.conf'),
            'proxy_read_timeout 3600s',
            'proxy_read_timeout 200ms',
          ),
      })
      gate.expectErrors(/upstream timed out/)
      const answer = await chat(gate, limited.secret, chatOf('prompt:3,tokens:4,ttft:2000'))
      expect(answer.status).toBe(500)
      expect(gate.mock.log()).toHaveLength(1)
      await expectNothingHeld(gate)
    })

    test('3. a body that the gate does not get is refused', async () => {
      const gate = await without('gate.conf', /^mirror.*$/gm)
      await gate.waitForGeneration(1)
      const { status, bytes } = await chat(gate)
      expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([400, 'invalid_body'])
      expect(gate.mock.log()).toEqual([])
    })

    test.each(['clean', 'on'])(
      '4. `client_body_in_file_only %s` of the site changes nothing',
      async (how) => {
        const gate = await start({ serverExtra: `client_body_in_file_only ${how};` })
        expect((await chat(gate)).status).toBe(200)
        expect(gate.mock.log()[0]?.body).toBe(JSON.stringify(BODY))
      },
    )

    test('4. a body in a file is refused, where the line of gate.conf is left out', async () => {
      const gate = await start({
        serverExtra: 'client_body_in_file_only clean;',
        prepare: (root) =>
          edit(join(root, 'tollgate/gate.conf'), 'client_body_in_file_only off;', ''),
      })
      gate.expectErrors(/buffered to a temporary file/)
      for (const body of [BODY, USUAL]) expect((await chat(gate, gate.key, body)).status).toBe(413)
      expect(gate.mock.log()).toEqual([])
    })

    /** Who is hung up on is not let in either. What nginx says to it is shown. */
    async function tellHangUp(gate: Gate, line: string, error: Error) {
      console.error(`${error.message} without ${line}\n${await gate.errorLog()}`)
      return { status: 499 }
    }

    test('any line of gate.conf may be left out: nobody gets in without a key', async () => {
      const lines = await statementsOf(join('nginx', 'tollgate', 'gate.conf'))
      expect(lines.length).toBeGreaterThan(20)
      const open: string[] = []
      for (const line of lines) {
        const gate = await startGate(setup, {
          isEager: true,
          prepare: (root) => edit(join(root, 'tollgate', 'gate.conf'), line, ''),
        }).catch(() => null)
        if (!gate) continue
        gate.expectErrors(/./)
        await gate.waitForGeneration(1)
        const answers = await Promise.all(
          [
            get(gate, CHAT, { key: 'nobody', body: BODY }),
            get(gate, '/v1/models', { key: 'nobody' }),
            get(gate, '/metrics'),
            ask(gate, 'POST', CHAT, ['Content-Length: 2'], '{}'),
          ].map((answer) => answer.catch((error: Error) => tellHangUp(gate, line, error))),
        )
        if (answers.some(({ status }) => status < 400) || gate.mock.log().length > 0)
          open.push(line)
        await gate.stop()
      }
      expect(open).toEqual([])
    })

    test.each([
      ['an empty upstream', 'set $tollgate_upstream vllm;', 'set $tollgate_upstream "";'],
      ['no upstream', 'set $tollgate_upstream vllm;', ''],
      [
        'a scheme that is none',
        'set $tollgate_upstream vllm;',
        'set $tollgate_upstream vllm; set $tollgate_scheme ftp;',
      ],
    ])('7. %s is 500', async (_, from, to) => {
      const gate = await start({ prepare: (root) => edit(join(root, 'nginx.conf'), from, to) })
      gate.expectErrors(/invalid URL prefix/, /no host in upstream/)
      const { status, bytes } = await chat(gate, limited.secret)
      expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([500, 'gate_error'])
      expect((await linesOf(gate, 'limited', 1))[0]).toMatchObject({
        outcome: 'gate_error',
        status: 500,
      })
      await expectNothingHeld(gate)
    })

    test('9. what the gate tells its own server reaches nobody else, and comes from nobody else', async () => {
      const gate = await start()
      const headers = { 'x-tollgate-reason': 'x {"outcome":"ok"}' }
      expect((await get(gate, CHAT, { body: BODY, headers })).status).toBe(200)
      expect(Object.keys(gate.mock.log()[0]?.headers ?? {}).join()).not.toContain('tollgate')
      const refused = await get(gate, CHAT, { body: WRONG, headers })
      expect(refused.status).toBe(400)
      expect(Object.keys(refused.headers).join()).not.toContain('tollgate')
    })
  })

  describe('our own server', () => {
    const RARE = /listen 127\.0\.0\.1:(\d+)/

    test('10. it answers nobody who does not know the word', async () => {
      const gate = await start()
      await chat(gate, gate.key, WRONG)
      const conf = await readFile(join(gate.runDir, '../tollgate/rare.conf'), 'utf8')
      const port = Number(RARE.exec(conf)?.[1])
      for (const lines of [
        [],
        ['X-Tollgate-Reason: {}'],
        [`X-Tollgate-Reason: ${'0'.repeat(48)} {"outcome":"ok"}`],
      ]) {
        const text = message('POST', CHAT, ['Connection: close', 'Content-Length: 0', ...lines])
        expect(await exchange({ port }, text)).toBe('')
      }
    })

    test('12. where it cannot be reached the answer is 500 of the gate, and nobody behind was asked', async () => {
      const other = await freePort()
      const gate = await start({
        prepare: (root) =>
          edit(
            join(root, 'tollgate/rare.conf'),
            /server 127\.0\.0\.1:\d+;/,
            `server 127.0.0.1:${other};`,
          ),
      })
      gate.expectErrors(/Connection refused/, /no live upstreams/)
      const { status, bytes } = await chat(gate, limited.secret, WRONG)
      expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([500, 'gate_error'])
      const [line] = await linesOf(gate, 'limited', 1)
      expect(line).toMatchObject({ outcome: 'gate_error', status: 500 })
      expect(line).not.toHaveProperty('upstream')
      expect(line).not.toHaveProperty('upstreamStatus')
      expect(gate.mock.log()).toEqual([])
      await expectNothingHeld(gate)
    })

    test('a refusal after the body has no upstream in its line', async () => {
      const gate = await start()
      const { status, bytes } = await chat(gate, narrow.secret)
      expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([403, 'model_denied'])
      const [line] = await linesOf(gate, 'narrow', 1)
      expect(line).toMatchObject({ outcome: 'model_denied', status: 403 })
      expect(line).not.toHaveProperty('upstream')
      expect(line).not.toHaveProperty('upstreamStatus')
      expect(gate.mock.log()).toEqual([])
      await expectNothingHeld(gate)
    })
  })

  test('14. every answer has one X-Request-Id, and it is that of the line', async () => {
    const gate = await start({ mock: { headers: { 'X-Request-Id': 'of the server' } } as never })
    gate.expectErrors(/upstream|Connection refused/)
    const asks: [string, string[], string][] = [
      [CHAT, [`Authorization: Bearer ${gate.key}`], JSON.stringify(BODY)],
      [CHAT, [`Authorization: Bearer ${gate.key}`], JSON.stringify(WRONG)],
      [CHAT, [`Authorization: Bearer ${gate.key}`], '{'],
      [CHAT, [], JSON.stringify(BODY)],
      ['/nothing', [], '{}'],
      ['/v1/models', [`Authorization: Bearer ${gate.key}`], '{}'],
    ]
    for (const [path, lines, body] of asks) {
      const text = message(
        'POST',
        path,
        ['Connection: close', ...lines, `Content-Length: ${body.length}`],
        body,
      )
      const answer = await exchange(gate, text)
      expect(answer.match(/^x-request-id: [0-9a-f]{32}\r$/gim), answer).toHaveLength(1)
      const ids = (await gate.ledger(1)).map(({ id }) => id)
      expect(ids).toContain(/^x-request-id: (\w+)/im.exec(answer)?.[1])
    }
  })

  test.each([
    ['deny', 'deny all;', 403],
    ['auth_basic', 'auth_basic "site"; auth_basic_user_file /dev/null;', 401],
    ['limit_except', 'limit_except GET { deny all; }', 403],
    ['limit_req', 'limit_req zone=one;', 503],
    ['limit_conn', 'limit_conn two 1;', 503],
  ])(
    '15. %s of the site comes after admission, and everything goes back',
    async (name, lines, status) => {
      const gate = await around(lines, '', {
        prepare: (root) =>
          edit(
            join(root, 'nginx.conf'),
            'access_log off;',
            'access_log off; limit_req_zone $server_port zone=one:1m rate=1r/m; limit_conn_zone $server_port zone=two:1m;',
          ),
      })
      gate.expectErrors(
        /access forbidden by rule/,
        /no user\/password|was not found|user "/,
        /limiting/,
      )
      if (name === 'limit_conn') {
        const slow = send(gate, CHAT, {
          key: limited.secret,
          body: chatOf('prompt:3,tokens:4,ttft:500'),
        })
        await until('the first', () => gate.mock.log().length === 1)
        expect((await chat(gate, limited.secret)).status).toBe(status)
        await (await slow.answer).body()
      } else {
        if (name === 'limit_req') await chat(gate, limited.secret)
        for (let i = 0; i < 5; i++) expect((await chat(gate, limited.secret)).status).toBe(status)
      }
      await expectNothingHeld(gate)
    },
  )

  test.each<[string, object, number, string]>([
    ['revoked', { revoked: '2026-01-01T00:00:00Z' }, 401, 'revoked_key'],
    ['expired', { expires: '2026-01-01T00:00:00Z' }, 401, 'expired_key'],
    ['gone', { sha256: 'f'.repeat(64) }, 401, 'invalid_key'],
  ])(
    'a key that is %s while the body is on its way lets nothing in',
    async (_, change, status, outcome) => {
      const late = clientOf({ limits: { concurrency: 2, requestsPerMinute: 100 } })
      const gate = await start({ clients: documentOf({ limited, narrow, late }) })
      const text = JSON.stringify(BODY)
      const call = request(`${gate.url}${CHAT}`, {
        method: 'POST',
        agent: false,
        headers: {
          authorization: `Bearer ${late.secret}`,
          'content-type': 'application/json',
          'content-length': text.length,
        },
      })
      const answered = once(call, 'response')
      call.write(text.slice(0, 5))
      await sleep(100)
      const keys = late.client.keys.map((key) => ({ ...key, ...change }))
      const changed = { ...late, client: { ...late.client, keys } }
      await gate.setClients(documentOf({ limited, narrow, late: changed }))
      call.end(text.slice(5))
      const [answer] = await answered
      answer.resume()
      expect(answer.statusCode).toBe(status)
      expect((await linesOf(gate, 'late', 1))[0]).toMatchObject({ outcome })
      expect(gate.mock.log()).toEqual([])
      await expectNothingHeld(gate)
    },
  )

  test('what the site says at http level is not for our own server', async () => {
    const gate = await start({
      serverExtra: 'allow all; auth_basic off; limit_req_dry_run on; limit_conn_dry_run on;',
      prepare: (root) =>
        edit(
          join(root, 'nginx.conf'),
          'access_log off;',
          `access_log off; deny all; auth_basic x; auth_basic_user_file /dev/null;
          limit_req_zone $binary_remote_addr zone=lr:1m rate=1r/m; limit_req zone=lr;
          limit_conn_zone $binary_remote_addr zone=lc:1m; limit_conn lc 1;`,
        ),
    })
    gate.expectErrors(/dry run/, /access forbidden/, /no user/)
    const answers = await Promise.all([1, 2, 3, 4].map(() => chat(gate, gate.key, WRONG)))
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400])
    const long = { 'user-agent': 'u'.repeat(7000), traceparent: 't'.repeat(7000) }
    const path = `${CHAT}?${'q'.repeat(7000)}`
    expect((await get(gate, path, { body: WRONG, headers: long })).status).toBe(400)
    expect(
      JSON.parse((await get(gate, path, { body: WRONG, headers: long })).bytes.toString()),
    ).toMatchObject({
      error: { code: 'invalid_body' },
    })
  })

  test('what no log has is settled all the same, and told', async () => {
    const gate = await around('', 'access_log off;')
    gate.expectErrors(/that no ledger has/)
    expect((await chat(gate, limited.secret)).status).toBe(200)
    await expectNothingHeld(gate)
    expect((await zone(gate, 'counters'))['lost']).toBe(1)
    expect(await gate.ledger()).toEqual([])
    // Also what was cut.
    const body = chatOf('prompt:3,tokens:2000', { stream: true })
    await chat(gate, hard.secret, body)
    await expectNothingHeld(gate)
    expect((await zone(gate, 'counters'))['lost']).toBe(2)
  })

  test('a caller that leaves before, in and after the body leaves nothing behind', async () => {
    const gate = await start()
    const head = ['Content-Type: application/json', `Authorization: Bearer ${limited.secret}`]
    for (const size of [10, 100_000]) {
      const text = message('POST', CHAT, [...head, `Content-Length: ${size}`], '{"model":')
      const gone = exchange(gate, text)
      await sleep(50)
      gate.signal('SIGUSR1')
      await Promise.race([gone, sleep(100)])
    }
    const stream = send(gate, CHAT, {
      key: limited.secret,
      body: chatOf('prompt:3,tokens:400,itl:20', { stream: true }),
    })
    await stream.answer
    await sleep(100)
    stream.abort()
    // exchange() gives up after five seconds.
    await until(
      'what was held',
      async () => (await heldBy(gate, 'limited')).every((n) => n === 0),
      100,
    )
    await expectNothingHeld(gate)
  })
})

/** The directives of a file, blocks whole, without its comments. */
async function statementsOf(path: string): Promise<string[]> {
  const text = (await readFile(path, 'utf8')).replace(/^#.*$/gm, '').replace(/ # .*$/gm, '')
  return [...text.matchAll(/^(?:if [^{]*\{[^}]*\}|[a-z_]+ [^;{]*;)/gm)].map(([line]) => line)
}
