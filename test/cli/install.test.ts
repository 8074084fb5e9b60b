import { appendFile, chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDirectives } from '../../src/cli/install/directives.ts'
import { findGateSite } from '../../src/cli/install/gatesite.ts'
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
  door: string
  files: { path: string; how: string }[]
  steps: { where: string; lines: string }[]
  warnings: string[]
}

describe('parseDirectives', () => {
  test('keeps words in quotes whole, skips comments, and nests blocks', () => {
    const variable = '$' + '{e}f'
    const text = `a "b; c" 'd}' ${variable}; # g;\nh { i j; k { } }\n`
    const at = { file: 'f' }
    expect(parseDirectives(text, 'f')).toEqual([
      { name: 'a', args: ['b; c', 'd}', variable], block: null, ...at },
      {
        name: 'h',
        args: [],
        block: [
          { name: 'i', args: ['j'], block: null, ...at },
          { name: 'k', args: [], block: [], ...at },
        ],
        ...at,
      },
    ])
  })

  test.each(['', '}', '{', 'a', '"', 'a { b', '}}}; c d'])('never throws on %j', (text) => {
    expect(Array.isArray(parseDirectives(text, 'f'))).toBe(true)
  })
})

describe('findGateSite', () => {
  const site = (locations: string) =>
    findGateSite(
      parseDirectives(
        `http { upstream v { server 127.0.0.1:1; } server { listen 80; ${locations} } }`,
        'f',
      ),
    )
  const gate = 'js_access tollgate.access;'

  test.each([
    ['a location with the gate', `location / { ${gate} proxy_pass http://v; }`, []],
    [
      'one beside it without',
      `location / { ${gate} proxy_pass http://v; } location /x { proxy_pass http://v; }`,
      ['server 80, location /x'],
    ],
    [
      'one inside of it has the gate too',
      `location / { ${gate} proxy_pass http://v; location /x { proxy_pass http://v; } }`,
      [],
    ],
    [
      'another place is not vLLM',
      `location / { ${gate} proxy_pass http://v; } location /x { proxy_pass http://w; }`,
      [],
    ],
    [
      'the content door passes in a named location',
      'location / { js_content tollgate.enter; } location @tollgate { proxy_pass http://v; }',
      [],
    ],
    [
      'the recipe tests the verdict',
      'location / { if ($tollgate_verdict != "ok") { return 401; } proxy_pass http://v; }',
      [],
    ],
  ])('finds ways around the gate: %s', (_, locations, bypasses) => {
    const found = site(locations)
    expect(found.bypasses).toEqual(bypasses)
    expect(found.passes).toMatchObject([{ url: 'http://v', servers: ['127.0.0.1:1'] }])
  })
})

describe.each(['debian13', 'newest'] as const)('install into the nginx of %s', (world) => {
  test(
    'the printed lines work as pasted, a second run changes nothing, and edits are kept',
    async () => {
      const root = join(folder, world)
      const { path, nginxDir, door } = await makeInstallation(root, world, WORKER)
      const stateDir = join(root, 'state')
      const folders = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', stateDir]
      const install = async () => {
        const { stdout, stderr } = await tollgate('install', '--json', ...folders)
        expect(stderr).toBe('')
        return JSON.parse(stdout) as Report
      }
      const first = await install()
      expect(first).toMatchObject({ ok: true, door })
      // Tests run side by side, and one of them may have the port.
      expect(first.warnings.filter((line) => !line.startsWith('Port 9180'))).toEqual([])
      expect(first.files.every(({ how }) => how === 'written')).toBe(true)
      expect((await stat(join(nginxDir, 'tollgate/clients.json'))).mode & 0o777).toBe(0o640)
      expect((await stat(stateDir)).mode & 0o777).toBe(0o750)

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
    'refuses a folder without nginx.conf, and a door that this njs does not have',
    async () => {
      const root = join(folder, 'refused')
      const { path, nginxDir } = await makeInstallation(root, 'debian13', WORKER)
      const elsewhere = await tollgate('install', '--nginx', path, '--nginx-dir', root)
      expect(elsewhere.code).toBe(1)
      expect(elsewhere.stderr).toContain(`There is no ${root}/nginx.conf`)
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--door', 'access']
      const door = await tollgate('install', ...args)
      expect(door.code).toBe(1)
      expect(door.stderr).toContain('Cannot use the access door')
    },
    TIMEOUT_MS,
  )
})
