import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { checkAdmin } from '../checks/admin.ts'
import type { Check, Installation } from '../checks/check.ts'
import { checkFiles, checkNginx, checkShutdown, checkSite, checkZones } from '../checks/nginx.ts'
import {
  checkConfigurationFiles,
  checkLedger,
  checkLoad,
  checkPermissions,
} from '../checks/state.ts'
import { checkUpstreams } from '../checks/upstream.ts'
import { requireLocal } from '../context.ts'
import { findWorkers } from '../install/accounts.ts'
import { readDirectives } from '../install/directives.ts'
import { findFaults } from '../install/faults.ts'
import { findGateSite } from '../install/gatesite.ts'
import { findInstalledNginx, requireConfiguration } from '../install/installed.ts'
import { LAYOUT_DEFAULTS } from '../install/layout.ts'
import { commandWith, type Nginx } from '../nginx/find.ts'
import { count, print } from '../output.ts'
import { chooseConfigDir, findFolder, requireOwn } from '../store/dirs.ts'

type DoctorOptions = {
  nginxDir?: string
  stateDir?: string
  dir?: string
  nginx?: string
  upstream?: string
  json?: boolean
}

type Folders = { nginxDir: string; configDir: string; stateDir: string }

const MARKS = { ok: 'ok      ', warning: 'warning ', problem: 'PROBLEM ' }
const MARK_WIDTH = 8

/** Registers `tollgate doctor`. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look at an installed gate: what is wrong, and the fix')
    .option('--nginx-dir <dir>', `the folder of nginx.conf (default: ${LAYOUT_DEFAULTS.nginxDir})`)
    .option('--state-dir <dir>', `folder of the ledger (default: ${LAYOUT_DEFAULTS.stateDir})`)
    .option('--nginx <path>', 'the nginx that runs it (default: the one on PATH)')
    .option('--upstream <url>', 'where vLLM is (default: as in nginx.conf)')
    .addHelpText('after', '\nOn the folder of a tollgate serve, --dir is all it needs.')
    .action((_, command: Command) => {
      requireLocal(command)
      return doctor(command.optsWithGlobals<DoctorOptions>())
    })
}

async function doctor(options: DoctorOptions): Promise<void> {
  const installation = await describeInstallation(options)
  const checks = [
    ...(await checkNginx(installation)),
    ...checkSite(installation),
    ...(await checkZones(installation)),
    checkShutdown(installation),
    ...(await checkFiles(installation)),
    ...(await checkPermissions(installation)),
    ...(await checkConfigurationFiles(installation)),
    ...(await checkAdmin(installation)),
    await checkLoad(installation),
    ...(await checkLedger(installation)),
    ...(await checkUpstreams(installation, options.upstream)),
  ]
  const problems = checks.filter(({ level }) => level === 'problem').length
  print(options.json === true, { ok: problems === 0, checks }, describe(checks))
  if (problems > 0) process.exitCode = 1
}

async function describeInstallation(options: DoctorOptions): Promise<Installation> {
  const served = findServed(options)
  const folders = served ?? chooseFolders(options)
  const { nginxDir } = folders
  const remembered = served && options.nginx === undefined ? await readServed(served) : null
  const nginx = remembered ?? (await findInstalledNginx(options.nginx))
  const configuration = await requireConfiguration(nginxDir, nginx.command)
  const directives = await readDirectives(configuration)
  return {
    ...folders,
    configuration,
    nginx,
    directives,
    site: findGateSite(directives),
    faults: findFaults(directives, nginxDir),
    workers: await findWorkers(nginx.command, configuration, directives),
    nowMs: Date.now(),
  }
}

function chooseFolders(options: DoctorOptions): Folders {
  const nginxDir = resolve(options.nginxDir ?? LAYOUT_DEFAULTS.nginxDir)
  return {
    nginxDir,
    configDir: chooseConfigDir(options.dir, nginxDir),
    stateDir: resolve(options.stateDir ?? LAYOUT_DEFAULTS.stateDir),
  }
}

/** The folders of a `tollgate serve`, if that is what is meant. Its nginx is run, so it has to be ours. */
function findServed(options: DoctorOptions): Folders | null {
  if (options.nginxDir !== undefined) return null
  const { dir, isServed } = findFolder(options.dir)
  if (!isServed) return null
  const nginxDir = join(dir, 'nginx')
  requireOwn(dir, `run the nginx of ${dir}`, 'run this as the one who started it')
  return { nginxDir, configDir: dir, stateDir: options.stateDir ?? dir }
}

async function readServed({ configDir }: Folders): Promise<Nginx | null> {
  const path = join(configDir, 'run', 'nginx.json')
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return null
  const nginx = JSON.parse(text) as Nginx
  return { ...nginx, command: commandWith(nginx, [configDir]) }
}

function describe(checks: Check[]): string {
  const lines = checks.map(({ name, level, message }) => {
    const indented = message.replaceAll('\n', `\n${' '.repeat(MARK_WIDTH)}  `)
    return `${MARKS[level]}${name}: ${indented}`
  })
  const problems = checks.filter(({ level }) => level === 'problem').length
  const warnings = checks.filter(({ level }) => level === 'warning').length
  lines.push('', `${count(problems, 'problem')}, ${count(warnings, 'warning')}`)
  return lines.join('\n')
}
