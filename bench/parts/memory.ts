import type { Context } from '../context.ts'
import type { StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { say, tell } from '../notes.ts'
import { runForJson } from '../processes.ts'
import type { MemoryRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import type { Kind, Subject } from '../subjects.ts'
import { loadOf } from './streams.ts'

/** Measured at every number of streams; the others only at the one that the targets are about. */
const ALWAYS: Kind[] = ['plain', 'floor', 'all']
const KINDS: Kind[] = [...ALWAYS, 'padded', 'identity']
const STREAMS = [64, 256, 1024]
const STREAMS_OF_TARGET = 256
/** Events of a stream in a second: what matters is how many are open, and how long. */
const PER_SECOND = 20
/** Of so many streams that more events would be more than one worker can take. */
const PER_SECOND_OF_MANY = 5

/** Memory of a fresh worker with so many streams open, at their beginning and at their end. */
export async function measureMemory(context: Context): Promise<MemoryRow[]> {
  const { options, subjects } = context
  const rows: MemoryRow[] = []
  for (const streams of options.isQuick ? [STREAMS_OF_TARGET] : STREAMS) {
    const kinds = kindsAt(streams, options.isQuick)
    const chosen = subjects.filter(({ kind }) => kinds.includes(kind))
    for (const subject of chosen) {
      rows.push(...(await measureOne(context, subject, streams)))
    }
  }
  return rows
}

function kindsAt(streams: number, isQuick: boolean): Kind[] {
  if (isQuick) return ['padded', 'floor', 'all']
  return streams === STREAMS_OF_TARGET ? KINDS : ALWAYS
}

async function measureOne(
  context: Context,
  subject: Subject,
  streams: number,
): Promise<MemoryRow[]> {
  const { options, upstream } = context
  const server = await startServer(subject, { upstreamPort: upstream.port })
  try {
    return await memoryOf(server, streams, options.isQuick ? 3 : 4)
  } finally {
    await server.stop()
  }
}

/** Memory of a server with so many streams open; none where they were not open in time. */
export async function memoryOf(
  server: Server,
  streams: number,
  seconds: number,
): Promise<MemoryRow[]> {
  const perSecond = streams > STREAMS_OF_TARGET ? PER_SECOND_OF_MANY : PER_SECOND
  const pace = { streams, perSecond, asks: false, rounds: 1 }
  const load = loadOf(server, pace, 1, seconds * 1000)
  const result = await runForJson<StreamResult>(program('client', 'streams', load))
  const [before, open, end] = result.memory
  const isWhole = before !== undefined && open !== undefined && end !== undefined
  if (!isWhole || end.events <= open.events || result.lost > 0) {
    say(`Left out: memory of ${streams} streams of ${server.subject}, they were not open in time`)
    return []
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
  return [row]
}
