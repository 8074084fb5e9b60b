import fs from 'node:fs'
import { basename } from 'node:path'
import { lock } from 'proper-lockfile'
import { Refused } from '../output.ts'
import { findKind, resolveTrusted } from './trust.ts'

/** A random 100 to 200 ms between tries, so 7 to 14 s in all. */
const RETRIES = { retries: 70, factor: 1, minTimeout: 100, maxTimeout: 200, randomize: true }

/** The lock is looked at and touched as itself: a link that was put in its place leads nowhere. */
const OWN_FS = { ...fs, stat: fs.lstat, utimes: fs.lutimes }

/**
 * Runs an edit while holding `<path>.lock`, a folder, so that nginx can take the same lock. A lock
 * whose holder died is taken over after 10 s. `assertHeld` is to be called right before the write.
 */
export async function withLock<T>(
  path: string,
  edit: (assertHeld: () => void) => Promise<T>,
): Promise<T> {
  await requireFolder(`${path}.lock`)
  let isLost = false
  const release = await lock(path, {
    realpath: false,
    retries: RETRIES,
    fs: OWN_FS,
    onCompromised: () => {
      isLost = true
    },
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ELOCKED') throw error
    throw new Refused(
      `Cannot lock ${path}: another command has held ${basename(path)}.lock for 10 s; try again`,
    )
  })
  try {
    return await edit(() => {
      if (isLost) throw new Refused(`Lost the lock of ${path}; nothing was changed, try again`)
    })
  } finally {
    // What somebody else has removed or replaced is no lock of ours any more.
    if (!isLost) await release().catch(() => undefined)
  }
}

/** Says why no lock can be had there, instead of waiting for one that is none. */
async function requireFolder(path: string): Promise<void> {
  await resolveTrusted(path.slice(0, path.lastIndexOf('/')))
  const found = await findKind(path)
  if (found === null || found.isDirectory()) return
  const kind = found.isSymbolicLink() ? 'a link' : 'no folder'
  throw new Refused(`${path} is ${kind}, so it is no lock: look who has put it there, remove it`)
}
