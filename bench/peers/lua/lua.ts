import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeys } from '../../clients.ts'
import { commandIn, unpackPackages } from '../../packages.ts'
import type { Peer, PeerPlan } from '../peer.ts'

/** nginx with Lua: the lookup of the gate in a few lines, on Debian's packages. */
export const lua: Peer = {
  name: 'nginx-lua',
  waitSeconds: 20,
  async prepare(plan) {
    const root = await unpackPackages('nginx-lua', ['nginx', 'libnginx-mod-http-lua'])
    await mkdir(join(plan.root, 'run'))
    await writeFile(join(plan.root, 'keys.lua'), keysTable())
    await writeFile(join(plan.root, 'nginx.conf'), conf(root, plan))
    const nginx = await commandIn(root, 'usr/sbin/nginx')
    const log = join(plan.root, 'run', 'error.log')
    return { command: [...nginx, '-p', plan.root, '-c', join(plan.root, 'nginx.conf'), '-e', log] }
  },
}

function keysTable(): string {
  const lines = makeKeys(10).map(({ client, secret }) => `  ["${secret}"] = "${client}",\n`)
  return `return {\n${lines.join('')}}\n`
}

function conf(packages: string, plan: PeerPlan): string {
  const modules = join(packages, 'usr', 'lib', 'nginx', 'modules')
  const run = join(plan.root, 'run')
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const lua = `${packages}/usr/share/lua/5.1/?.lua;${plan.root}/?.lua`
  return `load_module ${modules}/ndk_http_module.so;
load_module ${modules}/ngx_http_lua_module.so;
daemon off;
pid ${run}/nginx.pid;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  ${temp.map((name) => `${name}_temp_path ${run}/${name}_temp;`).join('\n  ')}
  lua_package_path "${lua}";
  init_by_lua_block { keys = require "keys" }
  log_format who '[$time_local] client=$api_client "$request" $status $request_time $request_id';
  upstream vllm {
    server 127.0.0.1:${plan.upstreamPort};
    keepalive 128;
    keepalive_timeout 4s;
  }
  server {
    listen 127.0.0.1:${plan.port};
    access_log ${run}/access.log who;
    client_max_body_size 32m;
    client_body_buffer_size 32m;
    location / {
      set $api_client "";
      access_by_lua_block {
        local header = ngx.var.http_authorization or ""
        local client = keys[header:match("^Bearer (.+)$") or ""]
        if not client then return ngx.exit(401) end
        ngx.var.api_client = client
      }
      proxy_set_header Authorization "";
      proxy_set_header X-API-Client $api_client;
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
