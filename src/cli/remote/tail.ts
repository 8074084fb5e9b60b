import { setTimeout as sleep } from 'node:timers/promises'
import { parseLine } from '../ledger/line.ts'
import { count, Misused, Refused } from '../output.ts'
import type { TailListener, TailQuestion } from '../store/store.ts'
import { ProblemReply } from './http.ts'
import type { Wire } from './wire.ts'

/** What GET /requests answers: lines of the ledger, the oldest first. */
type Page = { requests: object[]; next: string; isMore: boolean; skipped: number }

const PAUSE_MS = 1000

/** As many as the API tells at once. */
const LINES_MAX = 500

/** Tells of the last requests that have ended, and every second of those that have ended since. */
export async function tailApi(
  wire: Wire,
  { client, lines }: Omit<TailQuestion, 'ledger'>,
  listener: TailListener,
  ending: AbortSignal,
): Promise<void> {
  if (lines > LINES_MAX) {
    throw new Misused(`Over the admin API --lines can be ${LINES_MAX} at most, not ${lines}`)
  }
  const ask = async (query: Record<string, string>) => {
    const of = client === undefined ? {} : { client }
    return (await wire.get<Page>(`/requests?${new URLSearchParams({ ...of, ...query })}`)).body
  }
  let page = await ask({ limit: `${Math.max(1, lines)}` })
  if (lines > 0) showAll(page, listener)
  let isReached = true
  for (;;) {
    if (!page.isMore) await sleep(PAUSE_MS, undefined, { signal: ending }).catch(() => undefined)
    if (ending.aborted) return
    try {
      page = await ask({ after: page.next, limit: `${LINES_MAX}` })
      isReached = true
    } catch (error) {
      const why = reasonToWait(error)
      if (isReached) listener.remark(`Trying again every second: ${why}`)
      isReached = false
      page = { ...page, requests: [], skipped: 0, isMore: false }
    }
    if (ending.aborted) return
    if (page.skipped > 0)
      listener.remark(`Cannot read ${count(page.skipped, 'line')} of the ledger`)
    showAll(page, listener)
  }
}

function showAll({ requests }: Page, { show }: TailListener): void {
  for (const request of requests) {
    const entry = parseLine(JSON.stringify(request))
    if (entry.kind !== 'unreadable') show(entry)
  }
}

/** nginx may be started anew in between. What the API itself refuses, such as the token, does not pass. */
function reasonToWait(error: unknown): string {
  if (!(error instanceof Refused)) throw error
  if (error instanceof ProblemReply && error.status < 500) throw error
  return error.message
}
