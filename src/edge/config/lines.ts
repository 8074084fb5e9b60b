import type { Client } from '../../core/config/shapes.ts'
import { type Book, eachPiece, wrongLayout } from './book.ts'

/** A client's line of a large file, with its place in bytes. */
export type Line = { at: number; end: number; name: string; client: Client }

const LINE_END = 10

/**
 * The lines of a large file that have a client of this name, or hold one of these texts in quotes, at
 * most so many; of the latter those that are wanted.
 */
export async function findLines(
  book: Book,
  name: string | null,
  texts: string[],
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
        if (beginsLine(piece, hit)) note(lineAt(piece, at, hit))
      })
    }
    texts.forEach((text) => {
      eachHit(piece, text, (hit) => {
        if (lines.length >= countMax) return
        const line = lineAt(piece, at, hit)
        if (line && isWanted(line)) note(line)
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

function eachHit(piece: Buffer, text: string, act: (hit: number) => void): void {
  const quoted = JSON.stringify(text)
  let hit = piece.indexOf(quoted)
  while (hit >= 0) {
    act(hit)
    hit = piece.indexOf(quoted, hit + 1)
  }
}

function beginsLine(piece: Buffer, hit: number): boolean {
  let at = hit - 1
  while (at >= 0 && (piece[at] === 32 || piece[at] === 9)) at--
  return at < 0 || piece[at] === LINE_END
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
