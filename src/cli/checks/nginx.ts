import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { findAll } from '../install/directives.ts'
import { isModuleLoaded, readAdminListen, testConfiguration } from '../install/installed.ts'
import { gatherFiles, hash, LAYOUT_DEFAULTS, packageDir, readManifest } from '../install/layout.ts'
import { type Check, type Installation, ok, problem, warning } from './check.ts'

/** The versions, the engine, the door, and nginx's own opinion of the configuration. */
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
    checkDoor(installation),
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

function checkDoor({ site, nginx }: Installation): Check {
  switch (site.admission) {
    case null:
      return problem(
        'door',
        'No location asks the gate: run tollgate install for the lines to add to your site',
      )
    case 'recipe':
      return ok('door', 'Your own location tests $tollgate_verdict')
    case 'access':
      return nginx.door === 'access'
        ? ok('door', 'Requests are admitted at the access door')
        : problem(
            'door',
            `js_access is not safe here: it needs njs 1.0.1 or newer with QuickJS, this is ` +
              `${nginx.njsVersion}. Use enter.conf and location @tollgate instead of gate.conf`,
          )
    case 'content':
      return ok('door', 'Requests are admitted at the content door')
  }
}

async function checkEngine({ nginxDir, nginx }: Installation): Promise<Check> {
  const path = join(nginxDir, 'tollgate', 'engine.conf')
  const text = await readFile(path, 'utf8').catch(() => '')
  const engine = /^\s*js_engine\s+qjs\s*;/m.test(text) ? 'qjs' : 'njs'
  if (engine === nginx.engine) return ok('engine', 'The engine is the best one of this njs')
  const message =
    engine === 'qjs'
      ? `${path} asks for QuickJS, which is not safe or not there in njs ${nginx.njsVersion}`
      : `${path} does not ask for QuickJS, which njs ${nginx.njsVersion} has`
  return (engine === 'qjs' ? problem : warning)('engine', `${message}: run tollgate install again`)
}

/** Which includes the site has. */
export function checkSite({ site, directives }: Installation): Check[] {
  const has = (isThere: boolean, name: string, where: string, lack: string) =>
    isThere
      ? ok(name, `${name} is included`)
      : problem(name, `${lack}: write in ${where}: include tollgate/${name};`)
  const isRecipe = site.admission === 'recipe'
  const checks = [
    has(site.hasHttp, 'http.conf', 'http { }', 'Nothing of the gate is loaded'),
    isRecipe && !site.hasServer
      ? ok('server.conf', 'Not included: your site has its own log and error pages')
      : has(
          site.hasServer,
          'server.conf',
          'the server { } that faces the callers',
          'There is no ledger, and errors are not in the dialect of the caller',
        ),
  ]
  if (site.admission !== null && !isRecipe) checks.push(checkMeter(site.hasUpstream))
  for (const bypass of site.bypasses) {
    checks.push(
      problem(
        'bypass',
        `Requests reach vLLM without a key by ${bypass}: remove this location, or include the ` +
          'gate in it as well',
      ),
    )
  }
  checks.push(...checkRealIp(directives))
  return checks
}

function checkMeter(hasUpstream: boolean): Check {
  if (hasUpstream) return ok('upstream.conf', 'The meter stands beside proxy_pass')
  return problem(
    'upstream.conf',
    'Credentials of callers reach vLLM and nothing is metered: write beside proxy_pass: include ' +
      'tollgate/upstream.conf;',
  )
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
  const manifest = await readManifest(target)
  const expected = await gatherFiles({
    ...{ nginxDir, configDir, stateDir, adminListen },
    engine: nginx.engine,
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
  // This one is made to be edited, and engine.conf is looked at by itself.
  if (there === text || ['upstream-key.conf', 'engine.conf'].includes(basename(path))) return null
  return installed === hash(there)
    ? warning('files', `${path} is of another version: run tollgate install, and reload nginx`)
    : warning('files', `${path} was changed by hand: compare it with what tollgate install writes`)
}
