import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layOut, WORKERS_DIR } from '../src/cli/install/layout.ts'
import { nginxConf } from '../src/cli/serve/site.ts'
import { freePort } from '../test/waiting.ts'
import { type BenchKey, clientsText, mapText, policyOf } from './clients.ts'
import { layFloor } from './floors/floors.ts'
import type { Subject } from './subjects.ts'

/** What nginx is configured for. */
export type SiteOptions = {
  root: string
  port: number
  upstreamPort: number
  keys: readonly BenchKey[]
}

/** Writes a whole configuration for a subject below `root`. */
export async function writeSite(subject: Subject, options: SiteOptions): Promise<void> {
  for (const name of ['run', 'config', 'state']) await mkdir(join(options.root, name))
  const text = subject.isGate ? await byGate(subject, options) : await bySelf(subject, options)
  await writeFile(join(options.root, 'nginx.conf'), text)
}

/** The gate as users install it: its own files around the example site. */
async function byGate(subject: Subject, options: SiteOptions): Promise<string> {
  const { root, port, upstreamPort, keys } = options
  await mkdir(join(root, 'state', WORKERS_DIR))
  await writeFile(join(root, 'config', 'policy.json'), JSON.stringify(policyOf(subject.kind)))
  await writeFile(join(root, 'config', 'clients.json'), clientsText(keys))
  const layout = {
    nginxDir: root,
    configDir: join(root, 'config'),
    stateDir: join(root, 'state'),
    adminListen: `127.0.0.1:${await freePort()}`,
    rareListen: `127.0.0.1:${await freePort()}`,
    engine: subject.nginx.engine,
  }
  await layOut(layout)
  await layFloor(subject, join(root, 'tollgate'))
  return nginxConf({
    layout,
    nginx: subject.nginx,
    example: 'gate',
    listen: `127.0.0.1:${port}`,
    upstreamServer: `127.0.0.1:${upstreamPort}`,
    upstreamScheme: 'http',
    workers: 1,
    user: userOf(),
    runDir: join(root, 'run'),
  })
}

// What differs from the gate's site is the gate alone: the same keep-alive, no buffering, bodies in
// memory, and one line in a log for each request, as nginx writes it where nothing is said.
async function bySelf(subject: Subject, options: SiteOptions): Promise<string> {
  const { root, port, upstreamPort, keys } = options
  const isMap = subject.kind === 'map'
  if (isMap) await writeFile(join(root, 'keys.map'), mapText(keys))
  const run = join(root, 'run')
  const user = userOf()
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
pid ${run}/nginx.pid;
error_log ${run}/error.log notice;
worker_processes 1;
${user === null ? '' : `user ${user};`}
events { worker_connections 4096; }
http {
  ${temp.map((name) => `${name}_temp_path ${run}/${name}_temp;`).join('\n  ')}
  server_tokens off;
${isMap ? mapOf(root, keys.length) : ''}
  upstream vllm {
    server 127.0.0.1:${upstreamPort};
    keepalive 128;
    keepalive_timeout 4s;
  }
  server {
    listen 127.0.0.1:${port};
    access_log ${run}/access.log ${isMap ? 'who' : 'combined'};
    client_max_body_size 32m;
    client_body_buffer_size 32m;
    location / {
${isMap ? REFUSE : ''}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 3600s;
      proxy_pass http://vllm;
    }
  }
}
`
}

const REFUSE = `      if ($api_client = "") { return 401; }
      proxy_set_header Authorization "";
      proxy_set_header X-API-Client $api_client;`

function mapOf(root: string, keys: number): string {
  return `  map_hash_bucket_size 256;
  map_hash_max_size ${Math.max(2048, keys * 2)};
  map $http_authorization $api_client {
    default "";
    include ${root}/keys.map;
  }
  log_format who '[$time_local] client=$api_client remote=$remote_addr "$request" $status '
                 '$body_bytes_sent $request_time $request_id';
`
}

function userOf(): string | null {
  return process.getuid?.() === 0 ? 'root' : null
}
