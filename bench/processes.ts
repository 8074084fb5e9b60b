import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

/** A process that this run has started. */
export type Started = { pid: number; child: ChildProcess; stop(): Promise<void> }

const STOP_MS_MAX = 10_000
/** The kernel's ticks of /proc/PID/stat, where there is no schedstat. */
const TICK_NS = 10_000_000

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program; what it says on stderr is kept for the message should it end at once. */
export function launch(command: readonly string[], options: LaunchOptions = {}): Started {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    stdio: ['ignore', options.stdout ?? 'ignore', options.stderr ?? 'ignore'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  running.add(child)
  child.on('error', () => undefined)
  child.on('exit', () => running.delete(child))
  return { pid: child.pid ?? 0, child, stop: () => stopChild(child) }
}

export type LaunchOptions = {
  stdout?: 'pipe' | 'ignore' | 'inherit'
  stderr?: 'pipe' | 'ignore' | 'inherit'
  env?: Record<string, string>
  cwd?: string
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await exited
  clearTimeout(timer)
}

/** Runs a program of ours that prints one JSON value at its end. */
export async function runForJson<T>(command: readonly string[]): Promise<T> {
  const { child } = launch(command, { stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr] = [gather(child.stdout), gather(child.stderr)]
  const [code] = await once(child, 'close')
  try {
    return JSON.parse(stdout().slice(stdout().indexOf('{'))) as T
  } catch {
    throw new Error(`Cannot read what ${command.join(' ')} printed (${code}): ${stderr()}`)
  }
}

function gather(stream: NodeJS.ReadableStream | null): () => string {
  const pieces: string[] = []
  stream?.setEncoding('utf8').on('data', (piece: string) => void pieces.push(piece))
  return () => pieces.join('')
}

/** CPU time of a process and all its threads since its start, in nanoseconds, as the kernel counts it. */
export function cpuNsOf(pid: number): number {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += threadNs(`/proc/${pid}/task/${thread}`)
  }
  return sum
}

function threadNs(folder: string): number {
  try {
    return Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    const stat = readFileSync(`${folder}/stat`, 'utf8')
    // The name in parentheses may hold spaces; behind it, fields 12 and 13 are user and system time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_NS
  }
}

/** Memory of a process in KB: all that is resident, and its share of it. */
export function memoryOf(pid: number): { rssKb: number; pssKb: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1])
  return { rssKb: field('Rss'), pssKb: field('Pss') }
}
