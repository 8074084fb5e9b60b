import { skipSpaces } from './splice.ts'

/** Pieces looked for in one value; what comes behind them counts as text. */
const PIECES_MAX = 512

/** Images, sounds and videos in a value of JSON, and how many of its bytes are base64. */
export type Media = { count: number; base64Bytes: number }

type Search = { pieces: number; keys: number; base64: number; bytes: number }

/**
 * Finds media by native searches: data URLs, base64 under the key `data`, and keys such as `image_url`.
 * Base64 with a space in it is text. The rest is taken at its word: who hides text there is charged
 * what the server counts, like everybody.
 */
export function findMedia(value: Buffer): Media {
  const search: Search = { pieces: 0, keys: 0, base64: 0, bytes: 0 }
  searchFor(';base64,', value, search)
  return { count: Math.max(search.keys, search.base64), base64Bytes: search.bytes }
}

/**
 * Looks for one mark, and for the next kinds only between its finds: the search for a mark takes
 * 2.3 ms a megabyte, the one for a closing quote 0.3.
 */
function searchFor(mark: string, value: Buffer, search: Search): void {
  const next = mark === ';base64,' ? '"data":' : mark === '"data":' ? '_url":' : ''
  let from = 0
  let at = value.indexOf(mark)
  while (at >= 0 && search.pieces++ < PIECES_MAX) {
    if (next !== '') searchFor(next, value.subarray(from, at), search)
    else search.keys++
    from = at + mark.length
    let isOther = next === ''
    if (mark === '"data":') {
      from = skipSpaces(value, from) + 1
      isOther = value[from - 1] !== 34
    }
    const end = isOther ? -1 : value.indexOf(34, from)
    if (end > from && value.subarray(from, end).indexOf(32) < 0) {
      search.base64++
      search.bytes += end - from
      from = end
    }
    at = value.indexOf(mark, from)
  }
  if (next !== '') searchFor(next, value.subarray(from), search)
}
