import type { KeyRecord, Limited, LimitList } from '../config/record.ts'
import type { CounterKind } from './counters.ts'

/** Letters and names of limits and budgets, by their places in the tables of table.ts, which a test holds them to. */
export const LETTERS = 'qtiofdmDM'
const NAMES = [
  'requestsPerMinute',
  'tokensPerMinute',
  'inputTokensPerMinute',
  'outputTokensPerMinute',
  'concurrency',
  'tokensPerDay',
  'tokensPerMonth',
  'costPerDay',
  'costPerMonth',
]

/** Whose they are, by number. */
export const SUBJECTS: readonly Limited['of'][] = ['client', 'key', 'group']

/** The places that a limit takes in a list. */
export const STRIDE = 4
/** Places in the tables: the last limit, the first budget that is hard, and how far that is from the same one as a soft one. */
export const LAST_LIMIT = 4
export const FIRST_HARD = 9
const TO_HARD = 4

/** The name of a limit by the letter of its counter; undefined of what is none. */
export function fieldOf(letter: string): string | undefined {
  return NAMES[LETTERS.indexOf(letter)]
}

/** The letter of a limit in a list. */
export function letterOf(row: number): CounterKind | 'f' {
  return LETTERS.charAt(row < FIRST_HARD ? row : row - TO_HARD) as CounterKind | 'f'
}

/**
 * Limits and budgets as the gate goes by them, see LimitList. First come those that are asked before the body, of all
 * subjects, then those that need it; budgets that share a counter of what is reserved stand together. With one hard
 * budget all are.
 */
export function flatten(limited: readonly Limited[]): LimitList {
  const first: LimitList = []
  const rest: LimitList = []
  const isHard = limited.some((one) => one.budgets !== undefined && one.budgets.hard === true)
  limited.forEach((one) => {
    NAMES.forEach((name, row) => {
      const isBudget = row > LAST_LIMIT
      const said = (isBudget ? one.budgets : one.limits) as { [name: string]: number } | undefined
      const limit = said && said[name]
      if (limit === undefined) return
      const list = row === 0 || row === LAST_LIMIT ? first : rest
      list.push(isBudget && isHard ? row + TO_HARD : row, one.id, limit, SUBJECTS.indexOf(one.of))
    })
  })
  return first.concat(rest)
}

/** Makes the list of a record that 0.1.0 has written, with limits and budgets by their subjects. */
export function bringUpToDate(record: KeyRecord): void {
  const limited = record.limited as unknown as Limited[] | undefined
  if (limited && typeof limited[0] === 'object') record.limited = flatten(limited)
}

/** Whether its budgets are hard. */
export function hasHard(limited: LimitList): boolean {
  // They stand at the end, and with one all are.
  return limited.length > 0 && (limited[limited.length - STRIDE] as number) >= FIRST_HARD
}

/** Whether one of these letters stands in it. */
export function hasOneOf(limited: LimitList, letters: string): boolean {
  for (let at = 0; at < limited.length; at += STRIDE) {
    if (letters.indexOf(letterOf(limited[at] as number)) >= 0) return true
  }
  return false
}
