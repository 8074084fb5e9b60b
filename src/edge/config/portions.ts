import fs from 'fs'

/** Some of the clients of clients.json. */
export type Portion = {
  /** The document around the clients, with none in it; null but for the first portion. */
  frame: unknown
  clients: { [name: string]: unknown }
  /** Where the next portion begins, in bytes. */
  next: number
  isLast: boolean
}

/**
 * Bytes of one portion, about 200 clients. The tools write one client a line, so that a file with
 * 100,000 of them can be read in portions from any offset on: parsed whole it would block a worker
 * for a quarter of a second, and take 370 MB on the njs engine.
 */
const PORTION_BYTES = 32768

/** The longest line: a client with 1,000 keys has 250 KB. */
const LINE_BYTES_MAX = 1048576

/** The largest file that is read whole, because an editor left it in another layout. */
const WHOLE_BYTES_MAX = 262144

/**
 * What is left of the file when the last clients are read: the closing braces must not come in a
 * portion of their own, since the client before them has no comma at its end.
 */
const TAIL_BYTES = 256

/** The frame before the clients fits in here: it is a version and the address of a schema. */
const HEAD_BYTES = 4096

/** How the tools open the clients: the rest of that line is empty. */
const OPENING = /"clients"\s*:\s*\{[ \t]*\r?\n/

/** Reads the portion that begins at an offset: 0, or `next` of the one before. Throws what is wrong. */
export function readPortion(path: string, offset: number): Portion {
  const size = fs.statSync(path).size
  if (offset > 0) return readLines(path, size, offset, null)
  if (size <= WHOLE_BYTES_MAX) return readWhole(path, size)
  const head = readText(path, 0, HEAD_BYTES)
  const found = OPENING.exec(head)
  const opening = found ? head.slice(0, found.index + found[0].length) : ''
  if (!found || !hasClientInLine(head.slice(opening.length))) {
    throw new Error(
      `The file is large (${size} bytes) and not one client a line: run tollgate check --write`,
    )
  }
  return readLines(path, size, Buffer.byteLength(opening), JSON.parse(`${opening}}}`))
}

/** Whether the first line ends as a client does; one that is longer than the head is taken for one. */
function hasClientInLine(text: string): boolean {
  const end = text.indexOf('\n')
  return end < 0 || /\},?\s*$/.test(text.slice(0, end))
}

function readWhole(path: string, size: number): Portion {
  const frame = JSON.parse(fs.readFileSync(path, 'utf8'))
  const clients = frame && typeof frame.clients === 'object' ? frame.clients : null
  if (clients && !Array.isArray(clients)) frame.clients = {}
  return { frame, clients: clients || {}, next: size, isLast: true }
}

function readLines(path: string, size: number, start: number, frame: unknown): Portion {
  let bytes = PORTION_BYTES
  let text = readText(path, start, Math.min(bytes, size - start))
  let end = text.lastIndexOf('\n')
  while (end < 0 && start + bytes < size && bytes < LINE_BYTES_MAX) {
    bytes = bytes * 4
    text = readText(path, start, Math.min(bytes, size - start))
    end = text.lastIndexOf('\n')
  }
  const isLast = start + bytes + TAIL_BYTES >= size
  if (isLast) text = readText(path, start, size - start)
  if (end < 0 && !isLast) throw new Error(`A client's line is longer than ${LINE_BYTES_MAX} bytes`)
  if (isLast) {
    // The tail closes both objects, and JSON.parse sees to it that it does nothing else.
    const document = JSON.parse(`{"clients":{${text}`) as { clients: Portion['clients'] }
    if (Object.keys(document).length > 1) {
      throw new Error('Nothing may stand behind the clients of a large file: move it before them')
    }
    return { frame, clients: document.clients, next: size, isLast }
  }
  const whole = text.slice(0, end)
  const clients = JSON.parse(`{${whole.slice(0, whole.lastIndexOf(','))}}`)
  return { frame, clients, next: start + Buffer.byteLength(whole) + 1, isLast }
}

/** Reads a piece; a character that is cut at its end stands behind the last whole line. */
function readText(path: string, position: number, length: number): string {
  const file = fs.openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(length)
    const count = fs.readSync(file, buffer, 0, length, position)
    return buffer.slice(0, count).toString('utf8')
  } finally {
    fs.closeSync(file)
  }
}
