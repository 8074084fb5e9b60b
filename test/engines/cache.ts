import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../../src/cli/install/layout.ts'
import { run } from '../../src/cli/nginx/child.ts'

/** Where engines, models and logs are kept from one run to the next. */
export function cacheDir(): string {
  return join(packageDir(), '.cache', 'engines')
}

/** Makes a folder of the cache once; what an interrupted run has left of it is made anew. */
export async function provide(
  name: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cacheDir(), name)
  const stamp = join(folder, '.whole')
  if (existsSync(stamp)) return folder
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await make(folder)
  await writeFile(stamp, '')
  return folder
}

const COMMAND_TIMEOUT_MS = 1_200_000

/** Runs a command to its end, and throws the last lines of what it said when it fails. */
export async function must(command: readonly string[], cwd = cacheDir()): Promise<string> {
  const { code, stdout, stderr } = await run(command, { timeoutMs: COMMAND_TIMEOUT_MS, cwd })
  if (code === 0) return stdout
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' ')
  throw new Error(`${command.slice(0, 4).join(' ')} failed: ${said}`)
}
