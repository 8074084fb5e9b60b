import { hasOwn } from '../../core/config/interpret.ts'
import { type Book, eachPiece } from './book.ts'
import { type Line, lineAt, nextLine } from './lines.ts'

/** Clients that are wanted by name, and those with keys that are wanted by id or hash: thousands. */
export type Many = { names: string[]; keys: string[] }

/** Texts as they stand in the file, in quotes: none is a name that every object has. */
type Texts = { [quoted: string]: true }

/** A field, in quotes, and where it stands next in a piece; beyond its end when it does not. */
type Cursor = { field: string; hit: number }

const QUOTE = 34
const KEY_FIELDS = ['"id"', '"sha256"']
const PLAN_FIELDS = ['"plan"']

/**
 * The lines of a large file that are wanted. What findLines() does by looking for each text would take
 * thousands of times as long: here the names, ids and hashes of the file are read out of its bytes, which
 * is possible without parsing it, since quotes inside of strings stand behind backslashes.
 */
export function findMany(book: Book, wanted: Many): Promise<Line[]> {
  return findByTexts(book, textsOf(wanted.names), KEY_FIELDS, textsOf(wanted.keys), Infinity)
}

/** The lines with one of many plans, at most so many. */
export function findPlans(book: Book, plans: string[], countMax: number): Promise<Line[]> {
  return findByTexts(book, textsOf([]), PLAN_FIELDS, textsOf(plans), countMax)
}

async function findByTexts(
  book: Book,
  names: Texts,
  fields: string[],
  values: Texts,
  countMax: number,
): Promise<Line[]> {
  const lines: Line[] = []
  await eachPiece(book, book.start, (piece, at) => {
    const cursors = fields.map((field) => ({ field, hit: nextHit(piece, field, 0) }))
    for (let place = 0; place < piece.length; place = nextLine(piece, place)) {
      const isNamed = hasOwn(names, textBehind(piece, place))
      const end = nextLine(piece, place)
      // Each line is parsed once, however many of its keys are wanted.
      if (!isNamed && !cursors.some((one) => hasValue(piece, one, values, place, end))) continue
      const line = lineAt(piece, at, place)
      if (line) lines.push(line)
      if (lines.length >= countMax) return true
    }
    return false
  })
  return lines
}

/** Whether a field has one of some values in a line. The cursor goes on from wherever it was left. */
function hasValue(
  piece: Buffer,
  cursor: Cursor,
  values: Texts,
  place: number,
  end: number,
): boolean {
  if (cursor.hit < place) cursor.hit = nextHit(piece, cursor.field, place)
  while (cursor.hit < end) {
    const behind = cursor.hit + cursor.field.length
    cursor.hit = nextHit(piece, cursor.field, behind)
    if (hasOwn(values, textBehind(piece, behind))) return true
  }
  return false
}

function nextHit(piece: Buffer, field: string, from: number): number {
  const hit = piece.indexOf(field, from)
  return hit < 0 ? piece.length : hit
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
