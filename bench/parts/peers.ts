import { writeBody } from '../bodies.ts'
import type { Context } from '../context.ts'
import { say } from '../notes.ts'
import { envoy } from '../peers/envoy/envoy.ts'
import { haproxy } from '../peers/haproxy/haproxy.ts'
import { litellm } from '../peers/litellm/litellm.ts'
import { lua } from '../peers/lua/lua.ts'
import { type Peer, startPeer } from '../peers/peer.ts'
import { portkey } from '../peers/portkey/portkey.ts'
import { smg } from '../peers/smg/smg.ts'
import type { MemoryRow, Results, StreamRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import { memoryOf } from './memory.ts'
import { SMALL_BYTES } from './requests.ts'
import { saturate } from './saturate.ts'
import { runPace } from './streams.ts'

const PEERS: Peer[] = [lua, haproxy, envoy, smg, portkey, litellm]
/** What the peers are shown beside. Ratios are to the plain one of Debian 13's nginx, since two of them are from there. */
const BESIDE = ['debian13 plain', 'debian13 map', 'debian13 identity', 'debian13 all']
const STREAMS = 64

/** Other ways to put keys before vLLM. One that cannot be had is left out, and a line says so. */
export async function measurePeers(context: Context): Promise<Results['peers']> {
  const { options, folder } = context
  const servers: Server[] = []
  try {
    for (const start of startersOf(context)) servers.push(...(await start()))
    const requests = await saturate(context, servers, {
      bodyFile: await writeBody(folder, SMALL_BYTES),
      connections: 32,
      seconds: options.loadSeconds,
      rounds: Math.min(3, options.rounds),
      bytes: SMALL_BYTES,
    })
    const pace = {
      streams: STREAMS,
      perSecond: 20,
      asks: false,
      rounds: Math.min(3, options.rounds),
    }
    const streams = (await runPace(servers, pace)).filter(hasStreams)
    await stopAll(servers)
    const memory = await memoryOfAll(context, streams)
    return { requests, streams, memory }
  } finally {
    await stopAll(servers)
  }
}

/** Memory of those that have streams, each in a fresh process. */
async function memoryOfAll(context: Context, had: readonly StreamRow[]): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = []
  for (const start of startersOf(context)) {
    const servers = await start()
    const chosen = servers.filter(({ subject }) => had.some((row) => row.subject === subject))
    for (const server of chosen) rows.push(...(await memoryOf(server, STREAMS, 3)))
    await stopAll(servers)
  }
  return rows
}

async function stopAll(servers: Server[]): Promise<void> {
  for (const server of servers.splice(0)) await server.stop()
}

/** Each starts one, or none where it cannot be had. */
function startersOf({ subjects, upstream }: Context): (() => Promise<Server[]>)[] {
  const beside = subjects.filter(({ id }) => BESIDE.includes(id))
  return [
    ...beside.map((subject) => async () => [
      await startServer(subject, { upstreamPort: upstream.port, keys: 1 }),
    ]),
    ...PEERS.map((peer) => async () => {
      try {
        const server = await startPeer(peer, upstream.port)
        return [{ ...server, subject: `debian13 ${peer.name}` }]
      } catch (error) {
        say(`Left out: ${peer.name}, ${error instanceof Error ? error.message : String(error)}`)
        return []
      }
    }),
  ]
}

function hasStreams({ subject, finished }: StreamRow): boolean {
  if (finished === 0) say(`Left out: streams of ${subject}, none came to its end`)
  return finished > 0
}
