import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adapt, type Layout, packageDir, quotePath, replacePaths } from '../install/layout.ts'
import type { Nginx } from '../nginx/find.ts'

/** An nginx of our own: one of the example sites in a whole nginx.conf. */
export type Site = {
  layout: Layout
  nginx: Pick<Nginx, 'loadModule'>
  /** The example below nginx/sites/, without its ending. */
  example: 'gate' | 'recipe'
  /** What stands behind `listen`: `127.0.0.1:8001`. */
  listen: string
  /** What stands behind `server` in the upstream block: `127.0.0.1:8000` or `unix:/path`. */
  upstreamServer: string
  /** `http` or `https`, for proxy_pass. */
  upstreamScheme: 'http' | 'https'
  workers: number
  /** The user of the workers when nginx runs as root. */
  user: string | null
  /** The folder of logs, temporary files and nginx.pid. */
  runDir: string
  /** The name that the upstream's certificate is for; https only. */
  tlsName?: string | null
  /** The file of the certificates that TLS to the upstream trusts; null leaves it unchecked. */
  trustedCertificates?: string | null
  /** More lines for the server block, for tests. */
  serverExtra?: string
}

/** The example site with its addresses replaced. */
export async function siteConf(site: Site): Promise<string> {
  const path = join(packageDir(), 'nginx', 'sites', `${site.example}.conf`)
  const text = adapt(await readFile(path, 'utf8'), site.layout)
  const name = site.tlsName ?? 'vllm'
  return replacePaths(text, { '/var/log/nginx': site.runDir })
    .replace(/listen 8001;/, () => `listen ${site.listen};\n${site.serverExtra ?? ''}`)
    .replace(/server 127\.0\.0\.1:8000;/, () => `server ${site.upstreamServer};`)
    .replaceAll('upstream vllm ', `upstream ${name} `)
    .replaceAll(
      /^( *)(?:set \$tollgate_upstream vllm|proxy_pass http:\/\/vllm);/gm,
      (line, indent) =>
        [
          line.includes('set')
            ? `set $tollgate_upstream ${name};`
            : `proxy_pass ${site.upstreamScheme}://${name};`,
          ...tlsLines(site),
        ]
          .map((one) => `${indent}${one}`)
          .join('\n'),
    )
}

// The upstream block has the name of the host, and so have Host and what is looked for in the
// certificate: both are the name that requests are passed to.
function tlsLines(site: Site): string[] {
  if (site.upstreamScheme === 'http') return []
  const lines = ['proxy_ssl_server_name on;']
  if (site.example === 'gate') lines.unshift('set $tollgate_scheme https;')
  if (!site.trustedCertificates) return lines
  const file = quotePath(site.trustedCertificates)
  // Public authorities sign through one or two others; nginx would follow a single one.
  return [
    ...lines,
    'proxy_ssl_verify on;',
    'proxy_ssl_verify_depth 5;',
    `proxy_ssl_trusted_certificate ${file};`,
  ]
}

/** A whole nginx.conf around the site, for an nginx in the foreground. */
export async function nginxConf(site: Site): Promise<string> {
  const { runDir } = site
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `# Written by tollgate serve. For an nginx of your own see nginx/sites/.
${site.nginx.loadModule ? `load_module ${quotePath(site.nginx.loadModule)};\n` : ''}daemon off;
pid ${quotePath(`${runDir}/nginx.pid`)};
error_log ${quotePath(`${runDir}/error.log`)} notice;
worker_processes ${site.workers};
worker_shutdown_timeout 10m;
${site.user ? `user ${site.user};\n` : ''}events {
  worker_connections 4096;
}
http {
  ${temp.map((name) => `${name}_temp_path ${quotePath(`${runDir}/${name}_temp`)};`).join('\n  ')}
  access_log off;
  server_tokens off;
  variables_hash_max_size 2048;

${(await siteConf(site)).replace(/^(?=.)/gm, '  ')}}
`
}
