import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Client, Clients, Key } from '../../src/core/config/shapes.ts'
import { caller, expectProblem, isNew, matching, read } from './adminapi.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

type Sent = { line: number; client: string; id: string; sha256: string }

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

/** Keys as they are sent: each as a client, and what tells it from others. */
const keysFor = (...pairs: [client: string, secret: string][]): Sent[] =>
  pairs.map(([client, secret], at) => ({ line: at + 1, client, ...keyOf(secret) }))

function keyOf(secret: string): { id: string; sha256: string } {
  const sha256 = hashOf(secret)
  return { id: sha256.slice(0, 8), sha256 }
}

watchLogs()

describe.each(await findEngines())('$name: POST /import', (setup) => {
  const writer = makeAdmin()
  const reader = makeAdmin({ role: 'read' })
  let gate: Gate
  let call: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: 2,
      policy: {
        version: 1,
        plans: { standard: {}, gold: {} },
        lockout: { badKeysPerMinute: 1_000_000 },
        admins: [writer.record, reader.record],
      },
    })
    gate.expectErrors(/client intended to send too large body/)
    const { admin: send } = gate
    gate.admin = (path, init) => send(path, { token: writer.token, ...init })
    call = caller(gate)
  })
  afterAll(() => gate.stop())

  const file = () => readFile(join(gate.configDir, 'clients.json'), 'utf8')
  const clients = async (): Promise<Clients['clients']> => JSON.parse(await file()).clients
  const gateSays = (key: string, status: number) =>
    until(`${status}`, async () => (await gate.call('/v1/models', { key })).status === status)

  async function post(body: object, headers = {}) {
    const response = await call('POST /import', body, headers)
    expect(response.status).toBe(200)
    return read(response)
  }

  test('adds the keys of old clients and of new ones, and they work', async () => {
    await call('PUT /clients/old', { note: 'stays', limits: { concurrency: 9 } }, isNew)
    const keys = keysFor(['old', 'sk-old'], ['new', 'sk-new'], ['new', 'sk-new-2'])
    const note = 'imported from keys.map'
    const added = keys.map(({ line, client, id }) => ({ line, client, id }))
    const expected = { changed: true, added, skipped: [], problems: [], importable: 3 }
    expect(await post({ keys, note })).toEqual(expected)
    for (const secret of ['sk-old', 'sk-new', 'sk-new-2']) await gateSays(secret, 200)
    const { old, new: made } = await clients()
    expect(old).toMatchObject({ note: 'stays', limits: { concurrency: 9 }, keys: [{ note }] })
    expect(made).toMatchObject({ plan: 'standard', keys: [keyOf('sk-new'), keyOf('sk-new-2')] })
    expect(await file()).toBe(formatClients(JSON.parse(await file())))
  })

  test('skips what is there, with what it is now, and writes nothing then', async () => {
    const keys = keysFor(['twice', 'sk-a'], ['twice', 'sk-b'])
    await post({ keys, plan: 'gold' })
    const [first] = keys
    expect((await call(`POST /keys/${first?.id}/revoke`)).status).toBe(200)
    const before = await file()
    const again = await post({ keys, plan: 'gold' })
    expect(again).toMatchObject({ changed: false, added: [], problems: [], importable: 0 })
    expect(again.skipped).toMatchObject([{ state: 'revoked' }, { line: 2, state: 'live' }])
    expect(await file()).toBe(before)
    expect((await clients())['twice']?.plan).toBe('gold')
    await gateSays('sk-a', 401)
  })

  test('changes nothing when a key has a problem, unless the rest is wanted', async () => {
    const taken = { ...keyOf('sk-other'), id: keyOf('sk-mine').id }
    const keys = [
      ...keysFor(['mine', 'sk-mine'], ['yours', 'sk-mine'], ['mine', 'sk-mine']),
      { line: 4, client: 'mine', ...taken },
      { line: 5, client: 'mine', ...keyOf('sk-good') },
    ]
    const before = await file()
    const refused = await post({ keys })
    expect(refused).toMatchObject({ changed: false, added: [], importable: 2 })
    expect(refused.problems).toEqual([
      { line: 2, identity: 'yours', message: expect.stringContaining('is that of client mine') },
      { line: 4, identity: 'mine', message: expect.stringContaining('is that of another key') },
    ])
    expect(refused.skipped).toMatchObject([{ line: 3, client: 'mine', state: 'live' }])
    expect(await post({ keys, partial: true, dryRun: true })).toEqual(refused)
    expect(await file()).toBe(before)
    const partial = await post({ keys, partial: true })
    expect(partial).toMatchObject({ changed: true, added: [{ line: 1 }, { line: 5 }] })
    expect(partial.problems).toEqual(refused.problems)
    expect((await clients())['mine']?.keys).toHaveLength(2)
    expect(await clients()).not.toHaveProperty('yours')
  })

  test('takes names that every object has, and none that is no name', async () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', 'a.b@c:d+e-f_g', 'x'.repeat(128)]
    const keys = keysFor(...names.map((name): [string, string] => [name, `sk-${name}`]))
    expect((await post({ keys })).added).toHaveLength(names.length)
    const more = keysFor(...names.map((name): [string, string] => [name, `sk-2-${name}`]))
    expect((await post({ keys: more })).added).toHaveLength(names.length)
    const found = await clients()
    for (const name of names) {
      expect(Object.hasOwn(found, name)).toBe(true)
      expect(found[name]?.keys).toHaveLength(2)
      await gateSays(`sk-2-${name}`, 200)
    }
    for (const client of ['__proto__', '', 'My App', 'x'.repeat(129), 'ü', '../x']) {
      const body = { keys: [{ line: 1, client, ...keyOf('sk-odd') }] }
      const { problems } = await expectProblem(await call('POST /import', body), 422, 'invalid')
      expect(problems[0].path).toBe('keys[0].client')
    }
    const hidden = '{"keys":[{"line":1,"__proto__":{"client":"a"}}]}'
    await expectProblem(await call('POST /import', hidden), 400, 'bad-json')
  })

  const [good] = keysFor(['a', 'sk-unused'])
  test.each<[string, unknown, string]>([
    ['no keys', {}, ''],
    ['what is no list', { keys: {} }, 'keys'],
    ['a key that is none', { keys: [good, 'tg_x'] }, 'keys[1]'],
    ['a key without its line', { keys: [{ ...good, line: undefined }] }, 'keys[0]'],
    ['a line before the first', { keys: [{ ...good, line: 0 }] }, 'keys[0].line'],
    ['an id that is none', { keys: [{ ...good, id: 'ABC' }] }, 'keys[0].id'],
    ['no hash', { keys: [{ ...good, sha256: 'x' }] }, 'keys[0].sha256'],
    ['a secret', { keys: [{ ...good, key: 'sk-unused' }] }, 'keys[0].key'],
    ['a note that is too long', { keys: [], note: 'x'.repeat(1025) }, 'note'],
    ['another field', { keys: [], force: true }, 'force'],
  ])('refuses %s', async (_, body, place) => {
    const before = await file()
    const response = await call('POST /import', body)
    const { problems } = await expectProblem(response, 422, 'invalid')
    expect(problems[0].path).toBe(place)
    expect(await file()).toBe(before)
  })

  test('refuses a plan that is not there, and who may only read', async () => {
    const before = await file()
    const body = { keys: keysFor(['plan', 'sk-plan']), plan: 'constructor' }
    const { detail } = await expectProblem(await call('POST /import', body), 404, 'unknown-plan')
    expect(detail).toContain('tollgate plan list')
    const asked = { body: { keys: [] }, token: reader.token }
    await expectProblem(await gate.admin('/import', asked), 403, 'read-role')
    expect(await file()).toBe(before)
  })

  test('a client has 1000 keys at most', async () => {
    const pairs = Array.from({ length: 1001 }, (_, i): [string, string] => ['full', `sk-f${i}`])
    const { problems } = await post({ keys: keysFor(...pairs) })
    expect(problems).toMatchObject([{ line: 1001, identity: 'full' }])
    expect((await post({ keys: keysFor(...pairs.slice(1)) })).added).toHaveLength(1000)
    const one = await post({ keys: keysFor(['full', 'sk-f0']) })
    expect(one).toMatchObject({ changed: false, problems: [{ line: 1 }] })
    const gone = await call(
      'DELETE /clients/full',
      undefined,
      await matching(gate, '/clients/full'),
    )
    expect(gone.status).toBe(204)
  })

  test('leaves one line in the audit log, without a hash', async () => {
    const keys = keysFor(['audited', 'sk-au-1'], ['audited', 'sk-au-2'])
    await post({ keys, plan: 'gold', note: 'from x.map' })
    await post({ keys, plan: 'gold' })
    const imports = async () => {
      const { entries } = await read(await call('GET /audit?limit=1000'))
      return entries.filter(({ after }: { after?: { note?: string } }) => after?.note)
    }
    await until('the line', async () => (await imports()).length > 0)
    const added = keys.map(({ client, id }) => ({ client, id }))
    const [entry] = await imports()
    expect(entry).toMatchObject({ action: 'key.import', target: 'clients.json', before: null })
    expect(entry.after).toEqual({ keys: 2, plan: 'gold', note: 'from x.map', added })
    const log = await readFile(join(gate.stateDir, 'audit.jsonl'), 'utf8')
    expect(log).not.toMatch(/[0-9a-f]{64}/)
    const about = log.split('\n').filter((line) => line.includes('"client":"audited"'))
    expect(about).toHaveLength(1)
  })

  test('is made once for an Idempotency-Key', async () => {
    const body = { keys: keysFor(['once', 'sk-once']) }
    const headers = { 'idempotency-key': 'import-1' }
    const first = await post(body, headers)
    expect(first.changed).toBe(true)
    const response = await call('POST /import', body, headers)
    expect(response.headers.get('idempotent-replayed')).toBe('true')
    expect(await read(response)).toEqual(first)
    const other = await call('POST /import', { keys: [] }, headers)
    await expectProblem(other, 422, 'idempotency-mismatch')
  })

  test('a body of 1 MB is taken, and one byte more is not', async () => {
    const small = { keys: keysFor(['bound', 'sk-bound']), note: '' }
    const spaces = 1_048_576 - JSON.stringify(small).length
    const text = JSON.stringify(small).replace('"note"', `${' '.repeat(spaces)}"note"`)
    expect(await post(text as unknown as object)).toMatchObject({ changed: true })
    const larger = await call('POST /import', text.replace('"note"', ' "note"'))
    await expectProblem(larger, 413, 'too-large')
  })
})

describe.each(await findEngines())('$name: POST /import into a large file', (setup) => {
  const COUNT = 3000
  const record = (id: string, sha256: string): Key => ({
    ...{ id, sha256 },
    created: '2026-01-01T00:00:00Z',
  })
  const caught = record('caught01', hashOf('caught'))

  /** 400 KB and more: beyond what is read as a whole. */
  function many(): { [name: string]: Client } {
    const clients: { [name: string]: Client } = {}
    for (let i = 0; i < COUNT; i++) {
      clients[`c${i}`] = {
        note: `"c${i + 1}": "id":"${'z'.repeat(8)}" ü €`,
        keys: [record(`k${String(i).padStart(7, '0')}`, hashOf(`c${i}`))],
      }
    }
    clients['empty'] = { keys: [] }
    clients['caught'] = { keys: [caught, record('revoked1', hashOf('gone'))] }
    return clients
  }

  async function startLarge() {
    const clients = many()
    const gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, plans: { usual: {} }, lockout: { badKeysPerMinute: 1_000_000 } },
    })
    onTestFinished(() => gate.stop())
    gate.expectErrors(/pending events/)
    const text = formatClients({ version: 1, clients })
    await gate.writeConfig('clients.json', text)
    await until('the load', async () => (await gate.state()).clients === COUNT + 2, 60)
    const file = () => readFile(join(gate.configDir, 'clients.json'), 'utf8')
    return { gate, call: caller(gate), clients, file, text }
  }

  test('changes many lines in one pass, and all others stay byte for byte', async () => {
    const { gate, call, clients, file } = await startLarge()
    const names = ['new1', 'c0', 'caught', 'constructor', 'empty', 'c2999', 'new1', 'c1500']
    const pairs = names.map((name, at): [string, string] => [name, `sk-${at}`])
    for (let i = 100; i < 1100; i++) pairs.push([`c${i}`, `sk-c${i}`], [`n${i}`, `sk-n${i}`])
    const keys = keysFor(...pairs)
    const response = await call('POST /import', { keys, plan: 'usual', note: 'x' })
    expect(response.status).toBe(200)
    const { added, ...rest } = await read(response)
    expect(added).toHaveLength(keys.length)
    expect(rest).toMatchObject({ changed: true, skipped: [], problems: [] })
    const text = await file()
    const [{ created = '' } = {}] = JSON.parse(text).clients.new1.keys
    for (const { client, id, sha256 } of keys) {
      if (!Object.hasOwn(clients, client)) clients[client] = { plan: 'usual', keys: [] }
      clients[client]?.keys.push({ id, sha256, created, note: 'x' })
    }
    expect(text === formatClients({ version: 1, clients })).toBe(true)
    // So many are not told one by one.
    await until('the audit log', async () => {
      const { entries } = await read(await call('GET /audit'))
      return entries[0]?.action === 'key.import'
    })
    const { entries } = await read(await call('GET /audit'))
    expect(entries[0].after).toEqual({ keys: keys.length, plan: 'usual', note: 'x' })
    await until('the load', async () => (await gate.state()).clients === COUNT + 4 + 1000, 60)
    await until(
      'the key',
      async () => (await gate.call('/v1/models', { key: 'sk-0' })).status === 200,
      60,
    )
  })

  test('finds every key that is there already, and refuses those of others', async () => {
    const { call, file, text } = await startLarge()
    const keys = [
      { line: 1, client: 'caught', id: 'xxxxxxxx', sha256: caught.sha256 },
      { line: 2, client: 'caught', id: 'zzzzzzzz', sha256: hashOf('gone') },
      { line: 3, client: 'c5', id: caught.id, sha256: hashOf('another') },
      { line: 4, client: 'nobody', id: 'yyyyyyyy', sha256: caught.sha256 },
      { line: 5, client: 'c6', ...keyOf('sk-6') },
    ]
    const answer = await read(await call('POST /import', { keys }))
    expect(answer).toMatchObject({ changed: false, added: [], importable: 1 })
    expect(answer.skipped).toMatchObject([
      { line: 1, id: caught.id },
      { line: 2, id: 'revoked1' },
    ])
    expect(answer.problems).toMatchObject([{ line: 3 }, { line: 4, identity: 'nobody' }])
    expect((await file()) === text).toBe(true)
    const partial = await read(await call('POST /import', { keys, partial: true }))
    expect(partial).toMatchObject({ changed: true, added: [{ line: 5, client: 'c6' }] })
    expect(partial.problems).toEqual(answer.problems)
  })

  test('loses nothing to others who write at the same time', async () => {
    const { call, clients, file } = await startLarge()
    const imports = Array.from({ length: 4 }, (_, at) => {
      const pairs = Array.from({ length: 50 }, (_, i): [string, string] => [
        i % 2 ? `c${i}` : `n${i}`,
        `sk-${at}-${i}`,
      ])
      return call('POST /import', { keys: keysFor(...pairs) })
    })
    const made = Array.from({ length: 4 }, (_, i) => call(`POST /clients/c${i}/keys`, {}))
    for (const answer of await Promise.all([...imports, ...made])) expect(answer.ok).toBe(true)
    const after: Clients['clients'] = JSON.parse(await file()).clients
    const count = (all: Clients['clients']) =>
      Object.values(all).reduce((sum, { keys }) => sum + keys.length, 0)
    expect(count(after)).toBe(count(clients) + 204)
    expect(Object.keys(after)).toHaveLength(Object.keys(clients).length + 25)
  })

  test('does not touch a file in which a client stands twice', async () => {
    const { gate, call, text } = await startLarge()
    gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
    const twice = text.replace('    "c9":', '    "c7": {"keys":[]},\n    "c9":')
    await gate.writeConfig('clients.json', twice)
    const answer = await call('POST /import', { keys: keysFor(['c7', 'sk-7']) })
    const { detail } = await expectProblem(answer, 409, 'broken-configuration')
    expect(detail).toContain('c7')
  })
})
