import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findNotices } from '../../core/config/notices.ts'
import { findObstacle } from '../install/accounts.ts'
import { WORKERS_DIR } from '../install/layout.ts'
import { listObstacles } from '../install/obstacles.ts'
import { count, formatProblem, Refused } from '../output.ts'
import { readState } from '../serve/foreground.ts'
import { inspect } from '../store/documents.ts'
import { type Check, type Installation, ok, problem, warning } from './check.ts'

const FILES = ['policy.json', 'clients.json']
/** Housekeeping looks twice a second, and a large file takes it some more. */
const LOAD_DELAY_MS_MAX = 5_000

/** Who can read and write what. */
export async function checkPermissions(installation: Installation): Promise<Check[]> {
  const { configDir, stateDir, nginxDir, workers } = installation
  const checks = (await listObstacles({ configDir, stateDir }, workers)).map((message) =>
    problem('permissions', message),
  )
  for (const name of FILES) {
    const path = join(configDir, name)
    if (await hasMode(path, 0o007)) {
      checks.push(warning('permissions', `Everybody can read ${path}: chmod o= ${path}`))
    }
  }
  const key = join(nginxDir, 'tollgate', 'upstream-key.conf')
  if (await hasMode(key, 0o077)) {
    checks.push(problem('permissions', `Others can read the key of vLLM: chmod 600 ${key}`))
  }
  for (const folder of [stateDir, join(stateDir, WORKERS_DIR)]) {
    if (existsSync(folder)) continue
    checks.push(problem('permissions', `There is no ${folder}: run tollgate install`))
    break
  }
  if (workers && workers.uid !== 0 && !(await findObstacle(workers, stateDir, ['write']))) {
    const danger = 'where root opens the ledger: a link in there could lead to any file'
    const fix = `chown root:${workers.group} ${stateDir} && chmod 750 ${stateDir}`
    const message = `nginx's workers (user ${workers.user}) can write into ${stateDir}, ${danger}. As root: ${fix}`
    if (await isOwnedByRoot(nginxDir)) checks.push(warning('permissions', message))
  }
  return checks.length > 0 ? checks : [ok('permissions', 'Owners and modes are as they should be')]
}

// An nginx that an ordinary user starts has no other user than its workers'.
async function isOwnedByRoot(path: string): Promise<boolean> {
  return (await stat(path)).uid === 0
}

// Somebody else's files count only where that folder lets others in; the mode is told all the same.
async function hasMode(path: string, bits: number): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found !== null && (found.mode & bits) !== 0
}

/** policy.json and clients.json themselves. */
export async function checkConfigurationFiles({ configDir }: Installation): Promise<Check[]> {
  if (!existsSync(configDir)) {
    return [problem('clients', `There is no ${configDir}: run tollgate install`)]
  }
  const inspection = await inspect(configDir).catch((error: Error) => error)
  if (inspection instanceof Refused) return [problem('clients', inspection.message)]
  if (inspection instanceof Error) throw inspection
  const { clients, policy, problems, missing } = inspection
  const checks = [
    ...missing.map((name) => problem('clients', `There is no ${name}: run tollgate install`)),
    ...problems.map((found) => problem('clients', formatProblem(found))),
  ]
  if (checks.length > 0) return checks
  const all = Object.values(clients.clients)
  const keys = all.reduce((sum, client) => sum + client.keys.length, 0)
  const summary = `${count(all.length, 'client')} with ${count(keys, 'key')}`
  const notices = findNotices(clients, policy)
  return [
    keys > 0
      ? ok('clients', `${summary} in ${configDir}`)
      : warning('clients', `${configDir} has no key yet: tollgate key create app`),
    ...notices.map(({ path, message }) => warning('clients', `${path}: ${message}`)),
  ]
}

/** What the running gate has loaded, and whether that is what the files say now. */
export async function checkLoad({ configDir, stateDir, nowMs }: Installation): Promise<Check> {
  const path = join(stateDir, WORKERS_DIR, 'state.json')
  const state = await readState(stateDir)
  if (state === null) {
    return warning('load', `No gate has written ${path} yet: start nginx, or reload it`)
  }
  if (state.problems.length > 0) {
    const lines = state.problems.map((found) => `${found.path}: ${found.message}`)
    const kept =
      state.generation > 0 ? `generation ${state.generation} is still in force` : 'none is in force'
    return problem('load', `The gate cannot load the files, ${kept}:\n${lines.join('\n')}`)
  }
  const loadedMs = Date.parse(state.loaded ?? '')
  for (const name of FILES) {
    const changedMs = (await stat(join(configDir, name)).catch(() => null))?.mtimeMs ?? 0
    if (changedMs > loadedMs && nowMs - changedMs > LOAD_DELAY_MS_MAX) {
      return problem(
        'load',
        `${name} has changed since the gate loaded it at ${state.loaded}: is nginx running, and ` +
          'does its error log say why not?',
      )
    }
  }
  const keys = count(state.keys, 'key')
  return ok('load', `Generation ${state.generation} with ${keys} is in force since ${state.loaded}`)
}

/** Whether the sums over the ledger, which the budgets are taken from, can be kept. */
export async function checkLedger({ stateDir }: Pick<Installation, 'stateDir'>): Promise<Check[]> {
  const ledger = (await readState(stateDir))?.ledger
  if (!ledger) return []
  const checks: Check[] = []
  if (ledger.problem !== null) checks.push(problem('ledger', ledger.problem))
  if (ledger.countersFull > 0) {
    const times = count(ledger.countersFull, 'time')
    const fix =
      'give tollgate_counters, tollgate_windows and tollgate_running more memory in http.conf'
    checks.push(problem('ledger', `A zone of counters was full, ${times} since the start: ${fix}`))
  }
  if (ledger.notice !== null) checks.push(warning('ledger', ledger.notice))
  if (checks.length > 0) return checks
  const behind = ledger.behindBytes > 0 ? `, ${ledger.behindBytes} bytes to go` : ''
  return [ok('ledger', `${count(ledger.lines, 'line')} added up${behind}`)]
}
