import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { run } from './child.ts'

const MODULE_FILE = 'ngx_http_js_module.so'
// Where packages and a plain `make install` put nginx; sbin is often missing from a user's PATH.
const BINARY_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/nginx/sbin']
const MODULE_FOLDERS = [
  '/usr/lib/nginx/modules',
  '/usr/lib64/nginx/modules',
  '/usr/share/nginx/modules',
  '/etc/nginx/modules',
]

/** The first nginx on PATH or where packages put it, or null. */
export async function findOnPath(): Promise<string | null> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const folder of [...folders, ...BINARY_FOLDERS]) {
    const file = resolve(folder, 'nginx')
    if (await isThere(file, constants.X_OK)) return file
  }
  return null
}

/**
 * Where the njs module of an nginx on this machine may be, the likeliest first. null, the last,
 * stands for a binary that has it built in.
 */
export async function listModules(binary: string): Promise<(string | null)[]> {
  const { stderr } = await run([binary, '-V'], { timeoutMs: 10_000 })
  const besideBinary = [
    join(dirname(binary), '..', 'modules'),
    join(dirname(binary), '..', 'lib', 'nginx', 'modules'),
  ]
  const folders = [...readModuleFolders(stderr), ...besideBinary, ...MODULE_FOLDERS]
  const files: string[] = []
  for (const folder of new Set(folders)) {
    const file = join(folder, MODULE_FILE)
    if (await isThere(file, constants.R_OK)) files.push(file)
  }
  return [...files, null]
}

/** The module folders that the output of `nginx -V` names. */
export function readModuleFolders(output: string): string[] {
  const prefix = /--prefix=(\S+)/.exec(output)?.[1] ?? '/usr/local/nginx'
  const folder = /--modules-path=(\S+)/.exec(output)?.[1] ?? 'modules'
  return [isAbsolute(folder) ? folder : join(prefix, folder)]
}

async function isThere(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  )
}
