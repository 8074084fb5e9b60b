import type { Context } from '../context.ts'
import { tell } from '../notes.ts'
import type { StartupRow } from '../results.ts'
import { interleave } from '../rounds.ts'
import { startServer } from '../server.ts'
import { figureOf } from '../stats.ts'
import type { Kind } from '../subjects.ts'

const KINDS: Kind[] = ['plain', 'identity', 'all']

/** From the start of nginx to the first answer, with ten clients. */
export async function measureStartup(context: Context): Promise<StartupRow[]> {
  const { options, subjects, upstream } = context
  const chosen = subjects.filter(({ kind }) => KINDS.includes(kind))
  const samples = await interleave(chosen, options.streamRounds, async (subject) => {
    const server = await startServer(subject, { upstreamPort: upstream.port })
    await server.stop()
    return server.startMs
  })
  return chosen.map(({ id }, index) => {
    const row = { subject: id, startMs: figureOf(samples[index] ?? []) }
    tell(`  ${id}: ${row.startMs.median.toFixed(0)} ms`)
    return row
  })
}
