import { type RequestLoad, type RequestResult, runLoad } from '../load/load.ts'
import { tell } from '../notes.ts'
import { cpuNsOf } from '../processes.ts'
import type { RequestRow } from '../results.ts'
import { interleave } from '../rounds.ts'
import type { Server } from '../server.ts'
import { figureOf, median, ratioOf } from '../stats.ts'

/** The load without what depends on the server. */
export type Plan = Omit<RequestLoad, 'port' | 'path'> & {
  bytes: number
  keys: number
  rounds: number
}

type Sample = RequestResult & { cpuUs: number; busy: number; perSecond: number }

/** Measures all servers in turns; the first of a world is what the others are compared with. */
export async function saturate(servers: readonly Server[], plan: Plan): Promise<RequestRow[]> {
  // Two rounds would be an average of the cold and the warm one.
  if (plan.rounds > 3) for (const server of servers) await measure(server, { ...plan, seconds: 1 })
  const samples = await interleave(servers, plan.rounds, (server) => measure(server, plan))
  const found = servers.map(({ subject }, index) => ({ subject, samples: samples[index] ?? [] }))
  return found.map(({ subject, samples }) => rowOf(subject, samples, found, plan))
}

async function measure(server: Server, plan: Plan): Promise<Sample> {
  const { keysFile, bodyFile, connections, seconds } = plan
  const { port, pids } = server
  const load = { port, path: '/v1/chat/completions', keysFile, bodyFile, connections, seconds }
  const cpuNs = () => pids.reduce((sum, pid) => sum + cpuNsOf(pid), 0)
  const beganNs = cpuNs()
  const headers = server.headers === undefined ? {} : { headers: server.headers }
  const result = await runLoad({ ...load, ...headers })
  const cpuUs = (cpuNs() - beganNs) / 1e3
  if (result.errors > 0) tell(`${server.subject}: ${result.errors} errors`)
  return {
    ...result,
    cpuUs: cpuUs / result.requests,
    busy: cpuUs / 1e6 / result.seconds,
    perSecond: result.requests / result.seconds,
  }
}

type Found = { subject: string; samples: Sample[] }

function rowOf(subject: string, samples: Sample[], all: Found[], plan: Plan): RequestRow {
  const cpu = samples.map(({ cpuUs }) => cpuUs)
  const ratioTo = (kind: string) => {
    const base = all.find((other) => other.subject === `${subject.split(' ')[0]} ${kind}`)
    if (base === undefined) return null
    return ratioOf(
      cpu,
      base.samples.map(({ cpuUs }) => cpuUs),
    )
  }
  const row: RequestRow = {
    subject,
    bytes: plan.bytes,
    keys: plan.keys,
    perSecond: figureOf(samples.map(({ perSecond }) => perSecond)),
    cpuUs: figureOf(cpu),
    busy: median(samples.map(({ busy }) => busy)),
    p50Ms: median(samples.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(samples.map(({ p99Ms }) => p99Ms)),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    ratio: ratioTo('plain') ?? Number.NaN,
    mapRatio: ratioTo('map'),
  }
  const ratio = row.ratio.toFixed(2)
  tell(`  ${subject}, ${plan.bytes} bytes: ${row.cpuUs.median.toFixed(1)} us, x ${ratio}`)
  return row
}
