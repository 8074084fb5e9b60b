import { accessSync, constants, mkdirSync, mkdtempSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findInDocker, mountInto } from './docker.ts'
import { findOnPath, listModules } from './local.ts'
import { listSuites, provideWorld, readWorld, suiteOf } from './packages.ts'
import { probe } from './probe.ts'
import type { Nginx, World } from './types.ts'

export type { Engine, Nginx, World } from './types.ts'

type Say = (line: string) => void
export type FindOptions = { path?: string; world?: World; cacheDir?: string; say: Say }

/**
 * Finds an nginx with njs >= 0.8.2, or provides one: the named one; the packages of a named world;
 * the system's; packages unpacked below the cache; a container. Throws one error that says what was
 * tried and what to install.
 */
export async function findNginx(options: FindOptions): Promise<Nginx> {
  if (options.path !== undefined) return findNamed(options.path)
  const cacheDir = resolve(options.cacheDir ?? defaultCacheDir())
  const { world, say } = options
  if (world !== undefined) {
    const suite = suiteOf(world)
    return (await readWorld(suite, cacheDir)) ?? provideWorld(suite, cacheDir, say)
  }
  const reasons: string[] = []
  const found =
    (await attempt(findSystem, reasons)) ??
    (await attempt(() => findPackages(cacheDir, say, reasons), reasons)) ??
    (await attempt(() => findContained(say), reasons))
  if (found === null) throw new Error(nothingFound(reasons))
  return found
}

/** The first words of a command line that starts this nginx with some folders visible to it. */
export function commandWith(nginx: Nginx, folders: readonly string[]): string[] {
  return nginx.source === 'docker' ? mountInto(nginx.command, folders) : nginx.command
}

/**
 * Where downloads are kept: TOLLGATE_CACHE, else `tollgate` in XDG_CACHE_HOME or ~/.cache, else,
 * for a user without a home, below the folder for temporary files.
 */
export function defaultCacheDir(): string {
  const named = process.env.TOLLGATE_CACHE
  if (named) return resolve(named)
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tollgate')
  if (isOurs(folder)) return folder
  const shared = join(tmpdir(), `tollgate-${process.getuid?.() ?? 'cache'}`)
  return isOurs(shared) ? shared : mkdtempSync(join(tmpdir(), 'tollgate-'))
}

// Programs are run from the cache, so a folder that someone else could have filled is not used.
function isOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    accessSync(folder, constants.W_OK)
    const { uid, mode } = statSync(folder)
    return uid === (process.getuid?.() ?? uid) && (mode & 0o002) === 0
  } catch {
    return false
  }
}

async function findNamed(path: string): Promise<Nginx> {
  const file = resolve(path)
  try {
    return await findLocal(file, 'path')
  } catch (error) {
    throw new Error(`Cannot use nginx ${file}: ${messageOf(error)}. It needs njs 0.8.2 or newer`)
  }
}

async function findSystem(): Promise<Nginx> {
  const file = await findOnPath()
  if (file === null) throw new Error('No nginx on PATH or in /usr/sbin')
  try {
    return await findLocal(file, 'system')
  } catch (error) {
    throw new Error(`Cannot use the system's nginx ${file}: ${messageOf(error)}`)
  }
}

async function findLocal(file: string, source: 'path' | 'system'): Promise<Nginx> {
  const modules = await listModules(file)
  const probed = await probe({ launch: () => [file], modules })
  if (!probed.isUsable) throw new Error(probed.reason)
  const { isUsable: _, ...rest } = probed
  return { command: [file], ...rest, source, world: source }
}

async function findPackages(cacheDir: string, say: Say, reasons: string[]): Promise<Nginx | null> {
  const suites = await listSuites()
  if (suites.length === 0) throw new Error('No packages to unpack: this is not Debian or Ubuntu')
  for (const suite of suites) {
    const world = await readWorld(suite, cacheDir)
    if (world !== null) return world
  }
  for (const suite of suites) {
    const world = await attempt(() => provideWorld(suite, cacheDir, say), reasons)
    if (world !== null) return world
  }
  return null
}

async function findContained(say: Say): Promise<Nginx> {
  const contained = await findInDocker(say)
  return { ...contained, source: 'docker', world: 'docker' }
}

async function attempt(
  find: () => Promise<Nginx | null>,
  reasons: string[],
): Promise<Nginx | null> {
  try {
    return await find()
  } catch (error) {
    reasons.push(messageOf(error))
    return null
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function nothingFound(reasons: string[]): string {
  return [
    'Cannot find an nginx with njs 0.8.2 or newer:',
    ...reasons.map((reason) => `- ${reason}`),
    'Install nginx with its njs module (Debian 13 and Ubuntu 24.04 or newer: packages nginx and ' +
      'libnginx-mod-http-js; elsewhere nginx and nginx-module-njs of nginx.org), or a Docker ' +
      'engine, or name an nginx with --nginx',
  ].join('\n')
}
