import { writeBody } from '../bodies.ts'
import { makeKeys, writeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { tell } from '../notes.ts'
import { cpuNsOf, runForJson } from '../processes.ts'
import type { MockCheck } from '../results.ts'
import { loadOf } from './streams.ts'

/**
 * Asks the mock itself, with nothing between: the same clients on the same cores as later. What it
 * does alone is the most that any subject can show, and its lateness is in all figures alike.
 */
export async function checkMock(context: Context): Promise<MockCheck> {
  const { folder, upstream, fixed, options, loader } = context
  const result = await loader.run({
    port: fixed.port,
    path: '/v1/chat/completions',
    keysFile: await writeKeys(folder, makeKeys(10)),
    bodyFile: await writeBody(folder, 400),
    connections: 32,
    seconds: options.loadSeconds,
  })
  const [streams, perSecond] = options.isQuick ? [256, 50] : [1024, 20]
  const pace = { streams, perSecond, asks: true, rounds: 1 }
  const server = {
    keys: 10,
    subject: 'mock',
    port: upstream.port,
    pids: [upstream.pid],
    root: folder,
  }
  const load = loadOf({ ...server, startMs: 0, stop: async () => undefined }, pace, 2)
  const beganNs = cpuNsOf(upstream.pid)
  const beganMs = performance.now()
  const seen = await runForJson<StreamResult>(program('client', 'streams', load))
  const busy = (cpuNsOf(upstream.pid) - beganNs) / 1e6 / (performance.now() - beganMs)
  const check: MockCheck = {
    requestsPerSecond: result.requests / result.seconds,
    busyAtStreams: busy,
    streams,
    perSecond,
    transit: seen.transit,
    gaps: seen.gaps,
  }
  const share = Math.round(busy * 100)
  tell(
    `The mock alone: ${Math.round(check.requestsPerSecond)} requests/s; ${share} % of its core ` +
      `at ${streams} streams, events ${seen.transit.at[7]?.toFixed(2)} ms late at p99`,
  )
  return check
}
