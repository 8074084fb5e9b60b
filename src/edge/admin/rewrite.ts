import fs from 'fs'
import { formatClient } from '../../core/clientsfile.ts'
import type { Client } from '../../core/shapes.ts'
import { giveWay } from '../load.ts'
import { type Book, readText, wrongLayout } from './book.ts'
import type { Line } from './lines.ts'
import { type Lock, touchLocks } from './lock.ts'
import { beginReplacement, dropReplacement, type Replacement, writeBytes } from './write.ts'

/** A part of the old file that goes, and what comes in its place. */
type Splice = { at: number; end: number; text: string }

const PIECE_BYTES = 262144
const TAIL_BYTES = 256
const BUSY_MS_MAX = 2
const COMMA = ','

/**
 * Writes a large clients.json anew with another line for one client: null takes it out; without a line
 * so far it comes last. All else goes over byte by byte. What is returned has to take the place yet.
 */
export async function rewriteLine(
  book: Book,
  line: Line | null,
  name: string,
  client: Client | null,
  locks: Lock[],
): Promise<Replacement> {
  const splice = spliceOf(book, line, name, client)
  const replacement = beginReplacement(book.path)
  try {
    await copy(book, replacement, 0, splice.at, locks)
    const bytes = Buffer.from(splice.text)
    writeBytes(replacement, bytes, bytes.length)
    await copy(book, replacement, splice.end, book.size, locks)
    return replacement
  } catch (error) {
    dropReplacement(replacement)
    throw error
  }
}

function spliceOf(book: Book, line: Line | null, name: string, client: Client | null): Splice {
  if (!line) {
    const at = endOfLast(book)
    return { at, end: at, text: `${COMMA}\n${formatClient(name, client as Client)}` }
  }
  const old = readText(book, line.at, line.end - line.at)
  const isLast = !old.trim().endsWith(COMMA)
  if (client) {
    const text = `${formatClient(name, client)}${isLast ? '' : COMMA}\n`
    return { at: line.at, end: line.end, text }
  }
  if (!isLast) return { at: line.at, end: line.end, text: '' }
  // The comma of the line before goes as well, so that nothing is behind it.
  const before = Math.max(0, line.at - TAIL_BYTES)
  const text = readText(book, before, line.at - before)
  const comma = text.lastIndexOf(COMMA)
  if (comma < 0 || text.slice(comma + 1).trim() !== '') throw wrongLayout()
  return { at: line.at - Buffer.byteLength(text.slice(comma)), end: line.end, text: '\n' }
}

/** Where the last client ends: before the bracket that closes the clients, and the last one. */
function endOfLast(book: Book): number {
  const text = readText(book, book.size - TAIL_BYTES, TAIL_BYTES)
  const whole = /\}\s*\}\s*\}\s*$/.exec(text)
  if (!whole) throw wrongLayout()
  return book.size - Buffer.byteLength(whole[0]) + 1
}

async function copy(
  book: Book,
  replacement: Replacement,
  from: number,
  to: number,
  locks: Lock[],
): Promise<void> {
  const buffer = Buffer.alloc(PIECE_BYTES)
  let at = from
  let sinceMs = Date.now()
  while (at < to) {
    const count = fs.readSync(book.file, buffer, 0, Math.min(buffer.length, to - at), at)
    if (count <= 0) throw new Error(`${book.path} has become shorter`)
    writeBytes(replacement, buffer, count)
    at += count
    const nowMs = Date.now()
    if (nowMs - sinceMs < BUSY_MS_MAX) continue
    touchLocks(locks, nowMs)
    await giveWay()
    sinceMs = Date.now()
  }
}
