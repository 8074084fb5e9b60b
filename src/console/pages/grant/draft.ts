import { SCOPES } from '../../../core/config/schema.ts'
import type { Limits, Scope } from '../../../core/config/shapes.ts'
import { BUDGETS, type BudgetName, LIMITS } from '../../../core/limits/table.ts'
import { readAmount } from '../../amount.ts'
import type { MergePatch } from '../../api/calls.ts'

/** What kind of value stands at a path of a client, a plan or a key. */
export type Kind = 'text' | 'count' | 'amount' | 'integer' | 'list' | 'scopes' | 'flag' | 'choice'

const ofLimits = Object.fromEntries(
  LIMITS.map(({ name }) => [`limits.${name}`, 'count'] as const),
) as { [path in `limits.${keyof Limits}`]: 'count' }
const ofBudgets = Object.fromEntries(
  BUDGETS.map(({ name, unit }) => [
    `budgets.${name}`,
    unit === 'cost' ? ('amount' as const) : ('count' as const),
  ]),
) as { [path in `budgets.${BudgetName}`]: 'count' | 'amount' }

/** Every field that the forms have, by its path; plans and keys have a part of them. */
export const KINDS = {
  plan: 'choice',
  group: 'text',
  note: 'text',
  models: 'list',
  addresses: 'list',
  scopes: 'scopes',
  ...ofLimits,
  ...ofBudgets,
  'budgets.hard': 'flag',
  'request.maxOutputTokens': 'count',
  'request.maxInputTokens': 'count',
  'request.n': 'count',
  'request.bestOf': 'count',
  'request.topLogprobs': 'count',
  'request.promptLogprobs': 'count',
  'request.inputs': 'count',
  'request.excess': 'choice',
  'request.allow': 'list',
  priority: 'integer',
  cacheSalt: 'flag',
  shadow: 'flag',
} as const satisfies { [path: string]: Kind }

export type Path = keyof typeof KINDS

/** The form as it is typed: one text for each path; empty is "not said here". */
export type Draft = { [path in Path]: string }

export const PATHS = Object.keys(KINDS) as Path[]

/** What is typed where something is edited; without it, where something new is made. */
export function draftOf(subject: object = {}): Draft {
  return Object.fromEntries(PATHS.map((path) => [path, textOf(valueAt(subject, path))])) as Draft
}

/** What stands at a path of a client, a plan or a key. */
export function valueAt(subject: object | undefined, path: Path): unknown {
  let value: unknown = subject
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[name]
  return value
}

/** How a value is typed. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return Array.isArray(value) ? value.join('\n') : String(value)
}

/** The paths that were changed in the form. */
export function changedPaths(base: Draft, draft: Draft): Path[] {
  return PATHS.filter((path) => draft[path] !== base[path])
}

/** The paths whose text means nothing. */
export function wrongPaths(draft: Draft): Path[] {
  return PATHS.filter((path) => read(path, draft[path]) === undefined)
}

/**
 * The merge patch for what was changed: null takes a field away, so that the plan holds again. From the
 * draft of nothing to another it has the fields of something new.
 */
export function patchOf(base: Draft, draft: Draft): MergePatch {
  const patch: MergePatch = {}
  for (const path of changedPaths(base, draft)) {
    const [name = '', inner] = path.split('.')
    const value = read(path, draft[path]) ?? null
    if (inner === undefined) patch[name] = value
    else patch[name] = { ...(patch[name] as object | undefined), [inner]: value }
  }
  return patch
}

/**
 * Brings a form that somebody is filling in onto what was changed meanwhile: what was typed
 * stays, all else is as it is now.
 */
export function rebase(base: Draft, draft: Draft, now: Draft): Draft {
  const moved = { ...now }
  for (const path of changedPaths(base, draft)) moved[path] = draft[path]
  return moved
}

/** The value of a text; null when it is empty, undefined when it means nothing. */
function read(path: Path, text: string): unknown {
  const plain = text.trim()
  if (plain === '') return null
  switch (KINDS[path]) {
    case 'count':
    case 'amount': {
      const amount = readAmount(plain, KINDS[path] === 'count')
      return 'value' in amount ? amount.value : undefined
    }
    case 'integer':
      return /^-?\d{1,7}$/.test(plain) ? Number(plain) : undefined
    case 'flag':
      return plain === 'true'
    case 'scopes':
      return linesOf(plain).filter((scope) => SCOPES.includes(scope)) as Scope[]
    case 'list':
      return linesOf(plain)
    default:
      return plain
  }
}

/** Entries of a list: one a line, or with commas between them. */
function linesOf(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter(Boolean)
}
