import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Nginx } from '../src/cli/nginx/find.ts'
import { freePort, until } from '../test/waiting.ts'
import { pin, program } from './machine.ts'
import { answerBody } from './mock/answer.ts'
import { launch } from './processes.ts'
import { answersOk } from './server.ts'

/** A server that stands behind all subjects. */
export type Upstream = { port: number; pid: number; stop(): Promise<void> }

/** Starts the mock: streams, and bodies of any size. */
export async function startUpstream(): Promise<Upstream> {
  const port = await freePort()
  const { pid, child, stop } = launch(program('mock', 'mock', { port }), { stderr: 'inherit' })
  await until('the mock', () => answersOk(port, '', child.exitCode))
  return { port, pid, stop }
}

/**
 * Starts an nginx that gives the same answer to everything, in half the time: for small requests, of
 * which a worker without a gate takes more than the mock. It does not read bodies, so large ones are
 * for the mock.
 */
export async function startFixed(nginx: Nginx): Promise<Upstream> {
  const root = await mkdtemp(join(tmpdir(), 'tollgate-bench-'))
  const port = await freePort()
  await writeFile(join(root, 'nginx.conf'), fixedConf(root, port))
  const files = ['-p', root, '-c', join(root, 'nginx.conf'), '-e', join(root, 'error.log')]
  const { pid, child, stop } = launch(pin('mock', [...nginx.command, ...files]))
  await until('the fixed answer', () => answersOk(port, '', child.exitCode))
  return {
    port,
    pid,
    async stop() {
      await stop()
      await rm(root, { recursive: true, force: true })
    },
  }
}

function fixedConf(root: string, port: number): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
master_process off;
pid ${root}/nginx.pid;
events { worker_connections 4096; }
http {
  ${temp.map((name) => `${name}_temp_path ${root}/${name}_temp;`).join('\n  ')}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {
    listen 127.0.0.1:${port};
    default_type application/json;
    location / { return 200 '${answerBody}'; }
  }
}
`
}
