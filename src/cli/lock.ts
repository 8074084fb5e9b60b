import { basename } from 'node:path'
import { lock } from 'proper-lockfile'
import { Refused } from './output.ts'

/** A random 100 to 200 ms between tries, so 7 to 14 s in all. */
const RETRIES = { retries: 70, factor: 1, minTimeout: 100, maxTimeout: 200, randomize: true }

/**
 * Runs an edit while holding `<path>.lock`, a folder, so that nginx can take the same lock. A lock
 * whose holder died is taken over after 10 s. `assertHeld` is to be called right before the write.
 */
export async function withLock<T>(
  path: string,
  edit: (assertHeld: () => void) => Promise<T>,
): Promise<T> {
  let isLost = false
  const release = await lock(path, {
    realpath: false,
    retries: RETRIES,
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
    if (!isLost) await release()
  }
}
