import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, until } from '../waiting.ts'
import { cacheDir } from './cache.ts'

const running = new Set<ChildProcess>()

// An engine has a session of its own, which the end of this program does not reach.
process.on('exit', () => {
  for (const child of running) signalAll(child, 'SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

/** A process with all of its children. */
export type Started = {
  port: number
  /** Sends a signal to those whose command begins so. */
  signal(command: string, signal: NodeJS.Signals): void
  stop(): Promise<void>
}

/** Starts a server at low priority, and waits until it says that it is well. Its log is kept in the cache. */
export async function startServer(options: {
  name: string
  command: readonly string[]
  env?: Record<string, string>
  port: number
  seconds: number
}): Promise<Started> {
  const { name, command, env, port, seconds } = options
  await mkdir(join(cacheDir(), 'logs'), { recursive: true })
  const file = join(cacheDir(), 'logs', `${name}.log`)
  const log = openSync(file, 'w')
  const child = spawn('nice', ['-n', '10', ...command], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  })
  running.add(child)
  const isWell = async () => {
    if (child.exitCode !== null) throw new Error(`${name} did not start, see ${file}`)
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null)
    return answer?.status === 200
  }
  const stop = async () => {
    signalAll(child, 'SIGTERM')
    const ended = child.exitCode === null ? once(child, 'exit') : Promise.resolve()
    await Promise.race([ended, sleep(10_000)])
    // What the server has left behind too.
    signalAll(child, 'SIGKILL')
    running.delete(child)
  }
  await until(`${name} to be well`, isWell, seconds, 200).catch(async (error) => {
    await stop()
    throw error
  })
  const signal = (start: string, what: NodeJS.Signals) => {
    for (const pid of membersOf(child.pid ?? 0)) {
      if (commandOf(pid).startsWith(start)) process.kill(pid, what)
    }
  }
  return { port, signal, stop }
}

function signalAll(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // All have ended.
  }
}

/** The processes of a group, which is named by its first one. */
function membersOf(group: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    const stat = readOf(`/proc/${pid}/stat`)
    // pid (command) state parent group: the command may hold spaces.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group
  })
}

function commandOf(pid: number): string {
  return readOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
}

function readOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
