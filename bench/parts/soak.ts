import { writeBody } from '../bodies.ts'
import { makeKeys, writeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { tell } from '../notes.ts'
import { memoryOf, runForJson } from '../processes.ts'
import type { SoakRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import type { Subject } from '../subjects.ts'
import { loadOf } from './streams.ts'

const STREAMS = 128
/** Together with what they begin over, this is most of a minute. */
const GENERATIONS = 10
const STEADY_MS = 5000
const LOAD_SECONDS = 55

/** Streams and requests at once, minute after minute, on the gate with everything. */
export async function measureSoak(context: Context): Promise<SoakRow[]> {
  const { options, subjects } = context
  const chosen = subjects.filter(({ kind }) => kind === 'all')
  const rows: SoakRow[] = []
  for (const subject of chosen) rows.push(await soakOne(context, subject, options.soakMinutes))
  return rows
}

async function soakOne(context: Context, subject: Subject, minutes: number): Promise<SoakRow> {
  const server = await startServer(subject, { upstreamPort: context.upstream.port })
  const row: SoakRow = { subject: subject.id, points: [], errors: 0, requests: 0, streams: 0 }
  try {
    for (let minute = 1; minute <= minutes; minute++) await soakMinute(context, server, row, minute)
    return row
  } finally {
    await server.stop()
  }
}

async function soakMinute(
  context: Context,
  server: Server,
  row: SoakRow,
  minute: number,
): Promise<void> {
  const { folder, loader } = context
  const pace = { streams: STREAMS, perSecond: 20, asks: false, rounds: 1 }
  const load = loadOf(server, pace, GENERATIONS, STEADY_MS)
  const [requests, streams] = await Promise.all([
    loader.run({
      port: server.port,
      path: '/v1/chat/completions',
      keysFile: await writeKeys(folder, makeKeys(10)),
      bodyFile: await writeBody(folder, 400),
      connections: 2,
      seconds: LOAD_SECONDS,
    }),
    runForJson<StreamResult>(program('client', 'streams', load)),
  ])
  const { rssKb } = memoryOf(server.pids[0] ?? 0)
  row.points.push({ minute, rssKb, requests: requests.requests, lost: streams.lost })
  row.errors += requests.errors
  row.requests += requests.requests
  row.streams += streams.finished
  tell(
    `  ${server.subject}, minute ${minute}: ${Math.round(rssKb / 1024)} MB, ${streams.lost} lost`,
  )
}
