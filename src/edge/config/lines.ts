import type { Client } from '../../core/config/shapes.ts'
import { type Book, eachPiece, wrongLayout } from './book.ts'

/** A client's line of a large file, with its place in bytes. */
export type Line = { at: number; end: number; name: string; client: Client }

const LINE_END = 10
const COLON = 58

/** No field that is sought has a longer name. */
const FIELD_BYTES_MAX = 16

/**
 * What is looked for: texts in quotes, as values of some fields, or `true` behind one of these texts. A
 * text stands elsewhere too, `priority` in every line: where it does, the line is not parsed.
 */
export type Sought = { texts: string[]; fields: string[] | 'true' }

/**
 * The lines of a large file that have a client of this name, or something that is sought, at most so
 * many; of the latter those that are wanted.
 */
export async function findLines(
  book: Book,
  name: string | null,
  sought: Sought | null,
  countMax: number,
  isWanted: (line: Line) => boolean,
): Promise<Line[]> {
  const lines: Line[] = []
  const note = (line: Line | null) => {
    if (line && !lines.some((other) => other.at === line.at)) lines.push(line)
  }
  await eachPiece(book, book.start, (piece, at) => {
    if (name !== null) {
      eachHit(piece, name, (hit) => {
        if (!beginsLine(piece, hit)) return hit + 1
        note(lineAt(piece, at, hit))
        return nextLine(piece, hit)
      })
    }
    const texts = sought ? sought.texts : []
    texts.forEach((text) => {
      eachHit(piece, text, (hit, end) => {
        if (lines.length >= countMax) return piece.length
        if (!sought || !isSought(piece, hit, end, sought)) return hit + 1
        const line = lineAt(piece, at, hit)
        if (line && isWanted(line)) note(line)
        return nextLine(piece, hit)
      })
    })
    return lines.length >= countMax
  })
  return lines
}

/** The line around a place of a piece, which begins at `pieceAt`; null when it is none of a client. */
export function lineAt(piece: Buffer, pieceAt: number, place: number): Line | null {
  let start = place
  while (start > 0 && piece[start - 1] !== LINE_END) start--
  const end = piece.indexOf(LINE_END, place) + 1
  const found = parseLine(piece.toString('utf8', start, end))
  return found ? Object.assign({ at: pieceAt + start, end: pieceAt + end }, found) : null
}

/** Where the next line begins. */
export function nextLine(piece: Buffer, place: number): number {
  return piece.indexOf(LINE_END, place) + 1
}

/** Calls with where a text begins and ends, in quotes; what is returned is where to look on. */
function eachHit(piece: Buffer, text: string, act: (hit: number, end: number) => number): void {
  const quoted = JSON.stringify(text)
  const length = Buffer.byteLength(quoted)
  let hit = piece.indexOf(quoted)
  while (hit >= 0) {
    const next = act(hit, hit + length)
    hit = next < piece.length ? piece.indexOf(quoted, next) : -1
  }
}

function beginsLine(piece: Buffer, hit: number): boolean {
  const at = lastBefore(piece, hit)
  return at < 0 || piece[at] === LINE_END
}

function isSought(piece: Buffer, hit: number, end: number, sought: Sought): boolean {
  if (sought.fields === 'true') return /^\s*:\s*true/.test(piece.toString('utf8', end, end + 16))
  const colon = lastBefore(piece, hit)
  if (colon < 0 || piece[colon] !== COLON) return false
  const quote = lastBefore(piece, colon)
  const before = piece.toString('utf8', Math.max(0, quote - FIELD_BYTES_MAX), quote + 1)
  return sought.fields.some((field) => before.endsWith(`"${field}"`))
}

/** The last place before another one where no blank stands; -1 when there is none. */
function lastBefore(piece: Buffer, place: number): number {
  let at = place - 1
  while (at >= 0 && (piece[at] === 32 || piece[at] === 9)) at--
  return at
}

/** Reads a line; null for the brackets behind the last client. */
function parseLine(text: string): { name: string; client: Client } | null {
  const line = text.trim()
  if (line.charAt(0) !== '"') return null
  const parsed = JSON.parse(`{${line.endsWith(',') ? line.slice(0, -1) : line}}`)
  const names = Object.keys(parsed)
  if (names.length !== 1) throw wrongLayout()
  const name = names[0] as string
  return { name, client: parsed[name] }
}
