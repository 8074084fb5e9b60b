import type { RunningList, RunningRequest } from '../../api/types.ts'

/** A request, and how fast its answer comes; null where that is not known yet. */
export type Shown = RunningRequest & { speed: number | null }

export type ByClient = { client: string; requests: number; speed: number; tokens: number }

/** Speeds are those of the last few looks: what a stream has is told once a second. */
export const LOOKS_KEPT = 5

/** The running requests with their speeds, oldest first. */
export function withSpeeds(list: RunningList, before: RunningList[]): Shown[] {
  return list.requests
    .map((request) => ({ ...request, speed: speedOf(request, list, before) }))
    .sort((a, b) => compare(a.startedAt, b.startedAt) || compare(a.id, b.id))
}

/** By what has come since the earliest look that is kept, else since the beginning. */
function speedOf(request: RunningRequest, list: RunningList, before: RunningList[]): number | null {
  if (typeof request.tokensPerSecond === 'number') return request.tokensPerSecond
  const tokens = request.completionTokens
  if (tokens === undefined) return null
  const look = before.find(({ requests }) => requests.some(({ id }) => id === request.id))
  const earlier = look?.requests.find(({ id }) => id === request.id)?.completionTokens ?? 0
  const fromMs = Date.parse(look ? look.time : request.startedAt)
  const seconds = (Date.parse(list.time) - fromMs) / 1000
  return seconds > 0 ? Math.max(0, tokens - earlier) / seconds : null
}

/** What each client has in flight, most first. */
export function byClient(requests: Shown[]): ByClient[] {
  const sums = new Map<string, ByClient>()
  for (const { client, speed, completionTokens } of requests) {
    const sum = sums.get(client) ?? { client, requests: 0, speed: 0, tokens: 0 }
    sum.requests++
    sum.speed += speed ?? 0
    sum.tokens += completionTokens ?? 0
    sums.set(client, sum)
  }
  return [...sums.values()].sort(
    (a, b) => b.requests - a.requests || b.speed - a.speed || compare(a.client, b.client),
  )
}

export function totalSpeed(requests: Shown[]): number {
  return requests.reduce((sum, { speed }) => sum + (speed ?? 0), 0)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
