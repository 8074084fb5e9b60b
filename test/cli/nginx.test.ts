import { type ChildProcess, spawn } from 'node:child_process'
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
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/nginx/child.ts'
import { findInDocker } from '../../src/cli/nginx/docker.ts'
import { commandWith, defaultCacheDir, findNginx, type Nginx } from '../../src/cli/nginx/find.ts'
import { readDistribution } from '../../src/cli/nginx/mirror.ts'
import { probe } from '../../src/cli/nginx/probe.ts'
import { compareVersions } from '../../src/cli/nginx/versions.ts'
import { sleep, until } from '../waiting.ts'

const DOWNLOAD_TIMEOUT_MS = 300_000
const distribution = await readDistribution()
const hasApt = (await run(['apt-get', '--version'], { timeoutMs: 10_000 })).code === 0
const canUnpack = distribution?.origin === 'Debian' && hasApt
const image = process.env.TOLLGATE_NGINX_IMAGE ?? 'tollgate-test/nginx:forky'
const inspected = await run(['docker', 'image', 'inspect', image], { timeoutMs: 10_000 })
const hasImage = inspected.code === 0

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-nginx-test-'))
  await chmod(folder, 0o755)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('findNginx', () => {
  const say = () => undefined

  test('a path that is no nginx is an error that names it', async () => {
    const missing = join(folder, 'no-nginx')
    await expect(findNginx({ path: missing, say })).rejects.toThrow(`Cannot use nginx ${missing}`)
    const other = join(folder, 'other')
    await writeFile(other, '#!/bin/sh\necho something else >&2\nexit 3\n', { mode: 0o755 })
    await expect(findNginx({ path: other, say })).rejects.toThrow('something else')
  })

  test.runIf(canUnpack)(
    'when all ways fail, one error tells each reason and what to install, and nothing is left behind',
    async () => {
      const cacheDir = join(folder, 'unreachable')
      await mkdir(join(folder, 'bad'))
      const bad = join(folder, 'bad', 'nginx')
      await writeFile(bad, '#!/bin/sh\necho no such thing >&2\nexit 3\n', { mode: 0o755 })
      const environment = {
        PATH: `${join(folder, 'bad')}:${process.env.PATH}`,
        TOLLGATE_DEBIAN_MIRROR: 'http://127.0.0.1:1/debian',
        DOCKER_HOST: `unix://${join(folder, 'no.sock')}`,
      }
      const failure = withEnvironment(environment, () => findNginx({ cacheDir, say }))
      const text = await failure.then(
        () => 'found one',
        (error: Error) => error.message,
      )
      expect(text).toContain(`Cannot use the system's nginx ${bad}: no such thing`)
      expect(text).toContain('Cannot download Debian forky packages')
      expect(text).toMatch(/No Docker engine answers|Docker is not installed/)
      expect(text).toContain('Install nginx with its njs module')
      expect(await readdir(join(cacheDir, 'nginx'))).toEqual([])
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  test.runIf(canUnpack)(
    'both worlds come from the cache with the engine they are named for',
    async () => {
      const newest = await findNginx({ world: 'newest', say })
      expect(newest).toMatchObject({ source: 'packages', engine: 'qjs' })
      expect(compareVersions(newest.njsVersion, '1.0.2')).toBeGreaterThanOrEqual(0)
      const debian13 = await findNginx({ world: 'debian13', say })
      expect(debian13).toMatchObject({ njsVersion: '0.8.9', engine: 'njs' })
      expect(debian13.nginxVersion).toMatch(/^1\.26\./)
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  test.runIf(canUnpack)(
    'the second time takes milliseconds and says nothing',
    async () => {
      await findNginx({ world: 'newest', say })
      const said: string[] = []
      const start = performance.now()
      await findNginx({ world: 'newest', say: (line) => said.push(line) })
      expect(said).toEqual([])
      expect(performance.now() - start).toBeLessThan(100)
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  test.runIf(canUnpack)(
    'a named path is probed like any other, and a module that does not fit it is told',
    async () => {
      const newest = await findNginx({ world: 'newest', say })
      const debian13 = await findNginx({ world: 'debian13', say })
      const path = await writeWrapper(newest)
      const launch = () => [path]
      expect(await probe({ launch, modules: [newest.loadModule] })).toMatchObject({
        isUsable: true,
        njsVersion: newest.njsVersion,
        loadModule: newest.loadModule,
      })
      const misfit = await probe({ launch, modules: [debian13.loadModule, null] })
      expect(misfit).toMatchObject({ isUsable: false })
      expect('reason' in misfit && misfit.reason).toMatch(/libxml2|version|compatible/)
      const bare = await probe({ launch, modules: [null] })
      expect(bare).toEqual({ isUsable: false, reason: 'it has no njs module' })
      expect(commandWith(newest, ['/a'])).toEqual(newest.command)
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  test.runIf(canUnpack)(
    'the nginx of PATH is used with the module beside it, without a download',
    async () => {
      const path = await writeWrapper(await findNginx({ world: 'debian13', say }))
      const said: string[] = []
      const find = () => findNginx({ cacheDir: folder, say: (line) => said.push(line) })
      const found = await withEnvironment({ PATH: `${dirname(path)}:${process.env.PATH}` }, find)
      const expected = { njsVersion: '0.8.9', engine: 'njs' }
      expect(found).toMatchObject({ ...expected, source: 'system', world: 'system' })
      expect(found.command).toEqual([path])
      expect(await findNginx({ path, say })).toMatchObject({ ...expected, source: 'path' })
      expect(said).toEqual([])
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  test.runIf(hasImage)(
    'the nginx of a container image runs with mounted folders, and reloads like one outside',
    async () => {
      const found = await withEnvironment({ TOLLGATE_NGINX_IMAGE: image }, () => findInDocker(say))
      const nginx = {
        ...found,
        source: 'docker',
        world: 'docker',
      } as const
      const conf = join(folder, 'nginx.conf')
      const user = process.getuid?.() === 0 ? 'user root;' : ''
      const listen = `listen unix:${join(folder, 'docker.sock')};`
      await writeFile(
        conf,
        `${user} daemon off; pid ${folder}/pid; events {} http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; server { ${listen} } }`,
      )
      const [file = '', ...prefix] = commandWith(nginx, [folder])
      const args = [...prefix, '-p', folder, '-c', conf, '-e', join(folder, 'docker.log')]
      expect(await run([file, ...args, '-t'], { timeoutMs: 30_000 })).toMatchObject({ code: 0 })
      const child = spawn(file, args, { stdio: 'ignore' })
      const ended = new Promise((done) => child.on('close', done))
      const readPid = () => readFile(`${folder}/pid`, 'utf8').catch(() => '')
      await until('its process id', async () => /\d/.test(await readPid()))
      const reload = [file, ...args, '-s', 'reload']
      expect(await run(reload, { timeoutMs: 30_000 })).toMatchObject({ code: 0 })
      child.kill('SIGQUIT')
      expect(await ended).toBe(0)
    },
    60_000,
  )

  test.runIf(canUnpack)(
    'a download that was killed leaves no half world, and two at once get the same whole one',
    async () => {
      const cacheDir = join(folder, 'shared')
      const program = await bundleProgram()
      await mkdir(cacheDir)
      // As an ordinary user where possible: nothing of this needs root.
      const uid = process.getuid?.() === 0 ? 65534 : undefined
      if (uid !== undefined) await chown(cacheDir, uid, uid)
      const start = () => startProgram(program, cacheDir, uid)
      const killed = start()
      await until('a download', () => hasParts(join(cacheDir, 'nginx')), 60)
      await sleep(1_500)
      killed.child.kill('SIGKILL')
      await killed.output
      const [first, second] = await Promise.all([start().output, start().output])
      expect(JSON.parse(first)).toMatchObject({ world: 'newest', engine: 'qjs' })
      expect(second).toBe(first)
      expect(await readdir(join(cacheDir, 'nginx'))).toEqual([`newest-${process.arch}`])
    },
    DOWNLOAD_TIMEOUT_MS,
  )

  // An nginx as `make install` would put it: sbin beside modules.
  async function writeWrapper(nginx: Nginx): Promise<string> {
    const home = join(folder, nginx.world)
    const file = join(home, 'sbin', 'nginx')
    await mkdir(join(home, 'sbin'), { recursive: true })
    await mkdir(join(home, 'modules'), { recursive: true })
    await symlink(nginx.loadModule ?? '', join(home, 'modules', 'ngx_http_js_module.so'))
    const words = nginx.command.map((word) => `'${word}'`).join(' ')
    await writeFile(file, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 })
    return file
  }

  async function bundleProgram(): Promise<string> {
    const outfile = join(folder, 'program.cjs')
    const source = `import { findNginx } from './src/cli/nginx/find.ts'
      findNginx({ world: 'newest', cacheDir: process.argv[2], say: () => undefined }).then(
        (nginx) => console.log(JSON.stringify(nginx)),
        (error) => console.log(String(error)))`
    const stdin = { contents: source, resolveDir: resolve(import.meta.dirname, '../..') }
    await build({ stdin, outfile, bundle: true, platform: 'node', format: 'cjs' })
    return outfile
  }
})

function startProgram(
  program: string,
  cacheDir: string,
  uid: number | undefined,
): { child: ChildProcess; output: Promise<string> } {
  const user = uid === undefined ? {} : { uid, gid: uid }
  const child = spawn(process.execPath, [program, cacheDir], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
  })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  return { child, output: new Promise((done) => child.on('close', () => done(text))) }
}

async function hasParts(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => [])
  return names.some((name) => name.includes('.part-'))
}

async function withEnvironment<T>(
  changes: Record<string, string | undefined>,
  action: () => Promise<T>,
): Promise<T> {
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const)
  setEnvironment(Object.entries(changes))
  try {
    return await action()
  } finally {
    setEnvironment(before)
  }
}

// One by one: a replaced process.env is an ordinary object, which os.tmpdir() and the like ignore.
function setEnvironment(values: (readonly [string, string | undefined])[]): void {
  for (const [name, value] of values) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

test('defaultCacheDir takes TOLLGATE_CACHE first, and without a home a folder nobody else can fill', async () => {
  const named = join(folder, 'named')
  await withEnvironment({ TOLLGATE_CACHE: named }, async () => {
    expect(defaultCacheDir()).toBe(named)
  })
  const xdg = { TOLLGATE_CACHE: undefined, XDG_CACHE_HOME: join(folder, 'xdg') }
  await withEnvironment(xdg, async () => {
    expect(defaultCacheDir()).toBe(join(folder, 'xdg', 'tollgate'))
  })
  // No folder can be made below a file.
  const file = join(folder, 'file')
  await writeFile(file, '')
  await withEnvironment({ ...xdg, XDG_CACHE_HOME: file, TMPDIR: folder }, async () => {
    const last = defaultCacheDir()
    expect(last.startsWith(join(folder, 'tollgate-'))).toBe(true)
    expect((await stat(last)).mode & 0o022).toBe(0)
    // Now it is one that others may write to.
    await chmod(last, 0o777)
    expect(defaultCacheDir()).not.toBe(last)
  })
})
