import { access, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Ending, run } from './child.ts'
import type { Origin } from './mirror.ts'
import { findVersionProblem } from './versions.ts'

/** Where a world's packages come from. */
export type Suite = { world: string; origin: Origin; suites: string[]; components: string }

const NJS_PACKAGE = 'libnginx-mod-http-js'
/** nginx and its njs module. */
export const NGINX_PACKAGES: readonly string[] = ['nginx', NJS_PACKAGE]
const UPDATE_TIMEOUT_MS = 300_000
const DOWNLOAD_TIMEOUT_MS = 600_000
const UNPACK_TIMEOUT_MS = 120_000

/**
 * Downloads packages, with every other one that they need, into a folder, and returns the files. apt
 * does it, as any user, with lists and archives of its own in that folder: the system's packages are
 * neither read nor changed. Signatures are checked as always.
 */
export async function download(
  suite: Suite,
  mirror: string,
  folder: string,
  packages: readonly string[],
): Promise<string[]> {
  const apt = await prepare(suite, mirror, folder)
  if (packages.includes(NJS_PACKAGE)) {
    const shown = await apt('apt-cache', 30_000, 'show', '--no-all-versions', NJS_PACKAGE)
    checkVersion(shown.stdout, suite)
  }
  const install = ['-y', '--download-only', '--no-install-recommends', 'install', ...packages]
  expectSuccess(await apt('apt-get', DOWNLOAD_TIMEOUT_MS, ...install), suite)
  return listArchives(folder)
}

/** The same for packages alone, without what they need. */
export async function downloadAlone(
  suite: Suite,
  mirror: string,
  folder: string,
  packages: readonly string[],
): Promise<string[]> {
  const apt = await prepare(suite, mirror, folder)
  expectSuccess(await apt('apt-get', DOWNLOAD_TIMEOUT_MS, 'download', ...packages), suite)
  return listArchives(folder)
}

type Apt = (tool: string, timeoutMs: number, ...args: string[]) => Promise<Ending>

/** apt with its own lists, which are up to date. `download` leaves its files where it is run. */
async function prepare(suite: Suite, mirror: string, folder: string): Promise<Apt> {
  const keyring = await findKeyring(suite.origin)
  await mkdir(join(folder, 'lists', 'partial'), { recursive: true })
  await mkdir(join(folder, 'archives', 'partial'), { recursive: true })
  await writeFile(join(folder, 'status'), '')
  await writeFile(join(folder, 'sources.list'), sourcesList(suite, mirror, keyring))
  await writeFile(join(folder, 'apt.conf'), configuration(folder))
  const apt: Apt = (tool, timeoutMs, ...args) =>
    run([tool, '-q', '-c', join(folder, 'apt.conf'), ...args], {
      timeoutMs,
      cwd: join(folder, 'archives'),
    })
  expectSuccess(await apt('apt-get', UPDATE_TIMEOUT_MS, 'update'), suite)
  return apt
}

async function listArchives(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'archives'))
  return names.filter((name) => name.endsWith('.deb')).map((name) => join(folder, 'archives', name))
}

/** Unpacks downloaded packages into a folder, all of them over each other. */
export async function unpack(files: readonly string[], root: string): Promise<void> {
  for (const file of files) {
    const ending = await run(['dpkg-deb', '-x', file, root], { timeoutMs: UNPACK_TIMEOUT_MS })
    if (ending.code !== 0) throw new Error(`Cannot unpack ${file}: ${ending.stderr.trim()}`)
  }
}

async function findKeyring(origin: Origin): Promise<string> {
  const name = `${origin.toLowerCase()}-archive-keyring`
  for (const ending of ['gpg', 'pgp']) {
    const file = `/usr/share/keyrings/${name}.${ending}`
    const isThere = await access(file).then(
      () => true,
      () => false,
    )
    if (isThere) return file
  }
  const fix = origin === 'Debian' ? name : 'ubuntu-keyring'
  throw new Error(
    `Cannot check ${origin} packages: /usr/share/keyrings/${name}.gpg is missing. Install ${fix}`,
  )
}

// target=Packages leaves out what other tools have apt download as well: DEP-11, Contents, CNF,
// translations. arch leaves out what foreign architectures would double.
function sourcesList(suite: Suite, mirror: string, keyring: string): string {
  const processor = process.arch === 'x64' ? 'amd64' : process.arch
  const options = `[signed-by=${keyring} arch=${processor} target=Packages]`
  const lines = suite.suites.map((name) => `deb ${options} ${mirror} ${name} ${suite.components}\n`)
  return lines.join('')
}

// The system's own settings hold too, because a proxy or credentials may stand there, so what would
// reach outside of the folder is taken back here. The status file is empty: nothing counts as
// installed, and every library comes along, the C library included.
function configuration(folder: string): string {
  const isRoot = process.getuid?.() === 0
  return `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Default-Release "";
APT::Update::Error-Mode "any";
APT::Get::List-Cleanup "false";
${isRoot ? '// The user _apt cannot enter a folder below /root.\nAPT::Sandbox::User "root";' : ''}
// Mirrors that are frozen copies of one day are in use, and their indexes are older than a week.
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "2";
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

// Ubuntu's older releases have an njs that is too old, or none: better known before the download.
function checkVersion(shown: string, suite: Suite): void {
  const version = /^Version: (?:\d+:)?([\d.]+)/m.exec(shown)?.[1]
  const place = `${suite.origin} ${suite.suites[0] ?? ''}`
  if (version === undefined) throw new Error(`${place} has no package libnginx-mod-http-js`)
  const problem = findVersionProblem(version)
  if (problem !== null) throw new Error(`${place} has no njs that the gate can use: ${problem}`)
}

function expectSuccess(ending: Ending, suite: Suite): void {
  if (ending.code === 0) return
  const lines = ending.stderr.split('\n').filter((line) => /^[EW]: /.test(line))
  const errors = lines.filter((line) => line.startsWith('E: '))
  const told = (errors.length > 0 ? errors : lines)
    .slice(0, 3)
    .map((line) => line.slice(3).replace(/\.+$/, ''))
  const cause = told.join('; ') || ending.stderr.trim() || 'apt-get took too long'
  throw new Error(
    `Cannot download ${suite.origin} ${suite.suites[0] ?? ''} packages: ${cause}. ` +
      'Check the network, or name a mirror that has this suite in TOLLGATE_DEBIAN_MIRROR',
  )
}
