import fs from 'fs'
import { problem } from '../../core/admin/problems.ts'
import type { Reply } from '../../core/admin/types.ts'
import { codeOf } from './files.ts'
import { readOnly } from './replacement.ts'

/**
 * The lock that the commands take, by proper-lockfile: the folder `<file>.lock`, which is stale when it
 * was not touched for ten seconds.
 */
export type Lock = { file: string; path: string; ino: number; touchedMs: number }

const STALE_MS = 10000
const WAIT_MS_MAX = 10000

/** A lock that is held longer is touched so often. */
const TOUCH_MS = 3000

/** The time of a folder and that of a worker differ by a tick of the kernel at most. */
const CLOCK_MS = 1000

/** Takes the locks of some files, in this order; a reply when one cannot be had. */
export async function takeLocks(files: string[]): Promise<Lock[] | Reply> {
  const locks: Lock[] = []
  for (let i = 0; i < files.length; i++) {
    const lock = await takeLock(files[i] as string)
    if ('status' in lock) {
      releaseLocks(locks)
      return lock
    }
    locks.push(lock)
  }
  return locks
}

export function releaseLocks(locks: Lock[]): void {
  locks.forEach((lock) => {
    try {
      if (isHeld(lock)) fs.rmdirSync(lock.path)
    } catch (error) {
      ngx.log(ngx.WARN, `Tollgate cannot remove ${lock.path}: ${(error as Error).message}`)
    }
  })
}

/** Whether all are still ours. To be asked right before a file is replaced. */
export function areHeld(locks: Lock[]): boolean {
  return locks.every(isHeld)
}

/** What to answer when they are not. */
export function lostLock(): Reply {
  return retryLater('Somebody took the lock over: nothing was changed, try again')
}

/** Keeps locks from going stale, in the middle of what takes long. */
export function touchLocks(locks: Lock[], nowMs: number): void {
  locks.forEach((lock) => {
    if (nowMs - lock.touchedMs < TOUCH_MS || !isHeld(lock)) return
    // njs has no utimes(). A folder that is renamed over an empty one takes its place in one step.
    const fresh = `${lock.path}.${process.pid}`
    fs.mkdirSync(fresh, { mode: 0o755 })
    fs.renameSync(fresh, lock.path)
    Object.assign(lock, identify(lock.file, lock.path))
  })
}

async function takeLock(file: string): Promise<Lock | Reply> {
  const path = `${file}.lock`
  const untilMs = Date.now() + WAIT_MS_MAX
  let taken = tryToTake(file, path)
  while (!taken && Date.now() < untilMs) {
    await pause(20 + Math.floor(Math.random() * 60))
    taken = tryToTake(file, path)
  }
  return taken || retryLater(`Another change has held ${path} for 10 s: try again`)
}

/** Null when somebody else has it. */
function tryToTake(file: string, path: string): Lock | Reply | null {
  dropStale(path)
  try {
    fs.mkdirSync(path, { mode: 0o755 })
    return identify(file, path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return null
    const refused = readOnly(file, error)
    if (refused) return refused
    throw error
  }
}

/** Should two do this at once, the one that loses its lock by it notices, see areHeld(). */
function dropStale(path: string): void {
  try {
    if (Date.now() - fs.statSync(path).mtimeMs > STALE_MS) fs.rmdirSync(path)
  } catch (_) {
    // There is none, or it is gone by now, or cannot be removed: mkdir tells.
  }
}

function identify(file: string, path: string): Lock {
  return { file, path, ino: fs.statSync(path).ino, touchedMs: Date.now() }
}

function isHeld(lock: Lock): boolean {
  try {
    const found = fs.statSync(lock.path)
    // Inodes are used again.
    return found.ino === lock.ino && found.mtimeMs <= lock.touchedMs + CLOCK_MS
  } catch (_) {
    return false
  }
}

function retryLater(detail: string): Reply {
  const reply = problem('locked', detail)
  reply.headers = { 'Retry-After': '1' }
  return reply
}

function pause(ms: number): Promise<void> {
  return new Promise<void>((resolve) => {
    setTimeout(resolve, ms)
  })
}
