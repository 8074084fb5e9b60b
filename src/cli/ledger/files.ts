import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Refused } from '../output.ts'

/** One file of a ledger, as it is read. Bytes are those on the disk. */
export type LedgerFile = {
  path: string
  isGzip: boolean
  bytes: number
  changedMs: number
  inode: number
}

/**
 * The ledger and its rotated siblings, oldest first: `ledger.jsonl.2.gz`, `ledger.jsonl.1`,
 * `ledger.jsonl`, and with dates `ledger.jsonl-20261124.gz`. What is named otherwise, such as the
 * output of `compact`, is not part of it.
 */
export async function listLedger(path: string): Promise<LedgerFile[]> {
  const folder = dirname(path)
  const name = basename(path)
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[]
    throw error
  })
  const suffixes = names
    .filter((other) => other.startsWith(name))
    .map((other) => other.slice(name.length))
    .filter((suffix) => /^(?:|\.\d{1,6}|[.-]\d{8,10}(?:-\d{1,10})?)(?:\.gz)?$/.test(suffix))
  // While logrotate compresses a file both are there, and the compressed one is not whole yet.
  const kept = suffixes.filter(
    (suffix) => !suffix.endsWith('.gz') || !suffixes.includes(suffix.slice(0, -3)),
  )
  if (kept.length === 0) {
    throw new Refused(
      `There is no ledger ${path}; name one with --ledger, or its folder with --dir`,
    )
  }
  const files = await Promise.all(kept.sort(byAge).map((suffix) => describeFile(path + suffix)))
  return files.filter((file) => file !== null)
}

/** One file by its name; null when it is not there. */
export async function describeFile(path: string): Promise<LedgerFile | null> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (found === null) return null
  if (found.isDirectory()) throw new Refused(`${path} is a folder, not a ledger`)
  return {
    path,
    isGzip: path.endsWith('.gz'),
    bytes: found.size,
    changedMs: found.mtimeMs,
    inode: found.ino,
  }
}

/** Like describeFile(), and refuses when the file is not there. */
export async function requireFile(path: string): Promise<LedgerFile> {
  const file = await describeFile(path)
  if (file === null) throw new Refused(`There is no file ${path}`)
  return file
}

/**
 * Opens a file that was listed. A rotation gives the names to other files, so that lines would be
 * read twice or not at all.
 */
export async function openLedgerFile(file: LedgerFile): Promise<FileHandle> {
  const handle = await open(file.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (handle !== null && (await handle.stat()).ino === file.inode) return handle
  await handle?.close()
  throw new Refused(`${file.path} has just been rotated: try again`)
}

/** The file that a temporary or derived file of the same kind stands beside. */
export function besideOf(path: string, word: string): string {
  const isGzip = path.endsWith('.gz')
  const bare = isGzip ? path.slice(0, -3) : path
  return `${join(dirname(bare), basename(bare))}.${word}${isGzip ? '.gz' : ''}`
}

// Numbers count away from now, dates towards it; the file without either is the newest.
function byAge(a: string, b: string): number {
  const [first, second] = [ageOf(a), ageOf(b)]
  return first.rank - second.rank || first.order - second.order
}

function ageOf(suffix: string): { rank: number; order: number } {
  const digits = suffix.replace(/\.gz$/, '').replace(/[^\d]/g, '')
  if (digits === '') return { rank: 2, order: 0 }
  return digits.length >= 8
    ? { rank: 0, order: Number(digits) }
    : { rank: 1, order: -Number(digits) }
}
