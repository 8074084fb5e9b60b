import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { startMock } from '../../mock/server.ts'
import { requireLocal } from '../context.ts'
import {
  checkPath,
  hasOnlyKeyCharacters,
  type Layout,
  layOut,
  WORKERS_DIR,
} from '../install/layout.ts'
import { commandWith, findNginx, type Nginx, type World } from '../nginx/find.ts'
import { Refused } from '../output.ts'
import { createConfiguration, prepareAdmin, prepareDemo } from '../serve/demo.ts'
import {
  checkConfiguration,
  claimFolder,
  type Foreground,
  readErrors,
  type Start,
  startNginx,
} from '../serve/foreground.ts'
import {
  claim,
  type Listen,
  parseListen,
  parseUpstream,
  pickListens,
  type Upstream,
} from '../serve/listen.ts'
import { readyLine, readyText } from '../serve/ready.ts'
import { nginxConf } from '../serve/site.ts'

type ServeOptions = {
  listen: string
  upstream?: string
  dir?: string
  nginx?: string
  world?: World
  json?: boolean
}

/** What is settled before anything is started. */
type ServePlan = {
  listen: Listen
  upstream: Upstream | null
  upstreamKey: string | undefined
  dir: string
  runDir: string
  nginxDir: string
}

/** What the demo's mock answers like: an 8B model on one GPU. */
const DEMO_LATENCY = { ttftMs: 100, itlMs: 20, tokens: 40 }
const WORKERS_MAX = 8
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const CERTIFICATE_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

const HELP = `
State folder (--dir): ./.tollgate unless named; it is made when it is absent.
With --json one line is printed on stdout when the gate is ready, and nothing else:
{"gate":"http://127.0.0.1:8001","admin":"http://127.0.0.1:9180","adminToken":"tga_...","upstream":"...",
 "dir":"...","key":"tg_...","world":"...","pid":1}

TOLLGATE_UPSTREAM_KEY  the key of vLLM itself, if it was started with one
SSL_CERT_FILE          the certificates that https to vLLM trusts, instead of the system's`

/** Registers `tollgate serve`. */
export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('run the whole gate in the foreground, on an nginx of its own')
    .option('--listen <[address:]port>', 'where the gate listens', '8001')
    .option('--upstream <url>', 'vLLM: http(s)://host:port or unix:PATH (default: a mock of it)')
    .addOption(new Option('--nginx <path>', 'the nginx to run').conflicts('world'))
    .addOption(
      new Option('--world <world>', 'run the nginx of a Debian release').choices([
        'newest',
        'debian13',
      ]),
    )
    .addHelpText('after', HELP)
    .action((_, command: Command) => {
      requireLocal(command)
      return serve(command.optsWithGlobals<ServeOptions>())
    })
}

async function serve(options: ServeOptions): Promise<void> {
  const plan = await makePlan(options)
  const nginx = await provideNginx(options)
  await makeFolder(plan)
  await createConfiguration(plan.dir, './nginx/tollgate')
  const key = await prepareDemo(plan.dir, Date.now())
  const adminToken = await prepareAdmin(plan.dir, Date.now())
  const stopping = abortOnSignals()
  const mock = plan.upstream ? null : await startMock(DEMO_LATENCY)
  try {
    const upstream = plan.upstream ?? parseUpstream(mock?.url ?? '')
    const listens = await pickListens()
    const start = await configure(plan, upstream, nginx, listens)
    const gate = await startNginx(start, stopping)
    if (gate === null) return
    const admin = { url: `http://${listens.adminListen}`, token: adminToken }
    const isMock = mock !== null
    const ready = { ...plan, upstream, nginx, key, admin, isMock, pid: gate.pid }
    process.stdout.write(options.json ? readyLine(ready) : await readyText(ready))
    await waitForEnd(gate, start, stopping)
  } finally {
    await mock?.close()
  }
}

/** Whatever can be wrong with the options, before anything is downloaded, written or started. */
async function makePlan(options: ServeOptions): Promise<ServePlan> {
  const listen = await claim(parseListen(options.listen))
  const upstream = options.upstream === undefined ? null : parseUpstream(options.upstream)
  const dir = checkPath(resolve(options.dir ?? '.tollgate'))
  const plan = { listen, upstream, dir, runDir: join(dir, 'run'), nginxDir: join(dir, 'nginx') }
  return { ...plan, upstreamKey: takeUpstreamKey() }
}

/** Takes vLLM's own key out of the environment, so that no child process has it in its own. */
function takeUpstreamKey(): string | undefined {
  const key = process.env.TOLLGATE_UPSTREAM_KEY
  delete process.env.TOLLGATE_UPSTREAM_KEY
  if (!key) return undefined
  if (hasOnlyKeyCharacters(key)) return key
  throw new Refused(
    'Cannot use the key in TOLLGATE_UPSTREAM_KEY: at most 512 characters of ASCII without ' +
      'spaces, ", $ and \\ can be written into the configuration of nginx',
  )
}

async function makeFolder({ dir, runDir }: ServePlan): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  await mkdir(join(dir, WORKERS_DIR), { recursive: true, mode: 0o700 })
  const other = await claimFolder(runDir)
  if (other === null) return
  throw new Refused(
    `Another tollgate serve runs in ${dir} (process ${other}): stop it, or choose another folder ` +
      'with --dir',
  )
}

async function provideNginx(options: ServeOptions): Promise<Nginx> {
  const { nginx: path, world } = options
  const named = {
    ...(path === undefined ? {} : { path }),
    ...(world === undefined ? {} : { world }),
  }
  try {
    return await findNginx({ ...named, say })
  } catch (error) {
    throw new Refused(error instanceof Error ? error.message : String(error))
  }
}

/** Writes everything below nginx/ of the folder, and has nginx check it. */
async function configure(
  plan: ServePlan,
  upstream: Upstream,
  nginx: Nginx,
  listens: Pick<Layout, 'adminListen' | 'rareListen'>,
): Promise<Start> {
  const { dir, runDir, nginxDir, upstreamKey } = plan
  const layout = {
    nginxDir,
    configDir: dir,
    stateDir: dir,
    ...listens,
    engine: nginx.engine,
    accessLog: join(runDir, 'access.log'),
    ...(upstreamKey === undefined ? {} : { upstreamKey }),
  }
  await layOut(layout)
  const conf = await nginxConf({
    layout,
    nginx,
    example: 'gate',
    listen: plan.listen.listen,
    upstreamServer: upstream.server,
    upstreamScheme: upstream.scheme,
    tlsName: upstream.tlsName,
    trustedCertificates: findCertificates(upstream),
    workers: Math.min(availableParallelism(), WORKERS_MAX),
    // The folder may be where only root can go, such as below /root.
    user: process.getuid?.() === 0 ? 'root' : null,
    runDir,
  })
  await writeFile(join(nginxDir, 'nginx.conf'), conf)
  // For doctor, which asks the same nginx.
  await writeFile(join(runDir, 'nginx.json'), `${JSON.stringify(nginx, null, 2)}\n`)
  // What an earlier start has left must not look like the readiness of this one.
  await rm(join(dir, WORKERS_DIR, 'state.json'), { force: true })
  await rm(join(runDir, 'nginx.pid'), { force: true })
  const start = {
    command: commandWith(nginx, folders(plan, upstream)),
    nginxDir,
    stateDir: dir,
    runDir,
  }
  await checkConfiguration(start)
  return start
}

function folders({ dir }: ServePlan, upstream: Upstream): string[] {
  return upstream.socketPath === null ? [dir] : [dir, dirname(upstream.socketPath)]
}

// A certificate is for a name: that of an address could not be checked.
function findCertificates({ scheme, tlsName, url }: Upstream): string | null {
  if (scheme === 'http') return null
  const file = [process.env.SSL_CERT_FILE ?? '', ...CERTIFICATE_FILES].find((path) =>
    existsSync(path),
  )
  if (tlsName !== null && file !== undefined) return resolve(file)
  say(`The certificate of ${url} is not checked`)
  return null
}

function abortOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const name of SIGNALS) process.on(name, () => controller.abort())
  return controller.signal
}

async function waitForEnd(gate: Foreground, start: Start, stopping: AbortSignal): Promise<void> {
  const asked = new Promise<'asked'>((done) => {
    if (stopping.aborted) done('asked')
    stopping.addEventListener('abort', () => done('asked'))
  })
  const ended = await Promise.race([asked, gate.ended])
  if (ended === 'asked') return gate.stop()
  if (ended.isOrderly) return say('nginx was told to end')
  const log = await readErrors(start, ended.logOffset)
  throw new Refused([`nginx ended by itself (${ended.how})`, ...log].join('\n'))
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
