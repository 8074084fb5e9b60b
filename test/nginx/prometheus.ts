import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { downloadAlone, unpack } from '../../src/cli/nginx/apt.ts'
import { defaultCacheDir } from '../../src/cli/nginx/find.ts'
import { readProgram } from '../../src/cli/nginx/layout.ts'
import { findMirror } from '../../src/cli/nginx/mirror.ts'
import { lock, suiteOf } from '../../src/cli/nginx/packages.ts'
import { freePort, until } from '../waiting.ts'

const say = (line: string) => process.stderr.write(`${line}\n`)

/** Debian 13's programs, as the first words of a command line. */
export type Prometheus = { prometheus: string[]; promtool: string[]; compose: string[] }

/** Programs of Go need the C library alone. */
const PACKAGES = ['prometheus', 'promtool', 'docker-compose', 'libc6']

/** Finds them in the cache of the packages of nginx, or downloads them as these are. */
export async function findPrometheus(): Promise<Prometheus> {
  const suite = suiteOf('debian13')
  const folder = join(defaultCacheDir(), 'observability', `${suite.world}-${process.arch}`)
  await mkdir(join(folder, '..'), { recursive: true })
  if (!existsSync(folder)) {
    const release = await lock(folder, say)
    try {
      if (!existsSync(folder)) await provide(folder)
    } finally {
      await release().catch(() => undefined)
    }
  }
  return {
    prometheus: await readProgram(folder, 'prometheus'),
    promtool: await readProgram(folder, 'promtool'),
    compose: await readProgram(folder, 'docker-compose'),
  }
}

async function provide(folder: string): Promise<void> {
  const suite = suiteOf('debian13')
  const mirror = await findMirror(suite.origin, suite.suites[0] ?? '')
  if (mirror === null) throw new Error('apt is not configured for Debian')
  const temporary = await mkdtemp(`${folder}.part-`)
  try {
    say('Downloading Prometheus and docker-compose for the tests into the cache (10 to 60 seconds)')
    const files = await downloadAlone(suite, mirror, join(temporary, 'apt'), PACKAGES)
    await unpack(files, join(temporary, 'root'))
    await rename(join(temporary, 'root'), folder)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Runs one of them to its end, with a text on its standard input; what it says, on either way. */
export async function runTool(
  [file = '', ...prefix]: string[],
  args: string[],
  input = '',
): Promise<{ code: number | null; said: string }> {
  const child = spawn(file, [...prefix, ...args])
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  child.stderr.on('data', (data) => {
    said += data
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code, said }
}

/** A Prometheus that runs with a configuration file. */
export type Scraper = {
  /** Asks a PromQL question; the value of each series by its labels as JSON. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]>
  /** What is wrong with an expression; null when nothing is. */
  fault(expression: string): Promise<string | null>
  stop(): Promise<void>
}

/** Starts Prometheus with a configuration, and waits until it answers. */
export async function startPrometheus(
  { prometheus: [file = '', ...prefix] }: Prometheus,
  configuration: string,
): Promise<Scraper> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-prometheus-'))
  const port = await freePort()
  await writeFile(join(folder, 'prometheus.yml'), configuration)
  const flags = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  const child = spawn(file, [...prefix, ...flags], { cwd: folder })
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  const ended = once(child, 'close')
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  const isUp = async () => {
    if (child.exitCode !== null) throw new Error('It has ended')
    return isReady(url)
  }
  await until('Prometheus', isUp, 60, 50).catch(async () => {
    await stop()
    throw new Error(`Prometheus did not start: ${said}`)
  })
  const ask = async (expression: string) => {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    return (await response.json()) as {
      error?: string
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
  }
  return {
    stop,
    async query(expression) {
      const { data } = await ask(expression)
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
    },
    fault: async (expression) => (await ask(expression)).error ?? null,
  }
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  )
}
