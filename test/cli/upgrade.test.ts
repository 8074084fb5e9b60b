import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testConfiguration } from '../../src/cli/install/installed.ts'
import type { World } from '../../src/cli/nginx/find.ts'
import { freePort } from '../waiting.ts'
import { makeInstallation, tollgate } from './command.ts'
import { layOutOlder, readTree } from './older.ts'

const TIMEOUT_MS = 300_000

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-upgrade-'))
  await chmod(folder, 0o755)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Report = {
  ok: boolean
  isApplied: boolean
  files: { path: string; how: string }[]
  faults: { file: string; line: number; message: string }[]
  warnings: string[]
}

const UPSTREAM =
  'include tollgate/http.conf;\nupstream vllm { server 127.0.0.1:8000; keepalive 9; }\n'

/** A server whose lines begin in the fourth of the file. */
const site = (lines: string, head = UPSTREAM) => `${head}server { LISTEN\n${lines}\n}\n`

const SERVER = 'include tollgate/server.conf;'
const NEW = `${SERVER}\nlocation / { set $tollgate_upstream vllm; include tollgate/gate.conf; }`

/** An nginx with the gate of 0.1.0 and a site, which it accepts; and what can be done with it. */
async function makeOlder(name: string, world: World, text: string) {
  const root = join(folder, name)
  const { path, nginxDir, nginx } = await makeInstallation(root, world, 'daemon')
  const stateDir = join(root, 'state')
  await layOutOlder(nginxDir, stateDir, nginx.engine)
  const conf = join(nginxDir, 'conf.d', 'site.conf')
  const listen = `listen 127.0.0.1:${await freePort()};`
  const write = (lines: string) => writeFile(conf, lines.replace('LISTEN', listen))
  await write(text)
  const isValid = async () => {
    const { isValid, message } = await testConfiguration([path], join(nginxDir, 'nginx.conf'))
    return isValid ? true : message
  }
  const folders = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', stateDir]
  const install = async () => {
    const { code, stdout, stderr } = await tollgate('install', '--json', ...folders)
    expect(stderr).toBe('')
    const report = JSON.parse(stdout) as Report
    expect(code).toBe(report.ok ? 0 : 1)
    const faults = report.faults.map(({ file, line, message }) => {
      return `${file.replace(`${nginxDir}/`, '')}:${line}: ${message}`
    })
    return { ...report, faults }
  }
  const say = async () => (await tollgate('install', ...folders)).stdout
  expect(await isValid()).toBe(true)
  return { nginxDir, conf, write, isValid, install, say, target: join(nginxDir, 'tollgate') }
}

describe.each([
  [
    'debian13',
    'the content door',
    `${SERVER}\nlocation / { include tollgate/enter.conf; }\nlocation @tollgate { include tollgate/upstream.conf; proxy_pass http://vllm; }`,
    [
      /^conf.d\/site.conf:5: .* in the place of this line: set \$tollgate_upstream vllm; include tollgate\/gate.conf;$/,
      /^conf.d\/site.conf:6: nothing leads to location @tollgate any more/,
    ],
  ],
  [
    'newest',
    'the content door',
    `${SERVER}\nlocation / { include tollgate/enter.conf; }\nlocation @tollgate { include tollgate/upstream.conf; proxy_pass http://vllm; }`,
    [/^conf.d\/site.conf:5: /, /^conf.d\/site.conf:6: /],
  ],
  [
    'newest',
    'the access door',
    `${SERVER}\nlocation / {\ninclude tollgate/gate.conf;\nproxy_pass http://vllm;\n}`,
    [/^conf.d\/site.conf:7: .*remove "proxy_pass http:\/\/vllm;"/],
  ],
  [
    'newest',
    'the access door, a label and a map',
    `${SERVER}\nset $tollgate_upstream chat;\nlocation / {\ninclude tollgate/gate.conf;\nproxy_pass http://$vllm_of_route;\n}`,
    [/^conf.d\/site.conf:8: .*write before the include: set \$tollgate_upstream \$vllm_of_route;$/],
  ],
] as const)('an upgrade in %s of a site with %s', (world, door, lines, patterns) => {
  test(
    'is not applied before the site is changed, and then is',
    async () => {
      const head = `map $uri $vllm_of_route { default vllm; }\n${UPSTREAM}`.replace(
        /\n(?=upstream)/,
        ' ',
      )
      const older = await makeOlder(
        `${world} ${door}`.replaceAll(/\W/g, '-'),
        world,
        site(lines, head),
      )
      const before = await readTree(older.nginxDir)
      const refused = await older.install()
      expect(refused).toMatchObject({ ok: false, isApplied: false, files: [] })
      expect(refused.faults).toEqual(patterns.map((pattern) => expect.stringMatching(pattern)))
      expect(await readTree(older.nginxDir)).toEqual(before)
      expect(await older.isValid()).toBe(true)
      const said = await older.say()
      expect(said).toContain('Not applied')
      expect(said).toContain(`${older.conf}:`)

      await older.write(site(NEW))
      const applied = await older.install()
      expect(applied).toMatchObject({ ok: true, isApplied: true, faults: [] })
      expect(await older.isValid()).toBe(true)
      for (const name of ['enter.conf', 'body.conf']) {
        expect(existsSync(join(older.target, name))).toBe(false)
      }
      expect(await older.install()).toMatchObject({ ok: true, faults: [] })
    },
    TIMEOUT_MS,
  )
})

describe('an upgrade', () => {
  test(
    'names an http.conf of 0.1.0 that was edited, and leaves ours beside it',
    async () => {
      const older = await makeOlder('kept', 'newest', site(`${SERVER}\n`))
      const http = join(older.target, 'http.conf')
      await appendFile(http, '# mine\n')
      await appendFile(join(older.target, 'enter.conf'), '# mine\n')
      const before = await readTree(older.nginxDir)
      const refused = await older.install()
      expect(refused).toMatchObject({ isApplied: false, files: [{ path: http, how: 'kept' }] })
      expect(refused.faults).toEqual([
        expect.stringMatching(
          /^tollgate\/http.conf:5: "js_import .*take your changes over into http.conf.new/,
        ),
      ])
      const { [`${http}.new`]: ours, ...rest } = await readTree(older.nginxDir)
      expect(rest).toEqual(before)
      expect(ours).toContain('$tg_place')

      await rename(`${http}.new`, http)
      await older.write(site(NEW))
      const applied = await older.install()
      expect(applied).toMatchObject({ ok: true, isApplied: true })
      expect(applied.files.filter(({ how }) => how === 'left' || how === 'removed')).toEqual([
        { path: join(older.target, 'enter.conf'), how: 'left' },
        { path: join(older.target, 'body.conf'), how: 'removed' },
      ])
      expect(await older.isValid()).toBe(true)
    },
    TIMEOUT_MS,
  )

  test(
    'of a recipe is applied, and says what to add before the reload',
    async () => {
      const recipe = (include: string) =>
        site(
          `location / {\n${include}if ($tollgate_verdict != "ok") { return 401; }\nproxy_pass http://vllm; }`,
        )
      const older = await makeOlder('recipe', 'newest', recipe(''))
      const pending = await older.install()
      expect(pending).toMatchObject({ ok: false, isApplied: true })
      expect(pending.faults).toEqual([
        expect.stringMatching(/^conf.d\/site.conf:5: .*include tollgate\/recipe.conf;$/),
      ])
      await older.write(recipe('include tollgate/recipe.conf; '))
      expect(await older.install()).toMatchObject({ ok: true, faults: [] })
    },
    TIMEOUT_MS,
  )

  test(
    'is not applied where it would open a location, and tells of a log that would fall silent',
    async () => {
      const nested = 'location /x { proxy_pass http://vllm; }'
      const older = await makeOlder(
        'nested',
        'newest',
        site(
          `${SERVER}\naccess_log /dev/null tollgate;\nlocation / { include tollgate/gate.conf; ${nested} }`,
        ),
      )
      const before = await readTree(older.nginxDir)
      await older.write(
        site(
          `${SERVER}\naccess_log /dev/null tollgate;\nlocation / { set $tollgate_upstream vllm; include tollgate/gate.conf;\n${nested} }`,
        ),
      )
      const refused = await older.install()
      expect(refused).toMatchObject({ ok: false, isApplied: false })
      expect(refused.faults).toEqual([
        expect.stringMatching(/^conf.d\/site.conf:7: location \/x stands inside of/),
      ])
      const { [older.conf]: _, ...rest } = await readTree(older.nginxDir)
      const { [older.conf]: __, ...expected } = before
      expect(rest).toEqual(expected)
      await older.write(site(`access_log /dev/null tollgate;\n${NEW}`))
      const applied = await older.install()
      expect(applied).toMatchObject({ ok: true, isApplied: true })
      expect(applied.warnings.join()).toMatch(/site.conf:4: .*to the end of tollgate\/logs.conf/)
      expect(await readFile(join(older.target, 'rare.conf'), 'utf8')).toContain('tollgate_rare')
    },
    TIMEOUT_MS,
  )
})
