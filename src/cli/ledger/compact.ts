import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { NANOS } from '../../core/limits/cost.ts'
import { dayOf } from '../../core/time.ts'
import { Refused } from '../output.ts'
import type { LedgerFile } from './files.ts'
import { type Entry, type LedgerSummary, modelOf, parseLine } from './line.ts'
import { readLines } from './lines.ts'
import type { Progress } from './progress.ts'
import { toJson } from './text.ts'
import { addEntry, noTotals, type Totals } from './totals.ts'

/** What became of a file: its lines before and after, and those that nobody could read. */
export type Compacted = { kept: number; summed: number; sums: number; unreadable: number }

/** Sums under way, and what of a summary is no total. */
type Sum = {
  first: Entry['line']
  lastMs: number
  totals: Totals
  known: Set<string>
  durationMs: number
  bytesIn: number
  bytesOut: number
}

/** Sums that are kept at once; beyond it they are written, and the same names begin new ones. */
const SUMS_MAX = 50_000
const WRITE_BYTES = 256 * 1024
const OPTIONAL = [
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'reasoningTokens',
  'audioSeconds',
  'cost',
] as const

/**
 * Writes a copy of a file in which the lines of the days before `beforeMs` are summed up by client,
 * key, group, model and day of a time zone. All other lines stay as they are, also those that cannot be read. The copy is there under its name when it is whole, and not before.
 */
export async function compact(
  file: LedgerFile,
  output: string,
  beforeMs: number,
  zoneMinutes: number,
  progress: Progress,
): Promise<Compacted> {
  const temporary = `${output}.${process.pid}.tmp`
  const sink = new PassThrough()
  const { mode } = await stat(file.path)
  const target = createWriteStream(temporary, { flags: 'wx', mode: mode & 0o777 })
  const isGzip = output.endsWith('.gz')
  const written = isGzip ? pipeline(sink, createGzip(), target) : pipeline(sink, target)
  // Awaited below; until then a failure must not be an unhandled one.
  written.catch((error) => sink.destroy(error))
  try {
    const result = await summarise(file, beforeMs, zoneMinutes, sink, progress)
    sink.end()
    await written
    await rename(temporary, output)
    return result
  } catch (error) {
    sink.destroy()
    await written.catch(() => undefined)
    await rm(temporary, { force: true })
    throw error
  }
}

async function summarise(
  file: LedgerFile,
  beforeMs: number,
  zoneMinutes: number,
  sink: Writable,
  progress: Progress,
): Promise<Compacted> {
  const result = { kept: 0, summed: 0, sums: 0, unreadable: 0 }
  const sums = new Map<string, Sum>()
  let pending: string[] = []
  let pendingBytes = 0
  const put = (line: string) => {
    pending.push(line)
    pendingBytes += line.length
  }
  const flushSums = () => {
    const inOrder = [...sums.values()].sort((a, b) => a.lastMs - b.lastMs)
    for (const sum of inOrder) put(toJson(describeSum(sum)))
    result.sums += sums.size
    sums.clear()
  }
  let day = 0
  const onLine = (text: string | null, number: number) => {
    if (text === null) {
      throw new Refused(`Cannot copy ${file.path}: line ${number} is longer than 1 MB`)
    }
    const entry = parseLine(text)
    if (entry.kind === 'unreadable') {
      result.unreadable++
      put(text)
      return
    }
    if (entry.timeMs >= beforeMs) {
      // Times go on rising in the copy.
      flushSums()
      result.kept++
      put(text)
      return
    }
    const entryDay = dayOf(entry.timeMs, zoneMinutes)
    if (entryDay > day || sums.size >= SUMS_MAX) flushSums()
    day = Math.max(day, entryDay)
    add(sums, entry, entryDay)
    result.summed++
  }
  const drain = async () => {
    const block = `${pending.join('\n')}\n`
    pending = []
    pendingBytes = 0
    if (!sink.write(block)) await once(sink, 'drain')
  }
  const end = await readLines(file, onLine, progress, {
    afterChunk: async () => {
      if (pendingBytes > WRITE_BYTES) await drain()
    },
  })
  if (end.broken !== null) throw new Refused(`Cannot unpack ${file.path}: ${end.broken}`)
  flushSums()
  if (pending.length > 0) await drain()
  if (end.torn !== null) sink.write(end.torn)
  return result
}

function add(sums: Map<string, Sum>, entry: Entry, day: number): void {
  const { line } = entry
  const name = JSON.stringify([line.client, line.key, line.group, modelOf(line), day])
  let sum = sums.get(name)
  if (!sum) {
    sum = {
      first: line,
      lastMs: entry.timeMs,
      totals: noTotals(),
      known: new Set(),
      durationMs: 0,
      bytesIn: 0,
      bytesOut: 0,
    }
    sums.set(name, sum)
  }
  sum.lastMs = Math.max(sum.lastMs, entry.timeMs)
  addEntry(sum.totals, entry)
  for (const field of OPTIONAL) if (line[field] !== undefined) sum.known.add(field)
  sum.durationMs += line.durationMs ?? 0
  sum.bytesIn += line.bytesIn ?? 0
  sum.bytesOut += line.bytesOut ?? 0
}

/** What no line knew stays absent: absent means unknown. */
function describeSum({ first, lastMs, totals, known, ...sizes }: Sum): LedgerSummary {
  const { costNanos, isEstimated, requests, refused, errors, aborted, ...tokens } = totals
  const model = modelOf(first)
  const sums = { ...tokens, cost: costNanos / NANOS }
  return {
    version: 1,
    summary: true,
    time: new Date(lastMs).toISOString(),
    ...(first.client === undefined ? {} : { client: first.client }),
    ...(first.key === undefined ? {} : { key: first.key }),
    ...(first.group === undefined ? {} : { group: first.group }),
    ...(model === undefined ? {} : { model }),
    requests,
    refused,
    errors,
    aborted,
    ...Object.fromEntries(Object.entries(sums).filter(([field]) => known.has(field))),
    ...(isEstimated ? { estimated: true } : {}),
    ...sizes,
  }
}
