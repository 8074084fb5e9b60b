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
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Admin } from '../../src/core/config/shapes.ts'
import { parseToken } from '../../src/core/config/token.ts'
import { endAll, makeInstallation, tollgate } from './command.ts'

const TIMEOUT_MS = 300_000
/** Every Debian and Ubuntu has it, and it is neither root nor the one who runs the tests. */
const WORKER = 'daemon'

let folder = ''
let folders = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-admin-'))
  await chmod(folder, 0o755)
})
afterEach(endAll)
afterAll(() => rm(folder, { recursive: true, force: true }))

async function json(...args: string[]) {
  const { code, stdout, stderr } = await tollgate(...args, '--json')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return JSON.parse(stdout)
}

describe('tollgate admin token', () => {
  let dir = ''
  beforeEach(async () => {
    dir = join(folder, `tokens-${++folders}`)
    await mkdir(dir)
  })

  const token = (...args: string[]) => json('admin', 'token', ...args, '--dir', dir)
  const policy = () => readFile(join(dir, 'policy.json'), 'utf8')

  test('create prints a token once, and stores only its hash', async () => {
    const args = ['alice', '--role', 'write', '--note', 'laptop', '--dir', dir]
    const { code, stdout } = await tollgate('admin', 'token', 'create', ...args)
    expect(code).toBe(0)
    const made = /tga_\w+/.exec(stdout)?.[0] ?? ''
    expect(parseToken(made)).toHaveProperty('id')
    const text = await policy()
    expect(text).not.toContain(made.slice(13))
    const sha256 = createHash('sha256').update(made).digest('hex')
    const record = { name: 'alice', role: 'write', note: 'laptop', sha256 }
    expect(JSON.parse(text).admins).toMatchObject([record])
  })

  test('create --json prints one object', async () => {
    const made = await token('create', 'bob', '--role', 'read', '--expires', '2099-01-01T00:00:00Z')
    expect(Object.keys(made)).toEqual(['id', 'name', 'role', 'token', 'expires'])
    expect(made).toMatchObject({ name: 'bob', role: 'read', expires: '2099-01-01T00:00:00Z' })
  })

  test('list and revoke know a token by its id, and show no hash', async () => {
    const first = await token('create', 'alice', '--role', 'write')
    const second = await token('create', 'alice', '--role', 'read')
    expect(await token('revoke', first.id)).toMatchObject({ id: first.id, name: 'alice' })
    const { tokens } = await token('list')
    expect(tokens.map(({ id, state }: { id: string; state: string }) => [id, state])).toEqual([
      [first.id, 'revoked'],
      [second.id, 'live'],
    ])
    expect(JSON.stringify(tokens)).not.toContain('sha256')
    const { stdout } = await tollgate('admin', 'token', 'list', '--dir', dir)
    expect(stdout).toMatch(/^ID +NAME +ROLE +STATE/)
    const again = await tollgate('admin', 'token', 'revoke', first.id, '--dir', dir)
    expect(again.stdout).toContain('was revoked before')
    const unknown = await tollgate('admin', 'token', 'revoke', 'zzzzzzzz', '--dir', dir)
    expect(unknown.stderr).toContain('see: tollgate admin token list')
  })

  test('leaves the rest of policy.json as people wrote it', async () => {
    const written = `{
    "version": 1,   "plans": {"standard":{}},
    "admins": [
        { "id": "aaaaaaaa", "name": "old",
          "role": "read", "sha256": "${'0'.repeat(64)}", "created": "2026-01-01T00:00:00Z" }
    ]
}`
    await writeFile(join(dir, 'policy.json'), written)
    const { id } = await token('create', 'alice', '--role', 'write')
    await token('revoke', 'aaaaaaaa')
    const text = await policy()
    expect(text).toContain('"version": 1,   "plans": {"standard":{}},')
    expect(text).toContain('{ "id": "aaaaaaaa", "name": "old",\n')
    const admins: Admin[] = JSON.parse(text).admins
    expect(admins.map((admin) => [admin.id, Boolean(admin.revoked)])).toEqual([
      ['aaaaaaaa', true],
      [id, false],
    ])
  })

  test.each([
    ['no role', ['create', 'alice'], 2],
    ['a role that is none', ['create', 'alice', '--role', 'root'], 2],
    ['an expiry that is past', ['create', 'a', '--role', 'read', '--expires', '2020-01-01'], 2],
    ['a name that is none', ['create', 'al ice', '--role', 'read'], 1],
  ])('refuses %s', async (_, args, code) => {
    const run = await tollgate('admin', 'token', ...args, '--dir', dir)
    expect(run).toMatchObject({ code, stdout: '' })
    expect(await readdir(dir)).toEqual([])
  })
})

describe('tollgate status', () => {
  let dir = ''
  beforeEach(async () => {
    dir = join(folder, `status-${++folders}`)
    await mkdir(join(dir, 'nginx/tollgate'), { recursive: true })
    await mkdir(join(dir, 'state'))
    await writeFile(join(dir, 'nginx/nginx.conf'), '')
    const map = (name: string, path: string) => `map "" $tollgate_${name} { default "${path}"; }\n`
    const maps =
      map('ledger_file', join(dir, 'ledger.jsonl')) + map('state_dir', join(dir, 'state'))
    await writeFile(join(dir, 'nginx/tollgate/dirs.conf'), maps)
  })

  test('says when there has never been a gate', async () => {
    const { code, stderr } = await tollgate('status', '--dir', dir)
    expect(code).toBe(1)
    expect(stderr).toContain(`No gate has written its state into ${dir}/state yet`)
  })

  test('says what a gate has loaded, and first that it does not answer any more', async () => {
    const problem = { path: 'clients.json: clients.app', message: 'Wrong\u001b[31m' }
    const ledger = { offset: 9, behindBytes: 4_096, lines: 12_345, skipped: 2, countersFull: 0 }
    const loaded = '2026-11-24T01:02:03.000Z'
    const state = { generation: 3, loaded, elapsedMs: 1, clients: 2, keys: 5 }
    const told = { ...ledger, notice: 'The sums were made anew' }
    const whole = { ...state, problems: [problem], notices: [], ledger: told }
    await writeFile(join(dir, 'state/state.json'), JSON.stringify(whole))
    const { code, stdout } = await tollgate('status', '--dir', dir)
    expect(code).toBe(1)
    expect(stdout.split('\n')).toEqual([
      'PROBLEM No nginx with Tollgate answers: start it, or look into its error log',
      'PROBLEM clients.json: clients.app: Wrong\\u001b[31m',
      'note ledger: The sums were made anew',
      '',
      `configuration  generation 3 since ${loaded}, 2 clients, 5 keys`,
      'ledger         12,345 lines added up, 4,096 bytes behind, 2 unreadable',
      '',
    ])
  })
})

type Check = { name: string; level: string; message: string }

describe.runIf(process.getuid?.() === 0)('tollgate admin enable', () => {
  let nginxDir = ''
  let stateDir = ''
  let args: string[] = []
  const uids: Record<string, number> = {}

  beforeEach(async () => {
    const root = join(folder, `gate-${++folders}`)
    const made = await makeInstallation(root, 'newest', WORKER)
    nginxDir = made.nginxDir
    stateDir = join(root, 'state')
    args = ['--nginx', made.path, '--nginx-dir', nginxDir]
    await json('install', ...args, '--state-dir', stateDir)
    await writeFile(join(nginxDir, 'conf.d/site.conf'), 'include tollgate/http.conf;\n')
    const passwd = await readFile('/etc/passwd', 'utf8')
    uids.gid = Number(/^daemon:[^:]*:\d+:(\d+)/m.exec(passwd)?.[1])
  }, TIMEOUT_MS)

  const shared = () => join(stateDir, 'config')
  const includes = () => join(nginxDir, 'tollgate')
  const dirs = () => readFile(join(includes(), 'dirs.conf'), 'utf8')

  async function doctor(): Promise<string[]> {
    const state = ['--state-dir', stateDir]
    const { stdout } = await tollgate(
      'doctor',
      ...args,
      ...state,
      '--upstream',
      'unix:/none',
      '--json',
    )
    const { checks } = JSON.parse(stdout) as { checks: Check[] }
    const about = checks.filter(({ name }) => ['admin', 'files', 'clients'].includes(name))
    return about.map(({ name, level, message }) => `${name} ${level}: ${message}`)
  }

  test(
    'moves the configuration to where the workers write, and disable takes it back',
    async () => {
      await json('key', 'create', 'app', '--dir', includes())
      expect((await doctor()).join('\n')).toContain('admin ok: The admin API may only read')
      const enabled = await json('admin', 'enable', ...args)
      expect(enabled).toEqual({ dir: shared(), isWritable: true, workers: WORKER, warnings: [] })
      expect(await stat(shared())).toMatchObject({ uid: 0, gid: uids.gid, mode: 0o42770 })
      for (const name of ['policy.json', 'clients.json']) {
        const file = await stat(join(shared(), name))
        expect(file).toMatchObject({ uid: 0, gid: uids.gid, mode: 0o100640 })
        await expect(stat(join(includes(), name))).rejects.toThrow('ENOENT')
      }
      expect(await dirs()).toContain(`$tollgate_dir { default "${shared()}"; }`)
      const policy = JSON.parse(await readFile(join(shared(), 'policy.json'), 'utf8'))
      expect(await stat(join(shared(), policy.$schema))).toBeTruthy()

      // Commands find it, by the folder that they have always been given, and install leaves it.
      await json('key', 'create', 'second', '--dir', includes())
      expect(await readFile(join(shared(), 'clients.json'), 'utf8')).toContain('"second"')
      const report = await json('install', ...args, '--state-dir', stateDir)
      expect(report).toMatchObject({ ok: true, dir: shared(), test: { isValid: true } })
      expect(await dirs()).toContain(shared())
      const checks = (await doctor()).join('\n')
      expect(checks).toContain('files ok')
      expect(checks).toContain('whoever takes over a worker can make keys')
      const again = await tollgate('admin', 'enable', ...args)
      expect(again.stdout).toContain('may write already')

      const disabled = await json('admin', 'disable', ...args)
      expect(disabled).toMatchObject({ dir: includes(), isWritable: false, warnings: [] })
      await expect(stat(shared())).rejects.toThrow('ENOENT')
      const { clients } = await json('client', 'list', '--dir', includes())
      expect(clients.map(({ client }: { client: string }) => client)).toEqual(['app', 'second'])
      expect(await stat(join(includes(), 'clients.json'))).toMatchObject({
        ...{ uid: 0, gid: uids.gid, mode: 0o100640 },
      })
      expect((await doctor()).join('\n')).toContain('files ok')
    },
    TIMEOUT_MS,
  )

  test(
    'does not open a folder that others could put another one in the place of',
    async () => {
      await chown(stateDir, 1, 1)
      const owned = await tollgate('admin', 'enable', ...args)
      expect(owned.code).toBe(1)
      expect(owned.stderr).toContain(`${stateDir}, since it belongs to user 1`)
      await chown(stateDir, 0, 1)
      await mkdir(shared())
      await symlink('/etc/hostname', join(shared(), 'policy.json'))
      const planted = await tollgate('admin', 'enable', ...args)
      expect(planted.stderr).toContain(`${shared()} holds policy.json already`)
      await rm(shared(), { recursive: true })
      await symlink(includes(), shared())
      expect((await tollgate('admin', 'enable', ...args)).code).toBe(1)
      expect(await dirs()).toContain(`"${includes()}"`)
      expect(await readdir(includes())).toContain('policy.json')
    },
    TIMEOUT_MS,
  )

  test(
    'disable follows nothing that was planted, tells what is left, and closes it',
    async () => {
      await json('admin', 'enable', ...args)
      const victim = join(folder, `victim-${folders}`)
      await writeFile(victim, '{"version":1}', { mode: 0o600 })
      const own = await readFile(join(shared(), 'policy.json'))
      await rm(join(shared(), 'policy.json'))
      await symlink(victim, join(shared(), 'policy.json'))
      const refused = await tollgate('admin', 'disable', ...args)
      expect(refused.stderr).toContain('policy.json is no file')
      expect((await stat(shared())).mode & 0o7777).toBe(0o2770)
      const told = (await doctor()).join('\n')
      expect(told).toContain('clients problem: Will not follow the link')
      expect(told).toContain('policy.json is a link')

      await rm(join(shared(), 'policy.json'))
      await writeFile(join(shared(), 'policy.json'), own)
      await symlink(victim, join(shared(), 'other'))
      const { warnings } = await json('admin', 'disable', ...args)
      expect(warnings.join()).toContain('since it holds other')
      expect(await stat(shared())).toMatchObject({ uid: 0, gid: 0, mode: 0o40700 })
      expect(await readFile(victim, 'utf8')).toBe('{"version":1}')
      expect((await stat(victim)).mode & 0o777).toBe(0o600)
    },
    TIMEOUT_MS,
  )

  test(
    'changes nothing when the files are not good, nor for a gate of serve',
    async () => {
      await writeFile(join(includes(), 'policy.json'), '{"version":2}')
      const broken = await tollgate('admin', 'enable', ...args)
      expect(broken.stderr).toContain('policy.json:1:2')
      expect(await dirs()).toContain(`"${includes()}"`)
      const served = join(folder, `served-${folders}`)
      await mkdir(join(served, 'nginx'), { recursive: true })
      await writeFile(join(served, 'nginx', 'nginx.conf'), '')
      const { stderr } = await tollgate('admin', 'enable', '--dir', served)
      expect(stderr).toContain('may write its configuration from the start')
    },
    TIMEOUT_MS,
  )

  test(
    'a planted nginx.conf or dirs.conf in the folder of the workers leads root nowhere',
    async () => {
      await json('admin', 'enable', ...args)
      await mkdir(join(shared(), 'nginx'))
      await writeFile(join(shared(), 'nginx', 'nginx.conf'), 'load_module /tmp/evil.so;')
      const doctored = await tollgate('doctor', '--dir', shared())
      expect(doctored.code).toBe(1)
      expect(doctored.stderr).toContain(`Will not run the nginx of ${shared()}`)
      const map = (name: string) => `map "" $tollgate_${name} { default "${folder}"; }\n`
      await writeFile(join(shared(), 'dirs.conf'), map('dir') + map('ledger_file'))
      const listed = await tollgate('key', 'list', '--dir', shared())
      expect(listed.stderr).toContain('dirs.conf: others could have written it')
    },
    TIMEOUT_MS,
  )

  test(
    'doctor calls it a problem when the workers may write where root includes files',
    async () => {
      await chown(includes(), 1, 1)
      expect((await doctor()).join('\n')).toContain('admin problem: User daemon of the workers may')
    },
    TIMEOUT_MS,
  )
})
