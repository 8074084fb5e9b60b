import { readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { Times } from '../load/recorder.ts'
import type { StreamLoad, StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { tell } from '../notes.ts'
import { runForJson, sleep } from '../processes.ts'
import type { Latency, StreamRow } from '../results.ts'
import { interleave, withAll } from '../rounds.ts'
import { type Server, startServer } from '../server.ts'
import { differenceOf, figureOf, median, ratioOf } from '../stats.ts'
import type { Kind } from '../subjects.ts'

/** What the mock waits before the first token. */
const FIRST_MS = 20

/** One height of the load. */
export type Pace = {
  streams: number
  perSecond: number
  asks: boolean
  kinds: Kind[]
  rounds: number
}

/** The loads of a run: the targets are about 256 streams of 50 tokens a second. */
function pacesOf(isQuick: boolean, rounds: number): Pace[] {
  const all: Kind[] = ['plain', 'map', 'floor', 'identity', 'body', 'all']
  const ends: Kind[] = ['plain', 'body', 'all']
  const some = Math.min(3, rounds)
  if (isQuick) {
    return [
      { streams: 256, perSecond: 50, asks: false, kinds: ['plain', 'all'], rounds: 1 },
      { streams: 256, perSecond: 50, asks: true, kinds: ['plain', 'body'], rounds: 1 },
    ]
  }
  return [
    { streams: 1, perSecond: 50, asks: false, kinds: ends, rounds: some },
    { streams: 64, perSecond: 50, asks: false, kinds: ends, rounds: some },
    { streams: 256, perSecond: 50, asks: false, kinds: all, rounds: some },
    { streams: 256, perSecond: 50, asks: true, kinds: ends, rounds: some },
    { streams: 1024, perSecond: 20, asks: false, kinds: ends, rounds: some },
  ]
}

/** Streams at a steady pace: CPU time per event, when events come, and what the ledger says. */
export async function measureStreams(context: Context): Promise<StreamRow[]> {
  const { options, subjects, upstream } = context
  const rows: StreamRow[] = []
  for (const pace of pacesOf(options.isQuick, options.rounds)) {
    tell(
      `  ${pace.streams} streams, ${pace.perSecond} tokens/s${pace.asks ? ', counts asked' : ''}`,
    )
    const starts = subjects
      .filter(({ kind }) => pace.kinds.includes(kind))
      .map((subject) => () => startServer(subject, { upstreamPort: upstream.port }))
    rows.push(
      ...(await withAll(starts, (servers) => runPace(servers, pace, options.streamSeconds))),
    )
  }
  return rows
}

type Sample = StreamResult & { charged: number | null }

/** Measures servers in turns; the plain one of each world is what the others are compared with. */
export async function runPace(
  servers: readonly Server[],
  pace: Pace,
  seconds: number,
): Promise<StreamRow[]> {
  const samples = await interleave(servers, pace.rounds, (server) => measure(server, pace, seconds))
  return servers.map(({ subject }, index) => {
    const base = servers.findIndex((other) => other.subject === `${subject.split(' ')[0]} plain`)
    return rowOf(subject, pace, samples[index] ?? [], samples[base] ?? [])
  })
}

/** What the client of streams is told for a pace. */
export function loadOf(server: Server, pace: Pace, seconds: number): StreamLoad {
  const gapMs = 1000 / pace.perSecond
  return {
    port: server.port,
    keys: makeKeys(server.keys ?? 10).map(({ secret }) => secret),
    streams: pace.streams,
    // Streams of a second or two, so that there are enough first tokens.
    tokens: Math.round(pace.perSecond * (seconds > 5 ? 1.6 : 1)),
    firstMs: FIRST_MS,
    gapMs,
    seconds,
    asks: pace.asks,
    rampMs: 1000,
    pids: server.pids,
    ...(server.headers === undefined ? {} : { headers: server.headers }),
  }
}

async function measure(server: Server, pace: Pace, seconds: number): Promise<Sample> {
  const load = loadOf(server, pace, seconds)
  const ledger = join(server.root, 'state', 'ledger.jsonl')
  await truncate(ledger).catch(() => undefined)
  const result = await runForJson<StreamResult>(program('client', 'streams', load))
  await sleep(300)
  const hasUsage = pace.kinds.includes('body') || pace.kinds.includes('all')
  const isGate = hasUsage && / (body|all) /.test(server.subject)
  return { ...result, charged: isGate ? await countCharged(ledger, load.tokens) : null }
}

/** Lines of finished streams with exactly the tokens that were sent. */
async function countCharged(ledger: string, tokens: number): Promise<number> {
  const lines = (await readFile(ledger, 'utf8')).split('\n').filter(Boolean)
  const exact = lines
    .map((line) => JSON.parse(line))
    .filter((line) => line.stream === true && line.completionTokens === tokens && !line.estimated)
  return exact.length
}

function rowOf(subject: string, pace: Pace, samples: Sample[], base: Sample[]): StreamRow {
  const cpu = samples.map(({ cpuUsPerEvent }) => cpuUsPerEvent)
  const sum = (of: (sample: Sample) => number) => samples.reduce((all, one) => all + of(one), 0)
  const row: StreamRow = {
    subject,
    streams: pace.streams,
    perSecond: pace.perSecond,
    asks: pace.asks,
    cpuUs: figureOf(cpu),
    ratio: ratioOf(
      cpu,
      base.map(({ cpuUsPerEvent }) => cpuUsPerEvent),
    ),
    busy: median(samples.map(({ busy }) => busy)),
    first: latencyOf(samples, base, ({ first }) => first),
    gaps: latencyOf(samples, base, ({ gaps }) => gaps),
    transit: latencyOf(samples, base, ({ transit }) => transit),
    events: sum(({ events }) => events),
    finished: sum(({ finished }) => finished),
    lost: sum(({ lost }) => lost),
    stalled: sum(({ stalled }) => stalled),
    charged: samples[0]?.charged == null ? null : sum(({ charged }) => charged ?? 0),
  }
  tell(`  ${subject}: ${row.cpuUs.median.toFixed(1)} us an event, x ${row.ratio.toFixed(2)}`)
  return row
}

function latencyOf(samples: Sample[], base: Sample[], of: (sample: Sample) => Times): Latency {
  const places = of(samples[0] as Sample).at.map((_, place) => place)
  const atPlace = (all: Sample[], place: number) =>
    all.map((one) => of(one).at[place] ?? Number.NaN)
  return {
    count: samples.reduce((all, one) => all + of(one).count, 0),
    at: places.map((place) => median(atPlace(samples, place))),
    max: Math.max(...samples.map((one) => of(one).max)),
    added: places.map((place) => differenceOf(atPlace(samples, place), atPlace(base, place))),
  }
}
