import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { findKind, requireFile, resolveTrusted } from './trust.ts'

/** What a new file may be read by: its owner and the folder's group, which is nginx's. */
const NEW_FILE_MODE = 0o640
/** Nobody executes these files; a worker may have given the old one any mode. */
const MODE_BITS = 0o666

/** A new file or none: never one that is there, and never through a link. */
const NEW_FILE_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Replaces a file as a whole: whoever reads it sees the old text or the new one, also after a crash.
 * Owner, group and mode stay. Packages that do this rename a cut file over a good one when the disk
 * is full, because one write() may take a part only; writeFile() of a file handle goes on or fails.
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const file = await resolveTrusted(path)
  const folder = dirname(file)
  const old = await findKind(file)
  if (old) requireFile(file, old)
  await replaceFile(file, async (handle) => {
    await handle.writeFile(text)
    await keepOwner(handle, old, (await stat(folder)).gid)
    await handle.chmod(old ? old.mode & MODE_BITS : NEW_FILE_MODE)
    await handle.sync()
  })
  await syncFolder(folder)
}

/** Makes a file where nothing stands yet, for a group to read; false where something does. */
export async function createFile(path: string, text: string, gid?: number): Promise<boolean> {
  const handle = await open(path, NEW_FILE_FLAGS, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return null
    throw error
  })
  if (handle === null) return false
  try {
    await handle.writeFile(text)
    if (gid !== undefined) {
      const { uid } = await handle.stat()
      await handle.chown(uid, gid).catch(isNotPermitted)
    }
    await handle.chmod(NEW_FILE_MODE)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return true
}

/**
 * Puts a new file in the place of another by rename. It is opened under a name that nobody can know
 * before, closed to all others until `fill` says otherwise, and touched by its handle alone: the
 * folder may be one in which others plant links.
 */
export async function replaceFile(
  file: string,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const random = randomBytes(8).toString('hex')
  const temporary = join(dirname(file), `.${basename(file)}.${random}.tmp`)
  const handle = await open(temporary, NEW_FILE_FLAGS, 0o600)
  try {
    await fill(handle).finally(() => handle.close())
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    // Errors of a file handle do not name the file.
    if (error instanceof Error && !('path' in error)) Object.assign(error, { path: file })
    throw error
  }
}

/**
 * Gives the new file the owner and group of the old one. Only root may give a file away; the group
 * must stay in any case, because nginx reads by it, so that fails when it is not allowed.
 */
async function keepOwner(handle: FileHandle, old: Stats | null, folderGid: number): Promise<void> {
  const { uid, gid } = await handle.stat()
  if (old && old.uid !== uid) {
    const isGiven = await handle.chown(old.uid, old.gid).then(() => true, isNotPermitted)
    if (isGiven) return
  }
  const wantedGid = old ? old.gid : folderGid
  if (wantedGid === gid) return
  const changed = handle.chown(uid, wantedGid)
  await (old ? changed : changed.catch(isNotPermitted))
}

/** false for the error of one who may not; any other error goes on. */
function isNotPermitted(error: NodeJS.ErrnoException): false {
  if (error.code !== 'EPERM') throw error
  return false
}

/** Makes the rename itself outlive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
