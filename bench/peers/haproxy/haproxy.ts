import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeys } from '../../clients.ts'
import { commandIn, unpackPackages } from '../../packages.ts'
import { findOnPath } from '../../tools.ts'
import type { Peer, PeerPlan } from '../peer.ts'

/** HAProxy with the keys in a map file. */
export const haproxy: Peer = {
  name: 'haproxy',
  waitSeconds: 20,
  async prepare(plan) {
    const file = findOnPath('haproxy')
    const command = file === null ? await unpacked() : [file]
    const map = makeKeys(10).map(({ client, secret }) => `${secret} ${client}\n`)
    await writeFile(join(plan.root, 'keys.map'), map.join(''))
    await writeFile(join(plan.root, 'haproxy.cfg'), conf(plan))
    // In the foreground and as one process, whose threads are one.
    return { command: [...command, '-db', '-f', join(plan.root, 'haproxy.cfg')] }
  },
}

async function unpacked(): Promise<string[]> {
  return commandIn(await unpackPackages('haproxy', ['haproxy']), 'usr/sbin/haproxy')
}

function conf({ root, port, upstreamPort }: PeerPlan): string {
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option http-keep-alive
frontend gate
  bind 127.0.0.1:${port} backlog 4096
  http-request set-var(txn.secret) req.hdr(authorization),regsub(^Bearer\\ ,)
  http-request set-var(txn.client) var(txn.secret),map_str(${root}/keys.map)
  http-request deny deny_status 401 unless { var(txn.client) -m found }
  http-request del-header authorization
  http-request set-header X-API-Client %[var(txn.client)]
  default_backend vllm
backend vllm
  http-reuse always
  server vllm 127.0.0.1:${upstreamPort} pool-max-conn 128
`
}
