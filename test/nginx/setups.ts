import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Door, findNginx, type Nginx } from '../../src/cli/nginx/find.ts'

/** One combination of nginx and door in which every behaviour is tested. */
export type Setup = { name: string; nginx: Nginx; door: Door }

/** The combinations: both engines and, on QuickJS, both doors. */
export async function findSetups(): Promise<Setup[]> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const newest = await findNginx({ world: 'newest', say })
  const debian13 = await findNginx({ world: 'debian13', say })
  return [
    { name: 'newest, access door', nginx: newest, door: 'access' },
    { name: 'newest, content door', nginx: newest, door: 'content' },
    { name: 'debian13, content door', nginx: debian13, door: 'content' },
  ]
}

/** Starts nginx in the foreground with `root`/nginx.conf, and waits until it has written its pid. */
export async function runNginx(
  setup: Setup,
  root: string,
  runDir: string,
): Promise<{ pid: number; stop(): Promise<void> }> {
  const [program = '', ...rest] = setup.nginx.command
  const args = [
    ...rest,
    '-p',
    root,
    '-c',
    join(root, 'nginx.conf'),
    '-e',
    join(runDir, 'error.log'),
  ]
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  const exited = once(child, 'exit')
  const pidFile = join(runDir, 'nginx.pid')
  while (!existsSync(pidFile) || !(await readFile(pidFile, 'utf8')).trim()) {
    if (child.exitCode !== null) throw new Error(`nginx did not start: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
  }
  return { pid: Number(await readFile(pidFile, 'utf8')), stop }
}
