import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { packageDir } from '../../src/cli/install/layout.ts'
import { freePort, sleep, until } from '../waiting.ts'
import { runNginx, type Setup } from './setups.ts'

/** An nginx with nginx/tollgate/ledger.conf and no gate, and a server behind it. */
export type LineSite = {
  port: number
  url: string
  socket: string
  /** Nothing listens there. */
  closed: string
  behind: string
  /** The lines that have come since the last call, as they stand in the file, when there are so many. */
  texts(count: number): Promise<string[]>
  /** The same, read. */
  lines(count: number): Promise<Line[]>
  stop(): Promise<void>
}

export type Line = { time: string; at: number; id: string; [field: string]: unknown }

/** What the gate would put into the line: here a header says it, as JSON. */
const SETTLED = `
import { fragmentOf } from './src/core/ledger/line.ts'
function settled(r) {
  const told = r.headersIn['X-Told']
  return fragmentOf(told ? JSON.parse(told) : { outcome: 'ok', client: 'app' })
}
export default { settled }
`

/** The js_vars of the gate, which the refused format reads, by the headers that set them. */
const VARIABLES = {
  caller: 'tg_caller',
  key: 'tollgate_key',
  group: 'tollgate_group',
  route: 'tollgate_route',
  fate: 'tg_fate',
  limit: 'tollgate_limit',
}

/** What nginx writes by itself, by the headers that take its place where every value is to be tried. */
const NATIVE = ['upstream_status', 'upstream_addr', 'request_time', 'status']

const SECOND_MS = 1000

/** The same maps and formats under other names, over headers instead of nginx's own variables. */
function oddConf(conf: string): string {
  const named = conf
    .replaceAll(/\$tg_(?!answered|caller|fate)(\w+)/g, '$odd_$1')
    .replaceAll(/log_format tollgate_/g, 'log_format odd_')
  return NATIVE.reduce(
    (text, name) => text.replaceAll(new RegExp(`\\$${name}\\b`, 'g'), `$http_x_${name}`),
    named,
  )
}

export async function startLineSite(setup: Setup, timeZone: string): Promise<LineSite> {
  const root = await mkdtemp(join(tmpdir(), 'tollgate-line-'))
  const runDir = join(root, 'run')
  await mkdir(runDir)
  const behind = createServer(async (request, response) => {
    const [, what, value] = (request.url ?? '').split('/')
    if (what === 'die') {
      request.socket.destroy()
      return
    }
    if (what === 'low') {
      request.socket.end('HTTP/1.1 099 Low\r\n\r\n')
      return
    }
    if (what === 'ms') await sleep(Number(value))
    response.statusCode = what === 'status' ? Number(value) : 200
    response.end('behind\n')
  }).listen(0, '127.0.0.1')
  await once(behind, 'listening')
  const [port, closed] = [await freePort(), await freePort()]
  const conf = await readFile(join(packageDir(), 'nginx', 'tollgate', 'ledger.conf'), 'utf8')
  await writeFile(join(root, 'ledger.conf'), conf)
  await writeFile(join(root, 'odd.conf'), oddConf(conf))
  await build({
    stdin: { contents: SETTLED, resolveDir: packageDir() },
    outfile: join(root, 'settled.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2017',
  })
  const behindAddress = `127.0.0.1:${(behind.address() as AddressInfo).port}`
  const closedAddress = `127.0.0.1:${closed}`
  const socket = join(runDir, 'nginx.sock')
  const parts = { port, socket, behind: behindAddress, closed: closedAddress }
  await writeFile(join(root, 'nginx.conf'), nginxConf(setup, parts))
  const before = process.env['TZ']
  process.env['TZ'] = timeZone
  const server = await runNginx(setup, root, runDir)
  if (before === undefined) delete process.env['TZ']
  else process.env['TZ'] = before
  let seen = 0
  const site: LineSite = {
    ...parts,
    url: `http://127.0.0.1:${port}`,
    async texts(count) {
      let all: string[] = []
      await until(`${count} lines`, async () => {
        all = (await readFile(join(root, 'ledger.jsonl'), 'utf8')).split('\n').slice(seen, -1)
        return all.length >= count
      })
      seen += all.length
      return all
    },
    async lines(count) {
      return (await site.texts(count)).map((text) => JSON.parse(text))
    },
    async stop() {
      await server.stop()
      behind.closeAllConnections()
      behind.close()
      await rm(root, { recursive: true, force: true })
    },
  }
  return site
}

type Parts = { port: number; socket: string; behind: string; closed: string }

function nginxConf({ nginx }: Setup, { port, socket, behind, closed }: Parts): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const sets = Object.entries(VARIABLES)
    .map(([name, variable]) => `set $${variable} $http_x_${name};`)
    .join(' ')
  return `
${nginx.loadModule ? `load_module ${nginx.loadModule};` : ''}
daemon off;
pid run/nginx.pid;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 256; }
http {
  ${temp.map((name) => `${name}_temp_path run/${name};`).join('\n  ')}
  ${nginx.engine === 'qjs' ? 'js_engine qjs;' : ''}
  js_import line from settled.js;
  js_set $tollgate_settled line.settled;
  js_var $tg_answered;
  ${Object.values(VARIABLES)
    .map((variable) => `js_var $${variable};`)
    .join('\n  ')}
  include ledger.conf;
  include odd.conf;
  keepalive_requests 10000;
  large_client_header_buffers 4 16k;
  upstream broken { server ${closed} max_fails=0; server ${behind} backup; }
  upstream dead { server ${closed} max_fails=0; server ${closed} backup max_fails=0; }
  upstream nobody { server ${closed} down; }
  server {
    listen 127.0.0.1:${port};
    listen unix:${socket};
    http2 on;
    access_log ledger.jsonl tollgate_ledger if=$tollgate_settled;
    location / { return 200 "here\\n"; }
    location /nothing { return 204; }
    location /gone { return 444; }
    location /behind/ { proxy_pass http://${behind}/; }
    location /closed { proxy_pass http://${closed}; }
    location /broken { proxy_pass http://broken; }
    location /dead { proxy_pass http://dead; }
    location /nobody { proxy_pass http://nobody; }
    location /unix { proxy_pass "http://unix:run/no\\"\\\\where.sock:"; }
    location /redirect/ {
      proxy_pass http://${behind}/;
      proxy_intercept_errors on;
      error_page 404 = @other;
    }
    location @other { proxy_pass http://broken; }
    location /answered { set $tg_answered 1; proxy_pass http://${behind}; }
    location /refused { ${sets} access_log ledger.jsonl tollgate_refused; return 429; }
    location /odd { access_log ledger.jsonl odd_ledger; set $tg_answered $http_x_answered; return 200; }
    location /oddly-refused { access_log ledger.jsonl odd_refused; return 200; }
  }
  server {
    listen 127.0.0.1:${port};
    server_name refused;
    access_log ledger.jsonl tollgate_refused;
    location / { return 404; }
  }
}
`
}

/** Whether both times of a line are of one reading of the clock. */
export function isOneTime({ time, at }: Line): boolean {
  return Math.floor(at) * SECOND_MS === Date.parse(time)
}
