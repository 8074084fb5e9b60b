import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningReply } from '../../core/running.ts'
import type { Unanswered } from '../ledger/ask.ts'
import { describeScreen } from '../ledger/screen.ts'
import { clip, exact, safe, toJson } from '../ledger/text.ts'
import { count, formatTable, Refused } from '../output.ts'

type Request = RunningReply['requests'][number]

/** A request, and how fast its answer comes; null where that is not known yet. */
type Shown = Request & { tokensPerSecond: number | null }

const PAUSE_MS = 1000
/** Speeds are those of so many seconds: what a stream has is shown once a second. */
const LOOKS_KEPT = 5
/** Heading, blank line, names of columns, and the line for the rest. */
const OTHER_ROWS = 4
const CLEAR = '\x1b[H\x1b[J'

const HEADING = ['CLIENT', 'KEY', 'ROUTE', 'MODEL', 'FROM', 'PROMPT', 'TOKENS', 'SPEED', 'RUNNING']
const RIGHT = [5, 6, 7, 8]

/**
 * Shows the requests that run, every second until it is ended. What is not a terminal gets them once;
 * with JSON one object a second.
 */
export async function showLive(
  look: () => Promise<RunningReply | Unanswered>,
  client: string | undefined,
  isJson: boolean,
  ending: AbortSignal,
): Promise<void> {
  const isScreen = process.stdout.isTTY === true && !isJson
  const before: RunningReply[] = []
  do {
    const reply = await look()
    if (ending.aborted) return
    if ('problem' in reply) throw new Refused(`Cannot show what runs: ${reply.problem}`)
    const shown = reply.requests
      .filter((request) => client === undefined || request.client === client)
      .map((request) => ({ ...request, tokensPerSecond: speedOf(request, reply, before) }))
      .sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1))
    if (isJson)
      process.stdout.write(`${toJson({ ...reply, requests: shown, subjects: undefined })}\n`)
    else process.stdout.write(`${isScreen ? CLEAR : ''}${describe(shown, reply, client)}\n`)
    before.push(reply)
    if (before.length > LOOKS_KEPT) before.shift()
    if (!isScreen && !isJson) return
    await sleep(PAUSE_MS, undefined, { signal: ending }).catch(() => undefined)
  } while (!ending.aborted)
}

/** By what has come since the earliest look that is kept, else since the beginning. */
function speedOf(request: Request, reply: RunningReply, before: RunningReply[]): number | null {
  const tokens = request.completionTokens
  if (tokens === undefined) return null
  const look = before.find(({ requests }) => requests.some(({ id }) => id === request.id))
  const earlier = look?.requests.find(({ id }) => id === request.id)?.completionTokens ?? 0
  const fromMs = look ? Date.parse(look.time) : request.atMs
  const seconds = (Date.parse(reply.time) - fromMs) / 1000
  return seconds > 0 ? Math.max(0, tokens - earlier) / seconds : null
}

function describe(shown: Shown[], reply: RunningReply, client: string | undefined): string {
  const { width } = describeScreen()
  const speed = shown.reduce((sum, { tokensPerSecond }) => sum + (tokensPerSecond ?? 0), 0)
  const streams = shown.filter(({ stream }) => stream).length
  const whose = client === undefined ? '' : ` of ${safe(client)}`
  const head =
    `${count(shown.length, 'request')}${whose} running, ${count(streams, 'stream')}, ` +
    `${exact(speed)} tokens/s   ${reply.time.slice(0, 19).replace('T', ' ')} (UTC)`
  const most = process.stdout.isTTY ? Math.max(1, process.stdout.rows - OTHER_ROWS) : Infinity
  const rows = shown.slice(0, most).map((request) => rowOf(request, Date.parse(reply.time)))
  const rest = Math.max(
    shown.length - rows.length,
    client === undefined ? reply.total - rows.length : 0,
  )
  const table = rows.length > 0 ? formatTable(HEADING, rows, RIGHT).split('\n') : []
  const lines = [head, '', ...table]
  if (rest > 0) lines.push(`and ${exact(rest)} more`)
  return lines.map((line) => (width === null ? line : clip(line, width))).join('\n')
}

function rowOf(request: Shown, nowMs: number): string[] {
  const { tokensPerSecond: speed, promptTokens, completionTokens } = request
  return [
    clip(safe(request.client), 20),
    safe(request.key),
    request.route,
    clip(safe(request.model ?? '-'), 24),
    safe(request.remote),
    promptTokens === undefined ? '-' : exact(promptTokens),
    completionTokens === undefined ? '-' : exact(completionTokens),
    speed === null ? '-' : `${speed.toFixed(speed < 10 ? 1 : 0)}t/s`,
    `${Math.max(0, (nowMs - request.atMs) / 1000).toFixed(1)}s`,
  ]
}
