import { closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { LAYOUT_DEFAULTS } from '../install/layout.ts'
import { Refused } from '../output.ts'
import { describeOthers } from './trust.ts'

/** Where the configuration is, and the nginx that it is of. */
export type Folder = {
  /** The folder of policy.json and clients.json. */
  dir: string
  /** The folder of the includes, beside nginx.conf: dirs.conf in it says where all else is. */
  includes: string
  /** Whether it is that of a `tollgate serve`, with nginx.conf and all below it. */
  isServed: boolean
}

/** Not to wait at a pipe. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/** The file of the includes that tells nginx where the configuration and the ledger are. */
export const DIRS_FILE = 'dirs.conf'

/**
 * The folder of the configuration: what was named, else the one of this folder, else that of nginx.
 * After `tollgate admin enable` the one beside nginx.conf holds includes only, and dirs.conf in it says
 * where the configuration is: no link, which a worker could bend.
 */
export function findFolder(named: string | undefined): Folder {
  const chosen = named || process.env.TOLLGATE_DIR
  if (chosen) return follow(resolve(chosen))
  if (existsSync(join('.tollgate', 'clients.json'))) return follow(resolve('.tollgate'))
  return follow(LAYOUT_DEFAULTS.configDir)
}

/** The folder of the configuration, as dirs.conf names it; null where nothing is installed. */
export function readConfigDir(nginxDir: string): string | null {
  return readMap(readIncluded(join(nginxDir, 'tollgate')), 'dir') ?? null
}

/** What was named, else where dirs.conf says that it is, else beside it. */
export function chooseConfigDir(named: string | undefined, nginxDir: string): string {
  if (named !== undefined) return findFolder(named).dir
  return readConfigDir(nginxDir) ?? join(nginxDir, 'tollgate')
}

/** Reads `map "" $tollgate_state_dir { default "/var/lib/tollgate/state"; }`. */
export function readMap(text: string, name: string): string | undefined {
  const pattern = `^map\\s+""\\s+\\$tollgate_${name}\\s*\\{\\s*default\\s+"([^"]+)"`
  return new RegExp(pattern, 'm').exec(text)?.[1]
}

/** The text of a dirs.conf; empty where there is none. */
export function readIncluded(includes: string): string {
  const path = join(includes, DIRS_FILE)
  if (!existsSync(path)) return ''
  const file = openSync(path, READ_FLAGS)
  try {
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function follow(chosen: string): Folder {
  const text = readIncluded(chosen)
  const dir = readMap(text, 'dir') ?? chosen
  if (dir !== chosen) requireTrusted(chosen, `name ${dir} itself with --dir`)
  if (existsSync(join(chosen, 'nginx', 'nginx.conf'))) {
    return { dir, includes: join(chosen, 'nginx', 'tollgate'), isServed: true }
  }
  return { dir, includes: findIncludes(chosen, text !== ''), isServed: false }
}

/** The folder itself, as it was installed before; else the one beside it, or that of nginx. */
function findIncludes(chosen: string, areHere: boolean): string {
  const beside = join(dirname(chosen), 'tollgate')
  if (areHere) return chosen
  if (existsSync(join(beside, DIRS_FILE))) return beside
  const { nginxDir } = LAYOUT_DEFAULTS
  return readConfigDir(nginxDir) === chosen ? join(nginxDir, 'tollgate') : beside
}

/**
 * Refuses to go by a dirs.conf that others could have written: in a folder of the workers it would lead
 * root anywhere. The installed one is what nginx itself goes by, as root.
 */
export function requireTrusted(includes: string, fix: string): void {
  if (includes === LAYOUT_DEFAULTS.configDir || !existsSync(join(includes, DIRS_FILE))) return
  requireOwn(includes, `go by ${join(includes, DIRS_FILE)}`, fix)
}

/** Refuses to act on what stands in a folder that others may write. */
export function requireOwn(folder: string, act: string, fix: string): void {
  const others = describeOthers(statSync(folder))
  if (others === null) return
  throw new Refused(`Will not ${act}: others could have written it, since ${others}; ${fix}`)
}
