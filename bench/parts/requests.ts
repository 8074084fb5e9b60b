import { writeBody } from '../bodies.ts'
import type { Context } from '../context.ts'
import type { RequestRow } from '../results.ts'
import { withAll } from '../rounds.ts'
import { startServer } from '../server.ts'
import type { Kind, Subject } from '../subjects.ts'
import { type Plan, saturate } from './saturate.ts'

export const SMALL_BYTES = 400
/** Bodies that come with their head, which is all that the fixed answer waits for. */
const FIXED_BYTES_MAX = 1000
const CONNECTIONS = 32
const LOAD_SECONDS_MAX = 120

/** Small requests to all subjects; what differs in events or memory alone is left out. */
export function measureRequests(context: Context): Promise<RequestRow[]> {
  const { isQuick } = context.options
  const without: Kind[] = ['padded', ...(isQuick ? (['body'] as const) : [])]
  const chosen = context.subjects.filter(({ kind }) => !without.includes(kind))
  return measureLoad(context, chosen, SMALL_BYTES, [10])
}

/** The same of one caller, who sends the next when the one before is answered: all that a request needs is in the caches. */
export function measureSingle(context: Context): Promise<RequestRow[]> {
  const kinds: Kind[] = ['plain', 'map', 'floor', 'identity', 'body', 'all']
  return measureLoad(context, choose(context, kinds), SMALL_BYTES, [10], 1)
}

/** Large requests; at 10 MB, few at once and one key, which is what the client can hold. */
export async function measureBodies(context: Context): Promise<RequestRow[]> {
  const kinds: Kind[] = ['plain', 'map', 'floor', 'body', 'all']
  const subjects = choose(context, kinds)
  const rows: RequestRow[] = []
  for (const bytes of [4_000, 400_000, 10_000_000])
    rows.push(...(await measureLoad(context, subjects, bytes, [1])))
  return rows
}

/** Many keys, in turns with few: the gate with the least of it and with everything, and the map. */
export function measureKeys(context: Context): Promise<RequestRow[]> {
  const kinds: Kind[] = ['plain', 'map', 'identity', 'all']
  return measureLoad(context, choose(context, kinds), SMALL_BYTES, [10, 10_000, 100_000])
}

function choose({ subjects }: Context, kinds: readonly Kind[]): Subject[] {
  return subjects.filter((subject) => kinds.includes(subject.kind))
}

/** What takes longer has fewer: large bodies, and several numbers of keys at once. */
function roundsOf(bytes: number, counts: number, rounds: number): number {
  if (bytes > SMALL_BYTES) return Math.min(3, rounds)
  return counts > 1 ? Math.min(4, rounds) : rounds
}

async function measureLoad(
  context: Context,
  subjects: readonly Subject[],
  bytes: number,
  counts: readonly number[],
  connections = bytes > 1e6 ? 4 : CONNECTIONS,
): Promise<RequestRow[]> {
  const { options, folder } = context
  const upstream = bytes > FIXED_BYTES_MAX ? context.upstream : context.fixed
  const plan: Plan = {
    bodyFile: await writeBody(folder, bytes),
    connections,
    seconds: options.loadSeconds,
    rounds: roundsOf(bytes, counts.length, options.rounds),
    bytes,
  }
  const starts = counts.flatMap((keys) =>
    subjects.map((subject) => () => {
      const waitSeconds = LOAD_SECONDS_MAX
      return startServer(subject, { upstreamPort: upstream.port, keys, waitSeconds })
    }),
  )
  return withAll(starts, (servers) => saturate(context, servers, plan))
}
