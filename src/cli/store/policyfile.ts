import { applyEdits, type ModificationOptions, modify } from 'jsonc-parser'
import { isObject } from '../../core/config/interpret.ts'
import type { Policy } from '../../core/config/shapes.ts'

const FORMAT: ModificationOptions = {
  formattingOptions: { insertSpaces: true, tabSize: 2, eol: '\n' },
}

/**
 * The text of policy.json with one part of it changed: a plan, or the tokens of the admin API. People
 * write this file, so all else stays as it is, and in a list also what has not changed of it.
 */
export function changePolicy(
  text: string | null,
  before: Policy,
  after: Policy,
  place: string[],
): string {
  if (text === null) return `${JSON.stringify(after, null, 2)}\n`
  const [old, wanted] = [getAt(before, place), getAt(after, place)]
  if (!Array.isArray(old) || !Array.isArray(wanted) || wanted.length < old.length) {
    return change(text, place, wanted)
  }
  return wanted.reduce<string>((changed, entry: unknown, at) => {
    if (entry === old[at]) return changed
    if (at >= old.length) return change(changed, [...place, at], entry, true)
    return changeFields(changed, [...place, at], old[at], entry)
  }, text)
}

function changeFields(text: string, place: (string | number)[], old: unknown, wanted: unknown) {
  if (!isObject(old) || !isObject(wanted)) return change(text, place, wanted)
  const names = [...new Set([...Object.keys(old), ...Object.keys(wanted)])]
  return names
    .filter((name) => old[name] !== wanted[name])
    .reduce((changed, name) => change(changed, [...place, name], wanted[name]), text)
}

function change(
  text: string,
  place: (string | number)[],
  value: unknown,
  isArrayInsertion = false,
) {
  return applyEdits(text, modify(text, place, value, { ...FORMAT, isArrayInsertion }))
}

function getAt(value: unknown, place: string[]): unknown {
  return place.reduce((found, name) => (isObject(found) ? found[name] : undefined), value)
}
