import { hasOwn } from '../config/interpret.ts'
import { NAMED_MAX } from '../config/schema.ts'

/** Nothing that the admin API takes is deeper than 7; the njs engine parses 31 levels at most. */
const DEPTH_MAX = 16

/** Different names of a body: of as many plans, or groups, or prices as there may be, and of all fields. */
const NAMES_MAX = NAMED_MAX + 1000

/**
 * Names, each times the different ones before it. QuickJS finds a name by a hash that anybody can work out:
 * where all have the same, it compares each with all others, 0.01 us each. 1,000 plans come to 20 million.
 */
const PAIRS_MAX = 50000000

/** The name of a model has 256 characters at most, which are 3,072 bytes where all are escaped. */
const NAME_CHARS_MAX = 4096

/** An object that is open, or a list. */
type Open = { names: { [dotted: string]: true } | null }

/** A look through a text that is under way. */
export type Look = {
  text: string
  at: number
  /** Strings, objects and lists so far, and the most there may be; null: any number, of any length. */
  parts: number
  partsMax: number | null
  open: Open[]
  /** The different names of a body, how many they are, and PAIRS_MAX so far. */
  names: { [dotted: string]: true }
  different: number
  pairs: number
  /** Where a string begins whose end was not reached, or -1. */
  inString: number
  /** The last string, which is a name when a colon follows it; null when that was seen. */
  string: { start: number; end: number } | null
  /** The next places of a quote and of a backslash, when they are not before `at`. */
  quote: number
  slash: number
  /** What is wrong, a sentence without its subject. */
  fault: string | null
  /** The same of a body that is JSON and too much of it. */
  excess: string | null
}

const QUOTE = 34
const COLON = 58
const OPEN_LIST = 91
const CLOSE_LIST = 93
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125

/**
 * Begins to read JSON as strictly as nobody else does: a name that stands twice in an object is a fault, because
 * JSON.parse keeps the last and somebody meant the first, and so is `__proto__`, which has a meaning of
 * its own in many a program that reads the file later. The fault is a sentence without its subject, and
 * so is what is too much of it, which is found before anybody parses it: more strings, objects and lists
 * than `partsMax`, or too many names.
 */
export function startJson(text: string, partsMax: number | null): Look {
  return {
    text,
    at: 0,
    parts: 0,
    partsMax,
    open: [],
    // Not with the prototype of the others: QuickJS lets objects that get the same names one after another
    // share a table, and compares or copies all of it for each of them.
    names: Object.create(null),
    different: 0,
    pairs: 0,
    inString: -1,
    string: null,
    quote: -1,
    slash: -1,
    fault: null,
    excess: null,
  }
}

/** Looks through so many more characters, or somewhat more; false when there is no more to look at. */
export function lookOn(look: Look, count: number): boolean {
  const text = look.text
  const end = Math.min(text.length, look.at + count)
  // A variable, since most characters do nothing but count.
  let at = look.inString < 0 ? look.at : passString(look, look.at, end)
  while (at < end && look.fault === null && look.excess === null) {
    const code = text.charCodeAt(at)
    at++
    if (code === QUOTE) {
      look.inString = at - 1
      at = passString(look, at, end)
    } else if (code === COLON) noteName(look)
    else if (code === OPEN_OBJECT || code === OPEN_LIST) enter(look, code)
    else if (code === CLOSE_OBJECT || code === CLOSE_LIST) leave(look)
  }
  look.at = at
  if (at >= text.length && look.inString >= 0) look.fault = 'is not JSON: a string does not end'
  return at < text.length && look.fault === null && look.excess === null
}

/** The value of a text that was looked through. */
export function endJson(look: Look): { value: unknown } | { fault: string } | { excess: string } {
  if (look.fault !== null) return { fault: look.fault }
  if (look.excess !== null) return { excess: look.excess }
  try {
    return { value: JSON.parse(look.text) }
  } catch (_) {
    return { fault: 'is not JSON' }
  }
}

/** What of it no parser tells; null when there is nothing. Looks at brackets and names only. */
export function findFault(text: string): string | null {
  const look = startJson(text, null)
  lookOn(look, text.length)
  return look.fault
}

function enter(look: Look, code: number): void {
  look.open.push({ names: code === OPEN_OBJECT ? {} : null })
  if (look.open.length > DEPTH_MAX) look.fault = `is nested deeper than ${DEPTH_MAX} levels`
  countPart(look)
}

function leave(look: Look): void {
  if (!look.open.pop()) look.fault = 'is not JSON: a bracket closes nothing'
}

function countPart(look: Look): void {
  look.parts++
  if (look.partsMax === null || look.parts <= look.partsMax) return
  look.excess = `has more than ${look.partsMax} strings, objects and lists`
}

/** Goes on in a string: where to look on, which is behind its end unless `end` comes first. */
function passString(look: Look, from: number, end: number): number {
  let at = from
  while (at < end) {
    if (look.quote < at) look.quote = find(look.text, '"', at)
    if (look.slash < at) look.slash = find(look.text, '\\', at)
    if (look.slash > look.quote) {
      look.string = { start: look.inString, end: look.quote + 1 }
      look.inString = -1
      countPart(look)
      return look.quote + 1
    }
    at = look.quote === look.text.length ? look.quote : look.slash + 2
  }
  return at
}

/** The next place of a character; behind all of the text when there is none. */
function find(text: string, character: string, at: number): number {
  const found = text.indexOf(character, at)
  return found < 0 ? text.length : found
}

/** The last string was a name. The dot keeps names harmless that every object has. */
function noteName(look: Look): void {
  const string = look.string
  const inside = look.open[look.open.length - 1]
  look.string = null
  if (!string || !inside || !inside.names) return
  if (look.partsMax !== null && string.end - string.start > NAME_CHARS_MAX) {
    look.excess = `has a name of more than ${NAME_CHARS_MAX} characters`
    return
  }
  const name = decodeName(look.text.slice(string.start, string.end))
  if (name === null) {
    look.fault = 'is not JSON: a name is broken'
    return
  }
  const dotted = `.${name}`
  if (name === '__proto__') look.fault = 'has the name __proto__, which no field has'
  else if (hasOwn(inside.names, dotted)) {
    look.fault = `has the name ${JSON.stringify(name.slice(0, 64))} twice`
  } else inside.names[dotted] = true
  if (look.partsMax !== null) countName(look, dotted)
}

function countName(look: Look, dotted: string): void {
  look.pairs += look.different
  if (!hasOwn(look.names, dotted)) {
    look.names[dotted] = true
    look.different++
  }
  if (look.different > NAMES_MAX) look.excess = `has more than ${NAMES_MAX} different names`
  else if (look.pairs > PAIRS_MAX) look.excess = 'has too many names that are different'
}

function decodeName(literal: string): string | null {
  if (literal.indexOf('\\') < 0) return literal.slice(1, -1)
  try {
    return JSON.parse(literal)
  } catch (_) {
    return null
  }
}
