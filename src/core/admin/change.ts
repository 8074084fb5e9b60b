import { isObject } from '../config/interpret.ts'
import { setNamed } from '../config/replace.ts'
import { KEPT } from './present.ts'
import type { Change } from './types.ts'

/** Larger than this a change is told without its values, since a line of the log is read as a whole. */
const CHANGE_CHARS_MAX = 65536

/** What stands there instead. */
export const TOO_LARGE = '(too large)'

type Fields = { [name: string]: unknown }

/**
 * What the audit log says of a change: the fields that differ, before and after; null where there was
 * or is nothing. Hashes and secrets are taken out here, whatever is handed over.
 */
export function describeChange(
  action: string,
  target: string,
  before: unknown,
  after: unknown,
): Change {
  const was = clean(before)
  const is = clean(after)
  const change: Change = { action, target, before: was, after: is }
  if (isObject(was) && isObject(is)) {
    change.before = pickOthers(was, is)
    change.after = pickOthers(is, was)
  }
  const size = JSON.stringify(change).length
  return size <= CHANGE_CHARS_MAX ? change : { action, target, before: TOO_LARGE, after: TOO_LARGE }
}

function pickOthers(from: Fields, other: Fields): Fields {
  const picked: Fields = {}
  Object.keys(from).forEach((name) => {
    if (JSON.stringify(from[name]) !== JSON.stringify(other[name])) picked[name] = from[name]
  })
  return picked
}

function clean(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return value.map(clean)
  if (!isObject(value)) return value
  const cleaned: Fields = {}
  Object.keys(value).forEach((name) => {
    if (name === 'sha256' || name === 'admins') return
    setNamed(cleaned, name, name === 'cacheSaltSecret' ? KEPT : clean(value[name]))
  })
  return cleaned
}
