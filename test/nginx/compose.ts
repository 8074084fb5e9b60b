import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageDir } from '../../src/cli/install/layout.ts'
import { run } from '../../src/cli/nginx/child.ts'
import { freePort } from '../waiting.ts'
import { findContainer } from './container.ts'
import type { Line } from './harness.ts'
import { findPrometheus } from './prometheus.ts'

/** What docker-compose.yml runs here of all that it has: there is no Grafana where nothing can be pulled. */
const SERVICES = ['gate', 'key', 'mock', 'prometheus']

/** What docker-compose.yml takes its images from, and the names of those that were made for the tests. */
const IMAGES = {
  TOLLGATE_NGINX_IMAGE: 'TOLLGATE_TEST_IMAGE',
  TOLLGATE_NODE_IMAGE: 'TOLLGATE_TEST_NODE_IMAGE',
  TOLLGATE_PROMETHEUS_IMAGE: 'TOLLGATE_TEST_PROMETHEUS_IMAGE',
}

/** Below the shortest hook of a test, so that the message of docker-compose is what is read. */
const COMMAND_MS = 150_000

/** docker-compose.yml as a user has it: a copy with a name and ports of its own. */
export type Project = {
  folder: string
  gateUrl: string
  adminUrl: string
  prometheusUrl: string
  /** Runs docker-compose; what it prints on stdout. Throws when it fails. */
  compose(...args: string[]): Promise<string>
  /** `docker compose run --rm tollgate ...`, as the head of the file says it. */
  tollgate(...args: string[]): Promise<string>
  ledger(): Promise<Line[]>
  /** Ends all that it started, with its volumes. */
  remove(): Promise<void>
}

/** Makes a project, which does not run yet; null where there are no engine and images for it. */
export async function makeProject(): Promise<Project | null> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  // It says by itself what is missing.
  if ((await findContainer(say)).length === 0) return null
  const folder = await copyPackage()
  const ports = [await freePort(), await freePort(), await freePort()]
  const [gate, admin, prometheus] = ports.map((port) => `127.0.0.1:${port}`)
  const settings = { ...nameImages(), ...namePorts(ports) }
  const start = await startOf(folder, settings)
  const compose = async (...args: string[]) => {
    const { code, stdout, stderr } = await run([...start, ...args], { timeoutMs: COMMAND_MS })
    if (code === 0) return stdout
    throw new Error(`docker-compose ${args.join(' ')} failed (${code}): ${stderr}`)
  }
  const pulled = await compose('pull', '--quiet', '--policy', 'missing', ...SERVICES).then(
    () => null,
    (error: Error) => error.message,
  )
  if (pulled !== null) {
    await rm(folder, { recursive: true })
    if (process.env.TOLLGATE_TEST_NODE_IMAGE) throw new Error(pulled)
    say(`The test of docker-compose.yml is left out: ${pulled.trim().split('\n').at(-1)}`)
    return null
  }
  const runOnce = ['run', '--rm', '-T']
  return {
    folder,
    gateUrl: `http://${gate}`,
    adminUrl: `http://${admin}`,
    prometheusUrl: `http://${prometheus}`,
    compose,
    tollgate: (...args) => compose(...runOnce, 'tollgate', ...args),
    async ledger() {
      const cat = ['--entrypoint', 'cat', 'tollgate', '/var/lib/tollgate/ledger.jsonl']
      const lines = (await compose(...runOnce, ...cat)).trim().split('\n')
      return lines.map((line) => JSON.parse(line))
    },
    async remove() {
      await compose('down', '--volumes', '--remove-orphans', '--timeout', '5')
      await rm(folder, { recursive: true })
    },
  }
}

export async function up({ compose }: Project): Promise<void> {
  await compose('up', '--detach', ...SERVICES)
}

/** What of a clone docker-compose.yml takes, with dist/ as it was built. */
async function copyPackage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-compose-'))
  for (const name of ['docker-compose.yml', 'nginx', 'dist']) {
    await cp(join(packageDir(), name), join(folder, name), { recursive: true })
  }
  return folder
}

/** What is not named is the official image. */
function nameImages(): Record<string, string> {
  const named = Object.entries(IMAGES).map(([ours, tests]) => [ours, process.env[tests] ?? ''])
  return Object.fromEntries(named)
}

function namePorts([gate, admin, prometheus]: number[]): Record<string, string> {
  return {
    TOLLGATE_PORT: String(gate),
    TOLLGATE_ADMIN_PORT: String(admin),
    TOLLGATE_PROMETHEUS_PORT: String(prometheus),
  }
}

/** The beginning of every command line. Settings stand in it, since other tests have others. */
async function startOf(folder: string, settings: Record<string, string>): Promise<string[]> {
  const { compose } = await findPrometheus()
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  const project = ['--project-name', `tollgate-test-${process.pid}`]
  const file = ['--file', join(folder, 'docker-compose.yml')]
  return ['env', ...words, ...compose, '--progress', 'quiet', ...project, ...file]
}
