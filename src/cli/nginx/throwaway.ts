import { type ChildProcess, spawn } from 'node:child_process'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What the probe's handler answers from inside nginx. */
export type ProbeAnswer = { nginx: string; njs: string; digest: string }
/** An answer, or why there is none, as the second half of a sentence. */
export type Attempt = { answer: ProbeAnswer } | { reason: string }

type Watch = { reason: string | null; done: Promise<void> }

const ANSWER_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 1_000
const STOP_TIMEOUT_MS = 5_000
const POLL_MS = 15

/** Starts nginx with the nginx.conf in a folder, asks it once through its socket, and ends it. */
export async function startAndAsk(
  prefix: readonly string[],
  folder: string,
  socketPath: string,
): Promise<Attempt> {
  const [file = '', ...args] = prefix
  const flags = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
  const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe']
  const child = spawn(file, [...args, ...flags], { cwd: folder, stdio })
  const ending = watch(child)
  const attempt = await poll(socketPath, ending)
  await stop(child, ending)
  return attempt
}

function watch(child: ChildProcess): Watch {
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const state: Watch = { reason: null, done: Promise.resolve() }
  state.done = new Promise((resolve) => {
    child.on('error', (error) => {
      state.reason ??= `it cannot be started (${error.message})`
      resolve()
    })
    child.on('close', (code, signal) => {
      state.reason ??= readReason(stderr) ?? `it ended at once (${signal ?? `exit code ${code}`})`
      resolve()
    })
  })
  return state
}

/** The cause in what nginx wrote before it gave up, without the place in the configuration. */
export function readReason(stderr: string): string | null {
  const emergency = /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m.exec(stderr)?.[1]
  if (emergency?.startsWith('unknown directive "js_import"')) return 'it has no njs module'
  return emergency ?? (stderr.trim().split('\n').at(-1) || null)
}

async function poll(socketPath: string, ending: Watch): Promise<Attempt> {
  const deadline = Date.now() + ANSWER_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (ending.reason !== null) return { reason: ending.reason }
    const attempt = await request(socketPath)
    if (attempt !== null) return attempt
    await sleep(POLL_MS)
  }
  return { reason: `it did not answer within ${ANSWER_TIMEOUT_MS / 1000} s` }
}

// null while nothing listens yet.
function request(socketPath: string): Promise<Attempt | null> {
  return new Promise((resolve) => {
    const options = { socketPath, path: '/', timeout: REQUEST_TIMEOUT_MS, agent: false }
    const outgoing = get(options, (response) => {
      readBody(response).then(
        (body) => resolve(readAttempt(response.statusCode, body)),
        () => resolve(null),
      )
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', () => resolve(null))
  })
}

async function readBody(response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const piece of response.setEncoding('utf8')) body += String(piece)
  return body
}

// A module whose imports fail passes nginx's check of the configuration, and answers 500.
function readAttempt(status: number | undefined, body: string): Attempt {
  if (status !== 200) return { reason: `its njs module answered status ${status}` }
  const { nginx, njs, digest } = JSON.parse(body) as Record<string, unknown>
  return { answer: { nginx: String(nginx), njs: String(njs), digest: String(digest) } }
}

async function stop(child: ChildProcess, ending: Watch): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ending.done
  clearTimeout(timer)
}
