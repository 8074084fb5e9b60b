import { skipSpaces } from './splice.ts'

/** Pieces looked for in one value; what comes behind them counts as text. */
const PIECES_MAX = 512

/** Values looked at in what was parsed; more are left to the search. */
const VALUES_MAX = 20000

/** How a string of JSON begins that is a data URL, and a key `data`. */
const DATA = '"data'
const MARK = ';base64,'

/** What stands in front of the mark of a data URL: a media type. */
const TYPE_MAX = 256

/** Images, sounds and videos in a value of JSON, and how many of its bytes are base64. */
export type Media = { count: number; base64Bytes: number }

/**
 * Finds media by native searches: data URLs, base64 under the key `data`, and keys such as `image_url`.
 * Base64 with a space in it is text. The rest is taken at its word: who hides text there is charged
 * what the server counts, like everybody. A search takes 4 ms a megabyte, the one for a closing quote
 * 0.3, so that the second one skips what the first has found.
 */
export function findMedia(value: Buffer): Media {
  const media: Media = { count: 0, base64Bytes: 0 }
  let urls = 0
  let from = 0
  let left = PIECES_MAX
  const countUrls = (part: Buffer) => {
    let at = part.indexOf('_url":')
    for (; at >= 0 && left-- > 0; at = part.indexOf('_url":', at + 1)) urls++
  }
  let at = value.indexOf(DATA)
  for (; at >= 0 && left-- > 0; at = value.indexOf(DATA, from)) {
    countUrls(value.subarray(from, at))
    from = at + DATA.length
    const start = value[at - 1] === 92 ? -1 : startOfBase64(value, from)
    const end = start < 0 ? -1 : value.indexOf(34, start)
    if (end > start && value.subarray(start, end).indexOf(32) < 0) {
      media.count++
      media.base64Bytes += end - start
      from = end
    }
  }
  countUrls(value.subarray(from))
  media.count = Math.max(urls, media.count)
  return media
}

/** Where base64 begins behind DATA; -1 where there is none. */
function startOfBase64(value: Buffer, at: number): number {
  if (value[at] === 58) {
    const head = value.subarray(at, at + TYPE_MAX)
    const mark = head.indexOf(MARK)
    return mark < 0 || head.subarray(0, mark).indexOf(34) >= 0 ? -1 : at + mark + MARK.length
  }
  const colon = value[at] === 34 ? skipSpaces(value, at + 1) : 0
  const quote = value[colon] === 58 ? skipSpaces(value, colon + 1) : 0
  if (value[quote] !== 34) return -1
  const isUrl = value.subarray(quote, quote + DATA.length).indexOf(DATA) === 0
  return Math.max(quote + 1, isUrl ? startOfBase64(value, quote + DATA.length) : 0)
}

/**
 * What findMedia() finds, in a value that was parsed anyway: 0.1 ms instead of 3 for 400 KB of text.
 * Null where there is too much to look at.
 */
export function countMedia(value: unknown): Media | null {
  const media: Media = { count: 0, base64Bytes: 0 }
  let urls = 0
  let left = VALUES_MAX
  const waiting: unknown[] = [value]
  while (waiting.length > 0) {
    const one = waiting.pop() as { [key: string]: unknown }
    const names = Object.keys(one)
    left -= names.length
    if (left < 0) return null
    names.forEach((name) => {
      const inner = one[name]
      if (name.endsWith('_url')) urls++
      if (typeof inner === 'string') addBase64(media, name, inner)
      else if (inner && typeof inner === 'object') waiting.push(inner)
    })
  }
  media.count = Math.max(urls, media.count)
  return media
}

function addBase64(media: Media, name: string, text: string): void {
  const mark = text.startsWith('data:') ? text.slice(0, TYPE_MAX).indexOf(MARK) : -1
  const from = mark >= 0 ? mark + MARK.length : name === 'data' ? 0 : -1
  if (from < 0 || from >= text.length || text.indexOf(' ', from) >= 0) return
  media.count++
  media.base64Bytes += text.length - from
}
