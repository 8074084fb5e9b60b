import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { findNginx, type World } from '../../src/cli/nginx/find.ts'

const SCRIPT = resolve(import.meta.dirname, '../../dist/tollgate-cli.mjs')

export type Ending = { code: number | null; stdout: string; stderr: string }

export type Running = {
  child: ChildProcess
  output: { stdout: string; stderr: string }
  ended: Promise<Ending>
}

const started = new Set<ChildProcess>()

/** Ends what a test that failed has left running. */
export function endAll(): void {
  for (const child of started) child.kill('SIGTERM')
}

/** Starts the built command. */
export function start(args: string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_EXTRA_CA_CERTS: '', ...env },
  })
  started.add(child)
  child.once('exit', () => started.delete(child))
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, ...output }))
  return { child, output, ended }
}

/** Runs the built command to its end. */
export function tollgate(...args: string[]): Promise<Ending> {
  return start(args).ended
}

/** A folder that looks like an installed nginx: its program, its module, and an nginx.conf. */
export async function makeInstallation(folder: string, world: World, user: string) {
  const nginx = await findNginx({ world, say: (line) => process.stderr.write(`${line}\n`) })
  for (const name of ['sbin', 'modules', 'etc/conf.d', 'run']) {
    await mkdir(join(folder, name), { recursive: true })
  }
  const module = join(folder, 'modules', 'ngx_http_js_module.so')
  await symlink(nginx.loadModule ?? '', module)
  const path = join(folder, 'sbin', 'nginx')
  const words = nginx.command.map((word) => `'${word}'`).join(' ')
  const log = join(folder, 'run', 'error.log')
  const script = `#!/bin/sh\nexec ${words} -e '${log}' "$@"\n`
  await writeFile(path, script, { mode: 0o755 })
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const conf = `load_module ${module};
${process.getuid?.() === 0 ? `user ${user};` : ''}
pid ${folder}/run/nginx.pid;
error_log ${log};
events {}
http {
  access_log off;
  ${temp.map((name) => `${name}_temp_path ${folder}/run/${name};`).join('\n  ')}
  include conf.d/*.conf;
}
`
  const nginxDir = join(folder, 'etc')
  await writeFile(join(nginxDir, 'nginx.conf'), conf)
  return { path, nginxDir, module, nginx, command: nginx.command }
}
