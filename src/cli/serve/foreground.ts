import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadState } from '../../core/config/record.ts'
import type { Problem } from '../../core/config/shapes.ts'
import { WORKERS_DIR } from '../install/layout.ts'
import { run } from '../nginx/child.ts'
import { Refused } from '../output.ts'
import { readTrusted } from '../store/trust.ts'

/**
 * The C library keeps what large bodies had in a worker, in holes that bodies of another size do not fit into. Of
 * pieces of this size and more it gives back at once. docs/sizing.md says it for an nginx of one's own.
 */
export const MEMORY = { MALLOC_MMAP_THRESHOLD_: '262144' }

/** An nginx that this process has started and answers for. */
export type Foreground = {
  /** The master process. */
  pid: number
  /** Settles when nginx has ended, for whatever reason. */
  ended: Promise<Ended>
  /** Ends it within a second. */
  stop(): Promise<void>
}

/** How it ended; orderly when somebody had told it to. Its log of this run begins at the offset. */
export type Ended = { isOrderly: boolean; how: string; logOffset: number }

/** How nginx is started: its first words, and the folders of nginx.conf, ledger and logs. */
export type Start = { command: string[]; nginxDir: string; stateDir: string; runDir: string }

const CHECK_TIMEOUT_MS = 30_000
const READY_MS_MAX = 15_000
const STOP_MS_MAX = 800
const POLL_MS = 20
const LOG_BYTES_SHOWN = 16_384
const LOG_LINES_SHOWN = 12

/** Throws with nginx's own message when it does not accept its configuration. */
export async function checkConfiguration(start: Start): Promise<void> {
  const ending = await run([...commandLine(start), '-t'], { timeoutMs: CHECK_TIMEOUT_MS })
  if (ending.code === 0) return
  throw new Refused(`nginx does not accept its configuration:\n${ending.stderr.trim()}`)
}

/**
 * Starts nginx and waits until it has loaded policy.json and clients.json; null when it was told to
 * stop before that.
 */
export async function startNginx(start: Start, stopping: AbortSignal): Promise<Foreground | null> {
  const logOffset = await sizeOf(errorLog(start))
  const [file = '', ...args] = commandLine(start)
  // In a session of its own: a Ctrl-C in the terminal reaches this process alone, which ends nginx.
  const env = { ...process.env, ...MEMORY }
  const child = spawn(file, args, { stdio: 'ignore', detached: true, env })
  const { ended, stop } = watch(child, logOffset)
  try {
    const pid = await waitUntilLoaded(start, ended, stopping)
    if (pid !== null) return { pid, ended, stop }
    await stop()
    return null
  } catch (error) {
    await stop()
    const log = await readErrors(start, logOffset)
    throw new Refused([error instanceof Error ? error.message : String(error), ...log].join('\n'))
  }
}

/** The last errors that nginx has logged, from an offset of its error log on. */
export async function readErrors(start: Start, offset = 0): Promise<string[]> {
  const size = await sizeOf(errorLog(start))
  const from = Math.max(offset, size - LOG_BYTES_SHOWN)
  const file = await open(errorLog(start)).catch(() => null)
  if (file === null) return []
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_BYTES_SHOWN), 0, null, from)
  await file.close()
  const lines = buffer.toString('utf8', 0, bytesRead).split('\n')
  return lines.filter((line) => /\[(emerg|alert|crit|error)\]/.test(line)).slice(-LOG_LINES_SHOWN)
}

/**
 * Notes in the folder that this process serves it. The number of a process that does so already, if
 * there is one.
 */
export async function claimFolder(runDir: string): Promise<number | null> {
  const path = join(runDir, 'serve.pid')
  const pid = Number(await readFile(path, 'utf8').catch(() => ''))
  if (pid > 0 && pid !== process.pid && (await isServing(pid))) return pid
  await writeFile(path, `${process.pid}\n`)
  return null
}

// A process that was killed leaves its number behind, and another may have got that since.
async function isServing(pid: number): Promise<boolean> {
  const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null)
  return args?.split('\0').includes('serve') ?? false
}

function commandLine({ command, nginxDir, runDir }: Start): string[] {
  const log = join(runDir, 'error.log')
  return [...command, '-p', nginxDir, '-c', join(nginxDir, 'nginx.conf'), '-e', log]
}

function errorLog({ runDir }: Start): string {
  return join(runDir, 'error.log')
}

function watch(child: ChildProcess, logOffset: number): Omit<Foreground, 'pid'> {
  const guard = guardAgainstOrphan(child)
  const ended = new Promise<Ended>((resolve) => {
    const end = (isOrderly: boolean, how: string) => {
      guard?.kill('SIGKILL')
      // Workers outlive a master that was killed.
      killGroup(child)
      resolve({ isOrderly, how, logOffset })
    }
    child.on('error', (error) => end(false, error.message))
    child.on('exit', (code, signal) => end(code === 0, signal ?? `exit code ${code}`))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => killGroup(child), STOP_MS_MAX)
    await ended
    clearTimeout(timer)
  }
  return { ended, stop }
}

// Ends nginx when this process was killed and could not do it: its pipe breaks then.
function guardAgainstOrphan(child: ChildProcess): ChildProcess | null {
  if (child.pid === undefined) return null
  const script = 'read -r _; kill -TERM "$1"; sleep 1; kill -KILL "-$1"'
  const guard = spawn('sh', ['-c', script, 'tollgate-guard', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.on('error', () => undefined)
  return guard
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended, with all its workers.
  }
}

async function waitUntilLoaded(
  start: Start,
  ended: Promise<Ended>,
  stopping: AbortSignal,
): Promise<number | null> {
  const deadline = Date.now() + READY_MS_MAX
  while (Date.now() < deadline) {
    const end = await Promise.race([ended, sleep(POLL_MS)])
    if (stopping.aborted) return null
    if (end) throw new Error(`nginx ended at once (${end.how})`)
    const state = await readState(start.stateDir)
    if (state?.generation === 0 && state.problems.length > 0) throw problemsError(state.problems)
    const pid = Number(await readFile(join(start.runDir, 'nginx.pid'), 'utf8').catch(() => ''))
    if (state?.loaded && pid > 0) return pid
  }
  throw new Error(`nginx has not loaded its clients within ${READY_MS_MAX / 1000} s`)
}

function problemsError(problems: Problem[]): Error {
  const lines = problems.map(({ path, message }) => `- ${path}: ${message}`)
  return new Error(['The gate cannot load its configuration:', ...lines].join('\n'))
}

/** Reads the state.json below the ledger's folder; null when there is none that can be read. */
export function readState(stateDir: string): Promise<LoadState | null> {
  return readStateIn(join(stateDir, WORKERS_DIR))
}

/** The same, of the folder of the workers. */
export async function readStateIn(workersDir: string): Promise<LoadState | null> {
  try {
    const text = await readTrusted(join(workersDir, 'state.json'))
    return text === null ? null : (JSON.parse(text) as LoadState)
  } catch {
    return null
  }
}

async function sizeOf(path: string): Promise<number> {
  const file = await open(path).catch(() => null)
  if (file === null) return 0
  const { size } = await file.stat()
  await file.close()
  return size
}
