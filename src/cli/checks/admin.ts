import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { adminState } from '../../core/config/token.ts'
import { type Account, findObstacle } from '../install/accounts.ts'
import { noneOf } from '../output.ts'
import { inspect } from '../store/documents.ts'
import { findKind } from '../store/trust.ts'
import { type Check, type Installation, ok, problem, warning } from './check.ts'

/** Who may call the admin API, whether it may write, and what follows from that. */
export async function checkAdmin(installation: Installation): Promise<Check[]> {
  const { configDir, workers } = installation
  if ((await findKind(configDir)) === null) return []
  const tokens = await checkTokens(configDir, installation.nowMs)
  if (workers === null) return tokens
  const includes = await checkIncludes(installation, workers)
  return [...tokens, ...includes, ...(await checkWriting(installation, workers))]
}

async function checkTokens(configDir: string, nowMs: number): Promise<Check[]> {
  const inspection = await inspect(configDir).catch(noneOf)
  // What is wrong with the files is told elsewhere.
  if (inspection === null || inspection.problems.length > 0) return []
  const { admins = [] } = inspection.policy
  const live = admins.filter((admin) => adminState(admin, nowMs) === 'live')
  const write = live.filter(({ role }) => role === 'write').length
  if (live.length === 0) return [ok('admin', 'Nobody has a token of the admin API')]
  return [
    ok('admin', `${live.length} tokens of the admin API are live, ${write} of them may write`),
  ]
}

async function checkWriting(installation: Installation, workers: Account): Promise<Check[]> {
  const { configDir, nginxDir } = installation
  const { user } = workers
  if ((await findObstacle(workers, configDir, ['write', 'enter'])) !== null) {
    const fix = 'tollgate admin enable lets it write'
    return [
      ok('admin', `The admin API may only read: ${configDir} is closed to user ${user}; ${fix}`),
    ]
  }
  if (workers.uid === 0 || !(await isRoots(nginxDir))) {
    return [ok('admin', `The admin API may write: ${configDir} is open to user ${user}`)]
  }
  const checks = await checkPlanted(configDir)
  const mode = (await stat(configDir)).mode
  if (mode & 0o007) {
    const fix = `chmod o= ${configDir}`
    checks.push(problem('admin', `Everybody can enter ${configDir} and its secrets: ${fix}`))
  }
  checks.push(
    ok(
      'admin',
      `The admin API may write: ${configDir} is open to user ${user}, so whoever takes over a worker ` +
        'can make keys and tokens. Without need for it: tollgate admin disable',
    ),
  )
  return checks
}

/** Root reads what nginx includes, so that the workers must not write there. */
async function checkIncludes({ nginxDir }: Installation, workers: Account): Promise<Check[]> {
  const path = join(nginxDir, 'tollgate')
  const isSafe = (await findObstacle(workers, path, ['write', 'enter'])) !== null
  if (isSafe || workers.uid === 0 || !(await isRoots(nginxDir))) return []
  return [
    problem(
      'admin',
      `User ${workers.user} of the workers may write into ${path}, from where root includes files: as ` +
        `root: chown -R root ${path} && chmod -R go-w ${path}, then tollgate admin enable`,
    ),
  ]
}

// An nginx that an ordinary user starts leads nobody else anywhere.
async function isRoots(path: string): Promise<boolean> {
  return (await stat(path)).uid === 0
}

/** What the gate does not make: its commands refuse to follow it, and somebody has put it there. */
async function checkPlanted(configDir: string): Promise<Check[]> {
  const checks: Check[] = []
  for (const name of await readdir(configDir)) {
    const path = join(configDir, name)
    const found = await findKind(path)
    const isUsual =
      found === null || found.isFile() || (found.isDirectory() && /\.lock$/.test(name))
    if (isUsual) continue
    const kind = found.isSymbolicLink() ? 'a link' : found.isDirectory() ? 'a folder' : 'no file'
    checks.push(
      warning('admin', `${path} is ${kind}, which no command makes: look who has put it there`),
    )
  }
  return checks
}
