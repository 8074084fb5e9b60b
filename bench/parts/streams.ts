import { readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../test/waiting.ts'
import { makeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { Times } from '../load/recorder.ts'
import type { StreamLoad, StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { tell } from '../notes.ts'
import { runForJson } from '../processes.ts'
import type { Latency, StreamRow } from '../results.ts'
import { interleave, withAll } from '../rounds.ts'
import { type Server, startServer } from '../server.ts'
import { differenceOf, figureOf, median, ratioOf } from '../stats.ts'
import type { Kind } from '../subjects.ts'

/** What the mock waits before the first token. */
const FIRST_MS = 20
/** Streams begin over so long, by their number: a context of QuickJS takes a millisecond to make. */
const RAMP_MS = 3
const RAMP_MS_MIN = 500
/** And all are open for so long before the first of them ends. */
const STEADY_MS = 1500
/** Then each is followed by another, so that there are first tokens while all are open. */
const GENERATIONS = 2

/** One height of the load. */
export type Pace = {
  streams: number
  perSecond: number
  asks: boolean
  rounds: number
  /** How many begin in a second; else all within RAMP_MS each. */
  starts?: number
}

/** Who is measured at it. */
type Step = Pace & { kinds: Kind[] }

/** The loads of a run: the targets are about 256 streams of 50 tokens a second, and of first tokens about 64. */
function stepsOf(isQuick: boolean, rounds: number): Step[] {
  const all: Kind[] = ['plain', 'map', 'bare', 'floor', 'identity', 'body', 'all']
  const asking: Kind[] = ['plain', 'bare', 'floor', 'body']
  const ends: Kind[] = ['plain', 'floor', 'body', 'all']
  const step = (streams: number, perSecond: number, kinds: Kind[]): Step => {
    return { streams, perSecond, kinds, asks: false, rounds }
  }
  const taken = step(256, 50, all)
  const asked: Step = { ...step(256, 50, asking), asks: true }
  if (isQuick) return [{ ...taken, kinds: ['plain', 'floor', 'all'] }]
  // No target is a ratio at these.
  const others = [step(1, 50, ends), step(1024, 20, ends)]
  return [
    ...others.map((one) => ({ ...one, rounds: 1 })),
    { ...step(64, 50, ends), starts: 56 },
    taken,
    asked,
  ]
}

/** Streams at a steady pace: CPU time per event, when events come, and what the ledger says. */
export async function measureStreams(context: Context): Promise<StreamRow[]> {
  const { options, subjects, upstream } = context
  const rows: StreamRow[] = []
  for (const step of stepsOf(options.isQuick, options.streamRounds)) {
    tell(
      `  ${step.streams} streams, ${step.perSecond} tokens/s${step.asks ? ', counts asked' : ''}`,
    )
    const starts = subjects
      .filter(({ kind }) => step.kinds.includes(kind))
      .map((subject) => () => startServer(subject, { upstreamPort: upstream.port }))
    rows.push(...(await withAll(starts, (servers) => runPace(servers, step))))
  }
  return rows
}

type Sample = StreamResult & { charged: number | null }

/** Measures servers in turns; the plain one of each world is what the others are compared with. */
export async function runPace(servers: readonly Server[], pace: Pace): Promise<StreamRow[]> {
  const samples = await interleave(servers, pace.rounds, (server) => measure(server, pace))
  return servers.map(({ subject }, index) => {
    const base = servers.findIndex((other) => other.subject === `${subject.split(' ')[0]} plain`)
    return rowOf(subject, pace, samples[index] ?? [], samples[base] ?? [])
  })
}

/** What the client of streams is told for a pace. */
export function loadOf(
  server: Server,
  pace: Pace,
  generations: number,
  steadyMs = STEADY_MS,
): StreamLoad {
  const gapMs = 1000 / pace.perSecond
  const eachMs = pace.starts === undefined ? RAMP_MS : 1000 / pace.starts
  const rampMs = Math.max(RAMP_MS_MIN, eachMs * pace.streams)
  return {
    port: server.port,
    keys: makeKeys(server.keys).map(({ secret }) => secret),
    streams: pace.streams,
    tokens: Math.round((rampMs + steadyMs) / gapMs),
    firstMs: FIRST_MS,
    gapMs,
    generations,
    rampMs,
    asks: pace.asks,
    pids: server.pids,
    ...(server.headers === undefined ? {} : { headers: server.headers }),
  }
}

async function measure(server: Server, pace: Pace): Promise<Sample> {
  const load = loadOf(server, pace, GENERATIONS)
  const ledger = join(server.root, 'state', 'ledger.jsonl')
  await truncate(ledger).catch(() => undefined)
  const result = await runForJson<StreamResult>(program('client', 'streams', load))
  await sleep(300)
  const isGate = / (body|all)$/.test(server.subject)
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
