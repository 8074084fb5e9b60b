import type { Stats } from 'node:fs'
import { chmod, type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** What a new file may be read by: its owner and the folder's group, which is nginx's. */
const NEW_FILE_MODE = 0o640

/**
 * Replaces a file as a whole: whoever reads it sees the old text or the new one, also after a crash.
 * Owner, group and mode stay. Packages that do this rename a cut file over a good one when the disk
 * is full, because one write() may take a part only; writeFile() of a file handle goes on or fails.
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const file = await realpath(path).catch(() => path)
  const folder = dirname(file)
  const old = await stat(file).catch(() => null)
  const mode = old ? old.mode & 0o7777 : NEW_FILE_MODE
  const temporary = join(folder, `.${basename(file)}.${process.pid}.tmp`)
  try {
    // 0600 until the group is the right one.
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await keepOwner(handle, old, (await stat(folder)).gid)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await chmod(temporary, mode)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    // Errors of a file handle do not name the file.
    if (error instanceof Error && !('path' in error)) Object.assign(error, { path: file })
    throw error
  }
  await syncFolder(folder)
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
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
