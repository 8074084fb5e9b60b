import fs from 'fs'
import { problem } from '../../core/admin/problems.ts'
import type { Reply } from '../../core/admin/types.ts'
import { codeOf } from './files.ts'

/** What a new file may be read by: its owner and the group, which is nginx's. */
const NEW_FILE_MODE = 0o640

/** A file that is going to take the place of another. */
export type Replacement = { file: number; temporary: string; target: string }

/** Replaces a file as a whole: whoever reads it sees the old text or the new one. */
export function replaceText(path: string, text: string): void {
  const replacement = beginReplacement(path)
  try {
    const bytes = Buffer.from(text)
    writeBytes(replacement, bytes, bytes.length)
    endReplacement(replacement)
  } catch (error) {
    dropReplacement(replacement)
    throw error
  }
}

/** Makes the new file beside the old one; no link that stands there can redirect it. */
export function beginReplacement(path: string): Replacement {
  const target = realPathOf(path)
  const cut = target.lastIndexOf('/')
  const temporary = `${target.slice(0, cut)}/.${target.slice(cut + 1)}.${process.pid}.tmp`
  removeSilently(temporary)
  return { file: fs.openSync(temporary, 'wx', modeOf(target)), temporary, target }
}

export function writeBytes(replacement: Replacement, bytes: Buffer, length: number): void {
  let done = 0
  while (done < length) {
    // A full disk takes a part, and throws at the next try.
    done += fs.writeSync(replacement.file, bytes, done, length - done)
  }
}

export function endReplacement(replacement: Replacement): void {
  fs.closeSync(replacement.file)
  replacement.file = -1
  fs.renameSync(replacement.temporary, replacement.target)
}

export function dropReplacement(replacement: Replacement): void {
  if (replacement.file >= 0) fs.closeSync(replacement.file)
  removeSilently(replacement.temporary)
}

/** Why a folder cannot be written into by this worker; null when it can. */
export function whyNotWritable(dir: string): string | null {
  try {
    fs.accessSync(dir, fs.constants.W_OK)
    return null
  } catch (error) {
    return describeReadOnly(dir, codeOf(error))
  }
}

/** The answer to a change that nginx has no right to make; null when the error is another one. */
export function readOnly(path: string, error: unknown): Reply | null {
  const code = codeOf(error)
  if (['EACCES', 'EPERM', 'EROFS'].indexOf(code) < 0) return null
  return problem('read-only', describeReadOnly(path.slice(0, path.lastIndexOf('/')), code))
}

function describeReadOnly(dir: string, code: string): string {
  const why = `nginx's workers cannot write into ${dir} (${code})`
  return `${why}: run tollgate admin enable on the host, or use the command there`
}

function realPathOf(path: string): string {
  try {
    return fs.realpathSync(path)
  } catch (_) {
    return path
  }
}

function modeOf(path: string): number {
  try {
    return fs.statSync(path).mode & 0o777
  } catch (_) {
    return NEW_FILE_MODE
  }
}

function removeSilently(path: string): void {
  try {
    fs.unlinkSync(path)
  } catch (_) {
    // There is none.
  }
}
