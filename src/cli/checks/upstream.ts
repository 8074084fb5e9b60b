import { networkInterfaces } from 'node:os'
import { ask } from '../ask.ts'
import { findAll } from '../install/directives.ts'
import type { Pass } from '../install/gatesite.ts'
import { parseUpstream, type Upstream } from '../serve/listen.ts'
import { listListeners } from '../serve/sockets.ts'
import { type Check, type Installation, ok, problem, warning } from './check.ts'

/** uvicorn closes a connection that was idle for this long. */
const KEEPALIVE_SECONDS_MAX = 5

/** Each vLLM: does it answer, and can others reach it without going through the gate? */
export async function checkUpstreams(installation: Installation, named?: string): Promise<Check[]> {
  if (named !== undefined) return checkServer(parseUpstream(named))
  const checks: Check[] = []
  for (const pass of installation.site.passes) {
    checks.push(...checkKeepalive(pass))
    for (const server of pass.servers) {
      const upstream = readServer(pass, server)
      if (upstream === null) {
        checks.push(
          warning('vllm', `Cannot tell where ${server} of ${pass.url} is; use --upstream`),
        )
      } else {
        checks.push(...checkName(server), ...(await checkServer(upstream)))
      }
    }
  }
  if (checks.length > 0) return checks
  return [warning('vllm', 'Found no server of vLLM in nginx.conf: name it with --upstream')]
}

function readServer({ scheme }: Pass, server: string): Upstream | null {
  try {
    return parseUpstream(server.startsWith('unix:') ? server : `${scheme}://${server}`)
  } catch {
    return null
  }
}

// nginx takes both addresses of the name in turn, and a POST is never tried at the second.
function checkName(server: string): Check[] {
  if (!/^localhost(:|$)/.test(server)) return []
  return [
    warning(
      'vllm',
      `server ${server} may mean ::1 as well, where vLLM does not listen: write 127.0.0.1`,
    ),
  ]
}

function checkKeepalive({ upstream, url }: Pass): Check[] {
  const fix = `keepalive 128; and keepalive_timeout 4s;`
  if (upstream === null) {
    return [warning('keepalive', `${url} has no upstream block: make one, with ${fix}`)]
  }
  const block = upstream.block ?? []
  const name = upstream.args[0]
  if (findAll(block, 'keepalive').length === 0) {
    return [warning('keepalive', `upstream ${name} opens a connection per request: add ${fix}`)]
  }
  const text = findAll(block, 'keepalive_timeout')[0]?.args[0] ?? '60s'
  const seconds = /^(\d+)(s?)$/.exec(text)?.[1]
  if (seconds !== undefined && Number(seconds) < KEEPALIVE_SECONDS_MAX) return []
  return [
    warning(
      'keepalive',
      `upstream ${name} keeps idle connections for ${text}, but vLLM closes them after ` +
        `${KEEPALIVE_SECONDS_MAX} s, and a POST that meets a closed one fails: add keepalive_timeout 4s;`,
    ),
  ]
}

async function checkServer(upstream: Upstream): Promise<Check[]> {
  const reply = await ask(upstream, '/health')
  const { url } = upstream
  if ('error' in reply) {
    const fix = upstream.socketPath ? '--uds' : '--host and --port'
    return [
      problem('vllm', `${url} does not answer (${reply.error}): start vLLM, or compare its ${fix}`),
    ]
  }
  const answer =
    reply.status === 200
      ? ok('vllm', `${url} is healthy`)
      : warning('vllm', `${url} answers GET /health with ${reply.status}: see the log of vLLM`)
  return [answer, await checkExposure(upstream)]
}

/** Whether vLLM can be reached around the gate. */
async function checkExposure(upstream: Upstream): Promise<Check> {
  const { host, port, socketPath, url } = upstream
  if (socketPath) return ok('exposure', `${url} is a socket: no other machine can reach it`)
  if (!isOfThisMachine(host)) {
    return warning(
      'exposure',
      `${host} is another machine: make sure that its port ${port} is open to this one alone`,
    )
  }
  const listeners = await listListeners(port)
  if (listeners.length === 0) {
    return warning(
      'exposure',
      `Cannot see on which addresses port ${port} is open: make sure that it is this machine alone`,
    )
  }
  const open = listeners.filter((address) => !isLoopback(address))
  if (open.length === 0) return ok('exposure', `Port ${port} is open to this machine alone`)
  const where = open.join(' and ')
  const fix = 'start it with --host 127.0.0.1, or with --uds'
  const models = await ask(upstream, '/v1/models')
  if ('status' in models && models.status === 401) {
    return warning(
      'exposure',
      `vLLM listens on ${where}, port ${port}: whoever has its own key goes around the gate; ${fix}`,
    )
  }
  return problem(
    'exposure',
    `vLLM listens on ${where}, port ${port}: unless a firewall stops them, others reach it ` +
      `without a key; ${fix}`,
  )
}

function isOfThisMachine(host: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return isLoopback(host) || own.some(({ address }) => address === host)
}

function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === '::1' || /^::ffff:127\./.test(address)
}
