import crypto from 'crypto'
import fs from 'fs'
import { exists } from '../config/files.ts'

/** Some whole lines of a ledger. */
export type Lines = {
  text: string
  /** The same as it stands there: not all of it may be UTF-8. */
  bytes: Buffer
  /** Where the next lines begin; as before when there is no whole line yet. */
  next: number
  size: number
}

/** One file of the ledger's folder that may be a part of it. */
export type Sibling = { path: string; head: string; size: number; changedMs: number }

/** Bytes of one portion, about 150 lines: 2 ms on QuickJS, 5 ms on the njs engine. */
const PORTION_BYTES = 65536

/** A longer line is passed over: a line of the gate has less than 10 KB. */
const LINE_BYTES_MAX = 1048576

/** So much of the first line names a ledger; it has the id of a request in it. */
const HEAD_BYTES_MAX = 4096

/** What logrotate and people make of a name, see listLedger() of the tools. */
const ROTATED = /^(?:\.\d{1,6}|[.-]\d{8,10}(?:-\d{1,10})?)?$/
const COMPRESSED = /\.(?:gz|bz2|xz|zst)$/

const LINE_END = 10

/**
 * Reads the whole lines behind an offset, as many as one portion holds; those before another offset, where
 * a line ends, if that is given.
 */
export function readLines(path: string, offset: number, to?: number): Lines {
  const file = fs.openSync(path, 'r')
  try {
    const found = fs.fstatSync(file).size
    const size = to === undefined ? found : Math.min(found, to)
    let length = PORTION_BYTES
    while (offset < size) {
      const buffer = Buffer.alloc(Math.min(length, size - offset))
      const count = fs.readSync(file, buffer, 0, buffer.length, offset)
      const end = buffer.subarray(0, count).lastIndexOf(LINE_END) + 1
      if (end > 0) return linesOf(buffer.subarray(0, end), offset + end, size)
      if (count < length) break
      // As if it were one: what is no JSON is counted as skipped.
      if (length >= LINE_BYTES_MAX) return linesOf(Buffer.from('?'), offset + count, size)
      length = length * 4
    }
    return linesOf(Buffer.from(''), offset, size)
  } finally {
    fs.closeSync(file)
  }
}

function linesOf(bytes: Buffer, next: number, size: number): Lines {
  return { text: bytes.toString('utf8'), bytes, next, size }
}

/** SHA-256 of the first line, by which a ledger is known; null while there is none. */
export function headOf(path: string): string | null {
  if (!exists(path)) return null
  const file = fs.openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(HEAD_BYTES_MAX)
    const count = fs.readSync(file, buffer, 0, HEAD_BYTES_MAX, 0)
    const end = buffer.subarray(0, count).indexOf(LINE_END)
    if (end < 0 && count < HEAD_BYTES_MAX) return null
    return crypto
      .createHash('sha256')
      .update(buffer.subarray(0, end < 0 ? count : end))
      .digest('hex')
  } finally {
    fs.closeSync(file)
  }
}

/** The same of a file that may not be meant for us. */
function peek(path: string): string | null {
  try {
    return headOf(path)
  } catch (_) {
    return null
  }
}

/** The ledger with this first line: the file itself, or what a rotation has made of it. */
export function findLedger(path: string, head: string): string | null {
  if (headOf(path) === head) return path
  const found = listNames(path)
    .filter((name) => !COMPRESSED.test(name))
    .find((name) => peek(name) === head)
  return found === undefined ? null : found
}

/**
 * The ledgers that a rotation has left beside this one, one file for each first line: a copy that was
 * truncated afterwards is longer than what is left of it.
 */
export function listRotated(path: string): Sibling[] {
  const rotated: Sibling[] = []
  listNames(path).forEach((name) => {
    const head = ROTATED.test(name.slice(path.length)) ? peek(name) : null
    if (head === null || head === headOf(path)) return
    const found = fs.statSync(name)
    const sibling = { path: name, head, size: found.size, changedMs: found.mtimeMs }
    const same = rotated.findIndex((other) => other.head === head)
    if (same < 0) rotated.push(sibling)
    else if ((rotated[same] as Sibling).size < sibling.size) rotated[same] = sibling
  })
  return rotated
}

/** How many compressed ledgers stand there, which are not read. */
export function countCompressed(path: string): number {
  return listNames(path).filter((name) => COMPRESSED.test(name)).length
}

/** When the newest of them was written, ms since 1970; 0: there is none. What came later is not in it. */
export function newestCompressedMs(path: string): number {
  const times = listNames(path)
    .filter((name) => COMPRESSED.test(name))
    .map((name) => fs.statSync(name).mtimeMs)
  return times.reduce((newest, one) => Math.max(newest, one), 0)
}

/** The other files of the folder whose names begin as the ledger's. */
function listNames(path: string): string[] {
  const cut = path.lastIndexOf('/')
  const folder = path.slice(0, cut)
  const name = path.slice(cut + 1)
  if (!exists(folder)) return []
  const names = fs.readdirSync(folder)
  return names
    .filter((other) => other !== name && other.startsWith(name))
    .map((other) => `${folder}/${other}`)
}
