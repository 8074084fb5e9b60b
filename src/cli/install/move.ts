import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { applyEdits, modify } from 'jsonc-parser'
import { formatClients } from '../../core/config/clientsfile.ts'
import { isObject } from '../../core/config/interpret.ts'
import { Refused } from '../output.ts'
import { createFile, syncFolder } from '../store/atomic.ts'
import { load } from '../store/documents.ts'
import { withLock } from '../store/lock.ts'
import { describeOthers, findKind, readTrusted, requireFile } from '../store/trust.ts'
import type { Account } from './accounts.ts'

const POLICY = 'policy.json'
const CLIENTS = 'clients.json'

/** Root's, and the group of the workers may write; what is made in it is of that group too. */
const OPEN_MODE = 0o2770
/** The workers may read and enter, as long as they have to. */
const CLOSED_MODE = 0o750
const PRIVATE_MODE = 0o700
const STICKY = 0o1000

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Runs `move` while nobody else edits the configuration of a folder. */
export function holdBoth<T>(dir: string, move: () => Promise<T>): Promise<T> {
  return withLock(join(dir, POLICY), () => withLock(join(dir, CLIENTS), move))
}

/** Copies both files, which have to be good, to where nothing stands; what they refer to stays right. */
export async function copyConfiguration(from: string, to: string, gid: number): Promise<void> {
  for (const name of [POLICY, CLIENTS]) {
    const found = await findKind(join(from, name))
    if (found) requireFile(join(from, name), found)
  }
  const { clients } = await load(from)
  const policy = await readTrusted(join(from, POLICY))
  if (policy === null || (await findKind(join(from, CLIENTS))) === null) {
    throw new Refused(`There is no ${POLICY} or ${CLIENTS} in ${from}: run tollgate install`)
  }
  for (const path of [join(to, POLICY), join(to, CLIENTS)]) {
    if ((await findKind(path)) === null) continue
    throw new Refused(`${path} is there already: look what it is, then move it away`)
  }
  const moved = formatClients(JSON.parse(moveSchema(JSON.stringify(clients), from, to)))
  await createFile(join(to, POLICY), moveSchema(policy, from, to), gid)
  await createFile(join(to, CLIENTS), moved, gid)
  await syncFolder(to)
}

/** Takes both files out of a folder, or the copies that were made in vain. */
export async function removeConfiguration(dir: string): Promise<void> {
  for (const name of [POLICY, CLIENTS]) await rm(join(dir, name), { force: true })
}

/**
 * Makes the folder that the workers may write, closed as yet. One that is there has to be empty: what
 * is in it was planted, or left behind.
 */
export async function makeFolder(path: string): Promise<void> {
  await requireSafe(dirname(path))
  const found = await findKind(path)
  if (found === null) await mkdir(path, { mode: PRIVATE_MODE })
  else await changeFolder(path, (handle) => own(handle, 0, PRIVATE_MODE))
  const names = await readdir(path)
  if (names.length === 0) return
  throw new Refused(`${path} holds ${names.join(', ')} already: look what it is, then remove it`)
}

/** Lets the workers write. */
export function openFolder(path: string, { gid }: Account): Promise<void> {
  return changeFolder(path, (handle) => own(handle, gid, OPEN_MODE))
}

/** Takes the right to write from the workers. */
export function closeFolder(path: string, { gid }: Account): Promise<void> {
  return changeFolder(path, (handle) => own(handle, gid, CLOSED_MODE))
}

/** Removes the folder, or leaves it to root alone when something else is in it: the names of that. */
export async function removeFolder(path: string): Promise<string[]> {
  await changeFolder(path, (handle) => own(handle, 0, PRIVATE_MODE))
  const names = await readdir(path)
  if (names.length === 0) await rmdir(path)
  return names
}

/** Refuses a folder that others could put another one in the place of, or above. */
async function requireSafe(folder: string): Promise<void> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path)
    const others = describeOthers(found)
    // In /tmp and the like nobody renames what belongs to somebody else.
    const isSticky = path !== folder && (found.mode & STICKY) !== 0 && found.uid === 0
    if (others !== null && !isSticky) {
      throw new Refused(
        `Will not make a folder of the workers in ${folder}: what root does in it could be led ` +
          `elsewhere by ${path}, since ${others}: chown root ${path} && chmod go-w ${path}`,
      )
    }
    if (path === dirname(path)) return
  }
}

async function own(handle: FileHandle, gid: number, mode: number): Promise<void> {
  await handle.chown(0, gid)
  await handle.chmod(mode)
}

async function changeFolder(
  path: string,
  change: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, FOLDER_FLAGS)
  try {
    await change(handle)
  } finally {
    await handle.close()
  }
}

/** The same text with a relative "$schema" as it is from the other folder. */
function moveSchema(text: string, from: string, to: string): string {
  const document: unknown = JSON.parse(text)
  const schema = isObject(document) ? document['$schema'] : undefined
  if (typeof schema !== 'string' || /^[a-z]+:/i.test(schema) || isAbsolute(schema)) return text
  const path = relative(to, resolve(from, schema))
  const moved = path.startsWith('.') ? path : `./${path}`
  return applyEdits(text, modify(text, ['$schema'], moved, {}))
}
