import { problem } from '../../core/admin/problems.ts'
import type { Reply } from '../../core/admin/types.ts'
import { formatClients } from '../../core/config/clientsfile.ts'
import { clientOf, type Refused } from '../../core/config/edits.ts'
import { hasOwn, isObject } from '../../core/config/interpret.ts'
import { replace, setNamed } from '../../core/config/replace.ts'
import type { Client, Clients, Policy } from '../../core/config/shapes.ts'
import { type Book, closeBook, openBook } from './book.ts'
import { codeOf, exists, readDocument, stampFiles } from './files.ts'
import { findLines, type Line } from './lines.ts'
import { areHeld, type Lock, lostLock, releaseLocks, takeLocks } from './lock.ts'
import { findMany, type Many } from './many.ts'
import {
  dropReplacement,
  endReplacement,
  readOnly,
  replaceText,
  whyNotWritable,
} from './replacement.ts'
import { type LineChange, rewriteLines } from './rewrite.ts'
import { awaitLoad, brokenReply, checkFiles, isSound, noteSound } from './sound.ts'

/** Which clients of a document an edit has to see: by name, by the ids and hashes of keys. */
export type Wanted = { name: string | null; keys: string[] }

/** Some clients of clients.json, all of them where it is small, and the policy. */
export type Some = { clients: Clients; policy: Policy }

type Result<T> = T | Refused | Reply
type Edit<T> = (clients: Clients, policy: Policy) => Result<T> | Promise<Result<T>>

const LINES_MAX = 50

/** Reads the policy. A reply when that is not possible. */
export function readPolicy(dir: string): Policy | Reply {
  const path = `${dir}/policy.json`
  try {
    if (!exists(path)) return broken('policy.json', 'There is none')
    const policy = readDocument(path)
    return isObject(policy) ? (policy as Policy) : broken('policy.json', 'Must be an object')
  } catch (error) {
    return broken('policy.json', (error as Error).message)
  }
}

/** Reads the clients that are wanted, and the policy. */
export async function readSome(dir: string, wanted: Wanted): Promise<Some | Reply> {
  const policy = readPolicy(dir)
  if ('status' in policy) return policy
  const book = openClients(dir)
  if ('status' in book) return book
  try {
    const lines = await wantedLines(book, wanted)
    return 'status' in lines ? lines : { clients: documentOf(book, lines), policy }
  } finally {
    closeBook(book)
  }
}

/** Opens clients.json; a reply when it is broken. */
export function openClients(dir: string): Book | Reply {
  try {
    return openBook(`${dir}/clients.json`)
  } catch (error) {
    return broken('clients.json', (error as Error).message)
  }
}

/**
 * Edits clients.json under its lock, by a function that gets the document with at least the clients that
 * are wanted. Nothing is written when it refuses, or gives the same document back. What else it has found
 * out it has to give back as well: on the njs engine, a variable outside that it sets is not set for an
 * async function that awaits this one.
 */
export async function editClients<T extends { document: Clients }>(
  dir: string,
  wanted: Wanted | Many,
  edit: Edit<T>,
): Promise<Result<T>> {
  const why = whyNotWritable(dir)
  if (why !== null) return problem('read-only', why)
  const path = `${dir}/clients.json`
  const locks = await lockSound(dir, [path])
  if ('status' in locks) return locks
  try {
    return await editLocked(dir, wanted, edit, locks)
  } catch (error) {
    return replyTo(path, error)
  } finally {
    releaseLocks(locks)
  }
}

/**
 * Takes locks when the files are known to be right, or are small enough to be checked at once: who waits
 * for a large one to be loaded keeps nobody else waiting.
 */
export async function lockSound(dir: string, files: string[]): Promise<Lock[] | Reply> {
  for (;;) {
    const book = openClients(dir)
    if ('status' in book) return book
    closeBook(book)
    const refused = await awaitLoad(dir, !book.isWhole)
    if (refused) return refused
    const locks = await takeLocks(files)
    if ('status' in locks || book.isWhole || isSound(dir)) return locks
    releaseLocks(locks)
  }
}

/** What went wrong while something was written, as an answer. */
export function replyTo(path: string, error: unknown): Reply {
  const refused = readOnly(path, error)
  if (refused) return refused
  const message = (error as Error).message
  ngx.log(ngx.ERR, `Tollgate cannot write ${path}: ${message}`)
  const code = codeOf(error)
  return problem('cannot-write', `Cannot write ${path}: ${code || message}`)
}

async function editLocked<T extends { document: Clients }>(
  dir: string,
  wanted: Wanted | Many,
  edit: Edit<T>,
  locks: Lock[],
): Promise<Result<T>> {
  const policy = readPolicy(dir)
  if ('status' in policy) return policy
  const book = openClients(dir)
  if ('status' in book) return book
  try {
    const stamp = stampFiles(dir)
    const refused = await checkFiles(dir, book, policy)
    if (refused) return refused
    const lines = await wantedLines(book, wanted)
    if ('status' in lines) return lines
    const document = documentOf(book, lines)
    const result = await edit(document, policy)
    if (!('document' in result) || result.document === document) return result
    const lost = await write(book, lines, document, result.document, locks)
    if (lost) return lost
    noteSound(dir, stamp, 'clients')
    return result
  } finally {
    closeBook(book)
  }
}

async function write(
  book: Book,
  lines: Line[],
  before: Clients,
  after: Clients,
  locks: Lock[],
): Promise<Reply | null> {
  if (book.isWhole) {
    if (!areHeld(locks)) return lostLock()
    replaceText(book.path, formatClients(after))
    return null
  }
  const replacement = await rewriteLines(book, changesOf(lines, before, after), locks)
  if (!areHeld(locks)) {
    dropReplacement(replacement)
    return lostLock()
  }
  try {
    endReplacement(replacement)
  } catch (error) {
    dropReplacement(replacement)
    throw error
  }
  return null
}

/** The clients that an edit has changed, made or removed. */
function changesOf(lines: Line[], before: Clients, after: Clients): LineChange[] {
  const places = indexLines(lines)
  const changes: LineChange[] = []
  Object.keys(after.clients).forEach((name) => {
    const client = after.clients[name] as Client
    if (clientOf(before, name) === client) return
    changes.push({ name, line: places[`.${name}`] || null, client })
  })
  Object.keys(before.clients).forEach((name) => {
    if (hasOwn(after.clients, name)) return
    changes.push({ name, line: places[`.${name}`] || null, client: null })
  })
  return changes
}

/** Lines by the names of their clients; the dot keeps names harmless that every object has. */
function indexLines(lines: Line[]): { [dotted: string]: Line } {
  const places: { [dotted: string]: Line } = {}
  lines.forEach((line) => {
    places[`.${line.name}`] = line
  })
  return places
}

/** Of a large file; a small one is there as a whole. */
async function wantedLines(book: Book, wanted: Wanted | Many): Promise<Line[] | Reply> {
  if (book.isWhole) return []
  try {
    const lines = 'names' in wanted ? await findMany(book, wanted) : await findFew(book, wanted)
    const places = indexLines(lines)
    const twin = lines.find((line) => places[`.${line.name}`] !== line)
    return twin ? broken('clients.json', `Client "${twin.name}" stands twice in it`) : lines
  } catch (error) {
    return broken('clients.json', (error as Error).message)
  }
}

function findFew(book: Book, wanted: Wanted): Promise<Line[]> {
  const hasKey = (line: Line) =>
    line.client.keys.some((key) => wanted.keys.some((one) => one === key.id || one === key.sha256))
  const sought = { texts: wanted.keys, fields: ['id', 'sha256'] }
  return findLines(book, wanted.name, sought, LINES_MAX, hasKey)
}

function documentOf(book: Book, lines: Line[]): Clients {
  if (book.isWhole) return book.document
  const clients: { [name: string]: Client } = {}
  lines.forEach((line) => {
    setNamed(clients, line.name, line.client)
  })
  return replace(book.document, { clients })
}

function broken(path: string, message: string): Reply {
  return brokenReply([{ path, message }])
}
