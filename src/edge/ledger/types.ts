/** The files of the sums: what nginx writes, what we know of it, and the folder of that. */
export type LedgerPlaces = { ledger: string; balance: string; stateDir: string }

/** Days and months that are being added up anew for another time zone, see recount.ts. */
export type Recount = {
  /** What is still to be read. */
  marks: RecountMark[]
  /** The next page of names whose old days and months go, -1: they are gone; and that whose counters come. */
  emptyAt: number
  fillAt: number
  /** The day and month that go on with the sums they have; -1: none. */
  keptDay: number
  keptMonth: number
  /** Some lines of the month are in files that are not read. */
  lacks: boolean
}

/** A ledger by the hash of its first line, and from where to where it is to be read. */
export type RecountMark = { head: string; offset: number; to: number }
