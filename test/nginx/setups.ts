import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findNginx, type Nginx } from '../../src/cli/nginx/find.ts'
import { MEMORY } from '../../src/cli/serve/foreground.ts'
import { until } from '../waiting.ts'
import { findContainer, runContained } from './container.ts'

/** One world: an nginx with its engine, and a container or none. */
export type Setup = {
  name: string
  nginx: Nginx
  /** Where nginx runs in a container. */
  image?: string
}

// A test runs in those worlds that can change its result, and in no others. What can change it:
//
//   the engine, and with it the version of nginx   everything that the gate's code does
//   the container                                  what the image's user may write, and its network
//
// findEngines() has each engine once, and so is right for most. What nginx's own time or memory has no part
// in is a unit test.

/** Every world: what starts, how bytes travel, what is written and by whom. */
export async function findSetups(): Promise<Setup[]> {
  return [...(await findEngines()), ...(await findContainer(say))]
}

/** QuickJS on the newest nginx, and njs's own engine on Debian 13's. */
export async function findEngines(): Promise<Setup[]> {
  const newest = await findNginx({ world: 'newest', say })
  const debian13 = await findNginx({ world: 'debian13', say })
  return [
    { name: 'newest', nginx: newest },
    { name: 'debian13', nginx: debian13 },
  ]
}

/** The newest alone: where nginx is only there to be asked, by a program that another file tests on both. */
export async function findOneSetup(): Promise<Setup> {
  const [setup] = await findEngines()
  if (!setup) throw new Error('There is no nginx')
  return setup
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
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
  const env = { ...process.env, ...MEMORY }
  const child = spawn(program, [...rest, ...files], { stdio: ['ignore', 'ignore', 'pipe'], env })
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
