import { makeKeys, writeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { RequestLoad, RequestResult } from '../load/load.ts'
import { tell } from '../notes.ts'
import { cpuNsOf } from '../processes.ts'
import type { RequestRow } from '../results.ts'
import { interleave } from '../rounds.ts'
import type { Server } from '../server.ts'
import { figureOf, median, ratioOf } from '../stats.ts'

/** The load without what depends on the server. */
export type Plan = Pick<RequestLoad, 'bodyFile' | 'connections' | 'seconds'> & {
  bytes: number
  rounds: number
}

type Sample = RequestResult & { cpuUs: number; busy: number; perSecond: number }
type Found = Pick<Server, 'subject' | 'keys'> & { samples: Sample[] }

/** Measures all servers in turns; the first of a world is what the others are compared with. */
export async function saturate(
  context: Context,
  servers: readonly Server[],
  plan: Plan,
): Promise<RequestRow[]> {
  // Two rounds would be an average of the cold and the warm one.
  if (plan.rounds > 3) {
    for (const server of servers) await measure(context, server, { ...plan, seconds: 1 })
  }
  const samples = await interleave(servers, plan.rounds, (server) => measure(context, server, plan))
  const found = servers.map(({ subject, keys }, index) => {
    return { subject, keys, samples: samples[index] ?? [] }
  })
  return found.map((one) => rowOf(one, found, plan))
}

async function measure(context: Context, server: Server, plan: Plan): Promise<Sample> {
  const { bodyFile, connections, seconds } = plan
  const { port, pids, keys, headers } = server
  const cpuNs = () => pids.reduce((sum, pid) => sum + cpuNsOf(pid), 0)
  const keysFile = await writeKeys(context.folder, makeKeys(keys))
  const load = { port, path: '/v1/chat/completions', keysFile, bodyFile, connections, seconds }
  const beganNs = cpuNs()
  const result = await context.loader.run(headers === undefined ? load : { ...load, headers })
  const cpuUs = (cpuNs() - beganNs) / 1e3
  if (result.errors > 0) tell(`${server.subject}: ${result.errors} errors`)
  return {
    ...result,
    cpuUs: cpuUs / result.requests,
    busy: cpuUs / 1e6 / result.seconds,
    perSecond: result.requests / result.seconds,
  }
}

function rowOf({ subject, keys, samples }: Found, all: readonly Found[], plan: Plan): RequestRow {
  const cpu = samples.map(({ cpuUs }) => cpuUs)
  const ratioTo = (base: Found | undefined) => {
    return base === undefined
      ? null
      : ratioOf(
          cpu,
          base.samples.map(({ cpuUs }) => cpuUs),
        )
  }
  const ofKind = (kind: string) => {
    const name = `${subject.split(' ')[0]} ${kind}`
    return all.find((other) => other.subject === name && other.keys === keys)
  }
  const row: RequestRow = {
    subject,
    bytes: plan.bytes,
    keys,
    perSecond: figureOf(samples.map(({ perSecond }) => perSecond)),
    cpuUs: figureOf(cpu),
    busy: median(samples.map(({ busy }) => busy)),
    p50Ms: median(samples.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(samples.map(({ p99Ms }) => p99Ms)),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    ratio: ratioTo(ofKind('plain')) ?? Number.NaN,
    mapRatio: ratioTo(ofKind('map')),
    fewRatio: ratioTo(all.find((other) => other.subject === subject)),
  }
  const ratio = row.ratio.toFixed(2)
  tell(
    `  ${subject}, ${plan.bytes} bytes, ${keys} keys: ${row.cpuUs.median.toFixed(1)} us, x ${ratio}`,
  )
  return row
}
