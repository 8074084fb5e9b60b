import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Engine } from '../nginx/find.ts'
import { Refused } from '../output.ts'

/** Where the pieces of an installed gate stand. */
export type Layout = {
  /** The folder of nginx.conf; the files go into its subfolder tollgate/. */
  nginxDir: string
  /** The folder of policy.json and clients.json. */
  configDir: string
  /**
   * The folder of the ledger, which belongs to root, since root opens it. In its subfolder state/ the
   * workers write what they know.
   */
  stateDir: string
  /** Where the admin listener binds, `127.0.0.1:9180`. */
  adminListen: string
  /** Where our own server for refusals binds, `127.0.0.1:9181`. */
  rareListen: string
  engine: Engine
  /** Somebody has chosen njs's own engine, though QuickJS is there: later runs keep to that. */
  isEngineChosen?: boolean
  /** A log for people, in logs.conf. */
  accessLog?: string
  /** vLLM's own key, written into upstream-key.conf. Check it with hasOnlyKeyCharacters() first. */
  upstreamKey?: string
}

/**
 * What became of one file. `kept`: a person changed it, ours stands beside it as NAME.new. `removed`: an
 * earlier version had it, and `left`: so it did, and a person changed it.
 */
export type Placed = { path: string; how: 'written' | 'unchanged' | 'kept' | 'removed' | 'left' }

/** The folder of the configuration below stateDir, when the workers may write it. */
export const CONFIG_DIR = 'config'

/** The folder that the workers write into, below stateDir. */
export const WORKERS_DIR = 'state'

/** The files of the console and the description of the API: below dist/, and below nginxDir/tollgate/. */
const CONSOLE_DIR = 'console'

/** The port of the admin listener, where it is free. */
export const ADMIN_PORT = 9180

/** That of our own server for refusals. */
export const RARE_PORT = 9181

export const LAYOUT_DEFAULTS = {
  nginxDir: '/etc/nginx',
  configDir: '/etc/nginx/tollgate',
  stateDir: '/var/lib/tollgate',
  adminListen: `127.0.0.1:${ADMIN_PORT}`,
  rareListen: `127.0.0.1:${RARE_PORT}`,
}

/** Contexts that each worker keeps for QuickJS; a request beyond them costs 1.4 ms of CPU. */
const CONTEXT_REUSE = 512

/** The same of our own pages, where few requests come. */
const RARE_REUSE = 16

/** The file that remembers what was installed, to tell our older version from a person's edit. */
const MANIFEST = '.installed.json'

/** What 0.1.0 had and this version has not. */
const RETIRED = ['enter.conf', 'body.conf']

/** The folder of the package: the one with dist/ and nginx/ in it. */
export function packageDir(): string {
  let dir = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(dir, 'nginx', 'tollgate', 'http.conf'))) {
    const parent = dirname(dir)
    if (parent === dir) throw new Error('Cannot find the folder nginx/ of the tollgate package')
    dir = parent
  }
  return dir
}

/** Puts bundles, includes and schemas below nginxDir/tollgate/. It overwrites no person's edit. */
export async function layOut(layout: Layout): Promise<Placed[]> {
  const target = join(layout.nginxDir, 'tollgate')
  // Whatever the umask is: nginx's workers have to pass through it to clients.json.
  if (await mkdir(target, { recursive: true })) await chmod(target, 0o755)
  const manifest = await readManifest(target)
  const placed: Placed[] = []
  for (const [name, text] of await gatherFiles(layout)) {
    const path = join(target, name)
    // The workers read the files of the console.
    if (await mkdir(dirname(path), { recursive: true })) await chmod(dirname(path), 0o755)
    const how = await place(path, text, manifest[name])
    if (how !== 'kept') manifest[name] = hash(text)
    placed.push({ path, how })
  }
  placed.push(...(await removeRetired(target, manifest)))
  await writeManifest(target, manifest)
  return placed
}

/** Everything that layOut() may write or remove, but for NAME.new. */
export async function listTouched(layout: Layout): Promise<string[]> {
  const target = join(layout.nginxDir, 'tollgate')
  const names = (await gatherFiles(layout)).map(([name]) => name)
  return [...names, ...RETIRED, MANIFEST].map((name) => join(target, name))
}

async function removeRetired(target: string, manifest: Record<string, string>): Promise<Placed[]> {
  const placed: Placed[] = []
  for (const name of RETIRED) {
    const path = join(target, name)
    const installed = manifest[name]
    if (installed === undefined || !existsSync(path)) continue
    const isOurs = installed === hash(await readFile(path, 'utf8'))
    if (isOurs) {
      await rm(path)
      delete manifest[name]
    }
    placed.push({ path, how: isOurs ? 'removed' : 'left' })
  }
  return placed
}

/** The gate's bundle for an engine, in dist/. Each runs on both: what is slow on one takes memory on the other. */
export function gateOf(engine: Engine): string {
  return engine === 'njs' ? 'tollgate-njs.js' : 'tollgate.js'
}

/** Names and texts of all files that layOut() would put there. */
export async function gatherFiles(layout: Layout): Promise<[string, string][]> {
  const root = packageDir()
  // Under one name, so that no include has to say which.
  const gate = await readBuilt(join(root, 'dist', gateOf(layout.engine)))
  const files: [string, string][] = [['tollgate.js', gate]]
  for (const name of [
    'tollgate-rare.js',
    'tollgate-admin.js',
    'policy.schema.json',
    'clients.schema.json',
  ]) {
    files.push([name, await readBuilt(join(root, 'dist', name))])
  }
  for (const name of (await readdir(join(root, 'nginx', 'tollgate'))).sort()) {
    const text = await readFile(join(root, 'nginx', 'tollgate', name), 'utf8')
    files.push([name, adaptFile(name, text, layout)])
  }
  return [...files, ...(await gatherConsole(join(root, 'dist', CONSOLE_DIR)))]
}

/** The files of the console, text all of them; none where it was not built. */
async function gatherConsole(from: string): Promise<[string, string][]> {
  const entries = await readdir(from, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name))
  return Promise.all(
    paths
      .sort()
      .map(
        async (path): Promise<[string, string]> => [
          join(CONSOLE_DIR, relative(from, path)),
          await readFile(path, 'utf8'),
        ],
      ),
  )
}

function adaptFile(name: string, text: string, layout: Layout): string {
  if (name === 'engine.conf') return engineConf(text, layout, CONTEXT_REUSE)
  if (name === 'engine-rare.conf') return engineConf(text, layout, RARE_REUSE)
  if (name === 'logs.conf') return logsConf(adapt(text, layout), layout.accessLog)
  if (name !== 'upstream-key.conf' || layout.upstreamKey === undefined) return adapt(text, layout)
  const value = `default "Bearer ${layout.upstreamKey}"`
  return text.replace('default ""', () => value)
}

/** Whether a key of vLLM can stand in a configuration of nginx and in a header. */
export function hasOnlyKeyCharacters(key: string): boolean {
  return /^[\x21\x23\x25-\x5b\x5d-\x7e]{1,512}$/.test(key)
}

async function readBuilt(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    throw new Refused(`Cannot read ${path}: build it first with npm run build`)
  }
}

/** Replaces the default places in a configuration file by those of the layout. */
export function adapt(text: string, layout: Omit<Layout, 'engine'>): string {
  const { configDir, stateDir } = LAYOUT_DEFAULTS
  const consoleDir = join('tollgate', CONSOLE_DIR)
  return replacePaths(text, {
    // Before the folder of the configuration, which by default is the one around it.
    [join(LAYOUT_DEFAULTS.nginxDir, consoleDir)]: join(layout.nginxDir, consoleDir),
    [configDir]: layout.configDir,
    [stateDir]: layout.stateDir,
  })
    .replaceAll(`listen ${LAYOUT_DEFAULTS.adminListen}`, `listen ${layout.adminListen}`)
    .replaceAll(/(listen|server) 127\.0\.0\.1:9181/g, `$1 ${layout.rareListen}`)
}

/** Replaces folders at the beginning of paths, all at once, and quotes what has to be quoted. */
export function replacePaths(text: string, folders: Record<string, string>): string {
  const pattern = new RegExp(`(["']?)(${Object.keys(folders).join('|')})([\\w./-]*)\\1`, 'g')
  return text.replace(pattern, (_, quote: string, folder: string, rest: string) => {
    const path = `${folders[folder]}${rest}`
    return quote === '' ? quotePath(path) : `"${checkPath(path)}"`
  })
}

/** A path as a word of nginx's configuration. */
export function quotePath(path: string): string {
  return /[\s;{}#']/.test(checkPath(path)) ? `"${path}"` : path
}

/** Throws when a path cannot be written into a configuration of nginx, quoted or not. */
export function checkPath(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (!/["\\$\u0000-\u001f]/.test(path)) return path
  throw new Refused(
    `Cannot use the folder ${path}: nginx does not take ", \\, $ and control characters in a path`,
  )
}

/** What engine.conf says where njs's own engine was chosen, see readChosenEngine(). */
const CHOSEN = '# Chosen by: tollgate install --engine njs'

function engineConf(text: string, layout: Layout, reuse: number): string {
  if (layout.engine === 'njs') return layout.isEngineChosen ? `${text}\n${CHOSEN}\n` : text
  return `${text}\njs_engine qjs;\njs_context_reuse ${reuse};\n`
}

/** The engine that an earlier run was told, where it was one; undefined: the best that nginx has. */
export async function readChosenEngine(nginxDir: string): Promise<Engine | undefined> {
  const path = join(nginxDir, 'tollgate', 'engine.conf')
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.includes(CHOSEN) ? 'njs' : undefined
}

function logsConf(text: string, accessLog: string | undefined): string {
  if (accessLog === undefined) return text
  return `${text}\naccess_log ${quotePath(accessLog)} tollgate;\n`
}

async function place(path: string, text: string, installed?: string): Promise<Placed['how']> {
  const mode = path.endsWith('upstream-key.conf') ? 0o600 : 0o644
  if (!existsSync(path)) {
    await writeFile(path, text, { mode })
    if (path.includes(`/tollgate/${CONSOLE_DIR}/`)) await chmod(path, mode)
    return 'written'
  }
  const there = await readFile(path, 'utf8')
  if (there === text) return 'unchanged'
  if (installed === hash(there)) {
    await writeFile(path, text)
    return 'written'
  }
  await writeFile(`${path}.new`, text, { mode })
  return 'kept'
}

/** The hashes of the files as they were installed, by their names; empty when none were. */
export async function readManifest(target: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(join(target, MANIFEST), 'utf8'))
  } catch {
    return {}
  }
}

function writeManifest(target: string, manifest: Record<string, string>): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  return writeFile(join(target, MANIFEST), text, { mode: 0o600 })
}

/** Has the manifest know a file that was changed by a command, unless a person changed it before. */
export async function rememberFile(
  target: string,
  name: string,
  before: string,
  after: string,
): Promise<void> {
  const manifest = await readManifest(target)
  if (manifest[name] !== hash(before)) return
  await writeManifest(target, { ...manifest, [name]: hash(after) })
}

/** The hash that the manifest has of a file. */
export function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
