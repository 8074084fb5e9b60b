import type { Sums } from './types.ts'

/*
 * Sums as the JSON that stands in zones. To parse and write a whole balance takes 65,000 instructions on QuickJS, most of what a line of
 * the ledger takes where each is another client's: half of that here, for the usual form.
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
  const endOfAll = text.indexOf(running.beforeDay) + 1
  const endOfDay = text.indexOf(running.beforeMonth, endOfAll) + 1
  if (endOfAll < 1 || endOfDay < 1 || !text.endsWith(END)) return null
  const all = plus(text.slice(BEFORE_ALL.length - 1, endOfAll), used)
  const day = plus(text.slice(endOfAll + running.beforeDay.length - 2, endOfDay), used)
  const month = plus(text.slice(endOfDay + running.beforeMonth.length - 2, 1 - END.length), used)
  return all && day && month && formatBalance(all, day, month, running)
}

function formatBalance(all: Sums, day: Sums, month: Sums, running: Running): Added | null {
  // JSON has no Infinity, which a server can bring about.
  if (!(all[0] + all[1] + all[2] < Infinity)) return null
  const ofAll = `${BEFORE_ALL}${all[0]},${all[1]},${all[2]}`
  const ofDay = `${running.beforeDay}${day[0]},${day[1]},${day[2]}`
  const text = `${ofAll}${ofDay}${running.beforeMonth}${month[0]},${month[1]},${month[2]}${END}`
  return { text, day, month }
}

/** Null where there is more than one list, of a second day, or something that is no number. */
function plus(text: string, more: Sums): Sums | null {
  // A second list would be no JSON.
  if (text.indexOf(']') !== text.length - 1) return null
  const sums = JSON.parse(text)
  sums[0] += more[0]
  sums[1] += more[1]
  sums[2] += more[2]
  return sums.length === 3 && sums[0] + sums[1] + sums[2] < Infinity ? sums : null
}

/** The sums of a row as JSON. */
export function formatRowSums(sums: readonly number[]): string {
  let sum = 0
  for (let i = 0; i < sums.length; i++) sum += sums[i] as number
  if (sums.length !== 11 || !(sum < Infinity)) return JSON.stringify(sums)
  const first = `[${sums[0]},${sums[1]},${sums[2]},${sums[3]},${sums[4]},${sums[5]},`
  return `${first}${sums[6]},${sums[7]},${sums[8]},${sums[9]},${sums[10]}]`
}
