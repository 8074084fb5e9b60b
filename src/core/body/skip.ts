import type { Skip } from './scan.ts'
import { skipSpaces } from './splice.ts'

/** A shorter body is scanned as quickly as it is parsed. */
const BODY_BYTES_MIN = 4096

/**
 * Lets a scan jump over large values: they end where the next key begins, which JSON.parse of the whole
 * tells, and which JSON.parse of what stands between proves. Two parses of 400 KB take 1.5 ms on QuickJS,
 * and the scan of code, with its many quotes, 10 ms. Not for the njs engine, where what was parsed stays
 * in memory as long as the request runs. Null where the scan has to do, or to find what is wrong.
 */
export function startSkip(body: Buffer): Skip | null {
  if (body.length < BODY_BYTES_MIN) return null
  const whole = parse(body, 0, body.length)
  if (!whole) return null
  const keys = Object.keys(whole)
  return (key, at) => {
    if (body.length - at < BODY_BYTES_MIN || !keys.includes(key)) return null
    const next = keys[keys.indexOf(key) + 1]
    const end = next === undefined ? endOfLast(body, at) : endBefore(body, at, next)
    return end < 0 ? null : { end, items: countItems(whole[key]), parsed: whole[key] }
  }
}

/** The end of the last value: what stands before the last brace. */
function endOfLast(body: Buffer, at: number): number {
  const end = trimBack(body, body.lastIndexOf(125))
  return parse(body, at, end) ? end : -1
}

/** The end of a value that this key follows. The same key may stand inside of it, or behind: what is
 * cut there is no JSON, and is scanned then. */
function endBefore(body: Buffer, at: number, next: string): number {
  const quoted = `"${next}"`
  // As a rule little stands behind a large value, and a search takes 4 ms a megabyte.
  const end = endAtKey(body, at, body.lastIndexOf(quoted), quoted)
  return end < 0 ? endAtKey(body, at, body.indexOf(quoted, at), quoted) : end
}

/** The end of the value, if it is the key that stands at the place; else -1. */
function endAtKey(body: Buffer, at: number, place: number, quoted: string): number {
  if (place <= at) return -1
  const comma = trimBack(body, place)
  const isKey = body[skipSpaces(body, place + quoted.length)] === 58 && body[comma - 1] === 44
  const end = isKey ? trimBack(body, comma - 1) : -1
  return end > at && parse(body, at, end) ? end : -1
}

/** Behind the last byte before a place that is no white space. */
function trimBack(body: Buffer, place: number): number {
  let end = place
  let byte = body[end - 1]
  while (byte === 32 || byte === 9 || byte === 10 || byte === 13) byte = body[--end - 1]
  return end
}

/** An object or a list; null where the bytes are none. */
function parse(body: Buffer, start: number, end: number): { [key: string]: unknown } | null {
  try {
    const value = JSON.parse(body.toString('utf8', start, end))
    return typeof value === 'object' ? value : null
  } catch (_) {
    return null
  }
}

/** As a scan counts: without numbers. */
function countItems(value: unknown): number {
  return Array.isArray(value) ? value.filter((item) => typeof item !== 'number').length : 0
}
