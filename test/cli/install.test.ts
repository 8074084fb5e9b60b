import { appendFile, chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { freePort } from '../nginx/harness.ts'
import { makeInstallation, tollgate } from './command.ts'

const TIMEOUT_MS = 300_000
/** Every Debian and Ubuntu has it, and it is neither root nor the one who runs the tests. */
const WORKER = 'daemon'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-install-'))
  await chmod(folder, 0o755)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Report = {
  ok: boolean
  isApplied: boolean
  files: { path: string; how: string }[]
  steps: { where: string; lines: string }[]
  faults: { file: string; line: number; message: string }[]
  warnings: string[]
}

describe.each(['debian13', 'newest'] as const)('install into the nginx of %s', (world) => {
  test(
    'the printed lines work as pasted, a second run changes nothing, and edits are kept',
    async () => {
      const root = join(folder, world)
      const { path, nginxDir } = await makeInstallation(root, world, WORKER)
      const stateDir = join(root, 'state')
      const folders = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', stateDir]
      const install = async () => {
        const { stdout, stderr } = await tollgate('install', '--json', ...folders)
        expect(stderr).toBe('')
        return JSON.parse(stdout) as Report
      }
      const first = await install()
      expect(first).toMatchObject({ ok: true, isApplied: true, faults: [] })
      // Tests run side by side, and one of them may have the port.
      expect(first.warnings.filter((line) => !/^Port 918[01] /.test(line))).toEqual([])
      expect(first.files.every(({ how }) => how === 'written')).toBe(true)
      expect((await stat(join(nginxDir, 'tollgate/clients.json'))).mode & 0o777).toBe(0o640)
      expect((await stat(stateDir)).mode & 0o777).toBe(0o750)
      const gate = await readFile(join(nginxDir, 'tollgate/tollgate.js'), 'utf8')
      const bundle = world === 'newest' ? 'tollgate.js' : 'tollgate-njs.js'
      expect(gate === (await readFile(join(packageDir(), 'dist', bundle), 'utf8'))).toBe(true)

      const [http, upstream, server, location] = first.steps.map(({ lines }) => lines)
      const listen = `listen 127.0.0.1:${await freePort()};`
      await writeFile(
        join(nginxDir, 'conf.d/site.conf'),
        `${http}\n${upstream}\nserver {\n${listen}\n${server}\n${location}\n}\n`,
      )
      const second = await install()
      expect(second).toMatchObject({ ok: true, steps: [] })
      expect(second.files.every(({ how }) => how === 'unchanged')).toBe(true)

      const edited = join(nginxDir, 'tollgate/upstream.conf')
      await appendFile(edited, '# mine\n')
      const third = await install()
      expect(third.files.filter(({ how }) => how === 'kept')).toEqual([
        { path: edited, how: 'kept' },
      ])
      expect(await readFile(edited, 'utf8')).toMatch(/# mine\n$/)
      expect(await readFile(`${edited}.new`, 'utf8')).not.toContain('# mine')

      await writeFile(join(nginxDir, 'conf.d/broken.conf'), 'nonsense;\n')
      const broken = await tollgate('install', ...folders)
      expect(broken.code).toBe(1)
      expect(broken.stdout).toContain('unknown directive "nonsense"')
    },
    TIMEOUT_MS,
  )
})

describe('install', () => {
  test(
    'names the line that loads the module, and workers who cannot read the files',
    async () => {
      const root = join(folder, 'lacking')
      const { path, nginxDir, module } = await makeInstallation(root, 'debian13', WORKER)
      const conf = join(nginxDir, 'nginx.conf')
      await writeFile(conf, (await readFile(conf, 'utf8')).replace(/^load_module.*\n/, ''))
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', join(root, 'state')]
      const { stdout } = await tollgate('install', ...args)
      expect(stdout).toContain(`load_module ${module};`)

      if (process.getuid?.() !== 0) return
      await chmod(join(nginxDir, 'tollgate/clients.json'), 0o600)
      const closed = await tollgate('install', ...args)
      expect(closed.code).toBe(1)
      expect(closed.stdout).toContain(`(user ${WORKER}) cannot read`)
    },
    TIMEOUT_MS,
  )

  test(
    'takes the engine that it is told, and keeps to it',
    async () => {
      const root = join(folder, 'engine')
      const { path, nginxDir } = await makeInstallation(root, 'newest', WORKER)
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', join(root, 'state')]
      const target = join(nginxDir, 'tollgate')
      const installed = async () => [
        /^js_engine qjs;$/m.test(await readFile(join(target, 'engine.conf'), 'utf8'))
          ? 'qjs'
          : 'njs',
        (await readFile(join(target, 'tollgate.js'), 'utf8')) ===
        (await readFile(join(packageDir(), 'dist', 'tollgate.js'), 'utf8'))
          ? 'qjs'
          : 'njs',
      ]
      for (const [more, expected] of [
        [[], 'qjs'],
        [['--engine', 'njs'], 'njs'],
        [[], 'njs'],
        [['--engine', 'qjs'], 'qjs'],
        [[], 'qjs'],
      ] as const) {
        const { stdout } = await tollgate('install', ...args, ...more)
        expect(stdout).toContain(expected === 'qjs' ? '(QuickJS)' : '(njs engine)')
        expect(await installed()).toEqual([expected, expected])
        const doctor = await tollgate('doctor', '--json', ...args)
        const checks = JSON.parse(doctor.stdout).checks as { name: string; level: string }[]
        expect(checks.filter(({ name }) => ['engine', 'files'].includes(name))).toMatchObject([
          { level: 'ok' },
          { level: 'ok' },
        ])
      }
    },
    TIMEOUT_MS,
  )

  test(
    'refuses QuickJS where nginx does not have it',
    async () => {
      const root = join(folder, 'without')
      const { path, nginxDir } = await makeInstallation(root, 'debian13', WORKER)
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', join(root, 'state')]
      const { code, stderr } = await tollgate('install', ...args, '--engine', 'qjs')
      expect([code, stderr]).toEqual([1, expect.stringContaining('has no QuickJS')])
    },
    TIMEOUT_MS,
  )

  test(
    'refuses a folder without nginx.conf',
    async () => {
      const root = join(folder, 'refused')
      const { path } = await makeInstallation(root, 'debian13', WORKER)
      const elsewhere = await tollgate('install', '--nginx', path, '--nginx-dir', root)
      expect(elsewhere.code).toBe(1)
      expect(elsewhere.stderr).toContain(`There is no ${root}/nginx.conf`)
    },
    TIMEOUT_MS,
  )
})
