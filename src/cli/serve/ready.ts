import { join } from 'node:path'
import { firstModel } from '../ask.ts'
import { invocation, quote } from '../invocation.ts'
import type { Nginx } from '../nginx/find.ts'
import type { Listen, Upstream } from './listen.ts'

/** A gate that `tollgate serve` has started. */
export type Ready = {
  listen: Listen
  upstream: Upstream
  isMock: boolean
  upstreamKey: string | undefined
  dir: string
  runDir: string
  nginx: Nginx
  /** The key of client demo; null when there is no such client. */
  key: string | null
  /** The admin API and the console, with a token that may write. */
  admin: { url: string; token: string }
  /** The master process of nginx. */
  pid: number
}

/** One line for machines. */
export function readyLine(ready: Ready): string {
  const { listen, upstream, dir, key, nginx, pid } = ready
  const { world } = nginx
  const admin = { admin: ready.admin.url, adminToken: ready.admin.token }
  const line = { gate: listen.url, ...admin, upstream: upstream.url, dir, key, world, pid }
  return `${JSON.stringify(line)}\n`
}

/** What a person wants to know, with a line to paste. */
export async function readyText(ready: Ready): Promise<string> {
  const { listen, upstream, isMock, dir, runDir, nginx } = ready
  const engine = nginx.engine === 'qjs' ? 'QuickJS' : 'njs engine'
  const example = `${invocation()} serve --upstream http://127.0.0.1:8000`
  const call = await describeCall(ready)
  return `
Tollgate is open on ${listen.url}
nginx ${nginx.nginxVersion} (${nginx.world}), njs ${nginx.njsVersion} (${engine})

  upstream  ${upstream.url}${isMock ? `, a mock of vLLM; with your own: ${example}` : ''}
  clients   ${join(dir, 'clients.json')}, policy.json beside it
  ledger    ${join(dir, 'ledger.jsonl')}
  logs      ${join(runDir, 'access.log')}, error.log beside it

${call}

Console and admin API: ${ready.admin.url}, with this token, for 30 days, shown this once:

  ${ready.admin.token}

Another key:  ${invocation()} key create app --dir ${quote(dir)}
Press Ctrl-C to stop.
`
}

async function describeCall(ready: Ready): Promise<string> {
  const { listen, key, dir, upstream, upstreamKey } = ready
  if (key === null) {
    return `There is no client demo to call as. Make a key of your own:
  ${invocation()} key create app --dir ${quote(dir)}`
  }
  const headers = upstreamKey === undefined ? {} : { authorization: `Bearer ${upstreamKey}` }
  const model = await firstModel(upstream, headers)
  const body = {
    model: model ?? 'MODEL',
    stream: true,
    messages: [{ role: 'user', content: 'Hello' }],
  }
  const hint =
    model === null
      ? `${upstream.url} does not list its models yet: until it answers, calls get 502. Replace MODEL.\n\n`
      : ''
  return `${hint}A fresh key of client demo, for 30 days, shown this once. Paste into another terminal:

  curl -N ${listen.url}/v1/chat/completions \\
    -H 'Authorization: Bearer ${key}' \\
    -H 'Content-Type: application/json' \\
    -d ${quote(JSON.stringify(body))}`
}
