import fs from 'fs'
import { isObject } from '../../core/config/interpret.ts'
import type { Clients } from '../../core/config/shapes.ts'
import { giveWay } from '../giveway.ts'
import { codeOf } from './files.ts'

/**
 * clients.json as it was when it was opened, for who wants some of its clients. A small file is parsed
 * whole. Of a large one, with one client a line, lines are looked for by their bytes: what is parsed of
 * it would be 370 MB on the njs engine, which gives nothing back before the answer is out.
 */
export type Book = {
  path: string
  size: number
  /** Whole: all clients are in it. Else it is the frame around them. */
  document: Clients
  isWhole: boolean
  /** Of a large one: the open file, and where its first client begins. */
  file: number
  start: number
}

/** The same bound as that of portions.ts, which reads the file for the zone. */
const WHOLE_BYTES_MAX = 262144
const HEAD_BYTES = 4096
const TAIL_BYTES = 256
const PIECE_BYTES = 131072
const LINE_BYTES_MAX = 1048576

/** How long lines are looked for before the others get their turn: the housekeeping has 0.5 s for all of its. */
const BUSY_MS_MAX = 2

const LINE_END = 10
const OPENING = /"clients"\s*:\s*\{[ \t]*\r?\n/
/** The last client, and the two brackets behind it, each in a line of its own. */
const ENDING = /\}[ \t]*\r?\n\s*\}\s*\}\s*$/

/** Opens the file; where there is none, as an empty one. Throws what is wrong with it. */
export function openBook(path: string): Book {
  const document: Clients = { version: 1, clients: {} }
  const book: Book = { path, size: 0, document, isWhole: true, file: -1, start: 0 }
  try {
    book.file = fs.openSync(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return book
    throw error
  }
  try {
    book.size = fs.fstatSync(book.file).size
    if (book.size > WHOLE_BYTES_MAX) return openLarge(book)
    book.document = asClients(JSON.parse(readText(book, 0, book.size)))
    closeBook(book)
    return book
  } catch (error) {
    closeBook(book)
    throw error
  }
}

export function closeBook(book: Book): void {
  if (book.file < 0) return
  fs.closeSync(book.file)
  book.file = -1
}

function openLarge(book: Book): Book {
  const head = readText(book, 0, HEAD_BYTES)
  const found = OPENING.exec(head)
  const tail = readText(book, book.size - TAIL_BYTES, TAIL_BYTES)
  if (!found || !ENDING.test(tail)) throw wrongLayout()
  const opening = head.slice(0, found.index + found[0].length)
  book.document = asClients(JSON.parse(`${opening}}}`))
  book.isWhole = false
  book.start = Buffer.byteLength(opening)
  return book
}

function asClients(document: unknown): Clients {
  const clients = isObject(document) ? document['clients'] : null
  if (!isObject(clients)) throw new Error('It has no clients')
  const lacking = Object.keys(clients).find((name) => !hasKeys(clients[name]))
  if (lacking !== undefined) throw new Error(`clients.${lacking}: It has no list of keys`)
  return document as unknown as Clients
}

/** What every answer goes through; all else that may be wrong is for checkFiles(), before a change. */
function hasKeys(client: unknown): boolean {
  const keys = isObject(client) ? client['keys'] : null
  return Array.isArray(keys) && keys.every(isObject)
}

export function readText(book: Book, position: number, length: number): string {
  const buffer = Buffer.alloc(length)
  const count = fs.readSync(book.file, buffer, 0, length, position)
  return buffer.toString('utf8', 0, count)
}

/** Reads whole lines of a large file from a place on, until `visit` has seen enough. */
export async function eachPiece(
  book: Book,
  from: number,
  visit: (piece: Buffer, at: number) => boolean,
): Promise<void> {
  let buffer = Buffer.alloc(PIECE_BYTES)
  let at = from
  let sinceMs = Date.now()
  while (at < book.size) {
    const count = fs.readSync(book.file, buffer, 0, buffer.length, at)
    const end = buffer.subarray(0, count).lastIndexOf(LINE_END) + 1
    if (end === 0 && count < buffer.length) return
    if (end === 0) {
      if (buffer.length >= LINE_BYTES_MAX) throw wrongLayout()
      buffer = Buffer.alloc(buffer.length * 4)
      continue
    }
    if (visit(buffer.subarray(0, end), at)) return
    at += end
    if (Date.now() - sinceMs > BUSY_MS_MAX) {
      await giveWay()
      sinceMs = Date.now()
    }
  }
}

export function wrongLayout(): Error {
  return new Error('It is large and not one client a line: run tollgate check --write')
}
