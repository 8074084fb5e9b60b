import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { download, unpack } from '../src/cli/nginx/apt.ts'
import { run } from '../src/cli/nginx/child.ts'
import { defaultCacheDir } from '../src/cli/nginx/find.ts'
import { findMirror } from '../src/cli/nginx/mirror.ts'
import { suiteOf } from '../src/cli/nginx/packages.ts'

/** Tools and peers come from where the world debian13 does. */
const SUITE = suiteOf('debian13')

/** The folder of the bench in the cache: what it downloads, and nothing else. */
export function benchCache(): string {
  return join(defaultCacheDir(), 'bench')
}

/**
 * Unpacks Debian packages, with all that they need, into a folder of the cache, once, and returns the
 * folder. The system is not changed. Throws what apt says.
 */
export async function unpackPackages(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(benchCache(), `${name}-${process.arch}`)
  if (existsSync(folder)) return folder
  const mirror = await findMirror(SUITE.origin, SUITE.suites[0] ?? '')
  if (mirror === null) throw new Error('apt is not configured for Debian')
  await mkdir(benchCache(), { recursive: true })
  const temporary = await mkdtemp(`${folder}.part-`)
  try {
    const files = await download(SUITE, mirror, join(temporary, 'apt'), packages)
    const root = join(temporary, 'root')
    await unpack(files, root)
    await rename(root, folder)
    return folder
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** A program of an unpacked folder, run by the loader and the libraries that came with it. */
export async function commandIn(root: string, program: string): Promise<string[]> {
  const libraries = await findLibraries(root)
  for (const folder of libraries) {
    const loader = (await readdir(folder)).find((file) => /^ld-linux.*\.so\.\d+$/.test(file))
    if (loader === undefined) continue
    return [join(folder, loader), '--library-path', libraries.join(':'), join(root, program)]
  }
  throw new Error(`Cannot find the loader in ${root}`)
}

/** A library of an unpacked folder, for LD_PRELOAD. */
export async function libraryIn(root: string, name: string): Promise<string> {
  for (const folder of await findLibraries(root)) {
    if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Error(`Cannot find ${name} in ${root}`)
}

async function findLibraries(root: string): Promise<string[]> {
  const base = join(root, 'usr', 'lib')
  const names = (await readdir(base)).filter((name) => name.endsWith('-linux-gnu'))
  return names.map((name) => join(base, name))
}

const INSTALL_MS_MAX = 600_000

/**
 * Installs a Python package, with all that it needs, into a virtual environment in the cache, once, and returns the folder of
 * its programs. Throws where Python or the package cannot be had.
 */
export async function installPython(name: string, what: string): Promise<string> {
  const folder = join(benchCache(), name)
  const programs = join(folder, 'bin')
  if (existsSync(join(programs, 'installed'))) return programs
  await mkdir(benchCache(), { recursive: true })
  await rm(folder, { recursive: true, force: true })
  const made = await run(['python3', '-m', 'venv', folder], { timeoutMs: INSTALL_MS_MAX })
  if (made.code !== 0) throw new Error('python3 cannot make a virtual environment')
  const pip = [join(programs, 'pip'), 'install', '-q', what]
  const ending = await run(pip, { timeoutMs: INSTALL_MS_MAX })
  if (ending.code !== 0) throw new Error(`pip cannot install ${what}`)
  await writeFile(join(programs, 'installed'), '')
  return programs
}
