import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Door, findNginx, type Nginx } from '../../src/cli/nginx/find.ts'
import { until } from '../waiting.ts'
import { findContainer, runContained } from './container.ts'

/** One combination of nginx and door in which every behaviour is tested. */
export type Setup = {
  name: string
  nginx: Nginx
  door: Door
  /** Where nginx runs in a container. */
  image?: string
}

/** The combinations: both engines, on QuickJS both doors, and a container where there is an engine. */
export async function findSetups(): Promise<Setup[]> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const newest = await findNginx({ world: 'newest', say })
  const debian13 = await findNginx({ world: 'debian13', say })
  return [
    { name: 'newest, access door', nginx: newest, door: 'access' },
    { name: 'newest, content door', nginx: newest, door: 'content' },
    { name: 'debian13, content door', nginx: debian13, door: 'content' },
    ...(await findContainer(say)),
  ]
}

/**
 * The combinations without the container: for files that take long, or that are about processes and
 * files of this machine, which are the same in there.
 */
export async function findLocalSetups(): Promise<Setup[]> {
  return (await findSetups()).filter(({ image }) => image === undefined)
}

/** An nginx that runs: `pid` is its master process. */
export type Running = { pid: number; stop(): Promise<void> }

/** Starts nginx in the foreground with `root`/nginx.conf, and waits until it has written its pid. */
export async function runNginx(setup: Setup, root: string, runDir: string): Promise<Running> {
  const files = ['-p', root, '-c', join(root, 'nginx.conf'), '-e', join(runDir, 'error.log')]
  const pidFile = join(runDir, 'nginx.pid')
  if (setup.image) {
    const running = await runContained(setup.image, root, files)
    try {
      await waitForPid(pidFile, () => existsSync(`/proc/${running.pid}`))
    } catch (error) {
      await running.stop()
      throw error
    }
    return running
  }
  const [program = '', ...rest] = setup.nginx.command
  const child = spawn(program, [...rest, ...files], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  const exited = once(child, 'exit')
  await waitForPid(pidFile, () => child.exitCode === null).catch(() => {
    throw new Error(`nginx did not start: ${said}`)
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
  }
  return { pid: Number(await readFile(pidFile, 'utf8')), stop }
}

async function waitForPid(pidFile: string, isAlive: () => boolean): Promise<void> {
  const isThere = async () => {
    if (!isAlive()) throw new Error('nginx did not start')
    return existsSync(pidFile) && (await readFile(pidFile, 'utf8')).trim() !== ''
  }
  await until('its process id', isThere, 60, 5)
}
