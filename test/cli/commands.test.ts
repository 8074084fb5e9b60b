import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseKey } from '../../src/core/config/key.ts'

type Run = { code: number; out: string; err: string }

let root: string
let dir: string
let folders = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-commands-'))
  await build({
    entryPoints: ['src/cli/main.ts'],
    outfile: join(root, 'cli.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // jsonc-parser's main entry is UMD, whose inner require() no bundler follows.
    mainFields: ['module', 'main'],
    banner: {
      js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url)",
    },
  })
})
afterAll(() => rm(root, { recursive: true, force: true }))

beforeEach(async () => {
  folders++
  dir = join(root, `state-${folders}`)
  await mkdir(dir)
})

/** Runs the bundled command in the test's folder, with its state folder unless `args` name one. */
function tollgate(args: string[], input = '', options: { cwd?: string; env?: object } = {}) {
  const named =
    args.includes('--dir') || options.env || options.cwd ? args : [...args, '--dir', dir]
  return new Promise<Run>((done) => {
    const { TOLLGATE_DIR: _, ...env } = process.env
    const child = execFile(
      process.execPath,
      [join(root, 'cli.mjs'), ...named],
      { cwd: options.cwd ?? root, env: { ...env, ...options.env } },
      (error, out, err) => done({ code: error ? Number(error.code) : 0, out, err }),
    )
    child.stdin?.end(input)
  })
}

async function json(args: string[], input?: string) {
  const { out } = await tollgate([...args, '--json'], input)
  return JSON.parse(out)
}

const read = (file: string) => readFile(join(dir, file), 'utf8')
const write = (file: string, text: string) => writeFile(join(dir, file), text)
const standard = '{"version":1,"plans":{"standard":{}}}'

describe('tollgate key', () => {
  test('create prints a key once and stores only its hash', async () => {
    await write('policy.json', standard)
    const { out, code } = await tollgate(['key', 'create', 'app', '--note', 'web'])
    const key = /tg_\w+/.exec(out)?.[0] ?? ''
    expect(code).toBe(0)
    expect(parseKey(key)).toHaveProperty('id')
    const text = await read('clients.json')
    expect(text).toContain(createHash('sha256').update(key).digest('hex'))
    expect(text).not.toContain(key.slice(12))
    expect(JSON.parse(text).clients.app).toMatchObject({
      plan: 'standard',
      keys: [{ note: 'web' }],
    })
  })

  test('create --json prints one object', async () => {
    const made = await json(['key', 'create', 'app', '--expires', '2099-01-01T00:00:00+01:00'])
    expect(Object.keys(made)).toEqual(['client', 'id', 'key', 'expires'])
    expect(made).toMatchObject({ client: 'app', expires: '2098-12-31T23:00:00Z' })
  })

  test('create takes a plan for new clients only', async () => {
    await write('policy.json', '{"version":1,"plans":{"standard":{},"gold":{}}}')
    expect((await tollgate(['key', 'create', 'app', '--plan', 'gold'])).code).toBe(0)
    const other = await tollgate(['key', 'create', 'app', '--plan', 'standard'])
    expect(other).toMatchObject({ code: 1, out: '' })
    expect(other.err).toContain('client set app plan=standard')
    const missing = await tollgate(['key', 'create', 'new', '--plan', 'golds'])
    expect(missing.err).toContain('did you mean gold?')
  })

  test('list, show and revoke know a key by its id', async () => {
    const { id } = await json(['key', 'create', 'app'])
    await json(['key', 'create', 'other'])
    expect((await json(['key', 'list'])).keys).toHaveLength(2)
    expect((await json(['key', 'list', 'app'])).keys).toMatchObject([{ id, state: 'live' }])
    expect(await json(['key', 'revoke', id])).toMatchObject({ client: 'app', id })
    expect(await json(['key', 'show', id])).toMatchObject({ client: 'app', state: 'revoked' })
    expect((await tollgate(['key', 'list'])).out).toMatch(/^ID +CLIENT +STATE/)
    expect((await tollgate(['key', 'show', 'zzzzzzzz'])).code).toBe(1)
    expect((await tollgate(['key', 'list', 'ap'])).code).toBe(1)
  })

  test('rotate makes a new key and ends the others after the grace', async () => {
    const first = await json(['key', 'create', 'app'])
    const second = await json(['key', 'rotate', 'app', '--grace', '1h'])
    expect(second.expiring).toMatchObject([{ id: first.id }])
    const left = Date.parse(second.expiring[0].expires) - Date.now()
    expect(left).toBeGreaterThan(3_590_000)
    expect(left).toBeLessThanOrEqual(3_600_000)
    await json(['key', 'rotate', 'app', '--grace', '0s'])
    const states = (await json(['key', 'list'])).keys.map((key: { state: string }) => key.state)
    expect(states).toEqual(['expired', 'expired', 'live'])
  })

  test('verify reads from standard input, and says what is wrong', async () => {
    const { id, key } = await json(['key', 'create', 'app'])
    expect(await json(['key', 'verify', '-'], `${key}\n`)).toEqual({
      ok: true,
      format: 'ok',
      known: true,
      client: 'app',
      id,
      state: 'live',
    })
    const typo = key.slice(0, -1) + (key.endsWith('x') ? 'y' : 'x')
    expect(await json(['key', 'verify', '-'], typo)).toMatchObject({
      ok: false,
      format: 'checksum',
    })
    await tollgate(['key', 'revoke', id])
    expect(await json(['key', 'verify', key])).toMatchObject({ ok: false, state: 'revoked' })
    const unknown = 'tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv'
    const verdict = await tollgate(['key', 'verify', '-'], unknown)
    expect(verdict).toMatchObject({ code: 1, out: expect.stringContaining('not known') })
    expect(verdict.out + verdict.err).not.toContain(unknown.slice(12))
  })
})

describe('tollgate client and plan', () => {
  test('set, show, list, disable, enable and remove', async () => {
    await write('policy.json', '{"version":1}')
    await json(['key', 'create', 'app'])
    await tollgate(['plan', 'set', 'gold', 'scopes=inference'])
    const set = await json(['client', 'set', 'app', 'plan=gold', 'limits.requestsPerMinute=50'])
    expect(set).toMatchObject({ plan: 'gold', limits: { requestsPerMinute: 50 } })
    expect(set.notices).toEqual([])
    expect(await json(['client', 'show', 'app'])).toMatchObject({ plan: 'gold', keys: [{}] })
    expect((await json(['plan', 'list'])).plans).toEqual([
      { plan: 'gold', clients: 1, scopes: ['inference'] },
    ])
    await tollgate(['client', 'disable', 'app'])
    expect((await json(['client', 'list'])).clients).toMatchObject([
      { disabled: true, liveKeys: 0 },
    ])
    await tollgate(['client', 'enable', 'app'])
    expect((await json(['client', 'list'])).clients).toMatchObject([{ liveKeys: 1 }])
    expect(await json(['client', 'remove', 'app'])).toEqual({ client: 'app', removedKeys: 1 })
    expect((await json(['client', 'list'])).clients).toEqual([])
  })

  test('remark for people on stderr what is stored and refuses more than it seems to', async () => {
    await write('policy.json', '{"version":1,"prices":{"a-*":{"input":1,"output":1}}}')
    await json(['key', 'create', 'app'])
    const { code, err } = await tollgate(['plan', 'set', 'free', 'budgets.costPerDay=1'])
    expect(code).toBe(0)
    expect(err).toContain('plans.free: A budget in cost holds, and any model may be used')
    const named = await tollgate(['client', 'set', 'app', 'models=a-1,b', 'plan=free'])
    expect(named.code).toBe(0)
    expect(named.err).toContain(
      'clients.app: A budget in cost holds, and these models have no price: b.',
    )
    expect((await tollgate(['client', 'set', 'app', 'note=x'])).err).toBe('')
    const { out } = await tollgate(['check'])
    expect(out).toContain('note: clients.json clients.app: A budget in cost holds')
    expect(out).not.toContain('plans.free')
    expect((await json(['check'])).notices).toMatchObject([{ path: 'clients.app' }])
    await tollgate(['client', 'set', 'app', 'models=a-1'])
    expect((await json(['check'])).notices).toEqual([])
  })

  test('refuse a wrong field and change nothing', async () => {
    await json(['key', 'create', 'app'])
    const before = await read('clients.json')
    const wrong = await tollgate(['client', 'set', 'app', 'note=x', 'limits.requestPerMinute=5'])
    expect(wrong).toMatchObject({ code: 1, out: '' })
    expect(wrong.err).toBe(
      'tollgate: limits.requestPerMinute: Unknown field; did you mean requestsPerMinute?\n',
    )
    expect(await read('clients.json')).toBe(before)
  })

  test('leave the rest of policy.json as people wrote it', async () => {
    const text =
      '{ "version": 1,\n  "plans": {\n    "a": {"note":"x"},\n    "b": {}\n  },\n\n"routes":{}}\n'
    await write('policy.json', text)
    await tollgate(['plan', 'set', 'b', 'note=y'])
    const [start, end] = (await read('policy.json')).split(/\{\s*"note": "y"\s*\}/)
    expect(`${start}{}${end}`).toBe(text)
  })
})

describe('tollgate import', () => {
  const good = 'map $http_authorization $c {\n  "Bearer sk-1" "app";\n  "Bearer sk-2" "web";\n}\n'

  test('takes callers over with their keys, and the same file again', async () => {
    const map = join(dir, 'keys.map')
    await writeFile(map, good)
    const first = await json(['import', map])
    expect(first).toMatchObject({ changed: true, skipped: [], problems: [] })
    expect(first.added).toMatchObject([{ client: 'app' }, { client: 'web' }])
    expect(await json(['key', 'verify', '-'], 'sk-2')).toMatchObject({ ok: true, client: 'web' })
    const text = await read('clients.json')
    expect(await json(['import', '-'], good)).toMatchObject({ changed: false, added: [] })
    expect(await read('clients.json')).toBe(text)
    expect((await tollgate(['import', map])).out).toContain('skipped 2 keys there already')
  })

  test('changes nothing when a line has a problem, unless told to', async () => {
    const map = '"Bearer sk-1" "app";\n"Bearer sk-2" "My App";\n'
    const refused = await tollgate(['import', '-'], map)
    expect(refused.code).toBe(1)
    expect(refused.out).toContain('standard input:2: My App: The identity is no valid client name')
    expect(refused.out).toContain('Nothing was changed: 1 problem')
    expect(await readdir(dir)).toEqual([])
    const partial = await tollgate(['import', '-', '--partial', '--json'], map)
    expect(partial.code).toBe(1)
    expect(JSON.parse(partial.out)).toMatchObject({ changed: true, problems: [{ line: 2 }] })
    expect(Object.keys(JSON.parse(await read('clients.json')).clients)).toEqual(['app'])
  })
})

describe('tollgate check', () => {
  test('is content with what the first key create makes of an empty folder', async () => {
    await json(['key', 'create', 'app'])
    expect(await json(['check'])).toMatchObject({ ok: true, notices: [] })
    expect((await tollgate(['check'])).code).toBe(0)
  })

  test('calls a policy.json that got lost a problem, and no edit makes it anew', async () => {
    await json(['key', 'create', 'app'])
    await rm(join(dir, 'policy.json'))
    await json(['key', 'create', 'app'])
    const { code, out } = await tollgate(['check'])
    expect(code).toBe(1)
    expect(out).toContain('policy.json: There is no such file; for the defaults write')
  })

  test('writes clients.json anew, one client a line, with --write', async () => {
    await json(['key', 'create', 'app'])
    const tidy = await read('clients.json')
    await write('clients.json', JSON.stringify(JSON.parse(tidy), null, 4))
    await json(['check', '--write'])
    expect(await read('clients.json')).toBe(tidy)
  })

  test('calls a missing clients.json a problem', async () => {
    expect(await tollgate(['check'])).toMatchObject({ code: 1 })
  })

  test('lists the problems of both files with line and path', async () => {
    await write('policy.json', '{\n  "version": 1,\n  "route": {}\n}')
    await write('clients.json', '{"version":1,\n"clients":{\n"app":{"keys":[],\n"plan":"x"}}}')
    const { code, out } = await tollgate(['check'])
    expect(code).toBe(1)
    expect(out).toContain('policy.json:3:3 route: Unknown field; did you mean routes?')
    expect(out).toContain('clients.json:4:1 clients.app.plan: No plan "x" in policy.json')
  })

  test.each([
    ['a missing comma', '{"version":1\n "clients":{}}', 'clients.json:2:2: Not valid JSON: comma'],
    ['a comment', '{"version":1, // x\n"clients":{}}', 'clients.json:1:15: Not valid JSON'],
    ['nothing', '', 'clients.json:1:1: Not valid JSON'],
    [
      'a name twice',
      '{"version":1,"clients":{"a":{"keys":[]},\n"a":{"keys":[]}}}',
      'clients.json:2:1 clients.a: The name stands twice in this object, first in line 1',
    ],
  ])('explains %s', async (_name, text, message) => {
    await write('clients.json', text)
    expect((await tollgate(['check'])).out).toContain(message)
  })
})

describe('the files', () => {
  test('are made readable by owner and group only', async () => {
    await json(['key', 'create', 'app'])
    await tollgate(['plan', 'set', 'a', 'note=x'])
    for (const file of ['clients.json', 'policy.json']) {
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o640)
    }
  })

  test('keep their mode and leave nothing beside them', async () => {
    await json(['key', 'create', 'app'])
    await chmod(join(dir, 'clients.json'), 0o600)
    await json(['key', 'create', 'app'])
    expect((await stat(join(dir, 'clients.json'))).mode & 0o777).toBe(0o600)
    expect(await readdir(dir)).toEqual(['clients.json', 'policy.json'])
  })

  test.runIf(process.getuid?.() === 0)(
    'take the group of the folder, and keep owners',
    async () => {
      await chown(dir, 0, 33)
      await json(['key', 'create', 'app'])
      expect(await stat(join(dir, 'clients.json'))).toMatchObject({ uid: 0, gid: 33 })
      await chown(join(dir, 'clients.json'), 1000, 1001)
      await json(['key', 'create', 'app'])
      expect(await stat(join(dir, 'clients.json'))).toMatchObject({ uid: 1000, gid: 1001 })
    },
  )

  test('hold one client in a line, and keep $schema', async () => {
    await write('clients.json', '{"$schema":"./s.json","version":1,"clients":{"a":{"keys":[]}}}')
    await json(['key', 'create', 'b'])
    const lines = (await read('clients.json')).split('\n')
    expect(lines.slice(0, 5)).toEqual([
      '{',
      '  "$schema": "./s.json",',
      '  "version": 1,',
      '  "clients": {',
      '    "a": {"keys":[]},',
    ])
    expect(lines).toHaveLength(9)
  })

  test('are not written while they do not validate', async () => {
    const text = '{"version":1,"clients":{"a":{"keys":[],"limit":{}}}}'
    await write('clients.json', text)
    const { code, err } = await tollgate(['key', 'create', 'b'])
    expect(code).toBe(1)
    expect(err).toContain('clients.json:1:40 clients.a.limit: Unknown field; did you mean limits?')
    expect(await read('clients.json')).toBe(text)
  })

  test('lose nothing when two loops create keys at the same time', async () => {
    const loop = async (name: string) => {
      const ids: string[] = []
      for (let i = 0; i < 10; i++) ids.push((await json(['key', 'create', name])).id)
      return ids
    }
    const ids = (await Promise.all([loop('one'), loop('two'), loop('one')])).flat().sort()
    const { keys } = await json(['key', 'list'])
    expect(keys.map((key: { id: string }) => key.id).sort()).toEqual(ids)
    expect(ids).toHaveLength(30)
    expect(await readdir(dir)).toEqual(['clients.json', 'policy.json'])
  })
})

describe('the command line', () => {
  test.each([
    ['no command', [], 2],
    ['half a command', ['key'], 2],
    ['an unknown command', ['kye', 'list'], 2],
    ['an unknown option', ['key', 'list', '--al'], 2],
    ['a missing argument', ['key', 'create'], 2],
    ['an argument too many', ['key', 'show', 'a', 'b'], 2],
    ['an expiry that is none', ['key', 'create', 'a', '--expires', 'soon'], 2],
    ['a grace that is none', ['key', 'rotate', 'a', '--grace', '1'], 2],
    ['a client that is missing', ['client', 'show', 'a'], 1],
    ['an expiry that is past', ['key', 'create', 'a', '--expires', '2020-01-01T00:00:00Z'], 1],
    ['help', ['--help'], 0],
    ['help of a command', ['key', 'create', '--help'], 0],
    ['the version', ['--version'], 0],
  ])('ends with the right code for %s', async (_name, args, code) => {
    const run = await tollgate(args)
    expect(run.code).toBe(code)
    if (code === 0) expect(run.err).toBe('')
    else expect(run).toMatchObject({ out: '', err: expect.stringContaining('tollgate: ') })
    const asJson = await tollgate([...args, '--json'])
    if (code === 0) return
    expect(asJson).toMatchObject({ code, out: '' })
    expect(JSON.parse(asJson.err).error.code).toBe(code === 2 ? 'usage' : 'refused')
  })

  test('says what to do when there is no folder', async () => {
    const { code, err } = await tollgate(['key', 'create', 'app', '--dir', join(dir, 'none')])
    expect(code).toBe(1)
    expect(err).toContain('none; run tollgate install, make it with mkdir, or name one with --dir')
  })

  test('finds the folder by TOLLGATE_DIR, then .tollgate', async () => {
    const env = { TOLLGATE_DIR: dir }
    expect((await tollgate(['key', 'create', 'app'], '', { env })).code).toBe(0)
    expect(Object.keys(JSON.parse(await read('clients.json')).clients)).toEqual(['app'])
    const local = join(dir, '.tollgate')
    await mkdir(local)
    await writeFile(join(local, 'clients.json'), '{"version":1,"clients":{"local":{"keys":[]}}}')
    expect((await tollgate(['client', 'list'], '', { cwd: dir })).out).toContain('local')
  })
})
