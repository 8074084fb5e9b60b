import { appendFile, copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir, WORKERS_DIR } from '../../src/cli/install/layout.ts'
import { sleep, until } from '../../test/waiting.ts'
import { type BenchKey, makeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import { tell } from '../notes.ts'
import { cpuNsOf } from '../processes.ts'
import type { FoldingRow } from '../results.ts'
import { interleave } from '../rounds.ts'
import { type Server, startServer } from '../server.ts'
import { figureOf } from '../stats.ts'
import type { Subject } from '../subjects.ts'

const LINES = 20_000
const CLIENTS = [10, LINES]
const FOLD_SECONDS_MAX = 60
/** So that housekeeping has begun, and has written what it writes at the start. */
const SETTLE_MS = 1500

/** One thing to measure: the housekeeping of the gate, or its floor, with lines of so many clients. */
type Case = { subject: Subject; clients: number; isFloor: boolean }

/**
 * CPU time of the worker that adds up the ledger, for each line of it: with a few clients, and where each
 * line is another client's. What requests pass is empty here, so that nothing else takes time.
 */
export async function measureFolding({ options, subjects, fixed }: Context): Promise<FoldingRow[]> {
  const chosen = subjects.filter(({ kind }) => kind === 'floor')
  const cases = chosen.flatMap((subject) =>
    CLIENTS.flatMap((clients) =>
      [false, true].map((isFloor): Case => ({ subject, clients, isFloor })),
    ),
  )
  const samples = await interleave(cases, options.streamRounds, (one) => measure(one, fixed.port))
  return cases.map(({ subject, clients, isFloor }, index) => {
    const lineUs = figureOf(samples[index] ?? [])
    const what = isFloor ? 'the least' : 'the gate'
    tell(`  ${subject.world}, ${clients} clients, ${what}: ${lineUs.median.toFixed(1)} us a line`)
    return { world: subject.world, clients, isFloor, lineUs }
  })
}

async function measure({ subject, clients, isFloor }: Case, upstreamPort: number): Promise<number> {
  const server = await startServer(subject, {
    upstreamPort,
    prepare: async (root) => {
      if (!isFloor) return
      const floor = join(packageDir(), 'bench', 'floors', 'fold.js')
      await copyFile(floor, join(root, 'tollgate', 'tollgate-admin.js'))
    },
  })
  try {
    await sleep(SETTLE_MS)
    const text = linesOf(makeKeys(clients))
    const [pid = 0] = server.pids
    const before = await readLines(server)
    const cpuNs = cpuNsOf(pid)
    await appendFile(join(server.root, 'state', 'ledger.jsonl'), text)
    const all = async () => (await readLines(server)) - before >= LINES
    await until('all lines added up', all, FOLD_SECONDS_MAX)
    return (cpuNsOf(pid) - cpuNs) / LINES / 1000
  } finally {
    await server.stop()
  }
}

/** Lines as the gate writes them with keys, identity and ledger alone. */
function linesOf(keys: readonly BenchKey[]): string {
  const time = new Date().toISOString()
  let text = ''
  for (let index = 0; index < LINES; index++) {
    const key = keys[index % keys.length]
    const line = {
      version: 1,
      time,
      id: index.toString(16).padStart(32, '0'),
      client: key?.client,
      key: key?.id,
      route: 'chat',
      outcome: 'ok',
      status: 200,
      admissionMs: 0.25,
      upstream: '127.0.0.1:8000',
      upstreamStatus: 200,
      durationMs: 1,
      bytesIn: 640,
      bytesOut: 320,
      remote: '127.0.0.1',
    }
    text += `${JSON.stringify(line)}\n`
  }
  return text
}

/** How many lines are added up. */
async function readLines(server: Server): Promise<number> {
  try {
    const file = join(server.root, 'state', WORKERS_DIR, 'state.json')
    const { ledger } = JSON.parse(await readFile(file, 'utf8'))
    return ledger?.lines ?? 0
  } catch {
    // It is not there yet.
    return 0
  }
}
