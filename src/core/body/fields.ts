import {
  boundScan,
  decodeString,
  endOfString,
  isOfScalar,
  KEY_BYTES_MAX,
  KEYS_MAX,
  noteString,
  SCALAR_BYTES_MAX,
  type Scan,
  SPACES_MAX,
  skipNested,
  startScan,
} from './scan.ts'

/*
 * Reads an object that is there whole, one field after the other, by the rules of scan.ts, which reads what comes in
 * pieces. What was read last stands in variables of this module: objects of it would take more than the reading.
 */

/** A value: its first byte, the one behind its last, and how many strings, lists and objects it is a list of. */
export type Place = { start: number; end: number; items: number }

/** Places by a dot and the name. The dot keeps names such as `__proto__` harmless. */
export type Places = { [name: string]: Place | undefined }

/** The field at hand: its name, and the same behind a dot; and its value, when that was read. */
export let name = ''
let dotted = ''
export let place: Place = { start: 0, end: 0, items: 0 }
/** All that were read. */
export let places: Places = {}
/** Why the object cannot be read, and the name that stands in it twice. */
export let fault = ''
export let twice: string | null = null

/** In the place of bytes that are not needed any more: a context stays, and may not keep a body. */
const GONE = {} as Buffer

let body = GONE
let size = 0
let at = 0
let isFirst = true
let hasFiles = false
let keys = 0
let spaces = 0
/** What stands in front of the names of an object that is inside another. */
let path = ''
/** By what strings, lists and objects are skipped; what it has counted in the value that was read last. */
export let scan: Scan | null = null

/** Begins with the bytes of an object. */
export function openFields(bytes: Buffer): void {
  body = bytes
  size = bytes.length
  scan = scan || startScan([], 0)
  scan.fault = ''
  boundScan(scan, size)
  places = {}
  fault = path = ''
  twice = null
  keys = spaces = at = 0
  isFirst = true
  if (nextByte() !== 123) fail(at < size ? 'is not a JSON object' : 'ends too early')
  at++
}

/** Goes on to the next name, whose value has to be read then. False: the object is at its end, or has a fault. */
export function nextName(): boolean {
  if (fault !== '') return false
  let byte = body[at] as number
  // Calls are dear, and white space is rare.
  if (!(byte > 32)) byte = nextByte()
  if (byte === 44 && !isFirst) {
    byte = body[++at] as number
    if (!(byte > 32)) byte = nextByte()
  } else if (byte === 125) {
    at++
    // Behind the outermost there may be white space, and nothing else.
    if (path === '' && nextByte() >= 0) malformed()
    return false
  } else if (!isFirst) return malformed()
  isFirst = false
  if (byte !== 34) return malformed()
  const open = at + 1
  let close = body.indexOf(34, open)
  if (close >= 0 ? body[close - 1] === 92 : size - open <= KEY_BYTES_MAX) close = closeOf(at)
  if ((close < 0 ? size : close) - open > KEY_BYTES_MAX)
    return fail(`has a key of more than ${KEY_BYTES_MAX} bytes`)
  if (close < 0) return false
  if (path !== '' && hasFiles) noteString(scan as Scan, body, at, close)
  const written = body.toString('utf8', open, close)
  const read = written.indexOf('\\') < 0 ? written : decodeString(`"${written}"`)
  if (read === null) return fail('has a key that is no string of JSON')
  name = read
  dotted = '.' + read
  if (places[dotted]) {
    twice = path + name
    return fail('has the same key twice')
  }
  if (++keys > KEYS_MAX) return fail(`has more than ${KEYS_MAX} keys`)
  at = close + 1
  byte = body[at] as number
  if ((byte > 32 ? byte : nextByte()) !== 58) return malformed()
  byte = body[++at] as number
  if (!(byte > 32)) nextByte()
  return fault === ''
}

/** Whether the value of the name at hand is an object. */
export function isObject(): boolean {
  return body[at] === 123
}

/** Reads the value of the name at hand; `isWatched`: images and sounds are counted in it. False: it has a fault. */
export function readValue(isWatched: boolean): boolean {
  beginValue(isWatched)
  return skipValue()
}

/** The same of an object, whose fields are told. What stands twice in there is a fault too. */
export function readInside(isWatched: boolean): Places {
  beginValue(isWatched)
  const outer = { name, dotted, places, start: at }
  path = name + '/'
  places = {}
  at++
  isFirst = true
  while (nextName()) skipValue()
  const inner = places
  name = outer.name
  dotted = outer.dotted
  places = outer.places
  path = ''
  isFirst = false
  place = { start: outer.start, end: at, items: 0 }
  places[dotted] = place
  return inner
}

function beginValue(isWatched: boolean): void {
  const counting = scan as Scan
  counting.urls = counting.files = counting.fileBytes = 0
  hasFiles = isWatched
}

function skipValue(): boolean {
  const skipping = scan as Scan
  const start = at
  const byte = body[at]
  skipping.items = 0
  skipping.key = name
  if (byte === 34) {
    let close = body.indexOf(34, at + 1)
    if (close < 0 || body[close - 1] === 92) close = closeOf(at)
    if (close < 0) return false
    if (hasFiles) noteString(skipping, body, at, close)
    at = close + 1
  } else if (byte === 123 || byte === 91) {
    skipping.hasFiles = hasFiles
    skipping.stack[0] = byte + 2
    skipping.depth = 1
    at = skipNested(skipping, body, at + 1)
    if (skipping.depth > 0) return fail(skipping.fault)
  } else {
    const most = at + SCALAR_BYTES_MAX
    while (at <= most && isOfScalar(body[at])) at++
    if (at > most) return fail(`has a number of more than ${SCALAR_BYTES_MAX} bytes`)
    if (at === start || at === size) return malformed()
  }
  place = { start, end: at, items: skipping.items }
  places[dotted] = place
  return true
}

/** Lets go of the bytes. */
export function closeFields(): void {
  body = GONE
}

/** The place of the quote that closes the string whose quote stands at a place, escapes or not; -1: there is none. */
function closeOf(open: number): number {
  const close = endOfString(scan as Scan, body, open + 1) - 1
  if (close >= 0) return close
  fail((scan as Scan).fault)
  return -1
}

/** The next byte that is no white space; at the end it is undefined, for which no comparison holds. */
function nextByte(): number {
  let byte = body[at] as number
  const begin = at
  const most = at + SPACES_MAX - spaces
  while (at <= most && (byte === 32 || byte === 10 || byte === 13 || byte === 9))
    byte = body[++at] as number
  spaces += at - begin
  if (spaces <= SPACES_MAX) return byte
  fail('has too much white space')
  return Number.NaN
}

function malformed(): false {
  return fail(at < size ? `is not JSON at byte ${at}` : '')
}

/** The first fault stands. Without words the object is not whole. */
function fail(why: string): false {
  if (fault === '') fault = why || 'ends too early'
  return false
}
