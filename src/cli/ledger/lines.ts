import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { type LedgerFile, openLedgerFile } from './files.ts'
import type { Progress } from './progress.ts'

/** What is made of each line: its text without the newline, or null for one that is too long. */
export type OnLine = (text: string | null, number: number) => void

/**
 * How a file ended; bytes are of it unpacked, up to there. A last line without a newline is torn, or is just being written; `broken` says
 * why a compressed file could not be unpacked to its end.
 */
export type FileEnd = {
  lines: number
  bytes: number
  torn: string | null
  tornBytes: number
  broken: string | null
}

/** A part of a file, in bytes of it unpacked, and what is awaited after each piece that was read. */
type Part = { from?: number; to?: number; afterChunk?: () => Promise<void> }

/** A line of nginx's has at most some kilobytes; what is longer is none, and is not kept. */
export const LINE_BYTES_MAX = 1024 * 1024
const CHUNK_BYTES = 1024 * 1024
const NEWLINE = 10

/**
 * Reads a file line by line in constant memory, gzip unpacked, and reports the progress in bytes of
 * the disk. What grows meanwhile is left for next time.
 */
export async function readLines(
  file: LedgerFile,
  onLine: OnLine,
  progress: Progress,
  part: Part = {},
): Promise<FileEnd> {
  const splitter = createSplitter(onLine)
  const from = part.from ?? 0
  const to = part.to ?? Number.POSITIVE_INFINITY
  // A file that is not compressed is not read where it is not wanted.
  const start = file.isGzip ? 0 : from
  const end = file.isGzip ? file.bytes : Math.min(file.bytes, to)
  if (end <= start) return { ...splitter.end(), bytes: start, broken: null }
  const handle = await openLedgerFile(file)
  const source = handle.createReadStream({ start, end: end - 1, highWaterMark: CHUNK_BYTES })
  source.on('data', (chunk) => progress.advance(chunk.length))
  let position = start
  const consume = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      const wanted = chunk.subarray(Math.max(0, from - position), Math.max(0, to - position))
      position += chunk.length
      if (wanted.length > 0) splitter.push(wanted)
      if (part.afterChunk) await part.afterChunk()
    }
  }
  let broken: string | null = null
  try {
    if (file.isGzip) await pipeline(source, createGunzip({ chunkSize: CHUNK_BYTES }), consume)
    else await pipeline(source, consume)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (!code.startsWith('Z_')) throw error
    broken = (error as Error).message
  }
  return { ...splitter.end(), bytes: position, broken }
}

/** Cuts pieces of bytes into lines, wherever the pieces were cut. */
export function createSplitter(onLine: OnLine) {
  let carry: Buffer[] = []
  let carried = 0
  let number = 0
  const keep = (piece: Buffer) => {
    carried += piece.length
    // What is too long is not kept, only noticed.
    if (carried > LINE_BYTES_MAX) carry = []
    else if (piece.length > 0) carry.push(piece)
  }
  const finish = (): string | null => {
    const text = carried > LINE_BYTES_MAX ? null : Buffer.concat(carry).toString()
    carry = []
    carried = 0
    return text
  }
  const push = (chunk: Buffer): void => {
    const first = chunk.indexOf(NEWLINE)
    if (first < 0) {
      keep(chunk)
      return
    }
    keep(chunk.subarray(0, first))
    number++
    onLine(finish(), number)
    const last = chunk.lastIndexOf(NEWLINE)
    if (last > first) {
      // All whole lines are decoded at once: one by one it takes twice as long.
      const text = chunk.toString('utf8', first + 1, last)
      let at = 0
      while (at <= text.length) {
        const end = text.indexOf('\n', at)
        const stop = end < 0 ? text.length : end
        number++
        onLine(stop - at > LINE_BYTES_MAX ? null : text.slice(at, stop), number)
        at = stop + 1
      }
    }
    keep(Buffer.from(chunk.subarray(last + 1)))
  }
  const end = (): Omit<FileEnd, 'bytes' | 'broken'> => {
    const tornBytes = carried
    return { lines: number, torn: tornBytes > 0 ? (finish() ?? '') : null, tornBytes }
  }
  return { push, end }
}
