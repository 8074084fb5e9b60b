import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { findAll } from '../install/directives.ts'
import { formatFault } from '../install/fault.ts'
import {
  isModuleLoaded,
  readAdminListen,
  readRareListen,
  testConfiguration,
} from '../install/installed.ts'
import {
  gatherFiles,
  hash,
  LAYOUT_DEFAULTS,
  packageDir,
  readChosenEngine,
  readManifest,
} from '../install/layout.ts'
import { listHidden } from '../install/pasted.ts'
import { type Check, type Installation, ok, problem, warning } from './check.ts'

/** Made to be edited, or looked at by themselves. */
const LOOKED_AT = ['upstream-key.conf', 'logs.conf', 'engine.conf', 'engine-rare.conf']

/** The versions, the engine, and nginx's own opinion of the configuration. */
export async function checkNginx(installation: Installation): Promise<Check[]> {
  const { nginx, configuration } = installation
  const engine = nginx.engine === 'qjs' ? 'QuickJS' : 'the njs engine'
  const { isValid, message } = await testConfiguration(nginx.command, configuration)
  return [
    ok('nginx', `nginx ${nginx.nginxVersion} with njs ${nginx.njsVersion} and ${engine}`),
    isValid
      ? ok('configuration', `nginx accepts ${configuration}`)
      : problem('configuration', `nginx refuses ${configuration}:\n${message}`),
    checkModule(installation),
    await checkEngine(installation),
  ]
}

function checkModule({ directives, nginx }: Installation): Check {
  if (isModuleLoaded(directives, nginx)) return ok('module', 'The njs module is loaded')
  return problem(
    'module',
    `The njs module is not loaded: write at the top of nginx.conf: load_module ${nginx.loadModule};`,
  )
}

function checkAsked({ site }: Pick<Installation, 'site'>): Check[] {
  const { guarded, recipes } = site
  if (guarded.length + recipes.length === 0) {
    return [
      problem(
        'gate',
        'No location asks the gate: run tollgate install for the lines to add to your site',
      ),
    ]
  }
  return [
    ...guarded.map(({ name, upstreams }) =>
      ok('gate', `${name} goes to ${upstreams.join(', ') || 'no upstream block'}`),
    ),
    ...recipes.map(({ name }) => ok('gate', `${name} tests $tollgate_verdict by itself`)),
  ]
}

async function checkEngine({ nginxDir, nginx }: Installation): Promise<Check> {
  const names = ['engine.conf', 'engine-rare.conf']
  const paths = names.map((name) => join(nginxDir, 'tollgate', name))
  const engines = await Promise.all(paths.map(readEngine))
  const chosen = await readChosenEngine(nginxDir)
  const at = engines.findIndex((engine) => engine !== (chosen ?? nginx.engine))
  if (at < 0) {
    const why = chosen === undefined ? 'the best one of this njs' : 'the one that was chosen, njs'
    return ok('engine', `The engine is ${why}`)
  }
  const message =
    engines[at] === 'qjs'
      ? `${paths[at]} asks for QuickJS, which is not safe or not there in njs ${nginx.njsVersion}`
      : `${paths[at]} does not ask for QuickJS, which njs ${nginx.njsVersion} has`
  const level = engines[at] === 'qjs' ? problem : warning
  return level('engine', `${message}: run tollgate install again`)
}

async function readEngine(path: string): Promise<'qjs' | 'njs'> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\s*js_engine\s+qjs\s*;/m.test(text) ? 'qjs' : 'njs'
}

/** What of the gate the sites have, and what is wrong with their lines. */
export function checkSite({ site, faults, directives }: Installation): Check[] {
  const http = site.hasHttp
    ? ok('http.conf', 'http.conf is included')
    : problem(
        'http.conf',
        'Nothing of the gate is loaded: write in http { }: include tollgate/http.conf;',
      )
  return [
    http,
    ...checkAsked({ site }),
    ...faults.map((fault) => problem('site', formatFault(fault))),
    ...site.bypasses.map((bypass) =>
      problem(
        'bypass',
        `Requests reach vLLM without a key by ${bypass}: remove this location, or include the ` +
          'gate in it as well',
      ),
    ),
    ...listHidden(site).map((message) => warning('logs', message)),
    ...checkRealIp(directives),
  ]
}

/** Zones that the bundles ask for: one that is missing has them throw. */
export async function checkZones({ directives, site }: Installation): Promise<Check[]> {
  if (!site.hasHttp) return []
  const folder = join(packageDir(), 'nginx', 'tollgate')
  const texts = ['http.conf', 'admin.conf'].map((name) => readFile(join(folder, name), 'utf8'))
  const wanted = (await Promise.all(texts)).flatMap((text) =>
    [...text.matchAll(/^js_shared_dict_zone zone=(\w+):/gm)].map(([, name = '']) => name),
  )
  const there = findAll(directives, 'js_shared_dict_zone').flatMap(({ args }) =>
    args.map((arg) => /^zone=(\w+):/.exec(arg)?.[1]),
  )
  const missing = wanted.filter((name) => !there.includes(name))
  if (missing.length === 0) return [ok('zones', 'All zones of shared memory are there')]
  const check = problem(
    'zones',
    `There is no ${missing.join(', ')}: http.conf is of an older version, because it was edited. Take ` +
      'its js_shared_dict_zone from http.conf.new beside it, then reload nginx',
  )
  return [check]
}

/** Without a bound nginx's workers are killed when the unit stops, and write no line of what runs. */
export function checkShutdown({ directives }: Installation): Check {
  const bound = findAll(directives, 'worker_shutdown_timeout')[0]?.args[0]
  if (bound !== undefined)
    return ok('shutdown', `Streams are ended ${bound} after a stop or reload`)
  return warning(
    'shutdown',
    'When nginx is stopped while streams run, they may be killed without a line in the ledger: write at ' +
      'the top of nginx.conf worker_shutdown_timeout, shorter than what the unit waits (docs/operating.md)',
  )
}

// Whether a proxy stands in front cannot be seen from here.
function checkRealIp(directives: Installation['directives']): Check[] {
  const trusted = findAll(directives, 'set_real_ip_from').map(({ args }) => args[0] ?? '')
  if (trusted.length === 0) return []
  const all = trusted.find((block) => /\/0$/.test(block))
  if (all === undefined) return [ok('realip', `Addresses come from ${trusted.join(', ')}`)]
  return [
    problem(
      'realip',
      `set_real_ip_from ${all} believes everybody: any caller can name its own address. Name the ` +
        'proxy in front instead',
    ),
  ]
}

/** Whether what is installed is what this package would install. */
export async function checkFiles(installation: Installation): Promise<Check[]> {
  const target = join(installation.nginxDir, 'tollgate')
  if (!existsSync(join(target, 'http.conf'))) {
    return [problem('files', `Nothing is installed in ${target}: run tollgate install`)]
  }
  const { configDir, stateDir, nginxDir, nginx } = installation
  const adminListen = (await readAdminListen(nginxDir)) ?? LAYOUT_DEFAULTS.adminListen
  const rareListen = (await readRareListen(nginxDir)) ?? LAYOUT_DEFAULTS.rareListen
  const manifest = await readManifest(target)
  const expected = await gatherFiles({
    ...{ nginxDir, configDir, stateDir, adminListen, rareListen },
    engine: (await readChosenEngine(nginxDir)) ?? nginx.engine,
  })
  const found: Check[] = []
  for (const [name, text] of expected) {
    const check = await checkFile(join(target, name), text, manifest[name])
    if (check !== null) found.push(check)
  }
  return found.length > 0 ? found : [ok('files', `All files in ${target} are of this version`)]
}

async function checkFile(
  path: string,
  text: string,
  installed: string | undefined,
): Promise<Check | null> {
  const there = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error)
  if (there instanceof Error) {
    // Only root can read it, as it should be.
    if (there.code === 'EACCES' && basename(path) === 'upstream-key.conf') return null
    const cause = there.code === 'ENOENT' ? 'is missing' : `cannot be read (${there.code})`
    return problem('files', `${path} ${cause}: run tollgate install`)
  }
  if (there === text || LOOKED_AT.includes(basename(path))) return null
  return installed === hash(there)
    ? warning('files', `${path} is of another version: run tollgate install, and reload nginx`)
    : warning('files', `${path} was changed by hand: compare it with what tollgate install writes`)
}
