/** The files of the sums: what nginx writes, what we know of it, and the folder of that. */
export type LedgerPlaces = { ledger: string; balance: string; stateDir: string }

/** Days and months that are being added up anew for another time zone, see recount.ts. */
export type Recount = {
  /** What is still to be read. */
  marks: RecountMark[]
  /** The next page of names whose old days and months go, -1: they are gone; and that whose counters come. */
  emptyAt: number
  fillAt: number
  /** The running day and month, where they have the same numbers as before; -1: they have not. */
  day: number
  month: number
  /** Files that are not read may be part of them. */
  cutDay: boolean
  cutMonth: boolean
  /** There are lines of a time before this month, so that none of it can be gone; else their number tells. */
  isWhole: boolean
  /** Lines that were read. */
  lines: number
}

/**
 * A ledger by the hash of its first line, from where to where it is to be read, and the times of its first and
 * last line, ms since 1970; Infinity: not known.
 */
export type RecountMark = {
  head: string
  offset: number
  to: number
  firstMs: number
  lastMs: number
}
