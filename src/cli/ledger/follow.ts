import { type FileHandle, open, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSplitter, LINE_BYTES_MAX, type OnLine } from './lines.ts'

/** One file that is read on as it grows. */
type Followed = {
  handle: FileHandle
  inode: number
  offset: number
  splitter: ReturnType<typeof createSplitter>
  /** When a newer file took its place, ms of performance.now(). */
  replacedMs: number | null
}

const POLL_MS = 200
/** nginx's workers go over to the new file when they next wake up, and write into the old until then. */
const OLD_FILE_MS = 5000
const READ_BYTES = 256 * 1024

/**
 * Hands out the lines that are added to a file, also over its rotation: after a rename the old file is
 * read on until the new one has been there for some seconds. A file that is not there is waited for.
 * It begins with the whole lines within the last `tailBytes`, and ends when `ending` does.
 */
export async function follow(
  path: string,
  tailBytes: number,
  onLine: OnLine,
  onReady: () => void,
  ending: AbortSignal,
): Promise<void> {
  let files: Followed[] = []
  const newest = await openFollowed(path, onLine, tailBytes)
  if (newest) files.push(newest)
  for (const file of files) await readOn(file)
  onReady()
  while (!ending.aborted) {
    await sleep(POLL_MS, undefined, { signal: ending }).catch(() => undefined)
    files = await renew(files, path, onLine)
    for (const file of files) await readOn(file)
  }
  for (const { handle } of files) await handle.close()
}

async function renew(files: Followed[], path: string, onLine: OnLine): Promise<Followed[]> {
  const found = await stat(path).catch(() => null)
  const nowMs = performance.now()
  const isNew = found !== null && !files.some(({ inode }) => inode === found.ino)
  const next = isNew ? await openFollowed(path, onLine, null) : null
  const kept: Followed[] = []
  for (const file of files) {
    if (next && file.replacedMs === null) file.replacedMs = nowMs
    if (file.replacedMs === null || nowMs - file.replacedMs < OLD_FILE_MS) kept.push(file)
    else await file.handle.close()
  }
  return next ? [...kept, next] : kept
}

/** Opens a file at its beginning, or near its end, where the first line may be cut and is left out. */
async function openFollowed(
  path: string,
  onLine: OnLine,
  tailBytes: number | null,
): Promise<Followed | null> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (handle === null) return null
  const { ino, size } = await handle.stat()
  const offset = tailBytes === null ? 0 : Math.max(0, size - tailBytes)
  const isCut = offset > 0
  const splitter = createSplitter((text, number) => {
    if (number > 1 || !isCut) onLine(text, number)
  })
  return { handle, inode: ino, offset, splitter, replacedMs: null }
}

async function readOn(file: Followed): Promise<void> {
  const { size } = await file.handle.stat()
  // Somebody has emptied the file, as logrotate's copytruncate does.
  if (size < file.offset) file.offset = 0
  while (file.offset < size) {
    const length = Math.min(READ_BYTES, size - file.offset)
    const { bytesRead, buffer } = await file.handle.read(
      Buffer.alloc(length),
      0,
      length,
      file.offset,
    )
    if (bytesRead === 0) return
    file.splitter.push(buffer.subarray(0, bytesRead))
    file.offset += bytesRead
  }
}

/** Enough for some lines of usual length, and for one of the longest. */
export function tailBytesFor(lines: number): number {
  return lines === 0 ? 0 : Math.max(LINE_BYTES_MAX, lines * 2048)
}
