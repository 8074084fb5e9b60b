import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { requireLocal } from '../context.ts'
import { type Account, findObstacle, findWorkers } from '../install/accounts.ts'
import { readDirectives } from '../install/directives.ts'
import {
  findInstalledNginx,
  requireConfiguration,
  testConfiguration,
} from '../install/installed.ts'
import { CONFIG_DIR, LAYOUT_DEFAULTS, rememberFile } from '../install/layout.ts'
import {
  closeFolder,
  copyConfiguration,
  holdBoth,
  makeFolder,
  openFolder,
  removeConfiguration,
  removeFolder,
} from '../install/move.ts'
import { listObstacles } from '../install/obstacles.ts'
import { invocation } from '../invocation.ts'
import { print, Refused } from '../output.ts'
import { writeAtomically } from '../store/atomic.ts'
import { DIRS_FILE, findFolder, readIncluded, readMap } from '../store/dirs.ts'

type SwitchOptions = { nginxDir?: string; nginx?: string; dir?: string; json?: boolean }

/** An installed gate. */
type Installed = {
  /** The folder of the includes, where root alone writes. */
  includes: string
  /** Where the configuration is, and where it is when the workers may write it. */
  dir: string
  shared: string
  stateDir: string
  workers: Account
  test(): Promise<{ isValid: boolean; message: string }>
}

const ENABLE_HELP = `
The admin API runs in nginx's workers, and these may read the configuration only, since it stands beside
nginx.conf. This moves policy.json and clients.json to a folder that they may write, below the one of the
ledger. From then on whoever takes over a worker can make keys and tokens; nothing that root reads or
opens is in there, and tollgate admin disable takes it back.`

/** Registers `tollgate admin enable` and `disable`. */
export function registerSwitches(admin: Command): void {
  const add = (name: string, description: string, act: (options: SwitchOptions) => Promise<void>) =>
    admin
      .command(name)
      .description(description)
      .option(
        '--nginx-dir <dir>',
        `the folder of nginx.conf (default: ${LAYOUT_DEFAULTS.nginxDir})`,
      )
      .option('--nginx <path>', 'the nginx that runs it (default: the one on PATH)')
      .action((_, command: Command) => {
        requireLocal(command)
        return act(command.optsWithGlobals<SwitchOptions>())
      })
  add(
    'enable',
    'let the admin API of an installed gate change the configuration',
    enable,
  ).addHelpText('after', ENABLE_HELP)
  add('disable', 'let it read only again', disable)
}

async function enable(options: SwitchOptions): Promise<void> {
  const gate = await findInstalled(options)
  const { dir, shared, stateDir, workers } = gate
  if (dir === shared) {
    await openFolder(shared, workers)
    return tell(options, gate, [], `It may write already, in ${shared}.`)
  }
  if ((await findObstacle(workers, dir, ['write', 'enter'])) === null) {
    return tell(options, gate, [], `It may write already: ${dir} is open to user ${workers.user}.`)
  }
  await holdBoth(dir, async () => {
    await makeFolder(shared)
    await switchTo(gate, shared)
    await openFolder(shared, workers)
    await removeConfiguration(dir)
  })
  const warnings = await listObstacles({ configDir: shared, stateDir }, workers)
  tell(
    options,
    { ...gate, dir: shared },
    warnings,
    `Moved policy.json and clients.json from ${dir} to ${shared}, which nginx's workers (user ` +
      `${workers.user}) may write from now on.`,
  )
}

async function disable(options: SwitchOptions): Promise<void> {
  const gate = await findInstalled(options)
  const { dir, shared, includes, workers } = gate
  if (dir === includes) return tell(options, gate, [], `It may read only already, in ${dir}.`)
  if (dir !== shared) {
    throw new Refused(`The configuration is in ${dir}, which tollgate admin enable has not made`)
  }
  // Before anything is read: nobody changes it in between.
  await closeFolder(shared, workers)
  await holdBoth(shared, () => switchTo(gate, includes)).catch(async (error) => {
    await openFolder(shared, workers)
    throw error
  })
  await removeConfiguration(shared)
  const names = await removeFolder(shared)
  const left = `${shared} is closed and stays, since it holds ${names.join(', ')}: look what it is`
  tell(
    options,
    { ...gate, dir: includes },
    names.length > 0 ? [left] : [],
    `Moved policy.json and clients.json from ${shared} back to ${includes}, where root alone writes.`,
  )
}

async function findInstalled(options: SwitchOptions): Promise<Installed> {
  const nginxDir = findNginxDir(options)
  const includes = join(nginxDir, 'tollgate')
  const text = readIncluded(includes)
  const dir = readMap(text, 'dir')
  const ledger = readMap(text, 'ledger_file')
  if (dir === undefined || ledger === undefined) {
    throw new Refused(`No gate is installed in ${includes}: run tollgate install`)
  }
  const { command } = await findInstalledNginx(options.nginx)
  const configuration = await requireConfiguration(nginxDir, command)
  const workers = await findWorkers(command, configuration, await readDirectives(configuration))
  if (workers === null) {
    throw new Refused(`The system does not know the user in ${configuration}: make it, or fix it`)
  }
  const stateDir = dirname(ledger)
  const test = () => testConfiguration(command, configuration)
  return { includes, dir, shared: join(stateDir, CONFIG_DIR), stateDir, workers, test }
}

function findNginxDir({ nginxDir, dir }: SwitchOptions): string {
  if (nginxDir !== undefined || dir === undefined)
    return resolve(nginxDir ?? LAYOUT_DEFAULTS.nginxDir)
  const { includes, isServed } = findFolder(dir)
  if (!isServed) return dirname(includes)
  throw new Refused('The gate of a tollgate serve may write its configuration from the start')
}

const DIR_MAP = /^(map\s+""\s+\$tollgate_dir\s*\{\s*default\s+)"[^"]+"/m

/** Copies the files, and has nginx look for them there from its next reload on; or changes nothing. */
async function switchTo(gate: Installed, to: string): Promise<void> {
  const { includes, dir, workers } = gate
  const path = join(includes, DIRS_FILE)
  const text = readIncluded(includes)
  const changed = text.replace(DIR_MAP, (_, head: string) => `${head}"${to}"`)
  const before = await gate.test()
  await copyConfiguration(dir, to, workers.gid)
  try {
    await writeAtomically(path, changed)
    const after = await gate.test()
    if (before.isValid && !after.isValid) {
      throw new Refused(`nginx refuses the configuration with ${to}:\n${after.message}`)
    }
    await rememberFile(includes, DIRS_FILE, text, changed)
  } catch (error) {
    await writeAtomically(path, text)
    await removeConfiguration(to)
    throw error
  }
}

function tell(
  { json }: SwitchOptions,
  { dir, shared, workers }: Installed,
  warnings: string[],
  text: string,
): void {
  const result = { dir, isWritable: dir === shared, workers: workers.user, warnings }
  const lines = [text, ...warnings.map((warning) => `Warning: ${warning}`)]
  const next = `\n\nNext:\n  nginx -s reload\n  ${invocation()} doctor`
  print(json === true, result, lines.join('\n') + next)
}
