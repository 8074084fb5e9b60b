/** What was used: tokens of prompts and answers, cost in nano-units (cost.ts), and lines. */
export type Sums = [tokens: number, cost: number, requests: number]

/**
 * The sums over the ledger of one client, key or group: over all, and over the days and months, by
 * their numbers (time.ts) in the time zone of the sums, that are not over.
 */
export type Balance = {
  all: Sums
  days: { [day: string]: Sums }
  months: { [month: string]: Sums }
  /** While they are added up anew for another time zone: what the running ones had. */
  before?: { day?: Sums | undefined; month?: Sums | undefined }
}
