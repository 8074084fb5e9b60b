import { writeBody } from '../bodies.ts'
import type { Context } from '../context.ts'
import { say } from '../notes.ts'
import { haproxy } from '../peers/haproxy/haproxy.ts'
import { litellm } from '../peers/litellm/litellm.ts'
import { lua } from '../peers/lua/lua.ts'
import { type Peer, startPeer } from '../peers/peer.ts'
import { portkey } from '../peers/portkey/portkey.ts'
import type { Results, StreamRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import { SMALL_BYTES } from './requests.ts'
import { saturate } from './saturate.ts'
import { runPace } from './streams.ts'

const PEERS: Peer[] = [lua, haproxy, portkey, litellm]
/** What the peers are shown beside: of Debian 13's nginx, since two of them are from there. */
const BESIDE = ['debian13 plain', 'debian13 map', 'debian13 identity content']

/** Other ways to put keys before vLLM. One that cannot be had is left out, and a line says so. */
export async function measurePeers(context: Context): Promise<Results['peers']> {
  const { subjects, upstream, options, folder } = context
  const servers: Server[] = []
  try {
    for (const subject of subjects.filter(({ id }) => BESIDE.includes(id))) {
      servers.push(await startServer(subject, { upstreamPort: upstream.port, keys: 1 }))
    }
    for (const peer of PEERS) {
      const server = await startPeer(peer, upstream.port).catch((error) => {
        const reason = error instanceof Error ? error.message : String(error)
        say(`Left out: ${peer.name}, ${reason}`)
        return null
      })
      if (server !== null) servers.push({ ...server, subject: `debian13 ${peer.name}` })
    }
    const requests = await saturate(context, servers, {
      bodyFile: await writeBody(folder, SMALL_BYTES),
      connections: 32,
      seconds: options.loadSeconds,
      rounds: Math.min(3, options.rounds),
      bytes: SMALL_BYTES,
    })
    const pace = { streams: 64, perSecond: 20, asks: false, rounds: Math.min(3, options.rounds) }
    const streams = await runPace(servers, pace)
    return { requests, streams: streams.filter(hasStreams) }
  } finally {
    for (const server of servers) await server.stop()
  }
}

function hasStreams({ subject, finished }: StreamRow): boolean {
  if (finished === 0) say(`Left out: streams of ${subject}, none came to its end`)
  return finished > 0
}
