import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, until } from '../../test/waiting.ts'
import { clientsText, makeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import { startProbe } from '../load/probe.ts'
import { tell } from '../notes.ts'
import type { LoadingRow } from '../results.ts'
import { readState, type Server, startServer } from '../server.ts'

const KEYS = 100_000
const LOAD_SECONDS_MAX = 120
const QUIET_MS = 3000

/** Loads 100,000 clients, then loads them again while small requests flow. */
export async function measureLoading(context: Context): Promise<LoadingRow[]> {
  const rows: LoadingRow[] = []
  const chosen = context.subjects.filter(({ kind }) => kind === 'identity')
  for (const subject of chosen) {
    const server = await startServer(subject, {
      upstreamPort: context.upstream.port,
      keys: KEYS,
      waitSeconds: LOAD_SECONDS_MAX,
    })
    try {
      rows.push(await measureReload(server))
    } finally {
      await server.stop()
    }
  }
  return rows
}

async function measureReload(server: Server): Promise<LoadingRow> {
  const generation = (await readState(server))?.generation ?? 0
  const key = makeKeys(1)[0]?.secret ?? ''
  const quiet = startProbe(server.port, key)
  await sleep(QUIET_MS)
  const quietMaxMs = await quiet.stop()
  // Every record changes, by its note.
  const text = clientsText(makeKeys(KEYS), 'second load')
  const file = join(server.root, 'config', 'clients.json')
  await writeFile(`${file}.new`, text)
  const probe = startProbe(server.port, key)
  const beganMs = performance.now()
  await rename(`${file}.new`, file)
  const isLoaded = async () => ((await readState(server))?.generation ?? 0) > generation
  await until('the second load', isLoaded, LOAD_SECONDS_MAX)
  const reloadMs = performance.now() - beganMs
  const stallMaxMs = await probe.stop()
  const row = { subject: server.subject, keys: KEYS, firstMs: server.startMs, reloadMs }
  tell(`  ${server.subject}: ${Math.round(reloadMs)} ms, longest stall ${stallMaxMs.toFixed(1)} ms`)
  return { ...row, quietMaxMs, stallMaxMs }
}
