import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../test/waiting.ts'
import { writeBody } from '../bodies.ts'
import { makeKeys, writeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { StreamResult } from '../load/streams.ts'
import { program } from '../machine.ts'
import { say, tell } from '../notes.ts'
import { libraryIn, unpackPackages } from '../packages.ts'
import { cpuNsOf, memoryOf, runForJson } from '../processes.ts'
import type { ReuseRow } from '../results.ts'
import { withAll } from '../rounds.ts'
import { type Server, startServer } from '../server.ts'
import { SMALL_BYTES } from './requests.ts'
import { loadOf } from './streams.ts'

/** Values of `js_context_reuse`, by what hands out memory: 512 is installed, and the C library is what there is. */
const REUSES = { 'the C library': [32, 512, 2048], jemalloc: [32, 128, 512] }
const STREAMS = 2000
/** Events of each in a second: what matters is that all are open at once. */
const PER_SECOND = 1
/** So many begin in a second: each makes a context. */
const STARTS = 125
const STEADY_MS = 4000
/** Callers who all wait for an answer at once. */
const CALLERS = [32, 256]
/** Not the one in a comment. */
const REUSE = /\njs_context_reuse \d+;/

/**
 * What 2,000 streams leave in a worker by `js_context_reuse`, at once and later, and what a request takes where more
 * wait than contexts are kept; with the C library, and with jemalloc before it. QuickJS alone: njs's own engine keeps none.
 */
export async function measureReuse(context: Context): Promise<ReuseRow[]> {
  const { options, upstream, subjects } = context
  const subject = subjects.find(({ id }) => id === 'newest all')
  if (subject === undefined) return []
  const jemalloc = await findJemalloc()
  const cases = Object.entries(REUSES).flatMap(([allocator, reuses]) => {
    if (allocator === 'jemalloc' && jemalloc === null) return []
    const before = allocator === 'jemalloc' ? ['env', `LD_PRELOAD=${jemalloc}`] : []
    return reuses.map((reuse) => ({ reuse, allocator, before }))
  })
  const starts = cases.map(({ reuse, before }) => () => {
    const prepare = async (root: string) => {
      await edit(join(root, 'tollgate', 'engine.conf'), REUSE, `\njs_context_reuse ${reuse};`)
      // Two for each stream, and those to the server that are kept.
      await edit(join(root, 'nginx.conf'), /worker_connections \d+;/, 'worker_connections 8192;')
    }
    const wrap = (command: string[]) => [...before, ...command]
    return startServer(subject, { upstreamPort: upstream.port, prepare, wrap })
  })
  return withAll(starts, async (servers) => {
    const rows: ReuseRow[] = []
    for (const [index, server] of servers.entries()) {
      rows.push(await measure(context, server, cases[index] as Case))
    }
    tell(`  waiting ${options.keptMinutes} minutes`)
    await sleep(options.keptMinutes * 60_000)
    for (const [index, server] of servers.entries()) {
      const row = rows[index] as ReuseRow
      await cpuOf(context, server, 2, 1)
      row.laterMb = memoryMb(server)
      for (const callers of CALLERS) {
        row.cpuUs.push({ callers, us: await cpuOf(context, server, callers, options.loadSeconds) })
      }
      const [few, many] = row.cpuUs.map(({ us }) => `${us.toFixed(0)} us`)
      tell(
        `  ${row.allocator}, ${row.reuse}: ${row.laterMb.toFixed(0)} MB later; ${few}, ${many} a request`,
      )
    }
    return rows
  })
}

async function edit(path: string, line: RegExp, by: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  if (!line.test(text)) throw new Error(`${path} has no ${line}`)
  await writeFile(path, text.replace(line, by))
}

/** jemalloc of Debian; null where it cannot be had, with a line that says so. */
async function findJemalloc(): Promise<string | null> {
  try {
    return await libraryIn(await unpackPackages('jemalloc', ['libjemalloc2']), 'libjemalloc.so.2')
  } catch (error) {
    say(`Left out: jemalloc, ${error instanceof Error ? error.message : error}`)
    return null
  }
}

type Case = { reuse: number; allocator: string }

async function measure(
  context: Context,
  server: Server,
  { reuse, allocator }: Case,
): Promise<ReuseRow> {
  const pace = { streams: STREAMS, perSecond: PER_SECOND, starts: STARTS, asks: false, rounds: 1 }
  const load = loadOf(server, pace, 1, STEADY_MS)
  const result = await runForJson<StreamResult>(program('client', 'streams', load))
  const [before, , end] = result.memory
  if (before === undefined || end === undefined || result.lost > 0)
    throw new Error(`${STREAMS} streams were not open in time`)
  await sleep(1000)
  const row: ReuseRow = {
    subject: server.subject,
    reuse,
    allocator,
    streams: STREAMS,
    freshMb: before.pssKb / 1024,
    openMb: end.pssKb / 1024,
    afterMb: memoryMb(server),
    laterMb: Number.NaN,
    minutes: context.options.keptMinutes,
    cpuUs: [],
  }
  const [open, after] = [row.openMb.toFixed(0), row.afterMb.toFixed(0)]
  tell(`  ${allocator}, ${reuse}: ${open} MB with ${STREAMS} streams, ${after} MB after them`)
  return row
}

function memoryMb(server: Server): number {
  return memoryOf(server.pids[0] ?? 0).pssKb / 1024
}

/** CPU time of a small request while so many callers send one after the other. */
async function cpuOf(
  { folder, loader }: Context,
  server: Server,
  callers: number,
  seconds: number,
): Promise<number> {
  const pid = server.pids[0] ?? 0
  const before = cpuNsOf(pid)
  const { requests } = await loader.run({
    port: server.port,
    path: '/v1/chat/completions',
    keysFile: await writeKeys(folder, makeKeys(server.keys)),
    bodyFile: await writeBody(folder, SMALL_BYTES),
    connections: callers,
    seconds,
  })
  return (cpuNsOf(pid) - before) / requests / 1000
}
