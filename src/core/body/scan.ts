/** Deeper nesting is refused: servers parse by recursion, and nothing real comes near. */
const DEPTH_MAX = 512

/** Keys are looked at whole, up to this many bytes as they are written. */
const KEY_BYTES_MAX = 256

/** A value that was found. Places are bytes from the start of everything that was fed. */
export type Entry = {
  start: number
  /** Behind the last byte. */
  end: number
  /** Of a list: its strings, lists and objects; numbers are not counted. */
  items: number
  /** What was wanted of the object, where paths into it were. */
  inner: Entries | null
  /** The value, where it was parsed on the way. */
  parsed?: unknown
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
  /** What is left of the bound on work. */
  steps: number
  /** Bytes before the piece at hand. */
  offset: number
  key: string
  entry: Entry | null
  /** The object inside of which keys are read, below the outermost, and its path. */
  parent: Entry | null
  prefix: string
  /** Set by who has the whole in one piece, and knows better. */
  skip: Skip | null
  /** Closing brackets that are awaited. */
  stack: number[]
  isInString: boolean
  /** The piece before ended behind a backslash that escapes what comes. */
  isEscaped: boolean
  /** Where in the piece at hand the bytes begin that are to be kept; -1 for none. */
  from: number
  /** Those of earlier pieces, copied: nginx uses its buffers again. */
  held: Buffer | null
}

/**
 * Where the large list or object ends that begins at a place, under a key at the top, how many items it
 * has as Entry counts them, and what it is; null where that is not known.
 */
export type Skip = (key: string, at: number) => Skipped | null

export type Skipped = { end: number; items: number; parsed: unknown }

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
 * there twice is a fault. What is nested deeper is skipped from bracket to bracket by native searches,
 * so that JSON.parse, which the njs engine limits to 32 levels, never sees the whole. The cost is that
 * of brackets, quotes and escaped quotes (0.2 to 0.5 us each), not of bytes. Between brackets nothing
 * is checked: the server does that.
 *
 * Values up to the given bytes are kept as text; 0 keeps none. Steps bound the work over hostile
 * bodies: one for every bracket, quote and escaped quote, and every byte between the values at the top.
 */
export function startScan(wanted: string[], valueBytesMax: number, stepsMax: number): Scan {
  return {
    state: 'start',
    entries: {},
    fault: '',
    twice: null,
    wanted,
    valueBytesMax,
    steps: stepsMax,
    offset: 0,
    key: '',
    entry: null,
    parent: null,
    prefix: '',
    skip: null,
    stack: [],
    isInString: false,
    isEscaped: false,
    from: -1,
    held: null,
  }
}

/** Reads the next piece, which may end anywhere. Memory grows only by what is kept. */
export function feedScan(scan: Scan, piece: Buffer): void {
  let at = 0
  if (scan.from >= 0) scan.from = 0
  while (at < piece.length && scan.state !== 'broken') at = step(scan, piece, at)
  if (scan.from >= 0) keep(scan, piece, piece.length)
  scan.offset += piece.length
}

/** Goes on from a place in the piece, and returns the next. */
function step(scan: Scan, piece: Buffer, at: number): number {
  if (scan.state === 'nested') return skipNested(scan, piece, at)
  if (scan.state === 'string' || scan.state === 'inKey') {
    const end = endOfString(scan, piece, at)
    if (end < 0) return piece.length
    if (scan.state === 'string') endValue(scan, piece, end)
    else endKey(scan, piece, end - 1)
    return end
  }
  const byte = piece[at] as number
  if (--scan.steps < 0) return fail(scan, 'is too complex')
  const isSpace = byte === 32 || byte === 10 || byte === 13 || byte === 9
  if (scan.state === 'scalar') {
    if (isSpace || byte === 44 || byte === 125) endValue(scan, piece, at)
    else if (!isOfScalar(byte)) malformed(scan, at)
  } else if (!isSpace) stepStructure(scan, byte, at)
  // What stepStructure() has begun, which the type does not know.
  const isNested = (scan.state as State) === 'nested'
  const found = isNested && !scan.parent && scan.skip ? scan.skip(scan.key, at) : null
  if (!found) return at + 1
  const entry = scan.entry as Entry
  entry.items = found.items
  entry.parsed = found.parsed
  endValue(scan, piece, found.end)
  return found.end
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
  } else malformed(scan, at)
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
    fail(scan, 'has a key that is too long or broken')
    return
  }
  scan.key = key
  scan.state = 'colon'
  if (!entriesAt(scan).hasOwnProperty('.' + key)) return
  scan.twice = scan.prefix + key
  fail(scan, 'has the same key twice')
}

function beginValue(scan: Scan, byte: number, at: number): void {
  const path = scan.prefix + scan.key
  const start = scan.offset + at
  const entry: Entry = { start, end: -1, items: 0, inner: null, text: null, isTooLong: false }
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
    scan.stack = [byte + 2]
  } else if (isOfScalar(byte)) scan.state = 'scalar'
  else malformed(scan, at)
}

function endValue(scan: Scan, piece: Buffer, end: number): void {
  const entry = scan.entry as Entry
  entry.end = scan.offset + end
  if (scan.from >= 0) entry.text = take(scan, piece, end)
  // The byte that ends a number may also end the object.
  const byte = scan.state === 'scalar' ? (piece[end] as number) : 32
  scan.state = 'after'
  if (byte === 44 || byte === 125) stepStructure(scan, byte, end)
}

/** Skips a list or an object up to its closing bracket, or to the end of the piece. */
function skipNested(scan: Scan, piece: Buffer, at: number): number {
  const size = piece.length
  const stack = scan.stack
  const entry = scan.entry as Entry
  // The next of each kind from here on, looked for again only when the place is behind it.
  let quote = -1
  let brace = -1
  let bracket = -1
  let braceEnd = -1
  let bracketEnd = -1
  for (;;) {
    if (scan.isInString) {
      at = endOfString(scan, piece, at)
      if (at < 0) return size
      scan.isInString = false
    }
    if (quote < at) quote = find(piece, 34, at)
    if (brace < at) brace = find(piece, 123, at)
    if (bracket < at) bracket = find(piece, 91, at)
    if (braceEnd < at) braceEnd = find(piece, 125, at)
    if (bracketEnd < at) bracketEnd = find(piece, 93, at)
    const open = brace < bracket ? brace : bracket
    const close = braceEnd < bracketEnd ? braceEnd : bracketEnd
    const next = quote < open ? (quote < close ? quote : close) : open < close ? open : close
    if (next === size) return size
    if (--scan.steps < 0) return fail(scan, 'is too complex')
    at = next + 1
    if (next === close) {
      if (stack.pop() !== piece[next]) return malformed(scan, next)
      if (stack.length === 0) {
        endValue(scan, piece, at)
        return at
      }
    } else {
      if (stack.length === 1) entry.items++
      if (next === quote) scan.isInString = true
      else if (stack.length === DEPTH_MAX) return fail(scan, 'is nested too deeply')
      else stack.push((piece[next] as number) + 2)
    }
  }
}

/** The next place of a byte; the length of the piece when there is none. */
function find(piece: Buffer, byte: number, at: number): number {
  const found = piece.indexOf(byte, at)
  return found < 0 ? piece.length : found
}

/** The place behind the closing quote, from one inside the string; -1 when it is not in the piece. */
function endOfString(scan: Scan, piece: Buffer, at: number): number {
  if (scan.isEscaped) {
    scan.isEscaped = false
    at++
  }
  let steps = scan.steps
  let quote = piece.indexOf(34, at)
  while (quote > at && piece[quote - 1] === 92 && steps > 0) {
    const slashes = slashesBefore(piece, quote, at)
    steps -= 1 + (slashes >> 3)
    if (slashes % 2 === 0) break
    quote = piece.indexOf(34, quote + 1)
  }
  scan.steps = steps - 1
  if (steps <= 0) {
    fail(scan, 'is too complex')
    return -1
  }
  if (quote >= 0) return quote + 1
  scan.isEscaped = slashesBefore(piece, piece.length, at) % 2 === 1
  return -1
}

/** How many backslashes stand right before a place, back to the given one. */
function slashesBefore(piece: Buffer, end: number, at: number): number {
  let slash = end
  while (slash > at && piece[slash - 1] === 92) slash--
  return end - slash
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
  if (isKey) fail(scan, 'has a key that is too long or broken')
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
function isOfScalar(byte: number): boolean {
  return (
    (byte > 47 && byte < 58) || (byte > 96 && byte < 123) || (byte > 42 && byte < 47) || byte === 69
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
