import { hasOwn } from '../config/interpret.ts'

/** Nothing that the admin API takes is deeper than 7; the njs engine parses 31 levels at most. */
const DEPTH_MAX = 16

/** The names of an object that is open, null for a list. */
type Open = { names: { [dotted: string]: true } } | null

/**
 * Reads JSON as strictly as nobody else does: a name that stands twice in an object is a fault, because
 * JSON.parse keeps the last and somebody meant the first, and so is `__proto__`, which has a meaning of
 * its own in many a program that reads the file later. The fault is a sentence without its subject.
 */
export function readJson(text: string): { value: unknown } | { fault: string } {
  const fault = findFault(text)
  if (fault !== null) return { fault }
  try {
    return { value: JSON.parse(text) }
  } catch (_) {
    return { fault: 'is not JSON' }
  }
}

/** What of it no parser tells; null when there is nothing. Looks at brackets and names only. */
export function findFault(text: string): string | null {
  const open: Open[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '"': {
        const end = endOfString(text, at)
        if (end < 0) return 'is not JSON: a string does not end'
        const inside = open[open.length - 1]
        const fault = isName && inside ? noteName(inside.names, text.slice(at, end)) : null
        if (fault !== null) return fault
        isName = false
        at = end - 1
        break
      }
      case '{':
      case '[':
        isName = text.charAt(at) === '{'
        open.push(isName ? { names: {} } : null)
        if (open.length > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`
        break
      case '}':
      case ']':
        open.pop()
        isName = false
        break
      case ',':
        isName = !!open[open.length - 1]
    }
  }
  return null
}

/** Where a string ends that begins at a place; -1 when it does not. */
function endOfString(text: string, at: number): number {
  let end = text.indexOf('"', at + 1)
  while (end > 0) {
    let slash = end
    while (text.charAt(slash - 1) === '\\') slash--
    if ((end - slash) % 2 === 0) return end + 1
    end = text.indexOf('"', end + 1)
  }
  return -1
}

/** The dot keeps names harmless that every object has. */
function noteName(names: { [dotted: string]: true }, literal: string): string | null {
  let name = literal.slice(1, -1)
  try {
    if (name.indexOf('\\') >= 0) name = JSON.parse(literal)
  } catch (_) {
    return 'is not JSON: a name is broken'
  }
  if (name === '__proto__') return 'has the name __proto__, which no field has'
  const dotted = `.${name}`
  if (hasOwn(names, dotted)) return `has the name ${JSON.stringify(name.slice(0, 64))} twice`
  names[dotted] = true
  return null
}
