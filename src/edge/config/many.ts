import { hasOwn } from '../../core/config/interpret.ts'
import { type Book, eachPiece } from './book.ts'
import { type Line, lineAt, nextLine } from './lines.ts'

/** Clients that are wanted by name, and those with keys that are wanted by id or hash: thousands. */
export type Many = { names: string[]; keys: string[] }

/** Texts as they stand in the file, in quotes: none is a name that every object has. */
type Texts = { [quoted: string]: true }

/** The lines that were found, and where they begin. */
type Found = { lines: Line[]; places: { [at: string]: true } }

const QUOTE = 34
const KEY_FIELDS = ['"id"', '"sha256"']

/**
 * The lines of a large file that are wanted. What findLines() does by looking for each text would take
 * thousands of times as long: here the names, ids and hashes of the file are read out of its bytes, which
 * is possible without parsing it, since quotes inside of strings stand behind backslashes.
 */
export async function findMany(book: Book, wanted: Many): Promise<Line[]> {
  const names = textsOf(wanted.names)
  const keys = textsOf(wanted.keys)
  const found: Found = { lines: [], places: {} }
  await eachPiece(book, book.start, (piece, at) => {
    for (let place = 0; place < piece.length; place = nextLine(piece, place)) {
      if (hasOwn(names, textBehind(piece, place))) note(found, lineAt(piece, at, place))
    }
    KEY_FIELDS.forEach((field) => {
      let hit = piece.indexOf(field)
      while (hit >= 0) {
        const behind = hit + field.length
        if (hasOwn(keys, textBehind(piece, behind))) note(found, lineAt(piece, at, hit))
        hit = piece.indexOf(field, behind)
      }
    })
    return false
  })
  return found.lines
}

function note(found: Found, line: Line | null): void {
  if (!line || found.places[line.at]) return
  found.places[line.at] = true
  found.lines.push(line)
}

function textsOf(texts: string[]): Texts {
  const quoted: Texts = {}
  texts.forEach((text) => {
    quoted[JSON.stringify(text)] = true
  })
  return quoted
}

/** The next text in quotes, with them. */
function textBehind(piece: Buffer, place: number): string {
  const start = piece.indexOf(QUOTE, place)
  const end = start < 0 ? -1 : piece.indexOf(QUOTE, start + 1)
  return end < 0 ? '' : piece.toString('utf8', start, end + 1)
}
