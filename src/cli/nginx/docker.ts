import { run } from './child.ts'
import { readModuleFolders } from './local.ts'
import { probe } from './probe.ts'
import type { Versions } from './versions.ts'

/** An nginx in a container image. The image is the last word of `command`. */
export type Contained = Versions & { command: string[]; loadModule: string | null }

const ASK_TIMEOUT_MS = 10_000
const PULL_TIMEOUT_MS = 600_000

/**
 * Finds nginx in a container image, if a Docker engine answers. The image is
 * TOLLGATE_NGINX_IMAGE or the official one, which has njs; it is pulled when it is absent.
 * Throws an error that says why it cannot be used.
 */
export async function findInDocker(say: (line: string) => void): Promise<Contained> {
  const image = process.env.TOLLGATE_NGINX_IMAGE || 'nginx:1.31'
  await expectEngine()
  await expectImage(image, say)
  const command = runCommand(image)
  const { stderr } = await run([...command, '-V'], { timeoutMs: ASK_TIMEOUT_MS * 3 })
  const modules = readModuleFolders(stderr).map((folder) => `${folder}/ngx_http_js_module.so`)
  const launch = (folder: string) => mountInto(command, [folder])
  const probed = await probe({ launch, modules: [...modules, null] })
  if (!probed.isUsable) throw new Error(`Cannot use image ${image}: ${probed.reason}`)
  const { loadModule, nginxVersion, njsVersion, engine } = probed
  return { command, loadModule, nginxVersion, njsVersion, engine }
}

/**
 * Makes folders of this machine visible to nginx at the same paths, by putting mounts before the
 * image, the last word of the command.
 */
export function mountInto(command: readonly string[], folders: readonly string[]): string[] {
  const mounts = folders.flatMap((folder) => ['--volume', `${folder}:${folder}`])
  return [...command.slice(0, -1), ...mounts, ...command.slice(-1)]
}

async function expectEngine(): Promise<void> {
  const format = ['--format', '{{.Server.Version}}']
  const asked = await run(['docker', 'version', ...format], { timeoutMs: ASK_TIMEOUT_MS })
  if (asked.isMissing) throw new Error('Docker is not installed')
  if (asked.code !== 0) {
    const cause = asked.stderr.trim().split('\n')[0] ?? ''
    throw new Error(`No Docker engine answers: ${cause}`)
  }
}

async function expectImage(image: string, say: (line: string) => void): Promise<void> {
  const inspect = ['docker', 'image', 'inspect', '--format', '{{.Id}}', image]
  if ((await run(inspect, { timeoutMs: ASK_TIMEOUT_MS })).code === 0) return
  say(`Pulling the container image ${image} (up to some minutes)`)
  const pulled = await run(['docker', 'pull', '--quiet', image], { timeoutMs: PULL_TIMEOUT_MS })
  if (pulled.code === 0) return
  const cause = pulled.stderr.trim().split('\n').at(-1) ?? ''
  throw new Error(`Cannot pull image ${image}: ${cause}. Name another in TOLLGATE_NGINX_IMAGE`)
}

// With the machine's network and process numbers, and as the same user, nginx in the container can
// be used as one outside of it: ports, pid file and file modes mean the same. SELinux would keep it
// out of the mounted folders.
function runCommand(image: string): string[] {
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const sharing = ['--network', 'host', '--pid', 'host', '--user', user]
  const security = ['--security-opt', 'label=disable']
  return ['docker', 'run', '--rm', ...sharing, ...security, '--entrypoint', 'nginx', image]
}
