/** Deeper nesting is refused: servers parse by recursion, and nothing real comes near. */
const DEPTH_MAX = 512

/** Keys are looked at whole, up to this many bytes as they are written. */
export const KEY_BYTES_MAX = 256

/** Keys that get an entry. A real request has under 100 at its top. */
export const KEYS_MAX = 512

/** White space between what stands at the top. Of 512 lines that are indented deeply it is an eighth of that. */
export const SPACES_MAX = 131072

/** A number at the top. Those of 64 bits have 20 digits, a double 25 bytes at most. */
export const SCALAR_BYTES_MAX = 256

/** After so many bytes without a bracket or a quote, the next one is searched for natively. */
const QUIET_BYTES = 24

/**
 * Escaped quotes, in all strings together: 5 MB of JSON that is quoted in JSON has fewer. They are found one by
 * one; those with less than a few bytes between them are read byte by byte, which takes as long as two more,
 * and so do eight backslashes in a row.
 */
const ESCAPES_MAX = 700000
const CLOSE_BYTES = 8
const DENSE_BYTES = 24
const SLASHES_SHIFT = 2
const SLASHES = 1 << SLASHES_SHIFT

/**
 * Strings, lists and objects below the top: so many are free, then one for each five bytes, and 800,000 in
 * all. Tools have one in ten bytes, messages of a word or two, the densest that clients send, one in six. What
 * is denser takes ten times the time of text, and so many of them hold a worker for half a second.
 */
export const PARTS_FREE = 4096
const PART_BYTES = 5
const PARTS_MAX = 800000
const PARTS_FAULT = `has too many strings, lists and objects, more than one for each ${PART_BYTES} bytes or ${PARTS_MAX}: send fewer at once`

/** Of two bits that differ, one is left out: `[` and `{` become 91, `]` and `}` 93. */
const BRACE_OR_BRACKET = 223

/** A data URL that is shorter counts as text. */
const DATA_BYTES_MIN = 32

/** A stretch that is read byte by byte up to its bound takes as long as so many parts. */
const QUIET_PARTS = 3

/** No place in a piece. A string that goes on from the piece before has its quote at -1. */
const NOWHERE = -2

/** What stands in front of the data of a data URL: a media type, as long as this at most. */
const TYPE_BYTES_MAX = 256

/** A value that was found. Places are bytes from the start of everything that was fed. */
export type Entry = {
  start: number
  /** Behind the last byte. */
  end: number
  /** What was wanted of the object, where paths into it were. */
  inner: Entries | null
  /** The bytes of the value; null unless it was wanted and kept within the bound. */
  text: string | null
  /** Wanted, and longer than the bound. */
  isTooLong: boolean
}

/** Values by a dot and their key: `.model`. The dot keeps keys such as `__proto__` harmless. */
export type Entries = { [key: string]: Entry }

/**
 * A run over one JSON object that comes in pieces. `end` is the state of an object that was read
 * whole, with nothing behind it but white space; in `broken` the fault says why.
 */
export type Scan = {
  state: State
  entries: Entries
  fault: string
  /** The key that is there twice. */
  twice: string | null
  wanted: string[]
  valueBytesMax: number
  /** Bytes before the piece at hand. */
  offset: number
  /** Strings, lists and objects that may still come. */
  parts: number
  /** Escaped quotes that may still come. */
  escapes: number
  keys: number
  spaces: number
  key: string
  entry: Entry | null
  /** The object inside of which keys are read, below the outermost, and its path. */
  parent: Entry | null
  prefix: string
  /** Closing brackets that are awaited, and how many of them. */
  stack: number[]
  depth: number
  isInString: boolean
  /** The piece before ended behind a backslash that escapes what comes. */
  isEscaped: boolean
  /** Where in the piece at hand the bytes begin that are to be kept; -1 for none. */
  from: number
  /** Those of earlier pieces, copied: nginx uses its buffers again. */
  held: Buffer | null
  /** Where the value begins of a key that ends in `data` or `url`; and whether it is `data` itself. */
  fileAt: number
  isData: boolean
  /** Of the list at hand: its strings, lists and objects; numbers are not counted. */
  items: number
  /**
   * Images, sounds and videos in the value at hand, counted where `hasFiles` is set and all of it is in one piece: keys
   * that end in `_url`, such as `image_url`; and strings that are base64, with their bytes: data URLs under keys that end
   * in `data` or `url` or in the list `images`, and what stands under the key `data`. With a space or an escape in it, it
   * is text. The rest is taken at its word: who hides text there is charged what the server counts, like everybody.
   */
  hasFiles: boolean
  urls: number
  files: number
  fileBytes: number
  /** Where in the piece at hand the next quote, brackets, comma, space and backslash stand; see nextHeard(). */
  next: number[]
}

type State =
  | 'start'
  | 'first'
  | 'key'
  | 'inKey'
  | 'colon'
  | 'value'
  | 'scalar'
  | 'string'
  | 'nested'
  | 'after'
  | 'end'
  | 'broken'

/**
 * Begins to look for values in an object: `usage` at its top, `response/usage` inside the object at
 * `response`. The object that such a path leads through is not kept itself. All keys at the top, and
 * in objects that paths lead through, get an entry with their places, wanted or not; a key that is
 * there twice is a fault. What is nested deeper is skipped, so that JSON.parse never sees the whole: it
 * takes up to 100 times the memory of what it parses, and the njs engine limits it to 32 levels.
 * Between brackets nothing is checked: the server does that.
 *
 * The work is in proportion to the bytes, whatever they are, and the memory does not grow with them, so
 * that no loop over bytes declares a variable in its body: on the njs engine each turn would keep 16 bytes.
 * The rest is speed: brackets are read one by one, and long stretches without any, such as text, base64 or
 * token ids, are crossed by native searches. test/nginx/hostile.test.ts holds it to that.
 *
 * Values up to the given bytes are kept as text; 0 keeps none. Strings, lists and objects are as many as there are,
 * unless boundScan() says otherwise.
 */
export function startScan(wanted: string[], valueBytesMax: number): Scan {
  return {
    state: 'start',
    entries: {},
    fault: '',
    twice: null,
    wanted,
    valueBytesMax,
    offset: 0,
    parts: Infinity,
    escapes: Infinity,
    keys: 0,
    spaces: 0,
    key: '',
    entry: null,
    parent: null,
    prefix: '',
    stack: [],
    depth: 0,
    isInString: false,
    isEscaped: false,
    from: -1,
    held: null,
    fileAt: NOWHERE,
    isData: false,
    items: 0,
    hasFiles: false,
    urls: 0,
    files: 0,
    fileBytes: 0,
    next: [],
  }
}

/** Reads the next piece, which may end anywhere. Memory grows only by what is kept. */
export function feedScan(scan: Scan, piece: Buffer): void {
  let at = 0
  const size = piece.length
  scan.next = [-1, -1, -1, -1, -1, -1, -1, -1]
  if (scan.from >= 0) scan.from = 0
  while (at < size && scan.state !== 'broken') at = step(scan, piece, at)
  if (scan.from >= 0) keep(scan, piece, size)
  scan.offset += size
}

/** Bounds a scan over one piece of so many bytes, as it is due to what callers send. */
export function boundScan(scan: Scan, size: number): void {
  scan.fileAt = NOWHERE
  scan.next = [-1, -1, -1, -1, -1, -1, -1, -1]
  scan.parts = PARTS_FREE + Math.min(Math.floor(size / PART_BYTES), PARTS_MAX)
  scan.escapes = ESCAPES_MAX
  scan.isInString = scan.isEscaped = false
}

/** Goes on from a place in the piece, and returns the next. */
function step(scan: Scan, piece: Buffer, at: number): number {
  if (scan.state === 'nested') return skipNested(scan, piece, at)
  if (scan.state === 'string' || scan.state === 'inKey') {
    const end = endOfString(scan, piece, at)
    if (end < 0) return piece.length
    if (scan.state === 'inKey') endKey(scan, piece, end - 1)
    else endValue(scan, piece, end)
    return end
  }
  if (scan.state === 'scalar') return skipScalar(scan, piece, at)
  const begin = at
  const end = at + SPACES_MAX - scan.spaces
  let byte = piece[at]
  while (at <= end && (byte === 32 || byte === 10 || byte === 13 || byte === 9)) byte = piece[++at]
  scan.spaces += at - begin
  if (scan.spaces > SPACES_MAX) fail(scan, 'has too much white space')
  else if (byte !== undefined) stepStructure(scan, byte, at)
  return at + 1
}

/** Takes a byte that stands between keys and values. */
function stepStructure(scan: Scan, byte: number, at: number): void {
  const state = scan.state
  if (state === 'value') beginValue(scan, byte, at)
  else if (state === 'start' && byte === 123) scan.state = 'first'
  else if (state === 'colon' && byte === 58) scan.state = 'value'
  else if (state === 'after' && byte === 44) scan.state = 'key'
  else if ((state === 'after' || state === 'first') && byte === 125) closeObject(scan, at + 1)
  else if ((state === 'key' || state === 'first') && byte === 34) {
    scan.state = 'inKey'
    scan.from = at + 1
  } else if (state === 'start') fail(scan, 'is not a JSON object')
  else malformed(scan, at)
}

function closeObject(scan: Scan, end: number): void {
  if (scan.parent) {
    scan.parent.end = scan.offset + end
    scan.parent = null
    scan.prefix = ''
    scan.state = 'after'
  } else scan.state = 'end'
}

function endKey(scan: Scan, piece: Buffer, end: number): void {
  const raw = take(scan, piece, end)
  const key = raw === null ? null : raw.includes('\\') ? decodeString('"' + raw + '"') : raw
  if (key === null) {
    if (raw !== null) fail(scan, 'has a key that is no string of JSON')
    return
  }
  scan.key = key
  scan.state = 'colon'
  const isTwice = entriesAt(scan).hasOwnProperty('.' + key)
  if (++scan.keys > KEYS_MAX) fail(scan, 'has more than ' + KEYS_MAX + ' keys')
  if (!isTwice) return
  scan.twice = scan.prefix + key
  fail(scan, 'has the same key twice')
}

function beginValue(scan: Scan, byte: number, at: number): void {
  const path = scan.prefix + scan.key
  const entry: Entry = {
    start: scan.offset + at,
    end: -1,
    inner: null,
    text: null,
    isTooLong: false,
  }
  entriesAt(scan)['.' + scan.key] = entry
  if (byte === 123 && !scan.parent && scan.wanted.find((it) => it.startsWith(path + '/'))) {
    entry.inner = {}
    scan.parent = entry
    scan.prefix = path + '/'
    scan.state = 'first'
    return
  }
  scan.entry = entry
  if (scan.valueBytesMax > 0 && scan.wanted.includes(path)) scan.from = at
  if (byte === 34) scan.state = 'string'
  else if (byte === 123 || byte === 91) {
    scan.state = 'nested'
    scan.stack[0] = byte + 2
    scan.depth = 1
  } else if (isOfScalar(byte)) scan.state = 'scalar'
  else malformed(scan, at)
}

function endValue(scan: Scan, piece: Buffer, end: number): void {
  const entry = scan.entry as Entry
  entry.end = scan.offset + end
  if (scan.from >= 0) entry.text = take(scan, piece, end)
  scan.state = 'after'
}

function skipScalar(scan: Scan, piece: Buffer, at: number): number {
  const most = (scan.entry as Entry).start - scan.offset + SCALAR_BYTES_MAX
  while (at <= most && isOfScalar(piece[at])) at++
  if (at > most) return fail(scan, 'has a number of more than ' + SCALAR_BYTES_MAX + ' bytes')
  // What ends it is looked at next, and no other byte can stand there.
  if (piece[at] !== undefined) endValue(scan, piece, at)
  return at
}

/** Skips a list or an object up to its closing bracket, or to the end of the piece. */
export function skipNested(scan: Scan, piece: Buffer, at: number): number {
  const stack = scan.stack
  let depth = scan.depth
  let parts = scan.parts
  let items = scan.items
  let fileAt = scan.fileAt
  const hasFiles = scan.hasFiles
  let end: number
  let last: number
  if (scan.isInString) {
    at = endOfString(scan, piece, at)
    if (at < 0) return piece.length
    scan.isInString = false
  }
  // Behind the last byte it is undefined, for which no comparison holds.
  let byte = piece[at] as number
  for (;;) {
    if (byte === 34) {
      if (depth === 1) items++
      if (--parts < 0) return fail(scan, PARTS_FAULT)
      end = piece.indexOf(34, at + 1)
      if (piece[end - 1] === 92 || end < 0) {
        end = endOfString(scan, piece, at + 1) - 1
        if (end < 0) {
          scan.isInString = true
          at = piece.length
          break
        }
      }
      if (hasFiles) {
        last = piece[end - 1] as number
        if (
          (last === 108 && end - at > 3) ||
          (last === 97 && end - at > 4) ||
          (end - at > DATA_BYTES_MIN && piece[at + 1] === 100) ||
          at === fileAt
        ) {
          noteString(scan, piece, at, end)
          fileAt = scan.fileAt
        }
      }
      at = end + 1
      byte = piece[at] as number
      // What stands between two strings, nearly always.
      if (byte === 58 || byte === 44) byte = piece[++at] as number
      if (byte === 32) byte = piece[++at] as number
    } else if ((byte & BRACE_OR_BRACKET) === 91) {
      if (--parts < 0) return fail(scan, PARTS_FAULT)
      stack[depth++] = byte + 2
      if (depth === 2) items++
      else if (depth > DEPTH_MAX) return fail(scan, 'has more than ' + DEPTH_MAX + ' levels')
      byte = piece[++at] as number
    } else if ((byte & BRACE_OR_BRACKET) === 93) {
      if (stack[--depth] !== byte) return malformed(scan, at)
      at++
      if (depth === 0) {
        scan.parts = parts
        scan.depth = 0
        scan.items = items
        if (scan.entry) endValue(scan, piece, at)
        return at
      }
      byte = piece[at] as number
      if (byte === 44) byte = piece[++at] as number
    } else {
      end = at + QUIET_BYTES
      do byte = piece[++at] as number
      while (at < end && (byte < 91 ? byte !== 34 : byte > 93 && byte < 123))
      if (byte === undefined) break
      if (at === end) {
        parts -= QUIET_PARTS
        at = nextHeard(scan.next, piece, at)
        byte = piece[at] as number
      }
    }
  }
  scan.depth = depth
  scan.parts = parts
  scan.items = items
  return at
}

/**
 * The place of the next bracket or quote. Where the next of each kind stands is kept in `next`, and looked
 * for again only when it lies behind: so the piece is searched once for each kind, whatever is in it.
 */
function nextHeard(next: number[], piece: Buffer, at: number): number {
  if ((next[0] as number) < at) next[0] = find(piece, 34, at)
  if ((next[1] as number) < at) next[1] = find(piece, 123, at)
  if ((next[2] as number) < at) next[2] = find(piece, 91, at)
  if ((next[3] as number) < at) next[3] = find(piece, 125, at)
  if ((next[4] as number) < at) next[4] = find(piece, 93, at)
  let first = next[0] as number
  if ((next[1] as number) < first) first = next[1] as number
  if ((next[2] as number) < first) first = next[2] as number
  if ((next[3] as number) < first) first = next[3] as number
  return (next[4] as number) < first ? (next[4] as number) : first
}

/** The next place of a byte; the length of the piece when there is none. */
function find(piece: Buffer, byte: number, at: number): number {
  const found = piece.indexOf(byte, at)
  return found < 0 ? piece.length : found
}

/** The place behind the closing quote, from one inside the string; -1 when it is not in the piece. */
export function endOfString(scan: Scan, piece: Buffer, at: number): number {
  let escapes = scan.escapes
  let most: number
  let begin: number
  let quote: number
  let end: number
  let slash: number
  if (scan.isEscaped) {
    scan.isEscaped = false
    at++
  }
  for (;;) {
    // Pairs of backslashes from here on are read forward, those before the quote backward: both are charged.
    begin = at
    most = escapes * SLASHES
    while (piece[at] === 92 && at - begin < most) at += 2
    escapes -= (at - begin) >> SLASHES_SHIFT
    most = escapes * SLASHES
    quote = piece.indexOf(34, at)
    end = quote < 0 ? piece.length : quote
    slash = end
    while (slash > at && piece[slash - 1] === 92 && end - slash < most) slash--
    escapes -= (end - slash) >> SLASHES_SHIFT
    if (escapes <= 0) {
      fail(scan, 'has more than ' + ESCAPES_MAX + ' escapes: send fewer at once')
      return -1
    }
    if (quote < 0) {
      // The last backslash of the piece escapes what comes in the next one.
      scan.isEscaped = (end - slash) % 2 === 1 || at > end
      scan.escapes = escapes
      return -1
    }
    at = quote + 1
    if ((end - slash) % 2 === 0) {
      scan.escapes = escapes
      return at
    }
    escapes--
    // Where escapes stand close together, a search for each of them takes longer than to read on.
    if (quote - begin < CLOSE_BYTES) {
      escapes -= 2
      end = Math.min(at + DENSE_BYTES, piece.length)
      while (at < end) {
        if (piece[at] === 34) {
          scan.escapes = escapes
          return at + 1
        }
        at += piece[at] === 92 ? 2 : 1
      }
    }
  }
}

/** Counts what a string says of files, from its quote to its closing quote. */
export function noteString(scan: Scan, piece: Buffer, open: number, close: number): void {
  const next = scan.next
  // Of white space, what is usual there: one byte in front of a colon, and one behind.
  const colon = piece[close + 1] === 58 ? close + 1 : close + 2
  if (piece[colon] === 58) {
    const isData = piece[close - 1] === 97
    if (!spells(piece, close - (isData ? 4 : 3), isData ? 'data' : 'url')) return
    if (!isData && piece[close - 4] === 95) scan.urls++
    scan.fileAt = piece[colon + 1] === 32 ? colon + 2 : colon + 1
    scan.isData = isData && piece[close - 5] === 34
    return
  }
  if (open !== scan.fileAt && scan.key !== 'images') return
  let from = scan.isData && open === scan.fileAt ? open + 1 : close
  if (piece[open + 1] === 100 && spells(piece, open + 1, 'data:')) {
    if ((next[5] as number) < open) next[5] = find(piece, 44, open)
    const comma = next[5] as number
    if (comma < close && comma - open < TYPE_BYTES_MAX && spells(piece, comma - 7, ';base64')) {
      from = comma + 1
    }
  }
  if (from >= close) return
  if ((next[6] as number) < from) next[6] = find(piece, 32, from)
  if ((next[7] as number) < from) next[7] = find(piece, 92, from)
  if ((next[6] as number) < close || (next[7] as number) < close) return
  scan.files++
  scan.fileBytes += close - from
}

/** Whether letters stand at a place. */
function spells(piece: Buffer, at: number, letters: string): boolean {
  let i = 0
  while (i < letters.length && piece[at + i] === letters.charCodeAt(i)) i++
  return i === letters.length
}

function entriesAt(scan: Scan): Entries {
  return scan.parent ? (scan.parent.inner as Entries) : scan.entries
}

/** Keeps a copy of bytes up to a place, which may go on in the next piece, unless they are too many. */
function keep(scan: Scan, piece: Buffer, end: number): void {
  const part = piece.subarray(scan.from, end)
  const parts = scan.held ? [scan.held, part] : [part]
  const isKey = scan.state === 'inKey'
  const size = part.length + (scan.held ? scan.held.length : 0)
  if (size <= (isKey ? KEY_BYTES_MAX : scan.valueBytesMax)) {
    scan.held = Buffer.concat(parts)
    return
  }
  scan.held = null
  scan.from = -1
  if (isKey) fail(scan, 'has a key of more than ' + KEY_BYTES_MAX + ' bytes')
  else if (scan.entry) scan.entry.isTooLong = true
}

/** What was kept, up to a place in the piece; null when it is too long. */
function take(scan: Scan, piece: Buffer, end: number): string | null {
  keep(scan, piece, end)
  const held = scan.held
  scan.held = null
  scan.from = -1
  return held && held.toString()
}

/** Of a number, or of true, false and null. */
export function isOfScalar(byte: number | undefined): boolean {
  if (byte === undefined) return false
  return (
    (byte > 47 && byte < 58) ||
    (byte > 96 && byte < 123) ||
    byte === 43 ||
    byte === 45 ||
    byte === 46 ||
    byte === 69
  )
}

/**
 * The value of a JSON string with its quotes; null when it is none, and when it is not Unicode: of
 * half a surrogate pair the njs engine makes U+FFFD, as it does of bytes that are not UTF-8.
 */
export function decodeString(text: string): string | null {
  try {
    const value = text.startsWith('"') ? JSON.parse(text) : null
    return encodeURIComponent(value).includes('%EF%BF%BD') ? null : value
  } catch (_) {
    return null
  }
}

function malformed(scan: Scan, at: number): number {
  return fail(scan, 'is not JSON at byte ' + (scan.offset + at))
}

function fail(scan: Scan, fault: string): number {
  scan.state = 'broken'
  scan.fault = fault
  scan.from = -1
  return 0
}
