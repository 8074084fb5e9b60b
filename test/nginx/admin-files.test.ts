import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Client, Clients } from '../../src/core/config/shapes.ts'
import { tollgate } from '../cli/command.ts'
import { caller, expectProblem, isNew, matching, read } from './adminapi.ts'
import {
  type Gate,
  type GateOptions,
  makeKey,
  startGate,
  stoppedTogether,
  until,
} from './harness.ts'
import { watchLogs } from './logs.ts'
import { dropRights, setWritable } from './readonly.ts'
import { findEngines } from './setups.ts'

watchLogs()

// Most of each is waiting, so they run side by side.
describe.each(await findEngines())(
  '$name: the files behind the admin API',
  { concurrent: true },
  (setup) => {
    const started = stoppedTogether()

    async function start(options: GateOptions = {}): Promise<Gate> {
      const gate = await startGate(setup, options)
      started.push(gate)
      return gate
    }
    const pathOf = (gate: Gate, file = 'clients.json') => join(gate.configDir, file)
    const textOf = (gate: Gate, file = 'clients.json') => readFile(pathOf(gate, file), 'utf8')
    const clientsOf = async (gate: Gate): Promise<Clients['clients']> =>
      JSON.parse(await textOf(gate)).clients
    const leftOf = async (gate: Gate) =>
      (await readdir(gate.configDir)).filter((name) => !/^(clients|policy)\.json$/.test(name))

    test('writers in several workers and on the command line lose nothing', async () => {
      const gate = await start({ workers: 4, listenExtra: 'reuseport' })
      const call = caller(gate)
      expect((await call('PUT /clients/shared', {}, isNew)).status).toBe(201)
      const made = Array.from({ length: 24 }, (_, i) =>
        call(`PUT /clients/c${i}`, { note: 'x' }, isNew),
      )
      const keys = Array.from({ length: 24 }, () => call('POST /clients/shared/keys', {}))
      const plans = Array.from({ length: 8 }, (_, i) => call(`PUT /plans/p${i}`, {}, isNew))
      const commands = Array.from({ length: 3 }, () =>
        tollgate('key', 'create', 'shared', '--json', '--dir', gate.configDir),
      )
      for (const answer of await Promise.all([...made, ...keys, ...plans])) {
        expect(answer.status).toBe(201)
      }
      for (const { code } of await Promise.all(commands)) expect(code).toBe(0)
      const clients = await clientsOf(gate)
      expect(Object.keys(clients)).toHaveLength(26)
      expect(clients['shared']?.keys).toHaveLength(27)
      expect(Object.keys(JSON.parse(await textOf(gate, 'policy.json')).plans)).toHaveLength(8)
      expect(await leftOf(gate)).toEqual([])
    })

    test('the file keeps one client a line, its mode, and the rest of what was in it', async () => {
      const gate = await start()
      const document = { $schema: './x.json', version: 1 as const, clients: { old: { keys: [] } } }
      await gate.writeConfig('clients.json', JSON.stringify(document, null, 4))
      await chmod(pathOf(gate), 0o600)
      const made = await caller(gate)('PUT /clients/new', { note: 'n' }, isNew)
      expect(made.status).toBe(201)
      const clients = { old: { keys: [] }, new: { note: 'n', keys: [] } }
      expect(await textOf(gate)).toBe(formatClients({ ...document, clients } as Clients))
      expect((await stat(pathOf(gate))).mode & 0o777).toBe(0o600)
    })

    test('where there is no clients.json, one is made', async () => {
      const gate = await start()
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      await rm(pathOf(gate))
      const call = caller(gate)
      expect(await read(await call('GET /clients'))).toEqual({ clients: [], next: null })
      expect((await call('PUT /clients/first', {}, isNew)).status).toBe(201)
      expect(await clientsOf(gate)).toEqual({ first: { keys: [] } })
      expect((await stat(pathOf(gate))).mode & 0o777).toBe(0o640)
    })

    test('a lock that nobody holds any more is taken over, and one that is held waited for', async () => {
      const gate = await start()
      const call = caller(gate)
      const lock = `${pathOf(gate)}.lock`
      await mkdir(lock)
      const old = new Date(Date.now() - 60_000)
      await utimes(lock, old, old)
      expect((await call('PUT /clients/one', {}, isNew)).status).toBe(201)
      await mkdir(lock)
      let isDone = false
      const waiting = call('PUT /clients/two', {}, isNew).then((answer) => {
        isDone = true
        return answer
      })
      expect((await call('GET /clients/one')).status).toBe(200)
      expect(isDone).toBe(false)
      await rm(lock, { recursive: true })
      expect((await waiting).status).toBe(201)
      expect(await leftOf(gate)).toEqual([])
    })

    test('a lock that is held for too long is told', async () => {
      const gate = await start()
      const lock = `${pathOf(gate)}.lock`
      await mkdir(lock)
      const timer = setInterval(() => {
        const now = new Date()
        utimes(lock, now, now).catch(() => undefined)
      }, 1000)
      const answer = await caller(gate)('PUT /clients/one', {}, isNew)
      clearInterval(timer)
      expect(answer.headers.get('retry-after')).toBe('1')
      await expectProblem(answer, 503, 'locked')
      expect(await clientsOf(gate)).not.toHaveProperty('one')
    })

    test.each<[string, string]>([
      ['no JSON', '{"version":1,"clients":{"a":{"keys":[]}'],
      ['nothing', ''],
      ['no object', 'null'],
      ['no clients', '{"version":1}'],
      ['a client that is wrong', '{"version":1,"clients":{"a":{"keys":[],"plan":"huge"}}}'],
      ['a client without keys', '{"version":1,"clients":{"a":{}}}'],
      ['a key that is none', '{"version":1,"clients":{"a":{"keys":["x"]}}}'],
      [
        'a name that stands twice',
        '{"version":1,"clients":{"a":{"keys":[]},"a":{"keys":[],"note":"x"}}}',
      ],
      [
        'a field that stands twice',
        '{"version":1,"clients":{"a":{"keys":[],"note":"x","note":"y"}}}',
      ],
    ])('a clients.json with %s is left alone', async (_, text) => {
      const gate = await start()
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      const call = caller(gate)
      await gate.writeConfig('clients.json', text)
      for (const line of ['PUT /clients/new', 'PUT /clients/a']) {
        const { problems } = await expectProblem(
          await call(line, {}, isNew),
          409,
          'broken-configuration',
        )
        expect(problems[0].path).toMatch(/^clients\.json/)
      }
      await expectProblem(await call('POST /clients/a/keys', {}), 409, 'broken-configuration')
      for (const path of ['/clients', '/balances', '/keys/aaaaaaaa', '/clients/a/balance']) {
        expect((await call(`GET ${path}`)).status).toBeLessThan(500)
      }
      expect(await textOf(gate)).toBe(text)
      expect(await leftOf(gate)).toEqual([])
      expect((await call('GET /me')).status).toBe(200)
    })

    test.each<[string, string]>([
      ['no JSON', '{"version":1,'],
      ['a list', '[]'],
      ['a name that stands twice', '{"version":1,"plans":{"a":{},"a":{}}}'],
    ])('a policy.json with %s is left alone, and tokens stay in force', async (_, text) => {
      const gate = await start()
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      const call = caller(gate)
      await gate.writeConfig('policy.json', text)
      const answer = await call('PUT /clients/new', {}, isNew)
      const { problems } = await expectProblem(answer, 409, 'broken-configuration')
      expect(problems[0].path).toMatch(/^policy\.json/)
      expect(await textOf(gate, 'policy.json')).toBe(text)
      expect((await call('GET /status')).status).toBe(200)
    })

    test('a policy that people have broken can be mended by its plans', async () => {
      const gate = await start({ clients: { version: 1, clients: { lost: { keys: [] } } } })
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      const call = caller(gate)
      await gate.writeConfig(
        'clients.json',
        '{"version":1,"clients":{"lost":{"plan":"gone","keys":[]}}}',
      )
      await expectProblem(await call('PUT /clients/new', {}, isNew), 409, 'broken-configuration')
      expect((await call('PUT /plans/gone', {}, isNew)).status).toBe(201)
      expect((await call('PUT /clients/new', {}, isNew)).status).toBe(201)
    })

    test('what a worker may not write is told, with the fix', async ({ onTestFinished }) => {
      const gate = await start({
        async prepare(root, configDir) {
          await dropRights(root)
          await setWritable(configDir, false)
        },
      })
      onTestFinished(() => setWritable(gate.configDir, true).catch(() => undefined))
      const call = caller(gate)
      const before = await textOf(gate)
      const calls: [string, unknown, Record<string, string>][] = [
        ['PUT /clients/new', {}, isNew],
        ['POST /clients/app/keys', {}, {}],
        ['PUT /plans/new', {}, isNew],
        ['PUT /policy', {}, await matching(gate, '/policy')],
      ]
      for (const [line, body, headers] of calls) {
        const { detail } = await expectProblem(await call(line, body, headers), 409, 'read-only')
        expect(detail).toContain('tollgate admin enable')
        expect(detail).toContain(gate.configDir)
      }
      expect(await textOf(gate)).toBe(before)
      const { isWritable, whyNotWritable, alerts } = await read(await call('GET /status'))
      expect({ isWritable, whyNotWritable }).toEqual({
        isWritable: false,
        whyNotWritable: expect.stringContaining(gate.configDir),
      })
      expect(alerts).toMatchObject([{ severity: 'info', code: 'read_only' }])
    })

    test('what cannot be written for another reason loses nothing', async () => {
      const gate = await start()
      gate.expectErrors(/Tollgate cannot write/)
      // The name of the temporary file is taken by a folder with something in it.
      const before = await textOf(gate)
      const pids = await read(await caller(gate)('GET /status'))
      for (const { pid } of pids.workers) {
        await mkdir(join(gate.configDir, `.clients.json.${pid}.tmp`, 'x'), { recursive: true })
      }
      const answer = await caller(gate)('PUT /clients/new', {}, isNew)
      await expectProblem(answer, 500, 'cannot-write')
      expect(await textOf(gate)).toBe(before)
      expect((await leftOf(gate)).filter((name) => name.endsWith('.lock'))).toEqual([])
    })

    test('a link in the place of the temporary file is not followed', async () => {
      const gate = await start()
      const { workers } = await read(await caller(gate)('GET /status'))
      const victim = join(gate.configDir, 'victim')
      await writeFile(victim, 'untouched')
      for (const { pid } of workers) {
        await symlink(victim, join(gate.configDir, `.clients.json.${pid}.tmp`))
      }
      expect((await caller(gate)('PUT /clients/new', {}, isNew)).status).toBe(201)
      expect(await readFile(victim, 'utf8')).toBe('untouched')
      expect(await clientsOf(gate)).toHaveProperty('new')
    })

    describe('a large clients.json', () => {
      const COUNT = 3000
      const caught = makeKey()

      /** 400 KB and more: beyond what is read as a whole. */
      function manyClients(): { [name: string]: Client } {
        const clients: { [name: string]: Client } = {}
        for (let i = 0; i < COUNT; i++) {
          clients[`c${i}`] = { plan: 'usual', note: `"c${i + 1}": ü €`, keys: [makeKey().record] }
        }
        clients['caught'] = { keys: [caught.record], note: 'Findable' }
        clients['last'] = { keys: [] }
        return clients
      }

      async function startLarge() {
        const clients = manyClients()
        const gate = await start({
          workers: 2,
          policy: {
            version: 1,
            plans: { usual: {}, free: {} },
            lockout: { badKeysPerMinute: 1_000_000 },
          },
        })
        gate.expectErrors(/pending events/)
        await gate.writeConfig('clients.json', formatClients({ version: 1, clients }))
        await until('the load', async () => (await gate.state()).clients === COUNT + 2, 60)
        return { gate, call: caller(gate), clients }
      }

      test('is changed in one line, and all others stay byte for byte', async () => {
        const { gate, call, clients } = await startLarge()
        const expectFile = async () =>
          expect((await textOf(gate)) === formatClients({ version: 1, clients })).toBe(true)
        expect((await read(await call('GET /clients/c77'))).note).toBe('"c78": ü €')

        const patch = { note: 'changed', plan: null }
        const changed = await call(
          'PATCH /clients/c77',
          patch,
          await matching(gate, '/clients/c77'),
        )
        expect(changed.status).toBe(200)
        const [key] = clients['c77']?.keys ?? []
        clients['c77'] = { note: 'changed', keys: key ? [key] : [] }
        await expectFile()

        for (const name of ['last', 'c0', 'c1500']) {
          const path = `/clients/${name}`
          const gone = await call(`DELETE ${path}`, undefined, await matching(gate, path))
          expect(gone.status).toBe(204)
          delete clients[name]
          await expectFile()
        }
        for (const name of ['added', 'constructor']) {
          expect((await call(`PUT /clients/${name}`, { note: name }, isNew)).status).toBe(201)
          clients[name] = { note: name, keys: [] }
          await expectFile()
        }
        const replaced = await call(
          'PUT /clients/constructor',
          {},
          await matching(gate, '/clients/constructor'),
        )
        expect(replaced.status).toBe(200)
        clients['constructor'] = { keys: [] }
        await expectFile()
        await until('the load', async () => (await gate.state()).clients === COUNT + 1, 60)
        expect(await leftOf(gate)).toEqual([])
      })

      test('has keys that are unique over all, are found, revoked and work', async () => {
        const { gate, call } = await startLarge()
        const { id, sha256 } = caught.record
        expect(await read(await call(`GET /keys/${id}`))).toMatchObject({ id, client: 'caught' })
        await expectProblem(await call('GET /keys/aaaaaaaa'), 404, 'unknown-key')
        await expectProblem(await call('POST /clients/c5/keys', { id, sha256 }), 409, 'taken')
        const twin = { id: 'aaaaaaaa', sha256 }
        await expectProblem(await call('POST /clients/c5/keys', twin), 409, 'taken')
        const made = await read(await call('POST /clients/c5/keys', {}))
        await until(
          'the key',
          async () => (await gate.call('/v1/models', { key: made.key })).status === 200,
          60,
        )
        expect(await read(await call(`POST /keys/${id}/revoke`))).toMatchObject({
          state: 'revoked',
        })
        await until(
          '401',
          async () => (await gate.call('/v1/models', { key: caught.secret })).status === 401,
          60,
        )
      })

      test('comes in pages, and can be searched', async () => {
        const { gate, call, clients } = await startLarge()
        const names: string[] = []
        let next: string | null = ''
        for (let pages = 0; next !== null; pages++) {
          expect(pages).toBeLessThan(20)
          const page = await read(await call(`GET /clients?limit=500${next && `&after=${next}`}`))
          names.push(...page.clients.map(({ name }: { name: string }) => name))
          next = page.next
        }
        expect(names).toEqual(Object.keys(clients))
        for (const q of ['FINDABLE', 'caught', caught.record.id]) {
          const found = await read(await call(`GET /clients?q=${q}`))
          expect(found).toMatchObject({ clients: [{ name: 'caught' }], next: null })
        }
        await expectProblem(await call('GET /clients?after=gone'), 400, 'bad-parameter')
        expect((await gate.state()).clients).toBe(COUNT + 2)
      })

      test('keeps the plans that its clients have', async () => {
        const { gate, call } = await startLarge()
        const usual = await call(
          'DELETE /plans/usual',
          undefined,
          await matching(gate, '/plans/usual'),
        )
        await expectProblem(usual, 409, 'in-use')
        const free = await call(
          'DELETE /plans/free',
          undefined,
          await matching(gate, '/plans/free'),
        )
        expect(free.status).toBe(204)
        const headers = await matching(gate, '/policy')
        const put = await call('PUT /policy', { version: 1 }, headers)
        const { problems } = await expectProblem(put, 422, 'invalid')
        expect(problems[0].path).toBe('clients.json: clients.c0.plan')
      })

      test('loses nothing to many writers at once', async () => {
        const { gate, call, clients } = await startLarge()
        const made = Array.from({ length: 6 }, (_, i) => call(`PUT /clients/n${i}`, {}, isNew))
        const keys = Array.from({ length: 6 }, (_, i) => call(`POST /clients/c${i}/keys`, {}))
        const command = tollgate('key', 'create', 'c9', '--json', '--dir', gate.configDir)
        for (const answer of await Promise.all([...made, ...keys])) expect(answer.status).toBe(201)
        expect((await command).code).toBe(0)
        const after = await clientsOf(gate)
        expect(Object.keys(after)).toHaveLength(Object.keys(clients).length + 6)
        const count = (all: Clients['clients']) =>
          Object.values(all).reduce((sum, { keys }) => sum + keys.length, 0)
        expect(count(after)).toBe(count(clients) + 7)
        expect(await leftOf(gate)).toEqual([])
      })

      test('in another layout is left alone, with the fix', async () => {
        const { gate, call, clients } = await startLarge()
        gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
        const text = JSON.stringify({ version: 1, clients }, null, 2)
        await gate.writeConfig('clients.json', text)
        const answer = await call('PUT /clients/new', {}, isNew)
        const { detail } = await expectProblem(answer, 409, 'broken-configuration')
        expect(detail).toContain('tollgate check --write')
        expect(await textOf(gate)).toBe(text)
      })

      test('with a client that stands twice, or is wrong, is left alone', async () => {
        const { gate, call, clients } = await startLarge()
        gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
        const good = formatClients({ version: 1, clients })
        const twice = good.replace('    "c9":', '    "c7": {"keys":[]},\n    "c9":')
        await gate.writeConfig('clients.json', twice)
        const headers = { 'if-match': '*' }
        const twin = await call('PATCH /clients/c7', {}, headers)
        const { detail } = await expectProblem(twin, 409, 'broken-configuration')
        expect(detail).toContain('c7')
        const wrong = good.replace('"plan":"usual"', '"plan":"usuel"')
        await gate.writeConfig('clients.json', wrong)
        const { problems } = await expectProblem(
          await call('PATCH /clients/c7', {}, headers),
          409,
          'broken-configuration',
        )
        expect(problems[0].message).toContain('did you mean usual')
        expect((await textOf(gate)) === wrong).toBe(true)
      })
    })
  },
)
