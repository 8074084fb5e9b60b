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
import { canCount, startCounted, takeDump } from './instructions.ts'

const LINES = 20_000
/** Under callgrind, of as many clients where there are many. */
const LINES_COUNTED = 1000
const CLIENTS = [10, LINES]
const FOLD_SECONDS_MAX = 60
/** So that housekeeping has begun, and has written what it writes at the start. */
const SETTLE_MS = 1500
/** Housekeeping under callgrind comes every five seconds. */
const SETTLE_COUNTED_MS = 12_000

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
  const rows: FoldingRow[] = []
  for (const [index, { subject, clients, isFloor }] of cases.entries()) {
    const lineUs = figureOf(samples[index] ?? [])
    const row = { world: subject.world, clients, isFloor, lineUs }
    const counted = canCount() ? await count(cases[index] as Case, fixed.port) : undefined
    rows.push(counted === undefined ? row : { ...row, instructions: Math.round(counted) })
    const what = isFloor ? 'the least' : 'the gate'
    const thousand = counted === undefined ? '' : `, ${Math.round(counted / 1000)} k instructions`
    tell(
      `  ${subject.world}, ${clients} clients, ${what}: ${lineUs.median.toFixed(1)} us a line${thousand}`,
    )
  }
  return rows
}

async function measure({ subject, clients, isFloor }: Case, upstreamPort: number): Promise<number> {
  const server = await startServer(subject, { upstreamPort, prepare: prepareFold(isFloor) })
  try {
    await sleep(SETTLE_MS)
    const [pid = 0] = server.pids
    const cpuNs = cpuNsOf(pid)
    await addUp(server, clients, LINES)
    return (cpuNsOf(pid) - cpuNs) / LINES / 1000
  } finally {
    await server.stop()
  }
}

/** The same in instructions, which no other work on the machine changes. */
async function count({ subject, clients, isFloor }: Case, upstreamPort: number): Promise<number> {
  const server = await startCounted(subject, upstreamPort, 'subject', prepareFold(isFloor))
  try {
    await sleep(SETTLE_COUNTED_MS)
    await takeDump(server)
    await addUp(server, Math.min(clients, LINES_COUNTED), LINES_COUNTED)
    return (await takeDump(server)) / LINES_COUNTED
  } finally {
    await server.stop()
  }
}

function prepareFold(isFloor: boolean): (root: string) => Promise<void> {
  return async (root) => {
    if (!isFloor) return
    const floor = join(packageDir(), 'bench', 'floors', 'fold.js')
    await copyFile(floor, join(root, 'tollgate', 'tollgate-admin.js'))
  }
}

async function addUp(server: Server, clients: number, lines: number): Promise<void> {
  const before = await readLines(server)
  await appendFile(join(server.root, 'state', 'ledger.jsonl'), linesOf(makeKeys(clients), lines))
  const all = async () => (await readLines(server)) - before >= lines
  await until('all lines added up', all, FOLD_SECONDS_MAX)
}

/** Lines as the gate writes them with keys, identity and ledger alone. */
function linesOf(keys: readonly BenchKey[], lines: number): string {
  const now = new Date()
  const time = now.toISOString().replace(/\.\d+Z/, '+00:00')
  let text = ''
  for (let index = 0; index < lines; index++) {
    const key = keys[index % keys.length]
    const line = {
      version: 2,
      time,
      at: now.getTime() / 1000,
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
