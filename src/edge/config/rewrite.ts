import fs from 'fs'
import { formatClient } from '../../core/config/clientsfile.ts'
import type { Client } from '../../core/config/shapes.ts'
import { giveWay } from '../giveway.ts'
import { type Book, readText, wrongLayout } from './book.ts'
import type { Line } from './lines.ts'
import { type Lock, touchLocks } from './lock.ts'
import { beginReplacement, dropReplacement, type Replacement, writeBytes } from './replacement.ts'

/** What becomes of one client: null takes it out; without a line so far it comes last. */
export type LineChange = { name: string; line: Line | null; client: Client | null }

type LineOf = LineChange & { line: Line }

/** A part of the old file that goes, and what comes in its place. */
type Splice = { at: number; end: number; text: string }

/** A copy that is being made, up to `at`; `sinceMs` is when the others had their turn. */
type Copying = {
  book: Book
  replacement: Replacement
  locks: Lock[]
  buffer: Buffer
  sinceMs: number
  at: number
}

const PIECE_BYTES = 262144
const TAIL_BYTES = 256
const BUSY_MS_MAX = 2
const COMMA = ','

/**
 * Writes a large clients.json anew with other lines for some clients, of which one at most is taken out.
 * All else goes over byte by byte. What is returned has to take the place yet.
 */
export async function rewriteLines(
  book: Book,
  changes: LineChange[],
  locks: Lock[],
): Promise<Replacement> {
  const replacement = beginReplacement(book.path)
  const buffer = Buffer.alloc(PIECE_BYTES)
  const copying: Copying = { book, replacement, locks, buffer, sinceMs: Date.now(), at: 0 }
  const lines = changes.filter((change) => change.line !== null) as LineOf[]
  lines.sort((one, other) => one.line.at - other.line.at)
  const added = changes.filter((change) => change.line === null)
  try {
    for (let i = 0; i < lines.length; i++)
      await putSplice(copying, spliceOf(book, lines[i] as LineOf))
    if (added.length > 0) await putSplice(copying, spliceOfAdded(book, added))
    await copy(copying, book.size)
    return replacement
  } catch (error) {
    dropReplacement(replacement)
    throw error
  }
}

async function putSplice(copying: Copying, splice: Splice): Promise<void> {
  await copy(copying, splice.at)
  const bytes = Buffer.from(splice.text)
  writeBytes(copying.replacement, bytes, bytes.length)
  copying.at = splice.end
}

/** What is new comes behind the last client. Joined, since the njs engine keeps each state of a text that grows. */
function spliceOfAdded(book: Book, added: LineChange[]): Splice {
  const lines = added.map((one) => formatClient(one.name, one.client as Client))
  const at = endOfLast(book)
  return { at, end: at, text: [''].concat(lines).join(`${COMMA}\n`) }
}

function spliceOf(book: Book, change: LineOf): Splice {
  const line = change.line
  const old = readText(book, line.at, line.end - line.at)
  // Behind the bracket of the client: a comma, unless it is the last, and the end of the line.
  const rest = old.slice(old.lastIndexOf('}') + 1)
  if (change.client) {
    const text = formatClient(change.name, change.client)
    return { at: line.at, end: line.end - Buffer.byteLength(rest), text }
  }
  if (rest.trim() === COMMA) return { at: line.at, end: line.end, text: '' }
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

/** Copies what stands before a place. */
async function copy(copying: Copying, to: number): Promise<void> {
  const book = copying.book
  const buffer = copying.buffer
  while (copying.at < to) {
    const length = Math.min(buffer.length, to - copying.at)
    const count = fs.readSync(book.file, buffer, 0, length, copying.at)
    if (count <= 0) throw new Error(`${book.path} has become shorter`)
    writeBytes(copying.replacement, buffer, count)
    copying.at += count
    const nowMs = Date.now()
    if (nowMs - copying.sinceMs < BUSY_MS_MAX) continue
    touchLocks(copying.locks, nowMs)
    await giveWay()
    copying.sinceMs = Date.now()
  }
}
