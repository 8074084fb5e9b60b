import type { Sums } from './types.ts'

/*
 * Adds to sums where they stand, in the JSON of zones: to parse and to write it anew is most of what a line
 * of the ledger takes where each is another client's. What is not of the usual form is left to that.
 */

/** The day and the month that run, and what stands before their sums in the JSON of a balance that has no others. */
export type Running = { day: number; month: number; beforeDay: string; beforeMonth: string }

/** A balance with what was added, as JSON, and its sums of the day and month. */
export type Added = { text: string; day: Sums; month: Sums }

const BEFORE_ALL = '{"all":['
const END = ']}}'

export function runningOf(day: number, month: number): Running {
  return {
    day,
    month,
    beforeDay: `],"days":{"${day}":[`,
    beforeMonth: `]},"months":{"${month}":[`,
  }
}

/** The balance of a subject that had used nothing; null where a sum is no number of JSON. */
export function newBalance(used: Sums, running: Running): Added | null {
  return formatBalance(used, used, used, running)
}

/** Adds to a balance that has sums of the day and month that run, and no others; null where it has not. */
export function addToBalance(text: string, used: Sums, running: Running): Added | null {
  const endOfAll = text.indexOf(running.beforeDay)
  const endOfDay = text.indexOf(running.beforeMonth, endOfAll)
  if (endOfAll < 0 || endOfDay < 0 || !text.endsWith(END)) return null
  const all = plus(text.slice(BEFORE_ALL.length, endOfAll), used)
  const day = plus(text.slice(endOfAll + running.beforeDay.length, endOfDay), used)
  const month = plus(text.slice(endOfDay + running.beforeMonth.length, -END.length), used)
  return all && day && month && formatBalance(all, day, month, running)
}

function formatBalance(all: Sums, day: Sums, month: Sums, running: Running): Added | null {
  // JSON has no Infinity, which a server can bring about.
  if (!(all[0] + all[1] + all[2] < Infinity)) return null
  const text =
    BEFORE_ALL +
    all.join(',') +
    running.beforeDay +
    day.join(',') +
    running.beforeMonth +
    month.join(',') +
    END
  return { text, day, month }
}

/** Null where there are more than three, of a second day, or something that is no number. */
function plus(text: string, more: Sums): Sums | null {
  const parts = text.split(',')
  const sums: Sums = [
    Number(parts[0]) + more[0],
    Number(parts[1]) + more[1],
    Number(parts[2]) + more[2],
  ]
  return parts.length === 3 && sums[0] + sums[1] + sums[2] < Infinity ? sums : null
}

/** An array of numbers as JSON. */
export function formatNumbers(numbers: readonly number[]): string {
  let sum = 0
  for (let i = 0; i < numbers.length; i++) sum += numbers[i] as number
  return sum < Infinity ? `[${numbers.join(',')}]` : JSON.stringify(numbers)
}

/** Adds to the JSON of as many numbers; null where they are not, or one is no number. */
export function addToNumbers(text: string, more: readonly number[]): string | null {
  const parts: (string | number)[] = text.slice(1, -1).split(',')
  if (parts.length !== more.length) return null
  for (let i = 0; i < parts.length; i++) {
    if (more[i] === 0) continue
    const sum = Number(parts[i]) + (more[i] as number)
    if (!(sum < Infinity)) return null
    parts[i] = sum
  }
  return `[${parts.join(',')}]`
}
