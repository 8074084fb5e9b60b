import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../../src/cli/install/layout.ts'
import { findInDocker } from '../../src/cli/nginx/docker.ts'
import type { Running, Setup } from './setups.ts'

/** A set-up that runs in a container, or why there is none. */
type Found = { setup: Setup } | { reason: string }

const OFFICIAL_IMAGE = 'nginx:1.31'
const START_MS_MAX = 30_000

// Nothing can be pulled on a machine that makes its images itself, Ryuk neither; every container is
// stopped by its test.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'

/**
 * The container set-up, where a Docker engine answers: with the image in TOLLGATE_TEST_IMAGE, else
 * the official one. Without an engine one line says that it is left out and why; but an image that
 * was named must be there.
 */
export async function findContainer(say: (line: string) => void): Promise<Setup[]> {
  const found = await findOnce()
  if ('setup' in found) return [found.setup]
  if (process.env.TOLLGATE_TEST_IMAGE) {
    throw new Error(`Cannot test in TOLLGATE_TEST_IMAGE: ${found.reason}`)
  }
  if (found.isFirst) say(`The tests in a container are left out: ${found.reason}`)
  return []
}

// Each test file is a process of its own, but the image is looked into, and its absence told, once in
// a run: all files have the same parent.
async function findOnce(): Promise<Found & { isFirst?: boolean }> {
  const cache = join(packageDir(), 'node_modules', '.tollgate-test-container.json')
  const image = process.env.TOLLGATE_TEST_IMAGE || OFFICIAL_IMAGE
  const run = `${process.ppid} ${image}`
  if (existsSync(cache)) {
    const kept = JSON.parse(await readFile(cache, 'utf8'))
    if (kept.run === run) return kept.found
  }
  const found = await find(image)
  // Another run may be reading it.
  await writeFile(`${cache}.${process.pid}`, JSON.stringify({ run, found }))
  await rename(`${cache}.${process.pid}`, cache)
  return { ...found, isFirst: true }
}

async function find(image: string): Promise<Found> {
  try {
    process.env.TOLLGATE_NGINX_IMAGE = image
    const contained = await findInDocker((line) => process.stderr.write(`${line}\n`))
    const nginx = { ...contained, source: 'docker' as const, world: 'docker' as const }
    return { setup: { name: 'container', nginx, image } }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { reason: reason.replace('TOLLGATE_NGINX_IMAGE', 'TOLLGATE_TEST_IMAGE') }
  }
}

/**
 * Runs nginx in a container that sees the folder of the test at the same path, and shares the
 * network of the machine. Its processes are those of the machine too, so pids are as elsewhere.
 */
export async function runContained(image: string, root: string, args: string[]): Promise<Running> {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers')
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const container = await new GenericContainer(image)
    .withEntrypoint(['nginx'])
    .withCommand(args)
    .withUser(user)
    .withNetworkMode('host')
    .withBindMounts([{ source: root, target: root }])
    .withStartupTimeout(START_MS_MAX)
    .start()
  const client = await getContainerRuntimeClient()
  const inspected = await client.container.getById(container.getId()).inspect()
  if (!inspected.State.Running) {
    const said = await readAll(await container.logs())
    await container.stop()
    throw new Error(`nginx did not start in ${image}: ${said}`)
  }
  return {
    pid: inspected.State.Pid,
    stop: async () => void (await container.stop()),
  }
}

async function readAll(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = ''
  for await (const piece of stream) text += piece
  return text
}
