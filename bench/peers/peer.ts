import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childrenOf } from '../../test/nginx/processes.ts'
import { freePort, until } from '../../test/waiting.ts'
import { makeKeys } from '../clients.ts'
import { pin } from '../machine.ts'
import { launch } from '../processes.ts'
import { answersOk, type Server } from '../server.ts'

/** What a peer is told when it is set up. */
export type PeerPlan = { root: string; port: number; upstreamPort: number }

/** Another way to put keys before vLLM. `prepare` throws where it cannot be had. */
export type Peer = {
  name: string
  /** Installs it below the cache, writes its files below `root`, and returns how to start it. */
  prepare(plan: PeerPlan): Promise<{ command: string[]; env?: Record<string, string> }>
  headers?: (upstreamPort: number) => Record<string, string>
  waitSeconds: number
}

/** Starts a peer on the core of the subject; all its processes are counted. */
export async function startPeer(peer: Peer, upstreamPort: number): Promise<Server> {
  const root = await mkdtemp(join(tmpdir(), 'tollgate-bench-'))
  const port = await freePort()
  const { command, env } = await peer.prepare({ root, port, upstreamPort })
  const beganMs = performance.now()
  const started = launch(pin('subject', command), {
    cwd: root,
    stderr: 'ignore',
    ...(env === undefined ? {} : { env }),
  })
  const headers = peer.headers?.(upstreamPort) ?? {}
  const stop = async () => {
    await started.stop()
    await rm(root, { recursive: true, force: true })
  }
  const key = makeKeys(1)[0]?.secret ?? ''
  try {
    await until(
      `an answer of ${peer.name}`,
      () => answersOk(port, key, started.child.exitCode, headers),
      peer.waitSeconds,
    )
  } catch (error) {
    await stop()
    throw error
  }
  const startMs = performance.now() - beganMs
  const pids = [started.pid, ...childrenOf(started.pid)]
  return { subject: `peer ${peer.name}`, port, pids, root, startMs, headers, keys: 1, stop }
}
