import fs from 'fs'

/**
 * How records are written in the zone, which outlasts a reload and so an upgrade: another one has them written anew. Until
 * then this version reads those of the one before, and after a rollback that one reads these.
 */
const RECORD_VERSION = 2

/**
 * Times and sizes of both files, and the version of what is made of them: another stamp means that one of them has
 * changed.
 */
export function stampFiles(dir: string): string {
  const files = `${stampFile(`${dir}/policy.json`)} ${stampFile(`${dir}/clients.json`)}`
  return `${files} ${RECORD_VERSION}`
}

function stampFile(path: string): string {
  try {
    const found = fs.statSync(path)
    return `${found.mtimeMs}:${found.size}:${found.ino}`
  } catch (_) {
    return 'none'
  }
}

/** Whether there is such a file or folder. Throws when that cannot be found out. */
export function exists(path: string): boolean {
  try {
    fs.statSync(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** `ENOENT` and the like; empty where there is none. */
export function codeOf(error: unknown): string {
  return (error as { code?: string }).code || ''
}

/** Reads a JSON file whole. Throws when it cannot be read, or is no JSON. */
export function readDocument(path: string): unknown {
  return JSON.parse(fs.readFileSync(path, 'utf8'))
}

/** Writes a file whole or not at all, for readers that may come at any moment. */
export function replaceFile(path: string, text: string): void {
  // nginx runs with a umask of 0.
  fs.writeFileSync(`${path}.new`, text, { mode: 0o640 })
  fs.renameSync(`${path}.new`, path)
}

/** Writes into the room that a file has already: what a full disk still takes. */
export function overwriteFile(path: string, text: string): void {
  const file = fs.openSync(path, 'r+')
  try {
    // JSON may end in white space, and the rest of what stood there must go.
    const rest = fs.fstatSync(file).size - Buffer.byteLength(text)
    fs.writeSync(file, text + ' '.repeat(Math.max(0, rest)))
  } finally {
    fs.closeSync(file)
  }
}
