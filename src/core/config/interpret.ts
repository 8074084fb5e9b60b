import { parseTime } from '../time.ts'
import { formatPath, type Segment } from './path.ts'
import {
  HASH_PATTERN,
  KEY_ID_PATTERN,
  NAME_PATTERN,
  type Schema,
  URL_PATTERN,
  ZONE_PATTERN,
} from './schema.ts'
import type { Problem } from './shapes.ts'
import { closest, type Effort } from './suggest.ts'

/** More problems than these are only counted. */
const PROBLEMS_MAX = 50

/** Characters of a name that are told: a name may be as long as a file. */
const NAME_CHARS_TOLD = 256

/** A time with all its digits has 35. */
const TIME_CHARS_MAX = 64

/** For names that may have been meant, of all problems of a walk: some tens of milliseconds. */
const EFFORT = 300000

/**
 * One walk over a document. The place is a stack that is written out only for a problem, and each
 * regular expression is compiled once: 100,000 clients are walked inside nginx.
 */
export type Run = {
  problems: Problem[]
  /** Problems beyond the first fifty. */
  omitted: number
  place: Segment[]
  patterns: { [source: string]: RegExp }
  effort: Effort
}

/** Begins a walk at the root of a document. */
export function startRun(): Run {
  return { problems: [], omitted: 0, place: [], patterns: {}, effort: { left: EFFORT } }
}

/** Notes a problem at the place where the walk stands. */
export function report(run: Run, message: string): void {
  if (isFull(run)) run.omitted++
  else run.problems.push({ path: formatPath(run.place.map(shorten)), message })
}

/** Whether a problem would only be counted: then nobody reads a message that takes long to make. */
export function isFull(run: Run): boolean {
  return run.problems.length >= PROBLEMS_MAX
}

function shorten(segment: Segment): Segment {
  if (typeof segment === 'number' || segment.length <= NAME_CHARS_TOLD) return segment
  return `${segment.slice(0, NAME_CHARS_TOLD)}...`
}

/** Ends a walk: says how many problems were not listed. */
export function finishRun(run: Run): void {
  if (run.omitted === 0) return
  run.problems.push({ path: '', message: `${run.omitted} more problems are not listed` })
  run.omitted = 0
}

/** Whether a JSON value is an object, and neither an array nor null. */
export function isObject(value: unknown): value is { [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether an object has a field itself: a client may be called "constructor". */
export function hasOwn(object: object, name: string): boolean {
  return Object.prototype.hasOwnProperty.call(object, name)
}

/** Walks a value by its schema, the subset of schema.ts, and reports what does not fit. */
export function interpret(run: Run, schema: Schema, value: unknown): void {
  if (schema.const !== undefined && value !== schema.const) {
    report(run, `Must be ${JSON.stringify(schema.const)}`)
  } else if (schema.type !== undefined && !hasType(schema.type, value)) {
    report(run, `Must be ${nameTypes(schema.type)}, not ${nameType(value)}`)
  } else if (typeof value === 'string') {
    interpretString(run, schema, value)
  } else if (typeof value === 'number') {
    interpretNumber(run, schema, value)
  } else if (Array.isArray(value)) {
    interpretArray(run, schema, value)
  } else if (isObject(value)) {
    interpretObject(run, schema, value)
  }
}

/** Reports a name that does not match, where the walk stands. */
export function interpretName(run: Run, pattern: string, name: string): void {
  if (!matches(run, pattern, name)) report(run, `Not a valid name: ${describePattern(pattern)}`)
}

/** What is said of a field that the schema does not know. */
export function describeUnknownField(name: string, schema: Schema, effort?: Effort): string {
  const known = Object.keys(schema.properties || {})
  const meant = closest(name, known, effort)
  return meant === null
    ? `Unknown field; known are ${known.join(', ')}`
    : `Unknown field; did you mean ${meant}?`
}

function interpretObject(run: Run, schema: Schema, value: { [name: string]: unknown }): void {
  const properties = schema.properties
  const rest = schema.additionalProperties
  const required = schema.required
  if (required) {
    for (let i = 0; i < required.length; i++) {
      const name = required[i] || ''
      if (!hasOwn(value, name)) report(run, `The field ${name} is missing`)
    }
  }
  const names = Object.keys(value)
  if (isAbove(run, schema.maxProperties, names.length)) return
  for (let i = 0; i < names.length; i++) {
    const name = names[i] || ''
    const child = properties && hasOwn(properties, name) ? properties[name] : rest
    run.place.push(name)
    if (schema.propertyNames) interpretName(run, schema.propertyNames.pattern, name)
    if (child === false) reportUnknownField(run, name, schema)
    else if (child) interpret(run, child, value[name])
    run.place.pop()
  }
}

function reportUnknownField(run: Run, name: string, schema: Schema): void {
  report(run, isFull(run) ? '' : describeUnknownField(name, schema, run.effort))
}

/** Whether there are too many entries, which is reported: then none of them is looked at. */
function isAbove(run: Run, most: number | undefined, count: number): boolean {
  if (most === undefined || count <= most) return false
  report(run, `Must have at most ${most} entries, not ${count}`)
  return true
}

function interpretArray(run: Run, schema: Schema, value: unknown[]): void {
  if (isAbove(run, schema.maxItems, value.length) || !schema.items) return
  for (let i = 0; i < value.length; i++) {
    run.place.push(i)
    interpret(run, schema.items, value[i])
    run.place.pop()
  }
}

/** No message repeats a string: somebody may have pasted a key into the wrong field. */
function interpretString(run: Run, schema: Schema, value: string): void {
  if (schema.enum && schema.enum.indexOf(value) < 0) {
    report(run, isFull(run) ? '' : describeEnum(value, schema.enum, run.effort))
  }
  const lengthMax = schema.maxLength
  if (lengthMax !== undefined && isLonger(value, lengthMax)) {
    report(run, `Must have at most ${lengthMax} characters`)
    return
  }
  if (schema.pattern !== undefined && !matches(run, schema.pattern, value)) {
    report(run, describePattern(schema.pattern))
  }
  if (
    schema.format === 'date-time' &&
    (value.length > TIME_CHARS_MAX || parseTime(value) === null)
  ) {
    report(run, 'Must be a date and time such as 2026-11-23T09:00:00Z')
  }
}

function describeEnum(value: string, known: string[], effort: Effort): string {
  const meant = closest(value, known, effort)
  return `Must be one of ${known.join(', ')}${meant === null ? '' : `; did you mean ${meant}?`}`
}

function interpretNumber(run: Run, schema: Schema, value: number): void {
  if (schema.minimum !== undefined && value < schema.minimum) {
    report(run, `Must be at least ${schema.minimum}, not ${value}`)
  }
  if (schema.maximum !== undefined && value > schema.maximum) {
    report(run, `Must be at most ${schema.maximum}, not ${value}`)
  }
}

function matches(run: Run, source: string, text: string): boolean {
  let pattern = run.patterns[source]
  if (!pattern) {
    pattern = new RegExp(source)
    run.patterns[source] = pattern
  }
  return pattern.test(text)
}

function describePattern(source: string): string {
  switch (source) {
    case NAME_PATTERN:
      return 'Must be 1 to 128 letters, digits and . _ @ : + -, a letter or digit first'
    case KEY_ID_PATTERN:
      return 'Must be 8 characters of a-z and 0-9'
    case HASH_PATTERN:
      return 'Must be 64 hexadecimal digits in lower case, the SHA-256 of the key'
    case URL_PATTERN:
      return 'Must be where callers reach the gate, such as https://llm.example.com or http://10.0.0.7:8001/llm: no user, no query, no fragment, and no /v1 at the end'
    case ZONE_PATTERN:
      return 'Must be a fixed offset from UTC such as +08:00 or -03:30, from -12:00 to +14:00 in quarter hours, or Z; for a name such as Asia/Taipei write its offset, +08:00'
    default:
      return `Must match ${source}`
  }
}

function hasType(type: string | string[], value: unknown): boolean {
  if (typeof type === 'string') return isOfType(type, value)
  for (let i = 0; i < type.length; i++) if (isOfType(type[i] || '', value)) return true
  return false
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value)
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}

function nameTypes(type: string | string[]): string {
  if (typeof type === 'string') return withArticle(type)
  return type.map(withArticle).join(' or ')
}

function nameType(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : withArticle(typeof value)
}

function withArticle(type: string): string {
  if (type === 'null') return type
  return type[0] === 'i' || type[0] === 'o' || type[0] === 'a' ? `an ${type}` : `a ${type}`
}

/** JSON Schema counts characters; the length of a string is UTF-16 units on most engines, two at most. */
function isLonger(text: string, lengthMax: number): boolean {
  if (text.length <= lengthMax) return false
  return text.length > 2 * lengthMax || countCodePoints(text) > lengthMax
}

function countCodePoints(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0xdc00 || code > 0xdfff) count++
  }
  return count
}
