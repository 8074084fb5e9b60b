import { writeBody } from '../bodies.ts'
import { makeKeys, writeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { RequestRow } from '../results.ts'
import { withAll } from '../rounds.ts'
import { startServer } from '../server.ts'
import type { Kind, Subject } from '../subjects.ts'
import { saturate } from './saturate.ts'

export const SMALL_BYTES = 400
const KEYS = 10
/** Bodies that come with their head, which is all that the fixed answer waits for. */
const FIXED_BYTES_MAX = 1000
const CONNECTIONS = 32

/** Small requests to all subjects. */
export function measureRequests(context: Context): Promise<RequestRow[]> {
  const { options, subjects } = context
  const chosen = subjects.filter(({ kind }) => !options.isQuick || kind !== 'body')
  return measureLoad(context, chosen, SMALL_BYTES, KEYS)
}

/** Large requests; at 10 MB, few at once and one key, which is what the client can hold. */
export async function measureBodies(context: Context): Promise<RequestRow[]> {
  const kinds: Kind[] = ['plain', 'map', 'body', 'all']
  const subjects = context.subjects.filter(({ kind }) => kinds.includes(kind))
  const rows: RequestRow[] = []
  for (const bytes of [4_000, 400_000, 10_000_000])
    rows.push(...(await measureLoad(context, subjects, bytes, 1)))
  return rows
}

/** Many keys: the gate with the least of it, and the map. */
export async function measureKeys(context: Context): Promise<RequestRow[]> {
  const kinds: Kind[] = ['plain', 'map', 'identity', 'all']
  const subjects = context.subjects.filter(({ kind }) => kinds.includes(kind))
  const rows: RequestRow[] = []
  for (const keys of [10, 10_000, 100_000]) {
    rows.push(...(await measureLoad(context, subjects, SMALL_BYTES, keys)))
  }
  return rows
}

async function measureLoad(
  context: Context,
  subjects: readonly Subject[],
  bytes: number,
  keys: number,
): Promise<RequestRow[]> {
  const { options, folder } = context
  const upstream = bytes > FIXED_BYTES_MAX ? context.upstream : context.fixed
  const plan = {
    keysFile: await writeKeys(folder, makeKeys(keys)),
    bodyFile: await writeBody(folder, bytes),
    connections: bytes > 1e6 ? 4 : CONNECTIONS,
    seconds: options.loadSeconds,
    rounds: bytes === SMALL_BYTES ? options.rounds : Math.min(5, options.rounds),
    bytes,
    keys,
  }
  const starts = subjects.map(
    (subject) => () =>
      startServer(subject, { upstreamPort: upstream.port, keys, waitSeconds: 120 }),
  )
  return withAll(starts, (servers) => saturate(servers, plan))
}
