import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { edit } from './edit.ts'
import { freePort, type Gate, type GateOptions, makeKey, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { get, oneConnection } from './wire.ts'

const CHAT = '/v1/chat/completions'
const CHAT_BODY = { model: 'Qwen/Qwen3-8B', messages: [{ role: 'user', content: 'x' }] }

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  async function start(options: GateOptions = {}): Promise<Gate> {
    const gate = await startGate(setup, options)
    onTestFinished(() => gate.stop())
    return gate
  }

  /** A good key is answered 500 in its dialect, a bad one is refused, and nothing reaches the mock. */
  async function expectClosed(gate: Gate): Promise<void> {
    for (const [path, dialect] of [
      ['/v1/models', { error: { type: 'server_error', code: 'gate_error' } }],
      ['/v1/messages', { type: 'error', error: { type: 'api_error' } }],
      ['/health', { error: { code: 'gate_error' } }],
    ] as const) {
      const body = path === '/v1/messages' ? { body: CHAT_BODY } : {}
      const { status, bytes } = await get(gate, path, body)
      expect([status, JSON.parse(bytes.toString())]).toMatchObject([500, dialect])
      expect((await get(gate, path, { key: 'nobody', ...body })).status).toBeGreaterThanOrEqual(400)
    }
    expect(gate.mock.log()).toEqual([])
  }

  describe('a configuration that is broken is closed', () => {
    test.each([
      [
        'an admission that does not exist',
        'http.conf',
        'tollgate.admission;',
        'tollgate.admision;',
      ],
      ['a target that does not exist', 'http.conf', 'tollgate.target;', 'tollgate.tarket;'],
      ['no zone of the keys', 'http.conf', /^js_shared_dict_zone zone=tollgate_clients.*$/m, ''],
    ])('%s', async (_, name, from, to) => {
      const prepare = (root: string) => edit(join(root, 'tollgate', name), from, to)
      const gate = await start({ isEager: true, prepare })
      gate.expectErrors(/./)
      await expectClosed(gate)
    })

    test('a bundle that throws leaves callers without an answer', async () => {
      const gate = await start({
        isEager: true,
        prepare: (root) =>
          edit(join(root, 'tollgate', 'tollgate.js'), /^/, 'throw new Error("x");'),
      }).catch((error: Error) => error)
      // The older njs finds it when nginx starts.
      if (gate instanceof Error) return expect(gate.message).toContain('nginx did not start')
      gate.expectErrors(/./)
      for (const path of ['/v1/models', '/health']) {
        const status = await get(gate, path).then(
          (answer) => answer.status,
          () => 'no answer',
        )
        expect([500, 'no answer']).toContain(status)
      }
      expect(gate.mock.log()).toEqual([])
    })

    test('no bundle: nginx does not start, and one that runs goes on', async () => {
      const prepare = (root: string) => rm(join(root, 'tollgate', 'tollgate.js'))
      await expect(startGate(setup, { isEager: true, prepare })).rejects.toThrow(
        'nginx did not start',
      )
      const gate = await start()
      gate.expectErrors(/tollgate\.js/)
      const [worker] = workersOf(gate)
      await prepare(join(gate.runDir, '..'))
      gate.signal('SIGHUP')
      await until('the refusal', async () => (await gate.errorLog()).includes('tollgate.js'))
      expect((await get(gate, '/v1/models')).status).toBe(200)
      expect(workersOf(gate)).toEqual([worker])
    })
  })

  test('two servers with the gate in one nginx share its keys', async () => {
    const port = await freePort()
    const second = `
      server {
        listen 127.0.0.1:${port};
        include tollgate/server.conf;
        location / { set $tollgate_upstream vllm; include tollgate/gate.conf; }
      }
    }`
    const gate = await start({
      prepare: (root) => edit(join(root, 'nginx.conf'), /\}\s*$/, second),
    })
    const other = { ...gate, url: `http://127.0.0.1:${port}` }
    for (const { call, key, status } of [
      { call: gate, key: gate.key, status: 200 },
      { call: other, key: gate.key, status: 200 },
      { call: other, key: 'nobody', status: 401 },
    ]) {
      expect((await get(call, CHAT, { key, body: CHAT_BODY })).status).toBe(status)
    }
    expect((await gate.ledger(3)).map((line) => line['outcome'])).toEqual([
      'ok',
      'ok',
      'invalid_key',
    ])
  })

  test('names are never mixed: on one connection, and on many at once', async () => {
    const secrets = { ada: makeKey(), bob: makeKey(), cyd: makeKey() }
    const gate = await start({
      clients: {
        version: 1,
        clients: Object.fromEntries(
          Object.entries(secrets).map(([name, { record }]) => [name, { keys: [record] }]),
        ),
      },
      policy: { version: 1, lockout: { badKeysPerMinute: 1000 } },
    })
    const callers = [
      { name: 'ada', key: secrets.ada.secret, status: 200, path: '/v1/models' },
      { name: '', key: 'nobody', status: 401, path: '/v1/models' },
      { name: 'bob', key: secrets.bob.secret, status: 200, path: CHAT },
      { name: '', key: 'nobody', status: 200, path: '/health' },
      { name: 'cyd', key: secrets.cyd.secret, status: 200, path: '/v1/models' },
      { name: 'ada', key: secrets.ada.secret, status: 404, path: '/metrics' },
    ]
    const expected = new Map<string, string>()
    const ask = async (i: number, agent?: ReturnType<typeof oneConnection>) => {
      const { name, key, status, path } = callers[i % callers.length] ?? callers[0] ?? fail()
      const options = {
        key,
        ...(agent ? { agent } : {}),
        ...(path === CHAT ? { body: CHAT_BODY } : {}),
      }
      const answer = await get(gate, path, options)
      expect(answer.status).toBe(status)
      expected.set(String(answer.headers['x-request-id']), status === 404 ? '' : name)
    }
    const agent = oneConnection()
    onTestFinished(() => agent.destroy())
    for (let i = 0; i < 120; i++) await ask(i, agent)
    await Promise.all(Array.from({ length: 240 }, (_, i) => ask(i)))
    const lines = await gate.ledger(360)
    expect(lines).toHaveLength(360)
    for (const { id, client } of lines) expect(client ?? '').toBe(expected.get(String(id)))
    for (const { headers } of gate.mock.log()) {
      const id = headers['x-request-id'] ?? ''
      expect(headers['x-api-client'] ?? '').toBe(expected.get(id))
    }
  })
})

function fail(): never {
  throw new Error('There are no callers')
}
