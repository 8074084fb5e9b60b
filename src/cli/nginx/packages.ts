import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { download, NGINX_PACKAGES, type Suite, unpack } from './apt.ts'
import { readLayout, readStamp, type Unpacked } from './layout.ts'
import { findMirror, readDistribution } from './mirror.ts'
import { probe } from './probe.ts'
import type { Nginx, World } from './types.ts'
import type { Versions } from './versions.ts'

type Say = (line: string) => void

const DEBIAN: Record<World, Suite> = {
  newest: { world: 'newest', origin: 'Debian', suites: ['forky'], components: 'main' },
  debian13: { world: 'debian13', origin: 'Debian', suites: ['trixie'], components: 'main' },
}
// Twice the pace at which a holder renews its lock; one that was killed is overtaken after this.
const LOCK_STALE_MS = 10_000
const LOCK_WAIT_MS = 500
const LOCK_TRIES = 1_200

/**
 * The suites to try on this machine, the best first: Debian's newest, and on Ubuntu its own
 * before that. Empty where packages cannot be unpacked.
 */
export async function listSuites(): Promise<Suite[]> {
  const distribution = await readDistribution()
  if (distribution === null) return []
  const { origin, codename, name } = distribution
  if (origin === 'Debian') return [DEBIAN.newest]
  const suites = [codename, `${codename}-updates`]
  return [{ world: name, origin, suites, components: 'main universe' }, DEBIAN.newest]
}

/** The suite that a world's packages come from. */
export function suiteOf(world: World): Suite {
  return DEBIAN[world]
}

/** A world that was unpacked and probed before, in a few milliseconds, or null. */
export async function readWorld(suite: Suite, cacheDir: string): Promise<Nginx | null> {
  const folder = folderOf(suite, cacheDir)
  const stamp = await readStamp(join(folder, 'stamp.json'))
  const versions = stamp === null ? null : readVersions(stamp)
  if (versions === null) return null
  const layout = await readLayout(join(folder, 'root')).catch(() => null)
  return layout === null ? null : describe(suite, layout, versions)
}

/**
 * Downloads, unpacks and probes a world below the cache. Several processes may ask at once: one
 * works, the others wait. What an interrupted one left behind is removed by the next.
 */
export async function provideWorld(suite: Suite, cacheDir: string, say: Say): Promise<Nginx> {
  await mkdir(join(cacheDir, 'nginx'), { recursive: true })
  const folder = folderOf(suite, cacheDir)
  const release = await lock(folder, say)
  try {
    const world = await readWorld(suite, cacheDir)
    if (world !== null) return world
    await removeLeftovers(suite, cacheDir)
    return await make(suite, folder, say)
  } finally {
    // The lock may have been lost to a machine that slept. The rename in make() bears that.
    await release().catch(() => undefined)
  }
}

/** Keeps other processes from making the same folder; the answer lets them. */
export async function lock(folder: string, say: Say): Promise<() => Promise<void>> {
  // Only asked in order to tell why nothing seems to happen.
  const isBusy = await lockfile.check(folder, { realpath: false, stale: LOCK_STALE_MS })
  if (isBusy) say('Waiting for another process that is downloading the same packages')
  return lockfile.lock(folder, {
    realpath: false,
    stale: LOCK_STALE_MS,
    retries: { retries: LOCK_TRIES, factor: 1, minTimeout: LOCK_WAIT_MS, maxTimeout: LOCK_WAIT_MS },
    onCompromised: () => undefined,
  })
}

async function make(suite: Suite, folder: string, say: Say): Promise<Nginx> {
  const place = `${suite.origin} ${suite.suites[0] ?? ''}`
  const mirror = await findMirror(suite.origin, suite.suites[0] ?? '')
  if (mirror === null) {
    throw new Error(
      `Cannot tell where to download ${place} packages from: apt is not configured for ` +
        `${suite.origin}. Name a mirror in TOLLGATE_DEBIAN_MIRROR`,
    )
  }
  const temporary = await mkdtemp(`${folder}.part-`)
  try {
    say(`Downloading nginx and njs from ${place} with apt, into the cache (10 to 60 seconds)`)
    const files = await download(suite, mirror, join(temporary, 'apt'), NGINX_PACKAGES)
    say(`Unpacking ${files.length} packages into ${folder}; the system is not changed`)
    await unpack(files, join(temporary, 'root'))
    await rm(join(temporary, 'apt'), { recursive: true, force: true })
    const versions = await probeRoot(join(temporary, 'root'), place)
    await writeFile(join(temporary, 'stamp.json'), `${JSON.stringify(versions)}\n`)
    // mkdtemp keeps others out; a cache of root may serve other users.
    await chmod(temporary, 0o755)
    await moveInto(temporary, folder)
    return describe(suite, await readLayout(join(folder, 'root')), versions)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function probeRoot(root: string, place: string): Promise<Versions> {
  const { command, module } = await readLayout(root)
  const probed = await probe({ launch: () => command, modules: [module] })
  if (!probed.isUsable) throw new Error(`Cannot use nginx of ${place}: ${probed.reason}`)
  const { nginxVersion, njsVersion, engine } = probed
  return { nginxVersion, njsVersion, engine }
}

async function moveInto(temporary: string, folder: string): Promise<void> {
  // What is there has no readable stamp, else it would have been used: it is not whole.
  const isWhole = (await readStamp(join(folder, 'stamp.json'))) !== null
  if (isWhole) return
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
}

async function removeLeftovers(suite: Suite, cacheDir: string): Promise<void> {
  const prefix = `${nameOf(suite)}.part-`
  for (const name of await readdir(join(cacheDir, 'nginx'))) {
    if (!name.startsWith(prefix)) continue
    await rm(join(cacheDir, 'nginx', name), { recursive: true, force: true })
  }
}

function nameOf(suite: Suite): string {
  return `${suite.world}-${process.arch}`
}

function folderOf(suite: Suite, cacheDir: string): string {
  return join(cacheDir, 'nginx', nameOf(suite))
}

function describe(suite: Suite, layout: Unpacked, versions: Versions): Nginx {
  const { command, module } = layout
  return {
    command,
    loadModule: module,
    ...versions,
    source: 'packages',
    world: suite.world,
  }
}

function readVersions(stamp: Record<string, unknown>): Versions | null {
  const { nginxVersion, njsVersion, engine } = stamp
  if (typeof nginxVersion !== 'string' || typeof njsVersion !== 'string') return null
  if (engine !== 'qjs' && engine !== 'njs') return null
  return { nginxVersion, njsVersion, engine }
}
