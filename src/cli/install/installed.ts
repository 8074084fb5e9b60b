import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../nginx/child.ts'
import { findNginx, type Nginx } from '../nginx/find.ts'
import { findOnPath } from '../nginx/local.ts'
import { Refused } from '../output.ts'
import { type Directive, findAll } from './directives.ts'

const PACKAGES =
  'Install its njs module: package libnginx-mod-http-js of Debian 13 and Ubuntu 24.04 or newer, or ' +
  'nginx-module-njs where nginx is from nginx.org'

/** The nginx that is installed here, or the named one. Nothing is downloaded: it has a site already. */
export async function findInstalledNginx(path: string | undefined): Promise<Nginx> {
  const file = path ?? (await findOnPath())
  if (file === null) {
    throw new Refused(
      'No nginx on PATH or in /usr/sbin: install it, with its njs module (packages nginx and ' +
        'libnginx-mod-http-js), or name it with --nginx',
    )
  }
  try {
    return await findNginx({ path: file, say: () => undefined })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Refused(`${message}. ${PACKAGES}`)
  }
}

/** The path of nginx.conf in a folder; refuses when it is not there, and says where it may be. */
export async function requireConfiguration(nginxDir: string, command: string[]): Promise<string> {
  const path = join(nginxDir, 'nginx.conf')
  if (existsSync(path)) return path
  const { stderr } = await run([...command, '-V'], { timeoutMs: 10_000 })
  const compiled = /--conf-path=(\S+)/.exec(stderr)?.[1]
  const hint =
    compiled && existsSync(compiled)
      ? `: this nginx has its own in ${dirname(compiled)}, name that with --nginx-dir`
      : ': name the folder it is in with --nginx-dir'
  throw new Refused(`There is no ${path}${hint}`)
}

/** What `nginx -t` says of a configuration. */
export async function testConfiguration(
  command: string[],
  configuration: string,
): Promise<{ isValid: boolean; message: string }> {
  const ending = await run([...command, '-t', '-c', configuration], { timeoutMs: 30_000 })
  const lines = ending.stderr.trim().split('\n')
  const message = lines.filter(
    (line) => !/\[notice\]| (syntax is ok|test is successful)$/.test(line),
  )
  return { isValid: ending.code === 0, message: message.join('\n') }
}

/** Where the housekeeping of an installed gate listens; null when it is not installed. */
export function readAdminListen(nginxDir: string): Promise<string | null> {
  return readListen(join(nginxDir, 'tollgate', 'admin.conf'))
}

/** Where our own server for refusals listens; null when it is not installed. */
export function readRareListen(nginxDir: string): Promise<string | null> {
  return readListen(join(nginxDir, 'tollgate', 'rare.conf'))
}

async function readListen(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\s*listen\s+([^\s;]+);/m.exec(text)?.[1] ?? null
}

/** Whether nginx.conf or a file that it includes loads the njs module, or needs not. */
export function isModuleLoaded(directives: Directive[], nginx: Nginx): boolean {
  if (nginx.loadModule === null) return true
  return findAll(directives, 'load_module').some(({ args }) =>
    /(^|\/)ngx_http_js_module[^/]*\.so$/.test(args[0] ?? ''),
  )
}
