import { chmod, chown, mkdir, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { requireLocal } from '../context.ts'
import { type Account, findWorkers } from '../install/accounts.ts'
import { readDirectives } from '../install/directives.ts'
import { findGateSite } from '../install/gatesite.ts'
import {
  findInstalledNginx,
  isModuleLoaded,
  readAdminListen,
  requireConfiguration,
  testConfiguration,
} from '../install/installed.ts'
import {
  ADMIN_PORT,
  checkPath,
  LAYOUT_DEFAULTS,
  layOut,
  type Placed,
  WORKERS_DIR,
} from '../install/layout.ts'
import { listObstacles } from '../install/obstacles.ts'
import { listSteps, type Step } from '../install/pasted.ts'
import { invocation, quote } from '../invocation.ts'
import type { Door } from '../nginx/find.ts'
import { print } from '../output.ts'
import { createConfiguration } from '../serve/demo.ts'
import { pickAdminPort } from '../serve/listen.ts'
import { chooseConfigDir } from '../store/dirs.ts'
import { requireDoor } from './serve.ts'

type InstallOptions = {
  nginxDir: string
  stateDir: string
  dir?: string
  nginx?: string
  door?: Door
  json?: boolean
}

type Folders = { nginxDir: string; configDir: string; stateDir: string }

/** What was done, for machines; the text for people says the same. */
type Report = {
  ok: boolean
  nginx: string
  njs: string
  engine: string
  door: Door
  dir: string
  stateDir: string
  workers: string | null
  files: Placed[]
  /** Lines that the site lacks. */
  steps: Step[]
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
      new Option('--door <door>', 'where admission runs (default: as the nginx allows)').choices([
        'access',
        'content',
      ]),
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
  const door = requireDoor(nginx, options.door)
  const configuration = await requireConfiguration(nginxDir, nginx.command)
  const directives = await readDirectives(configuration)
  const workers = await findWorkers(nginx.command, configuration, directives)
  const warnings: string[] = []
  const adminListen = await chooseAdminListen(nginxDir, warnings)
  const files = await layOut({ ...folders, adminListen, engine: nginx.engine })
  files.push(...(await createState(folders, workers, warnings)))
  const obstacles = await listObstacles(folders, workers)
  warnings.push(...obstacles)
  const steps = await listSteps(
    findGateSite(directives),
    door,
    nginx,
    isModuleLoaded(directives, nginx),
  )
  const test = await testConfiguration(nginx.command, configuration)
  const { nginxVersion, njsVersion: njs, engine } = nginx
  const report: Report = {
    ok: test.isValid && obstacles.length === 0,
    nginx: nginxVersion,
    njs,
    engine,
    door,
    dir: folders.configDir,
    stateDir: folders.stateDir,
    workers: workers?.user ?? null,
    files,
    steps,
    warnings,
    test,
  }
  print(options.json === true, report, describe(report, nginxDir))
  if (!report.ok) process.exitCode = 1
}

/** The one in use stays. A new one avoids a port that something else has. */
async function chooseAdminListen(nginxDir: string, warnings: string[]): Promise<string> {
  const installed = await readAdminListen(nginxDir)
  if (installed !== null) return installed
  const port = await pickAdminPort(ADMIN_PORT)
  if (port !== ADMIN_PORT) {
    warnings.push(
      `Port ${ADMIN_PORT} is in use, so the housekeeping got 127.0.0.1:${port}: to choose another, ` +
        `edit listen in ${join(nginxDir, 'tollgate', 'admin.conf')}`,
    )
  }
  return `127.0.0.1:${port}`
}

/** Makes the folders and files of the state that are not there, and gives them to the workers. */
async function createState(
  { nginxDir, configDir, stateDir }: Folders,
  workers: Account | null,
  warnings: string[],
): Promise<Placed[]> {
  if (await mkdir(configDir, { recursive: true })) await chmod(configDir, 0o755)
  const schemas = relative(configDir, join(nginxDir, 'tollgate')) || '.'
  // Readable by the workers, writable by root alone, and closed to everybody else.
  const created = await createConfiguration(configDir, schemas, workers?.gid)
  await createStateDirs(stateDir, workers, warnings)
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
  const { door, engine, files, steps, warnings, test } = report
  const engineName = engine === 'qjs' ? 'QuickJS' : 'njs engine'
  const kept = files.filter(({ how }) => how === 'kept')
  const written = files.filter(({ how }) => how === 'written').length
  const lines = [
    `nginx ${report.nginx}, njs ${report.njs} (${engineName}): the ${door} door`,
    `${written} files written, ${files.length - written - kept.length} there already, in ${dirname(files[0]?.path ?? '')}`,
    ...kept.map(({ path }) => `Kept ${path}, which was changed by hand; ours is ${path}.new`),
    `Clients and policy: ${report.dir}`,
    `Ledger: ${join(report.stateDir, 'ledger.jsonl')}`,
    ...warnings.map((warning) => `Warning: ${warning}`),
    '',
    ...describeSteps(steps),
    `nginx -t: ${test.isValid ? 'the configuration is valid' : 'it refuses the configuration'}`,
    ...(test.message ? [test.message.replace(/^/gm, '  ')] : []),
  ]
  const next = steps.length > 0 ? 'Then' : 'Next'
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

function describeSteps(steps: Step[]): string[] {
  if (steps.length === 0) return ['The site has all lines of the gate.']
  return steps.flatMap(({ where, lines }) => [
    `Add ${where}:`,
    '',
    lines.replace(/^(?=.)/gm, '    '),
    '',
  ])
}
