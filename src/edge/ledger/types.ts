/** The files of the sums: what nginx writes, what we know of it, and the folder of that. */
export type LedgerPlaces = { ledger: string; balance: string; stateDir: string }
