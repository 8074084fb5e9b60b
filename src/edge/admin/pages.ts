import { fitsQuery, type PageQuery } from '../../core/admin/pages.ts'
import type { Client } from '../../core/config/shapes.ts'
import { type Book, eachPiece } from '../config/book.ts'
import { findLines, lineAt, nextLine } from '../config/lines.ts'

/** Some clients in the order of the file; `next` is the last one looked at when there may be more. */
export type Page = { clients: { name: string; client: Client }[]; next: string | null }

/** A page that is being filled; `next` is set when it is complete before the file ends. */
type Filling = { page: Page; query: PageQuery; parsed: number; bytes: number }

/**
 * Clients that are parsed for one page of a large file, and their bytes, since one with 1,000 keys has
 * 250 KB: who looks for more asks for the next page.
 */
const PARSED_MAX = 5000
const BYTES_MAX = 4194304

/** Null when there is no client behind which the page is to begin. */
export function readPage(book: Book, query: PageQuery): Promise<Page | null> {
  return book.isWhole ? Promise.resolve(pageOfWhole(book, query)) : pageOfLines(book, query)
}

function pageOfWhole(book: Book, query: PageQuery): Page | null {
  const names = Object.keys(book.document.clients)
  const first = query.after === null ? 0 : names.indexOf(query.after) + 1
  if (query.after !== null && first === 0) return null
  const filling = begin(query)
  names.slice(first).some((name) => isFilled(filling, name, book.document.clients[name] as Client))
  return filling.page
}

async function pageOfLines(book: Book, query: PageQuery): Promise<Page | null> {
  let from = book.start
  if (query.after !== null) {
    const found = await findLines(book, query.after, null, 1, () => true)
    if (!found[0]) return null
    from = found[0].end
  }
  // An object, since on the njs engine a function inside an async one cannot set its variables.
  const filling = begin(query)
  await eachPiece(book, from, (piece, at) => {
    const q = query.q
    if (q !== '' && piece.toString('utf8').toLowerCase().indexOf(q) < 0) return false
    for (let place = 0; place < piece.length; place = nextLine(piece, place)) {
      const line = lineAt(piece, at, place)
      if (!line) continue
      if (isFilled(filling, line.name, line.client)) return true
      filling.parsed++
      filling.bytes += line.end - line.at
      if (filling.parsed < PARSED_MAX && filling.bytes < BYTES_MAX) continue
      filling.page.next = line.name
      return true
    }
    return false
  })
  return filling.page
}

function begin(query: PageQuery): Filling {
  return { page: { clients: [], next: null }, query, parsed: 0, bytes: 0 }
}

/** Puts a client that fits onto the page; whether it found the page full. */
function isFilled(filling: Filling, name: string, client: Client): boolean {
  const page = filling.page
  if (!fitsQuery(filling.query.q, name, client)) return false
  if (page.clients.length < filling.query.limit) {
    page.clients.push({ name, client })
    return false
  }
  page.next = (page.clients[page.clients.length - 1] as { name: string }).name
  return true
}
