import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WORKERS_DIR } from '../src/cli/install/layout.ts'
import { childrenOf } from '../test/nginx/processes.ts'
import { freePort, until } from '../test/waiting.ts'
import { makeKeys } from './clients.ts'
import { pin, type Role } from './machine.ts'
import { launch } from './processes.ts'
import { writeSite } from './site.ts'
import type { Subject } from './subjects.ts'

/** A running subject. */
export type Server = {
  subject: string
  port: number
  /** What is measured: the worker of nginx, or all processes of a peer. */
  pids: number[]
  root: string
  /** From the start of the process to the first answer with 200. */
  startMs: number
  /** How many of the keys it knows. */
  keys: number
  /** More headers that it wants, for peers. */
  headers?: Record<string, string>
  stop(): Promise<void>
}

/** How exactly the time of a start is known. */
const START_POLL_MS = 5
/** Under valgrind a question every 5 ms would leave no time for the load that is waited for. */
const WRAPPED_POLL_MS = 500
/** How many keys a server has where nothing is said. */
const KEYS = 10

export type ServerOptions = {
  upstreamPort: number
  keys?: number
  /** On whose core it runs, where that is not the subject's. */
  role?: Role
  /** Words before the command of nginx. */
  wrap?: (command: string[]) => string[]
  /** Changes files of the configuration before the start. */
  prepare?: (root: string) => Promise<void>
  /** Until the first answer. */
  waitSeconds?: number
}

/** Starts nginx as a subject, on the core of the subject, and waits until a request passes. */
export async function startServer(subject: Subject, options: ServerOptions): Promise<Server> {
  const root = await mkdtemp(join(tmpdir(), 'tollgate-bench-'))
  const port = await freePort()
  const keys = makeKeys(options.keys ?? KEYS)
  await writeSite(subject, { root, port, upstreamPort: options.upstreamPort, keys })
  await options.prepare?.(root)
  const files = ['-p', root, '-c', join(root, 'nginx.conf'), '-e', join(root, 'run', 'error.log')]
  const command = [...subject.nginx.command, ...files]
  const beganMs = performance.now()
  const started = launch(pin(options.role ?? 'subject', options.wrap?.(command) ?? command))
  const stop = async () => {
    await started.stop()
    await rm(root, { recursive: true, force: true })
  }
  try {
    await until(
      `an answer of ${subject.id}`,
      () => answersOk(port, keys[keys.length - 1]?.secret ?? '', started.child.exitCode),
      options.waitSeconds ?? 60,
      options.wrap === undefined ? START_POLL_MS : WRAPPED_POLL_MS,
    )
  } catch (error) {
    const log = await readLog(root)
    await stop()
    throw new Error(`${error instanceof Error ? error.message : error}\n${log}`)
  }
  const startMs = performance.now() - beganMs
  // Without a master process there is nobody else.
  const workers = childrenOf(started.pid)
  const pids = workers.length > 0 ? workers.slice(0, 1) : [started.pid]
  return { subject: subject.id, port, pids, root, startMs, keys: keys.length, stop }
}

/** Whether a small request with a key passes. */
export async function answersOk(
  port: number,
  key: string,
  exitCode: number | null = null,
  headers: Record<string, string> = {},
): Promise<boolean> {
  if (exitCode !== null) throw new Error(`The server has ended with ${exitCode}`)
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
      body: '{"model":"bench-8b","messages":[{"role":"user","content":"Hello"}]}',
      signal: AbortSignal.timeout(2_000),
    })
    await answer.text()
    return answer.status === 200
  } catch {
    return false
  }
}

/** What the gate says of its last load; null before the first. */
export async function readState(server: Server): Promise<{ generation: number } | null> {
  const file = join(server.root, 'state', WORKERS_DIR, 'state.json')
  if (!existsSync(file)) return null
  return JSON.parse(await readFile(file, 'utf8'))
}

async function readLog(root: string): Promise<string> {
  const text = await readFile(join(root, 'run', 'error.log'), 'utf8').catch(() => '')
  return text.split('\n').slice(-10).join('\n')
}
