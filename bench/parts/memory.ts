import type { Context } from '../context.ts'
import type { StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { tell } from '../notes.ts'
import { runForJson } from '../processes.ts'
import type { MemoryRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import type { Kind, Subject } from '../subjects.ts'
import { loadOf } from './streams.ts'

const KINDS: Kind[] = ['plain', 'floor', 'identity', 'all']
/** One event a stream in 50 ms: what matters is how many are open, and how long. */
const PER_SECOND = 20

/** Memory of a fresh worker with so many streams open, at their beginning and at their end. */
export async function measureMemory(context: Context): Promise<MemoryRow[]> {
  const { options, subjects } = context
  const counts = options.isQuick ? [256] : [64, 256, 1024]
  const kinds: Kind[] = options.isQuick ? ['plain', 'all'] : KINDS
  const chosen = subjects.filter(({ kind }) => kinds.includes(kind))
  const rows: MemoryRow[] = []
  for (const streams of counts) {
    for (const subject of chosen) rows.push(await measureOne(context, subject, streams))
  }
  return rows
}

async function measureOne(context: Context, subject: Subject, streams: number): Promise<MemoryRow> {
  const { options, upstream } = context
  const server = await startServer(subject, { upstreamPort: upstream.port })
  try {
    return await rowOf(server, streams, options.isQuick ? 2 : 6)
  } finally {
    await server.stop()
  }
}

async function rowOf(server: Server, streams: number, seconds: number): Promise<MemoryRow> {
  const pace = { streams, perSecond: PER_SECOND, asks: false, kinds: [], rounds: 1 }
  // One stream each, as long as the run.
  const tokens = Math.round((seconds + 1) * PER_SECOND)
  const load = { ...loadOf(server, pace, seconds), tokens }
  const result = await runForJson<StreamResult>(program('client', 'streams', load))
  const [before, open, end] = result.memory
  if (before === undefined || open === undefined || end === undefined || result.lost > 0) {
    throw new Error(`${server.subject}: ${result.lost} of ${streams} streams were lost`)
  }
  const row: MemoryRow = {
    subject: server.subject,
    streams,
    kbPerStream: (open.pssKb - before.pssKb) / streams,
    kbPerEvent: (end.pssKb - open.pssKb) / (end.events - open.events),
    rssKb: end.rssKb,
  }
  const [stream, event] = [row.kbPerStream.toFixed(0), row.kbPerEvent.toFixed(2)]
  tell(`  ${server.subject}, ${streams} streams: ${stream} KB each, ${event} KB an event more`)
  return row
}
