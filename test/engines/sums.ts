import type { Line } from '../nginx/harness.ts'
import type { Seen } from './caller.ts'
import type { Outcome } from './compare.ts'
import type { Engine } from './engine.ts'
import { readError, readTold } from './told.ts'

/** A row of the table: what the engine has counted, and what the gate has written down. */
export type Row = {
  name: string
  requests: number
  left: number
  engine: { prompt: number; completion: number }
  exact: { prompt: number; completion: number }
  estimated: { prompt: number; completion: number }
  /** Lines in which nothing is counted. */
  uncounted: number
  outcomes: string
  isLost: boolean
  idleAfterMs: number | null
  isFinished: boolean
  isExact: boolean
  /** What is wrong, in words; with the bytes that tell it. */
  faults: Fault[]
  /** All that was sent and came back. */
  bytes: string[]
}

export type Fault = { text: string; bytes: string[] }

/** How much of a request and of its answer is shown beside a fault. */
const BYTES_SHOWN = 1_500

/** Adds up a group, and looks for what does not hold in it. */
export function sumUp(outcome: Outcome, of: Engine): Row {
  const { group, seen, lines, isLost, idleAfterMs } = outcome
  const times = of.countsPromptPerChoice ? (group.choices ?? 1) : 1
  const engine = { ...outcome.engine, prompt: outcome.engine.prompt / times }
  const exact = sumOf(lines.filter((line) => !isEstimated(line)))
  const estimated = sumOf(lines.filter(isEstimated))
  const isExact =
    exact.prompt === engine.prompt &&
    exact.completion === engine.completion &&
    !lines.some(isEstimated)
  return {
    name: group.name,
    requests: seen.length,
    left: seen.filter(({ end }) => end === 'left').length,
    engine,
    exact,
    estimated,
    uncounted: lines.filter((line) => !isCounted(line)).length,
    outcomes: countOutcomes(lines),
    isLost,
    idleAfterMs,
    isFinished: group.isFinished,
    isExact,
    faults: listFaults(outcome, of),
    bytes: seen.flatMap((one) => [...show(one, lineOf(one, lines), Infinity), '']),
  }
}

/** One of each kind and route. */
function listFaults({ group, seen, lines }: Outcome, of: Engine): Fault[] {
  const faults = new Map<string, Fault>()
  const add = (kind: string, text: string, one: Seen, line?: Line) => {
    const name = `${kind} ${one.ask.path}`
    if (!faults.has(name)) faults.set(name, { text, bytes: show(one, line) })
  }
  for (const one of seen) {
    const line = lineOf(one, lines)
    const error = readError(one)
    if (error !== null && line?.['outcome'] === 'ok') {
      add('error', 'an error inside of a 200 is `ok` in the ledger', one, line)
    }
    if (one.status === 502 && group.event === undefined) {
      add('unavailable', '502, and the engine was well', one, line)
    }
    if (one.end === 'broken' && group.event === undefined) {
      add('broken', 'the answer broke off', one, line)
    }
    if (of.isQuiet && hasUnaskedCounts(one))
      add('unasked', 'has counts that nobody asked for', one, line)
    if (one.end !== 'whole' || one.status !== 200 || error !== null) continue
    const told = readTold(one)
    if (told === null || line === undefined) continue
    const prompt = numberOf(line, 'promptTokens')
    const completion = numberOf(line, 'completionTokens')
    if (prompt === told.prompt && completion === told.completion) continue
    const text = `the answer says ${told.prompt} + ${told.completion}, the ledger ${prompt} + ${completion}`
    add('unlike', text, one, line)
  }
  const missing = seen.length - lines.length
  const first = seen[0]
  if (missing !== 0 && first !== undefined) add('lines', `${missing} lines are missing`, first)
  return [...faults.values()]
}

function hasUnaskedCounts({ ask, text }: Seen): boolean {
  const isStream = ask.body['stream'] === true && ask.body['stream_options'] === undefined
  const isOpenai = ask.path === '/v1/chat/completions' || ask.path === '/v1/completions'
  return isStream && isOpenai && text.includes('"usage":{')
}

/** The line of an answer; of one that has not begun nobody knows it. */
function lineOf({ headers }: Seen, lines: readonly Line[]): Line | undefined {
  return lines.find(({ id }) => id === headers['x-request-id'])
}

/** A request, its answer and its line, shortened in their middle. */
export function show(
  { ask, status, end, text }: Seen,
  line: Line | undefined,
  most = BYTES_SHOWN,
): string[] {
  return [
    `POST ${ask.path} ${shorten(JSON.stringify(ask.body), most)}`,
    `${status ?? 'no answer'}, ${end}${ask.leaveAfterMs === undefined ? '' : ` after ${ask.leaveAfterMs} ms`}`,
    ...shorten(text, most).split('\n').filter(Boolean),
    `ledger: ${line === undefined ? 'no line' : JSON.stringify(line)}`,
  ]
}

function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  const half = most / 2
  return `${text.slice(0, half)}\n[... ${text.length - 2 * half} characters ...]\n${text.slice(-half)}`
}

function sumOf(lines: readonly Line[]): { prompt: number; completion: number } {
  const sum = (name: string) => lines.reduce((total, line) => total + numberOf(line, name), 0)
  return { prompt: sum('promptTokens'), completion: sum('completionTokens') }
}

function numberOf(line: Line, name: string): number {
  const value = line[name]
  return typeof value === 'number' ? value : 0
}

function isEstimated(line: Line): boolean {
  return Boolean(line['estimated'])
}

function isCounted(line: Line): boolean {
  return line['promptTokens'] !== undefined || line['completionTokens'] !== undefined
}

function countOutcomes(lines: readonly Line[]): string {
  const counts = new Map<string, number>()
  for (const line of lines) {
    const name = `${line['outcome']} ${line['status']}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `${count} x ${name}`).join(', ')
}
