import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../src/cli/nginx/child.ts'
import { defaultCacheDir } from '../src/cli/nginx/find.ts'
import { findMirror } from '../src/cli/nginx/mirror.ts'

/** The suite of Debian that tools and peers come from: that of the world debian13. */
const SUITE = 'trixie'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const APT_TIMEOUT_MS = 600_000

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
  await mkdir(benchCache(), { recursive: true })
  const temporary = await mkdtemp(`${folder}.part-`)
  try {
    const files = await download(packages, join(temporary, 'apt'))
    const root = join(temporary, 'root')
    for (const file of files) await expectSuccess(['dpkg-deb', '-x', file, root])
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

async function findLibraries(root: string): Promise<string[]> {
  const base = join(root, 'usr', 'lib')
  const names = (await readdir(base)).filter((name) => name.endsWith('-linux-gnu'))
  return names.map((name) => join(base, name))
}

// As in src/cli/nginx/apt.ts: lists, archives and status of its own, so that the system's packages
// are neither read nor changed, and every library comes along.
async function download(packages: readonly string[], folder: string): Promise<string[]> {
  const mirror = await findMirror('Debian', SUITE)
  if (mirror === null) throw new Error('apt is not configured for Debian')
  await mkdir(join(folder, 'lists', 'partial'), { recursive: true })
  await mkdir(join(folder, 'archives', 'partial'), { recursive: true })
  await writeFile(join(folder, 'status'), '')
  const options = `[signed-by=${KEYRING} target=Packages]`
  await writeFile(join(folder, 'sources.list'), `deb ${options} ${mirror} ${SUITE} main\n`)
  await writeFile(join(folder, 'apt.conf'), configuration(folder))
  const apt = ['apt-get', '-q', '-c', join(folder, 'apt.conf')]
  await expectSuccess([...apt, 'update'])
  const install = ['-y', '--download-only', '--no-install-recommends', 'install', ...packages]
  await expectSuccess([...apt, ...install])
  const archives = join(folder, 'archives')
  const names = (await readdir(archives)).filter((name) => name.endsWith('.deb'))
  return names.map((name) => join(archives, name))
}

function configuration(folder: string): string {
  return `APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::State "${folder}";
Dir::State::status "${folder}/status";
Dir::State::lists "${folder}/lists";
Dir::Cache "${folder}";
Dir::Cache::archives "${folder}/archives";
Dir::Etc::sourcelist "${folder}/sources.list";
Dir::Etc::sourceparts "/nonexistent";
Dir::Etc::preferences "/nonexistent";
Dir::Etc::preferencesparts "/nonexistent";
`
}

async function expectSuccess(command: string[]): Promise<void> {
  const ending = await run(command, { timeoutMs: APT_TIMEOUT_MS })
  if (ending.code === 0) return
  const error = /^E: .*$/m.exec(ending.stderr)?.[0] ?? ending.stderr.trim()
  throw new Error(`${command[0]} failed: ${error}`)
}
