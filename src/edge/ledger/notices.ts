import { countError } from '../metrics/tally.ts'
import type { Cursor } from './sums.ts'

/** How often the error log is told what is left, and from how much on. */
const TOLD_MS = 10000
const TOLD_BYTES_MIN = 16777216

/** What does not work, each until it does again. */
export type ProblemKind = 'readProblem' | 'writeProblem' | 'stateProblem' | 'rowsProblem'

/** Tells the error log how much is left to add up, when it is much. */
export function tellRest(cursor: Cursor, nowMs: number): void {
  if (cursor.behindBytes < TOLD_BYTES_MIN || nowMs - cursor.toldMs < TOLD_MS) return
  cursor.toldMs = nowMs
  cursor.isNews = true
  const megabytes = Math.round(cursor.behindBytes / 1048576)
  ngx.log(ngx.WARN, `Tollgate has ${megabytes} MB of the ledger left to add up`)
}

/** Tells people of something that has happened to the sums. */
export function note(cursor: Cursor, notice: string): void {
  cursor.notice = notice
  cursor.isNews = true
  ngx.log(ngx.WARN, `Tollgate: ${notice}`)
}

/** Notes what does not work, or that it does again, and logs it once. */
export function setProblem(cursor: Cursor, which: ProblemKind, problem: string | null): void {
  // A cursor of an older version has not all of them.
  if ((cursor[which] || null) === problem) return
  cursor[which] = problem
  cursor.isNews = true
  if (problem === null) ngx.log(ngx.WARN, 'Tollgate: what could not be read or written works again')
  else {
    countError()
    ngx.log(ngx.ERR, `Tollgate: ${problem}`)
  }
}
