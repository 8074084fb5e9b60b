import { chmod, chown, mkdir, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { requireLocal } from '../context.ts'
import { type Account, findWorkers } from '../install/accounts.ts'
import { readDirectives } from '../install/directives.ts'
import { type Fault, formatFault } from '../install/fault.ts'
import { findGateSite } from '../install/gatesite.ts'
import {
  findInstalledNginx,
  isModuleLoaded,
  readAdminListen,
  readRareListen,
  requireConfiguration,
} from '../install/installed.ts'
import {
  ADMIN_PORT,
  checkPath,
  LAYOUT_DEFAULTS,
  type Placed,
  RARE_PORT,
  readChosenEngine,
  WORKERS_DIR,
} from '../install/layout.ts'
import { listObstacles } from '../install/obstacles.ts'
import { listHidden, listSteps, type Step } from '../install/pasted.ts'
import { tryLayout } from '../install/trial.ts'
import { invocation, quote } from '../invocation.ts'
import type { Engine, Nginx } from '../nginx/types.ts'
import { print, Refused } from '../output.ts'
import { createConfiguration } from '../serve/demo.ts'
import { pickPort } from '../serve/listen.ts'
import { chooseConfigDir } from '../store/dirs.ts'

type InstallOptions = {
  nginxDir: string
  stateDir: string
  dir?: string
  nginx?: string
  engine?: Engine
  json?: boolean
}

type Folders = { nginxDir: string; configDir: string; stateDir: string }

/** What was done, for machines; the text for people says the same. */
type Report = {
  ok: boolean
  /** false: the site does not go with these files, and all is as it was. */
  isApplied: boolean
  nginx: string
  njs: string
  engine: string
  dir: string
  stateDir: string
  workers: string | null
  files: Placed[]
  /** Lines that the site lacks. */
  steps: Step[]
  /** Lines of the site to change, before the next reload of nginx. */
  faults: Fault[]
  /** What a person has to look at. */
  warnings: string[]
  test: { isValid: boolean; message: string }
}

/** Registers `tollgate install`. */
export function registerInstall(program: Command): void {
  program
    .command('install')
    .description("put the gate's files beside an nginx.conf, and print the lines to add to a site")
    .option('--nginx-dir <dir>', 'the folder of nginx.conf', LAYOUT_DEFAULTS.nginxDir)
    .option('--state-dir <dir>', 'the folder of the ledger', LAYOUT_DEFAULTS.stateDir)
    .option('--nginx <path>', 'the nginx to install for (default: the one on PATH)')
    .addOption(
      new Option(
        '--engine <engine>',
        'the JavaScript engine (default: qjs, where nginx has it)',
      ).choices(['njs', 'qjs']),
    )
    .addHelpText('after', '\nState folder (--dir): NGINX-DIR/tollgate unless named.')
    .action((_, command: Command) => {
      requireLocal(command)
      return install(command.optsWithGlobals<InstallOptions>())
    })
}

async function install(options: InstallOptions): Promise<void> {
  const nginxDir = checkPath(resolve(options.nginxDir))
  const folders = {
    nginxDir,
    configDir: checkPath(chooseConfigDir(options.dir, nginxDir)),
    stateDir: checkPath(resolve(options.stateDir)),
  }
  const nginx = await findInstalledNginx(options.nginx)
  const configuration = await requireConfiguration(nginxDir, nginx.command)
  const workers = await findWorkers(
    nginx.command,
    configuration,
    await readDirectives(configuration),
  )
  const warnings: string[] = []
  // nginx -t opens the ledger.
  await createStateDirs(folders.stateDir, workers, warnings)
  const listens = await chooseListens(nginxDir, warnings)
  const engine = await chooseEngine(nginxDir, nginx, options.engine)
  const layout = { ...folders, ...listens, engine, isEngineChosen: engine !== nginx.engine }
  const trial = await tryLayout(layout, nginx.command, configuration)
  const { isApplied, files, test, faults } = trial
  if (isApplied) files.push(...(await createFiles(folders, workers)))
  const obstacles = await listObstacles(folders, workers)
  warnings.push(...obstacles)
  const directives = await readDirectives(configuration)
  const site = findGateSite(directives)
  if (isApplied) warnings.push(...listHidden(site))
  const steps = isApplied ? await listSteps(site, nginx, isModuleLoaded(directives, nginx)) : []
  const { nginxVersion, njsVersion: njs } = nginx
  const report: Report = {
    ok: isApplied && test.isValid && faults.length === 0 && obstacles.length === 0,
    isApplied,
    nginx: nginxVersion,
    njs,
    engine,
    dir: folders.configDir,
    stateDir: folders.stateDir,
    workers: workers?.user ?? null,
    files: isApplied ? files : files.filter(({ how }) => how === 'kept'),
    steps,
    faults,
    warnings,
    test,
  }
  print(options.json === true, report, describe(report, nginxDir))
  if (!report.ok) process.exitCode = 1
}

/** The engine that is asked for, or was before, or else the best one. */
async function chooseEngine(nginxDir: string, nginx: Nginx, asked?: Engine): Promise<Engine> {
  const engine = asked ?? (await readChosenEngine(nginxDir)) ?? nginx.engine
  if (engine === 'njs' || nginx.engine === 'qjs') return engine
  throw new Refused(
    `njs ${nginx.njsVersion} of this nginx has no QuickJS, which comes with njs 1.0.1: leave --engine out`,
  )
}

/** Those in use stay. A new one avoids a port that something else has. */
async function chooseListens(
  nginxDir: string,
  warnings: string[],
): Promise<{ adminListen: string; rareListen: string }> {
  const [admin, rare] = [await readAdminListen(nginxDir), await readRareListen(nginxDir)]
  const free = async (port: number, other: string | null, who: string, file: string) => {
    const found = await pickPort(port, other === null ? [] : [portOf(other)])
    if (found !== port) {
      warnings.push(
        `Port ${port} is in use, so ${who} got 127.0.0.1:${found}: to choose another, edit ` +
          join(nginxDir, 'tollgate', file),
      )
    }
    return `127.0.0.1:${found}`
  }
  const adminListen = admin ?? (await free(ADMIN_PORT, rare, 'the housekeeping', 'admin.conf'))
  const rareListen =
    rare ?? (await free(RARE_PORT, adminListen, 'our own server for refusals', 'rare.conf'))
  return { adminListen, rareListen }
}

/** NaN of a socket. */
function portOf(listen: string): number {
  return Number(/:(\d+)$/.exec(listen)?.[1])
}

/** Makes policy.json and clients.json where they are not there. */
async function createFiles(
  { nginxDir, configDir }: Folders,
  workers: Account | null,
): Promise<Placed[]> {
  if (await mkdir(configDir, { recursive: true })) await chmod(configDir, 0o755)
  const schemas = relative(configDir, join(nginxDir, 'tollgate')) || '.'
  // Readable by the workers, writable by root alone, and closed to everybody else.
  const created = await createConfiguration(configDir, schemas, workers?.gid)
  return ['policy.json', 'clients.json'].map((name) => {
    const path = join(configDir, name)
    return { path, how: created.includes(path) ? 'written' : 'unchanged' }
  })
}

/** The ledger's folder, in which the workers only read, and below it their own, where they write. */
async function createStateDirs(
  stateDir: string,
  workers: Account | null,
  warnings: string[],
): Promise<void> {
  const own = join(stateDir, WORKERS_DIR)
  const isNew = (await mkdir(stateDir, { recursive: true })) !== undefined
  // Earlier versions gave the workers the whole folder.
  const isTheirs = workers !== null && (await stat(stateDir)).uid === workers.uid
  if (isNew) await chmod(stateDir, 0o750)
  if ((isNew || isTheirs) && process.getuid?.() === 0) {
    const fix = `chown root:${workers?.group} ${stateDir}`
    await give(stateDir, 0, workers?.gid, fix, warnings)
  }
  if (await mkdir(own, { recursive: true })) {
    await chmod(own, 0o750)
    const fix = `chown ${workers?.user}:${workers?.group} ${own}`
    await give(own, workers?.uid, workers?.gid, fix, warnings)
  }
}

async function give(
  path: string,
  uid: number | undefined,
  gid: number | undefined,
  fix: string,
  warnings: string[],
): Promise<void> {
  if (uid === undefined || gid === undefined) return
  try {
    await chown(path, uid, gid)
  } catch {
    warnings.push(`No permission to give ${path} to nginx: run this as root: ${fix}`)
  }
}

function describe(report: Report, nginxDir: string): string {
  const { engine, files, steps, faults, warnings, test, isApplied } = report
  const engineName = engine === 'qjs' ? 'QuickJS' : 'njs engine'
  const lines = [
    `nginx ${report.nginx}, njs ${report.njs} (${engineName})`,
    ...(isApplied ? describeFiles(report) : describeRefusal(files)),
    ...warnings.map((warning) => `Warning: ${warning}`),
    '',
    ...describeFaults(faults, isApplied),
    ...describeSteps(report),
    `nginx -t${isApplied ? '' : ' with these files'}: ${test.isValid ? 'the configuration is valid' : 'it refuses the configuration'}`,
    ...(test.message ? [test.message.replace(/^/gm, '  ')] : []),
  ]
  if (!isApplied) return lines.join('\n')
  const next = steps.length + faults.length > 0 ? 'Then' : 'Next'
  const dir = report.dir === LAYOUT_DEFAULTS.configDir ? '' : ` --dir ${quote(report.dir)}`
  const doctor = nginxDir === LAYOUT_DEFAULTS.nginxDir ? '' : ` --nginx-dir ${quote(nginxDir)}`
  const state =
    report.stateDir === LAYOUT_DEFAULTS.stateDir ? '' : ` --state-dir ${quote(report.stateDir)}`
  return `${lines.join('\n')}

${next}:
  nginx -t && nginx -s reload
  ${invocation()} key create app${dir}
  ${invocation()} doctor${dir}${doctor}${state}`
}

function describeFiles({ files, dir, stateDir }: Report): string[] {
  const pathsOf = (wanted: Placed['how']) =>
    files.filter(({ how }) => how === wanted).map(({ path }) => path)
  const [written, unchanged] = [pathsOf('written').length, pathsOf('unchanged').length]
  return [
    `${written} files written, ${unchanged} there already, in ${dirname(files[0]?.path ?? '')}`,
    ...pathsOf('kept').map(tellKept),
    ...pathsOf('removed').map((path) => `Removed ${path}: this version has it no more`),
    ...pathsOf('left').map(
      (path) => `${path} is of an earlier version and was changed by hand: remove it yourself`,
    ),
    `Clients and policy: ${dir}`,
    `Ledger: ${join(stateDir, 'ledger.jsonl')}`,
  ]
}

function tellKept(path: string): string {
  return `Kept ${path}, which was changed by hand; ours is ${path}.new`
}

function describeRefusal(kept: Placed[]): string[] {
  return [
    'Not applied: the site does not go with the files of this version. All is as it was, and nginx runs on.',
    ...kept.map(({ path }) => tellKept(path)),
  ]
}

function describeFaults(faults: Fault[], isApplied: boolean): string[] {
  if (faults.length === 0) return []
  const head = isApplied
    ? 'Change before the next reload of nginx:'
    : 'Change these lines, do not reload nginx in between, and run this again:'
  return [head, '', ...faults.map((fault) => `    ${formatFault(fault)}`), '']
}

function describeSteps({ steps, faults, isApplied }: Report): string[] {
  const isWhole = isApplied && steps.length + faults.length === 0
  if (isWhole) return ['The site has all lines of the gate.']
  return steps.flatMap(({ where, lines }) => [
    `Add ${where}:`,
    '',
    lines.replace(/^(?=.)/gm, '    '),
    '',
  ])
}
