import {
  appendFile,
  chmod,
  chown,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { World } from '../../src/cli/nginx/find.ts'
import type { Clients, Key, Policy } from '../../src/core/config/shapes.ts'
import { type Gate, makeAdmin, makeKey, startGate, until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { findEngines } from '../nginx/setups.ts'
import { type Ending, endAll, makeInstallation, start, tollgate } from './command.ts'

const MODEL = 'Qwen/Qwen3-8B'
const REVOKED = '2026-02-01T00:00:00Z'

watchLogs()
afterEach(endAll)

const setups = await findEngines()

const known = makeKey()
const retired = makeKey()
/** Of the right format, and nobody's. */
const UNKNOWN = 'tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv'
const reader = makeAdmin({ name: 'reader', role: 'read' })
const writer = makeAdmin({ name: 'writer' })

function policy(): Policy {
  return {
    version: 1,
    plans: { standard: { scopes: ['inference', 'models'] }, gold: { note: 'for few' } },
    prices: { [MODEL]: { input: 1, output: 2 } },
    cacheSaltSecret: 'a secret of sixteen and more',
    // A key is asked for until it is in force.
    lockout: { badKeysPerMinute: 1_000_000 },
    admins: [writer.record, reader.record],
  }
}

function revoked(): Key {
  return { ...makeKey().record, id: 'dddddddd', revoked: REVOKED }
}

function clients(): Clients {
  const { record: live } = known
  const limits = { concurrency: 5, tokensPerMinute: 100_000 }
  return {
    version: 1,
    clients: {
      app: { plan: 'standard', limits, budgets: { tokensPerDay: 50_000 }, keys: [live] },
      old: { disabled: true, note: 'gone', keys: [retired.record, revoked()] },
      salted: { cacheSalt: true, group: 'web', keys: [] },
    },
  }
}

/** A text without what differs between two gates: ids and secrets of keys, times, and where they are. */
async function normalise(text: string, gate: Gate): Promise<string> {
  const file = await readFile(join(gate.configDir, 'clients.json'), 'utf8')
  const all = Object.values((JSON.parse(file) as Clients).clients).flatMap(({ keys }) => keys)
  return all
    .reduce((found, { id }, at) => found.replaceAll(id, `KEY-ID-${at}`), text)
    .replaceAll(gate.configDir, 'PLACE')
    .replaceAll(gate.adminUrl, 'PLACE')
    .replace(/tg_KEY-ID-\d+_\w+/g, 'KEY')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replace(/[0-9a-f]{64}/g, 'HASH')
}

/** Map files to import, and what stands in them: a key that is known, new ones, and lines with problems. */
const maps = await mkdtemp(join(tmpdir(), 'tollgate-maps-'))
afterAll(() => rm(maps, { recursive: true, force: true }))
const MAPS = {
  good: `map $http_authorization $c {\n  default "";\n  "Bearer sk-1" "app";\n  "Bearer sk-2" "web";\n}`,
  known: `"Bearer ${known.secret}" "app";\n"Bearer ${retired.secret}" "old";\n`,
  others: `"Bearer sk-3" "app";\n"Bearer ${known.secret}" "web";\n`,
  broken: '"Bearer sk-4" "My App";\n"Bearer sk-5" "web";\n"Bearer sk-5" "app";\n',
  odd: '"Bearer sk-6" constructor;\n"Bearer sk-7" toString;\n"Bearer sk-8" __proto__;\n',
  empty: 'map $http_authorization $c { default ""; }',
}
for (const [name, text] of Object.entries(MAPS)) await writeFile(join(maps, name), text)

/** Commands that come to the same over both, in this order; a name in capitals is the id of a key. */
const COMMANDS: [string, string[], Expected?][] = [
  ['all clients', ['client', 'list']],
  ['a client', ['client', 'show', 'app']],
  ['a client without keys', ['client', 'show', 'salted']],
  ['a client that is not there', ['client', 'show', 'ap'], 1],
  ['all keys', ['key', 'list']],
  ['the keys of a client', ['key', 'list', 'old']],
  ['a key', ['key', 'show', 'KNOWN']],
  ['a key that is not there', ['key', 'show', 'zzzzzzzz'], 1],
  ['a key that gets in', ['key', 'verify', known.secret]],
  ['a key of a disabled client', ['key', 'verify', retired.secret], 1],
  ['a key that nobody has', ['key', 'verify', UNKNOWN], 1],
  ['what is no key', ['key', 'verify', 'sk-1234'], 1],
  ['all plans', ['plan', 'list']],
  ['a check', ['check']],
  [
    'a key of a client',
    ['key', 'create', 'app', '--note', 'web', '--expires', '2099-01-01T00:00:00Z'],
  ],
  ['a key of a new client', ['key', 'create', 'new']],
  ['a key of a new client with a plan', ['key', 'create', 'rich', '--plan', 'gold']],
  ['another plan than it has', ['key', 'create', 'app', '--plan', 'gold'], 1],
  ['a plan that is not there', ['key', 'create', 'next', '--plan', 'golds'], 1],
  ['an expiry that is past', ['key', 'create', 'app', '--expires', '2020-01-01T00:00:00Z'], 1],
  ['a key of a disabled client', ['key', 'create', 'old']],
  ['a name that is none', ['key', 'create', 'a b'], 1],
  ['a rotation', ['key', 'rotate', 'rich', '--grace', '1h']],
  ['a rotation without grace', ['key', 'rotate', 'new', '--grace', '0s', '--note', 'x']],
  ['a rotation of nobody', ['key', 'rotate', 'nobody'], 1],
  ['fields', ['client', 'set', 'app', 'limits.requestsPerMinute=50', 'note=on call', 'plan=gold']],
  ['a field taken away', ['client', 'set', 'app', 'limits.concurrency=']],
  ['a notice', ['client', 'set', 'app', 'budgets.costPerDay=3']],
  ['a field of a client with a salt', ['client', 'set', 'salted', 'priority=3']],
  ['a field that is not there', ['client', 'set', 'app', 'limit=1'], 1],
  ['a value that is none', ['client', 'set', 'app', 'limits.concurrency=many'], 1],
  ['a plan that is not there', ['client', 'set', 'app', 'plan=golds'], 1],
  ['fields of nobody', ['client', 'set', 'nobody', 'note=x'], 1],
  ['a client disabled', ['client', 'disable', 'app']],
  ['a client enabled', ['client', 'enable', 'app']],
  ['nobody disabled', ['client', 'disable', 'nobody'], 1],
  ['a client after all this', ['client', 'show', 'app']],
  ['a plan changed', ['plan', 'set', 'gold', 'limits.concurrency=2', 'note=']],
  ['a plan made', ['plan', 'set', 'silver', 'scopes=inference,models']],
  ['a plan with a salt', ['plan', 'set', 'silver', 'cacheSalt=true']],
  ['a plan that is wrong', ['plan', 'set', 'silver', 'scopes=none'], 1],
  ['plans after that', ['plan', 'list']],
  ['keys of a map', ['import', join(maps, 'good')]],
  ['keys of a map again', ['import', join(maps, 'good')]],
  ['keys that are there', ['import', join(maps, 'known'), '--plan', 'gold']],
  ['keys of others', ['import', join(maps, 'others')], 1],
  ['the rest of them', ['import', join(maps, 'others'), '--partial'], 1],
  ['lines with problems', ['import', join(maps, 'broken')], 1],
  ['the lines without', ['import', join(maps, 'broken'), '--partial', '--plan', 'silver'], 1],
  ['names that every object has', ['import', join(maps, 'odd')], 1],
  ['those of them that are names', ['import', join(maps, 'odd'), '--partial'], 1],
  ['a map without keys', ['import', join(maps, 'empty')]],
  ['a map for a plan that is not there', ['import', join(maps, 'good'), '--plan', 'golds'], 1],
  ['a map that is not there', ['import', join(maps, 'none')], 1],
  ['all keys after the import', ['key', 'list']],
  ['all clients after the import', ['client', 'list']],
  ['a key revoked', ['key', 'revoke', 'KNOWN']],
  ['a map with a key that was revoked', ['import', join(maps, 'known')]],
  ['a key that was revoked', ['key', 'verify', known.secret], 1],
  ['a key revoked again', ['key', 'revoke', 'KNOWN']],
  ['a key revoked that is not there', ['key', 'revoke', 'zzzzzzzz'], 1],
  ['a client removed', ['client', 'remove', 'old']],
  ['a client removed again', ['client', 'remove', 'old'], 1],
  ['all keys after that', ['key', 'list']],
  ['all clients after that', ['client', 'list']],
]

type Expected = 0 | 1

describe.each(setups)('$name: the command over the admin API', (setup) => {
  let files: Gate
  let remote: Gate
  beforeAll(async () => {
    files = await startGate(setup, { clients: clients(), policy: policy() })
    remote = await startGate(setup, { clients: clients(), policy: policy(), workers: 2 })
  })
  afterAll(async () => {
    await files.stop()
    await remote.stop()
  })

  const onFiles = (...args: string[]) => start([...args, '--dir', files.configDir]).ended
  const overApi = (...args: string[]) => call(remote, writer.token, ...args)

  function call(gate: Gate, token: string, ...args: string[]): Promise<Ending> {
    const env = { TOLLGATE_ADMIN_TOKEN: token }
    return start([...args, '--admin', gate.adminUrl], env).ended
  }

  async function json(...args: string[]) {
    const { stdout, stderr, code } = await overApi(...args, '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout)
  }

  describe.each([
    ['for people', []],
    ['for machines', ['--json']],
  ])('%s', (_, more) => {
    beforeAll(async () => {
      for (const gate of [files, remote]) {
        await gate.setClients(clients())
        await gate.setPolicy(policy())
      }
    })

    test.each(COMMANDS)('prints the same as on files: %s', async (_name, words, code = 0) => {
      const args = words.map((word) => (word === 'KNOWN' ? known.record.id : word))
      const [here, there] = await Promise.all([
        onFiles(...args, ...more),
        overApi(...args, ...more),
      ])
      expect(await normalise(there.stdout, remote)).toBe(await normalise(here.stdout, files))
      expect(await normalise(there.stderr, remote)).toBe(await normalise(here.stderr, files))
      expect([there.code, here.code]).toEqual([code, code])
    })

    test('leaves the same files', async () => {
      for (const name of ['clients.json', 'policy.json']) {
        const [here, there] = await Promise.all(
          [files, remote].map(async (gate) => {
            const text = await readFile(join(gate.configDir, name), 'utf8')
            return JSON.parse(await normalise(text, gate))
          }),
        )
        expect(there).toEqual(here)
      }
    })
  })

  describe('refuses', () => {
    const wrong = [
      ['a token that nobody has', 'client list', makeAdmin().token, 'unknown, expired or revoked'],
      ['what is no token', 'client list', 'secret', 'does not take the token'],
      ['a change by who may read', 'key create app', reader.token, 'The token may only read'],
    ]
    test.each(wrong)('%s', async (_, words = '', token = '', reason) => {
      const { code, stdout, stderr } = await call(remote, token, ...words.split(' '))
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(reason)
      expect(stderr).toContain('tollgate admin token create NAME --role')
      expect(stderr).not.toContain(token)
    })

    test.each([
      ['a ledger of this machine', ['usage', '--ledger', 'x'], '--ledger names a file'],
      ['such a ledger followed', ['tail', '--ledger', 'x'], '--ledger names a file'],
      ['more lines than it tells', ['tail', '-n', '501'], '--lines can be 500 at most'],
      ['a file to be written', ['check', '--write'], '--write is for the files of this machine'],
    ])('%s', async (_, words, reason) => {
      const { code, stderr } = await overApi(...words)
      expect(code).toBe(2)
      expect(stderr).toContain(reason)
    })
  })

  test('lets who may read see everything', async () => {
    for (const words of ['client list', 'key list', 'plan list', 'check', 'status']) {
      expect((await call(remote, reader.token, ...words.split(' '))).code).toBe(0)
    }
  })

  test('loses nothing when several change the same client at the same time', async () => {
    await json('key', 'create', 'shared')
    const numbers = Array.from({ length: 4 }, (_, at) => at)
    const fields = ['requestsPerMinute', 'tokensPerMinute', 'concurrency', 'inputTokensPerMinute']
    await Promise.all(
      numbers.map((at) => json('client', 'set', 'shared', `limits.${fields[at]}=7`)),
    )
    const { limits } = await json('client', 'show', 'shared')
    expect(Object.keys(limits).sort()).toEqual(fields.sort())
    const args = ['key', 'create', 'shared', '--dir', remote.configDir]
    await Promise.all([
      ...numbers.map(() => json('key', 'create', 'shared')),
      ...numbers.map(() => start(args).ended),
    ])
    expect((await json('key', 'list', 'shared')).keys).toHaveLength(9)
  })

  test('reads all pages of many clients', async () => {
    const many = clients()
    for (let at = 0; at < 1_234; at++) many.clients[`c${at}`] = { keys: [] }
    await remote.setClients(many)
    const { clients: listed } = await json('client', 'list')
    expect(listed).toHaveLength(1_237)
    expect(new Set(listed.map(({ client }: { client: string }) => client)).size).toBe(1_237)
    await remote.setClients(clients())
  })

  test('sends no key, and the gate takes the one that was made here', async () => {
    const { key } = await json('key', 'create', 'app')
    await until('the key', async () => {
      const response = await remote.call('/v1/models', { key })
      await response.arrayBuffer()
      return response.status === 200
    })
    const audit = await readFile(join(remote.stateDir, 'audit.jsonl'), 'utf8')
    expect(audit).toContain('key.create')
    expect(audit).not.toMatch(/tg_|tga_|[0-9a-f]{64}/)
  })

  test('POST /keys/verify takes a hash and nothing else', async () => {
    for (const body of [{}, { sha256: 'x' }, { sha256: known.record.sha256.toUpperCase() }, []]) {
      const response = await remote.admin('/keys/verify', { body, token: reader.token })
      expect(response.status).toBe(422)
      expect(await response.json()).toMatchObject({ problems: [{ path: 'sha256' }] })
    }
    const { sha256 } = known.record
    const response = await remote.admin('/keys/verify', { body: { sha256 }, token: reader.token })
    const shown = await response.text()
    expect(JSON.parse(shown)).toMatchObject({ id: known.record.id, client: 'app' })
    expect(shown).not.toContain(sha256)
  })

  test('status tells of nginx too', async () => {
    const { stdout, code } = await overApi('status')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^configuration +generation \d+ since /m)
    expect(stdout).toMatch(/^nginx +\d/m)
    expect(await json('status')).toMatchObject({ problems: [], version: expect.any(String) })
    const here = await onFiles('status', '--json')
    expect(JSON.parse(here.stdout)).toMatchObject({ problems: [], clients: expect.any(Number) })
  })

  test('check and status say what is wrong with a file, and that the last good one is in force', async () => {
    remote.expectErrors(/Tollgate (?:cannot load|goes on)/)
    await remote.writeConfig('clients.json', '{"version":1,"clients":{"app":{"keys":[],"kes":1}}}')
    const at = 'clients.json clients.app.kes'
    await until('the problem', async () => (await overApi('status')).stdout.includes('PROBLEM'))
    const { code, stdout } = await overApi('check')
    expect(code).toBe(1)
    expect(stdout).toContain(`${at}: Unknown field; did you mean keys?`)
    const status = await overApi('status')
    expect(status).toMatchObject({ code: 1, stdout: expect.stringMatching(/^PROBLEM .*kes/m) })
    const refused = await overApi('key', 'create', 'app')
    expect(refused.stderr).toContain('did you mean keys?')
    await remote.setClients(clients())
  })

  test('usage sums up the same, by the rows that the gate keeps', async () => {
    const call = async (model: string, stream: boolean, key = known.secret) => {
      const messages = [{ role: 'user', content: 'one two three' }]
      const body = JSON.stringify({ model, stream, messages })
      await (await remote.call('/v1/chat/completions', { key, body })).arrayBuffer()
    }
    for (const stream of [true, false, true]) await call(MODEL, stream)
    await call('nobody', false)
    await call(MODEL, false, retired.secret)
    const ofFiles = (...args: string[]) => start([...args, '--dir', remote.configDir]).ended
    const countOf = ({ stdout }: Ending) => JSON.parse(stdout).total.requests
    const whole = ['usage', '--since', '1d', '--json']
    await until('all lines in the rows', async () => {
      const [here, there] = [await ofFiles(...whole), await overApi(...whole)]
      return countOf(here) >= 5 && countOf(here) === countOf(there)
    })
    for (const by of ['client', 'key', 'model', 'group', 'day', 'hour']) {
      const args = ['usage', '--by', by, '--since', '1d']
      const here = JSON.parse((await ofFiles(...args, '--json')).stdout)
      const there = await json(...args)
      expect(there.rows).toEqual(here.rows)
      expect(there).toMatchObject({ by, total: here.total, rest: null, ledger: null })
      for (const more of [[], ['--csv'], ['--client', 'app']]) {
        const [one, other] = [await ofFiles(...args, ...more), await overApi(...args, ...more)]
        expect(other.stdout).toBe(one.stdout)
      }
    }
    expect(countOf(await overApi('usage', '--json'))).toBe(countOf(await ofFiles(...whole)))
  })

  test('an import that is too large is refused before it is sent, with the fix', async () => {
    const before = await readFile(join(remote.configDir, 'clients.json'), 'utf8')
    const lines = Array.from({ length: 12_000 }, (_, at) => `"Bearer sk-many-${at}" "c${at}";`)
    const file = join(maps, 'many')
    await writeFile(file, lines.join('\n'))
    const { code, stdout, stderr } = await overApi('import', file)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/takes 1 MB at once, and these 12000 keys are \d+ bytes/)
    const [, most = ''] = /split the file, about (\d+) keys in each/.exec(stderr) ?? []
    expect(await readFile(join(remote.configDir, 'clients.json'), 'utf8')).toBe(before)
    await writeFile(file, lines.slice(0, Number(most) - 100).join('\n'))
    const { added } = await json('import', file)
    expect(added).toHaveLength(Number(most) - 100)
    expect(await readFile(join(remote.stateDir, 'audit.jsonl'), 'utf8')).not.toContain('sk-many')
    await remote.setClients(clients())
  })

  test('tail --live and balance ask the gate', async () => {
    const body = { model: MODEL, stream: true, messages: [], mock: 'tokens:1000,itl:20' }
    const aborting = new AbortController()
    const { signal } = aborting
    const answer = remote.call('/v1/chat/completions', {
      ...{ key: known.secret, signal, body: JSON.stringify(body) },
    })
    await (await answer).body?.getReader().read()
    const { stdout } = await overApi('tail', '--live')
    expect(stdout).toMatch(/^1 request running, 1 stream/)
    expect(stdout).toMatch(/^app +\S{8} +chat +Qwen/m)
    const balance = await json('balance', 'app')
    expect(balance).toMatchObject({ client: 'app', plan: 'standard', notices: [] })
    const [concurrency] = balance.subjects[0].rates
    expect(concurrency).toMatchObject({ limit: 'concurrency', value: 5, taken: 1, left: 4 })
    aborting.abort()
    await until('its end', async () => /^0 requests/.test((await overApi('tail', '--live')).stdout))
    const here = await onFiles('balance', 'app', '--json')
    const keysOf = (shown: object) => Object.keys(shown)
    expect(keysOf(JSON.parse(here.stdout))).toEqual(keysOf(balance))
  })

  test('tail tells the same as on files, of what has ended and of what ends', async () => {
    const ledger = join(remote.stateDir, 'ledger.jsonl')
    const append = (model: string, ...ids: string[]) => {
      const time = '2026-11-20T12:00:00.317Z'
      const more = { outcome: 'ok', status: 200, promptTokens: 100, completionTokens: 10 }
      const figures = { cost: 0.0000576, ttftMs: 84, tokensPerSecond: 52.14, durationMs: 2400 }
      const lines = ids.map((id, at) => {
        const client = at % 2 ? 'web' : 'app'
        return `${JSON.stringify({ version: 1, time, id, client, model, ...more, ...figures })}\n`
      })
      return appendFile(ledger, lines.join(''))
    }
    await append('\u001b[2J模型', 't1', 't2', 't3', 't4')
    const env = { TOLLGATE_ADMIN_TOKEN: reader.token }
    const runs = [['--json'], [], ['--json', '--client', 'web', '-n', '1']].map((args) => ({
      here: start(['tail', ...args, '--dir', remote.configDir]),
      there: start(['tail', ...args, '--admin', remote.adminUrl], env),
    }))
    const all = runs.flatMap(({ here, there }) => [here, there])
    const seen = (text: string) =>
      until(text, () => all.every(({ output }) => output.stdout.includes(text)), 30)
    await seen('模型')
    await append('second', 't5', 't6')
    await rename(ledger, `${ledger}.1`)
    remote.signal('SIGUSR1')
    await until('the new file', async () => (await stat(ledger).catch(() => null)) !== null)
    await append('third', 't7', 't8')
    await seen('third')
    for (const { child } of all) child.kill('SIGINT')
    const endings = await Promise.all(all.map(({ ended }) => ended))
    for (const ending of endings) expect(ending).toMatchObject({ code: 0, stderr: '' })
    const outputs = endings.map(({ stdout }) => stdout)
    expect([outputs[1], outputs[3], outputs[5]]).toEqual([outputs[0], outputs[2], outputs[4]])
    const idsOf = (stdout = '') =>
      stdout
        .trimEnd()
        .split('\n')
        .map((one) => JSON.parse(one).id)
    expect(idsOf(outputs[1]).slice(-8)).toEqual(['t1', 't2', 't3', 't4', 't5', 't6', 't7', 't8'])
    expect(idsOf(outputs[5])).toEqual(['t4', 't6', 't8'])
  })

  test('tail goes on when nginx is started anew, and ends when its token does', async () => {
    const line = (id: string) => {
      const time = new Date().toISOString()
      return `${JSON.stringify({ version: 1, time, id, client: 'app', outcome: 'ok', status: 200 })}\n`
    }
    const ledger = join(remote.stateDir, 'ledger.jsonl')
    await appendFile(ledger, line('before'))
    const env = { TOLLGATE_ADMIN_TOKEN: reader.token }
    const { output, ended } = start(['tail', '--json', '--admin', remote.adminUrl], env)
    await until('what ended before', () => output.stdout.includes('"before"'), 30)
    await remote.restart()
    await appendFile(ledger, line('after'))
    await until('what ended after', () => output.stdout.includes('"after"'), 30)
    await remote.setPolicy({ ...policy(), admins: [writer.record] })
    const { code, stderr } = await ended
    expect(code).toBe(1)
    expect(stderr).toContain('does not take the token')
  })
})

/** An installed gate: its workers are nobody's but their own, and the configuration is root's. */
describe.runIf(process.getuid?.() === 0).each(setups)('$name: an installed gate', (setup) => {
  test('may only read, until admin enable lets it write', async () => {
    const gate = await startGate(setup, {
      clients: clients(),
      policy: policy(),
      prepare: (root, configDir) => giveToWorkers(root, configDir),
    })
    onTestFinished(() => gate.stop())
    // Between the move and the reload nothing is where nginx looks for it.
    gate.expectErrors(/Tollgate (?:cannot load|goes on)/)
    const root = dirname(gate.configDir)
    const env = { TOLLGATE_ADMIN: gate.adminUrl, TOLLGATE_ADMIN_TOKEN: writer.token }
    const run = (...args: string[]) => start(args, env).ended
    expect((await run('client', 'list')).code).toBe(0)
    const refused = await run('key', 'create', 'app')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('may not write the configuration')
    expect(refused.stderr).toContain('tollgate admin enable')

    const { path } = await makeInstallation(
      join(root, 'program'),
      setup.nginx.world as World,
      'daemon',
    )
    const enable = ['--nginx', path, '--nginx-dir', root, '--json']
    const enabled = await tollgate('admin', 'enable', ...enable)
    expect(enabled.stderr).toBe('')
    const { dir } = JSON.parse(enabled.stdout)
    expect(dir).toBe(join(gate.stateDir, 'config'))
    const { generation } = await gate.state()
    gate.signal('SIGHUP')
    await gate.waitForGeneration(generation + 1)

    // By the API, by root on the files, and by the API again: both write for both.
    await until('the reload', async () => (await run('key', 'create', 'api')).code === 0)
    const uid = (await stat(join(dir, 'clients.json'))).uid
    expect(uid).not.toBe(0)
    const byRoot = await tollgate('key', 'create', 'root', '--dir', join(root, 'tollgate'))
    expect(byRoot.code).toBe(0)
    expect((await run('key', 'create', 'api2')).code).toBe(0)
    const { stdout } = await run('client', 'list', '--json')
    const names = JSON.parse(stdout).clients.map(({ client }: { client: string }) => client)
    expect(names).toEqual(['app', 'old', 'salted', 'api', 'root', 'api2'])
    expect((await run('plan', 'set', 'gold', 'note=x')).code).toBe(0)

    const disabled = await tollgate('admin', 'disable', ...enable)
    expect(disabled.stderr).toBe('')
    const later = await gate.state()
    gate.signal('SIGHUP')
    await gate.waitForGeneration(later.generation + 1)
    await until('it reads only', async () => {
      return (await run('client', 'disable', 'api')).stderr.includes('may not write')
    })
    expect((await run('client', 'list')).stdout).toContain('api2')
  }, 120_000)
})

async function giveToWorkers(root: string, configDir: string): Promise<void> {
  const conf = join(root, 'nginx.conf')
  const text = await readFile(conf, 'utf8')
  await writeFile(conf, text.replace('user root;', 'user daemon;'))
  const passwd = await readFile('/etc/passwd', 'utf8')
  const [, uid = '', gid = ''] = /^daemon:[^:]*:(\d+):(\d+)/m.exec(passwd) ?? []
  await chmod(root, 0o755)
  await chown(join(root, 'state', 'state'), Number(uid), Number(gid))
  for (const name of ['policy.json', 'clients.json']) {
    await chmod(join(configDir, name), 0o640)
    await chown(join(configDir, name), 0, Number(gid))
  }
}
