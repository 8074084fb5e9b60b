import { constants, type Stats } from 'node:fs'
import { lstat, open, readlink, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { Refused } from '../output.ts'

/*
 * Files in folders that others may write, such as nginx's workers after `tollgate admin enable`. Root
 * works on them, and whoever has taken over a worker can plant a link there: to a file that root would
 * overwrite, give away or read in the worker's place. So no link is followed that somebody else than
 * the caller and root could have made; everything else is done by the handle of an open file.
 */

/** As many links as Linux follows in one path. */
const LINKS_MAX = 40

/** Not to wait for the other end of a pipe that somebody has put there. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Who may write into a folder beside the caller and root, as a phrase; null when nobody may. */
export function describeOthers(folder: Stats): string | null {
  const caller = process.getuid?.() ?? 0
  if (folder.uid !== 0 && folder.uid !== caller) return `it belongs to user ${folder.uid}`
  if (folder.mode & constants.S_IWOTH) return 'everybody may write into it'
  if (folder.mode & constants.S_IWGRP) return `its group ${folder.gid} may write into it`
  return null
}

/**
 * The path without links in it. Refuses a link in a folder that others may write, or could when it was
 * made. What is not there yet stays as it is named.
 */
export async function resolveTrusted(path: string): Promise<string> {
  const names = split(resolve(path))
  let at = '/'
  let links = 0
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    // No link is in `at`, so that its parent is what it says.
    if (name === '..') at = dirname(at)
    if (name === '.' || name === '..') continue
    const next = join(at, name)
    const found = await findKind(next)
    if (!found?.isSymbolicLink()) {
      at = next
      continue
    }
    const target = await readlink(next)
    const others = describeOthers(await stat(at)) ?? describeMaker(found)
    if (others !== null) throw new Refused(describeLink(next, target, at, others))
    if (++links > LINKS_MAX) throw new Refused(`Too many links in ${path}`)
    if (isAbsolute(target)) at = '/'
    names.unshift(...split(target))
  }
  return at
}

/** What stands at a path, a link being a link; null when nothing does. */
export function findKind(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
}

/** The text of a file, without following a link that others may have planted; null when there is none. */
export async function readTrusted(path: string): Promise<string | null> {
  const file = await resolveTrusted(path)
  const handle = await open(file, READ_FLAGS).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    // It has become a link since it was looked at.
    if (error.code === 'ELOOP') throw new Refused(`Will not follow the link ${file}: try again`)
    throw error
  })
  if (handle === null) return null
  try {
    requireFile(file, await handle.stat())
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** Refuses pipes, devices and folders where a file is meant. */
export function requireFile(path: string, found: Stats): void {
  if (!found.isFile()) throw new Refused(`${path} is no file: look who has put it there, remove it`)
}

/** Who made a link, when that is neither root nor the caller: the folder may have been closed since. */
function describeMaker({ uid }: Stats): string | null {
  return uid === 0 || uid === process.getuid?.() ? null : `the link belongs to user ${uid}`
}

function describeLink(link: string, target: string, folder: string, others: string): string {
  return (
    `Will not follow the link ${link} to ${target}: others could have planted it in ${folder}, since ` +
    `${others}. Put a file in its place, or close the folder`
  )
}

function split(path: string): string[] {
  return path.split(sep).filter((name) => name !== '')
}
