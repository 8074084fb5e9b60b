import { NAME_PATTERN } from '../../core/config/schema.ts'
import { type Directive, splitDirectives } from './words.ts'

const REMAKE = 'make a key for each caller with: tollgate key create CLIENT'
const REPLACE = 'make another one with: tollgate key create CLIENT'

/** One key of the hand-written recipe. The key is a secret: it goes into no message. */
export type MapEntry = { line: number; key: string; identity: string }

/** One thing that cannot be imported as it stands: the line, whom it concerns, and the fix. */
export type MapProblem = { line: number; identity: string | null; message: string }

/** The walk over one file. */
type Reading = {
  entries: MapEntry[]
  problems: MapProblem[]
  /** Where each key was seen first; the names have a = before them, for keys like `__proto__`. */
  seen: { [key: string]: MapEntry }
  namePattern: RegExp
  /** Headers whose value is `Bearer <key>`, unlike those that hold the bare key. */
  hasScheme: boolean
}

/**
 * Reads the nginx map of the hand-written recipe: whole `map $http_authorization $api_client { … }`
 * blocks, or the lines inside one, `"Bearer <key>" "<identity>";`. Every line ends up as an entry or
 * as a problem, except the empty default, which is what the gate does anyway.
 */
export function parseMapFile(text: string): { entries: MapEntry[]; problems: MapProblem[] } {
  const reading: Reading = {
    entries: [],
    problems: [],
    seen: {},
    namePattern: new RegExp(NAME_PATTERN),
    hasScheme: true,
  }
  const directives = splitDirectives(text)
  // Depth inside a block that is no map; -1 inside a map; 0 at the top.
  let depth = 0
  directives.forEach((directive) => {
    depth = depth > 0 ? skipForeign(reading, directive, depth) : step(reading, directive, depth)
  })
  const last = directives[directives.length - 1]
  if (depth !== 0 && last && last.end !== 'broken') {
    refuse(reading, last.line, null, 'The } at the end of the block is missing')
  }
  return { entries: reading.entries, problems: reading.problems }
}

/** A name that a client may have, made of an identity that may not be one: `My App` -> `My-App`. */
export function suggestName(identity: string): string {
  const name = identity
    .replace(/[^A-Za-z0-9._@:+-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .replace(/-+$/, '')
  return name === '' ? 'app' : name.slice(0, 128)
}

function step(reading: Reading, directive: Directive, depth: number): number {
  switch (directive.end) {
    case 'broken':
      refuse(reading, directive.line, null, `${directive.problem}; nothing after it was read`)
      return depth
    case 'open':
      if (depth === 0 && isMap(directive)) {
        reading.hasScheme = wordAt(directive, 1) === '$http_authorization'
        return -1
      }
      refuse(reading, directive.line, null, 'Not a map of API keys; import that map alone')
      return depth < 0 ? depth - 1 : 1
    case 'close':
      if (depth === 0) refuse(reading, directive.line, null, 'Unexpected }; remove it')
      reading.hasScheme = true
      return depth < 0 ? depth + 1 : 0
    case 'simple':
      readEntry(reading, directive)
      return depth
  }
}

/** Whether a block maps a header that holds an API key, and so can be read. */
function isMap(directive: Directive): boolean {
  if (directive.words.length !== 3 || wordAt(directive, 0) !== 'map') return false
  switch (wordAt(directive, 1)) {
    case '$http_authorization':
    case '$http_x_api_key':
    case '$http_api_key':
      return true
    default:
      return false
  }
}

function skipForeign(reading: Reading, directive: Directive, depth: number): number {
  if (directive.end === 'broken') return step(reading, directive, depth)
  if (directive.end === 'open') return depth + 1
  return directive.end === 'close' ? depth - 1 : depth
}

function readEntry(reading: Reading, directive: Directive): void {
  const line = directive.line
  const source = directive.words[0]
  if (!source) return
  // Special in quotes too: nginx wants \default for a value of that name.
  if (isSpecial(source.text)) {
    readSpecial(reading, directive, source.text)
    return
  }
  if (directive.words.length !== 2) {
    const found = directive.words.length
    // Two lines that became one have four words; which of them is a key is anybody's guess.
    refuse(reading, line, null, `Expected "Bearer <key>" "<identity>"; but found ${found} words`)
    return
  }
  readKey(reading, line, source.text, wordAt(directive, 1))
}

function isSpecial(text: string): boolean {
  return text === 'default' || text === 'hostnames' || text === 'volatile' || text === 'include'
}

function readSpecial(reading: Reading, directive: Directive, word: string): void {
  const line = directive.line
  if (word === 'default') {
    if (directive.words.length === 2 && wordAt(directive, 1) === '') return
    refuse(
      reading,
      line,
      null,
      'The default lets in callers without a key; remove it and make a key for each of them',
    )
  } else if (word === 'include') {
    refuse(reading, line, null, 'Included files are not read; import that file by itself')
  } else {
    refuse(reading, line, null, `The option ${word} has no meaning for keys; remove the line`)
  }
}

function readKey(reading: Reading, line: number, source: string, identity: string): void {
  // In a map, quotes do not make a pattern plain, and a \ before the value is dropped.
  if (source.charAt(0) === '~') {
    refuseEntry(reading, line, source, identity, `A pattern cannot be imported; ${REMAKE}`)
    return
  }
  const value = source.charAt(0) === '\\' ? source.slice(1) : source
  const key = reading.hasScheme ? stripScheme(value) : value.trim()
  const problem = key === null ? explainScheme(identity) : explainKey(key)
  if (key === null || problem !== null) {
    refuseEntry(reading, line, value, identity, problem || '')
    return
  }
  const invalid = explainIdentity(reading, key, identity)
  if (invalid !== null) refuseEntry(reading, line, key, identity, invalid)
  else addEntry(reading, { line, key, identity })
}

/** The key after `Bearer`, as the gate reads it: any case, any amount of space. */
function stripScheme(value: string): string | null {
  const text = value.trim()
  if (text.slice(0, 6).toLowerCase() !== 'bearer') return null
  const rest = text.slice(6)
  return rest === '' || rest.charCodeAt(0) <= 32 ? rest.trim() : null
}

function explainScheme(identity: string): string {
  return stripScheme(identity) === null
    ? 'The first word does not begin with "Bearer "; write "Bearer <key>" "<identity>";'
    : 'The two words look swapped; write "Bearer <key>" "<identity>";'
}

/** What no caller can send as a key, as the gate reads it; null when the key is fine. */
function explainKey(key: string): string | null {
  if (key === '') return 'The key is empty; remove the line'
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i)
    if (code < 32 || code === 127) return `The key holds a control character; ${REPLACE}`
  }
  if (key.indexOf(',') >= 0) {
    return `The key holds a comma, where nginx joins headers; ${REPLACE}`
  }
  return null
}

function explainIdentity(reading: Reading, key: string, identity: string): string | null {
  if (identity === '') {
    return 'The identity is empty, so this key is refused; remove the line, unknown keys are too'
  }
  if (identity.indexOf(key) >= 0) return 'The identity holds the key itself; name the client'
  if (identity.indexOf('$') >= 0) return 'The identity holds a variable; write the name out'
  if (reading.namePattern.test(identity)) return null
  return `The identity is no valid client name; write ${suggestName(identity)}`
}

function addEntry(reading: Reading, entry: MapEntry): void {
  const first = reading.seen[`=${entry.key}`]
  if (!first) {
    reading.seen[`=${entry.key}`] = entry
    reading.entries.push(entry)
  } else if (first.identity !== entry.identity) {
    const whose = `line ${first.line} gives it to ${first.identity}`
    refuse(reading, entry.line, entry.identity, `The same key twice: ${whose}; remove one`)
  } else {
    // Twice the same: the import counts it as one that is there already.
    reading.entries.push(entry)
  }
}

/** Names the identity, unless what stands in its place may be a key. */
function refuseEntry(
  reading: Reading,
  line: number,
  key: string,
  identity: string,
  message: string,
): void {
  const isUnsafe = identity === '' || identity.indexOf(key) >= 0 || stripScheme(identity) !== null
  refuse(reading, line, isUnsafe ? null : identity.slice(0, 128), message)
}

function refuse(reading: Reading, line: number, identity: string | null, message: string): void {
  reading.problems.push({ line, identity, message })
}

function wordAt(directive: Directive, index: number): string {
  const word = directive.words[index]
  return word ? word.text : ''
}
