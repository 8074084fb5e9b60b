import type { Line } from '../nginx/harness.ts'
import { lineOf, show } from './bytes.ts'
import type { Outcome } from './compare.ts'
import type { Engine } from './engine.ts'
import { type Fault, listFaults, numberOf } from './faults.ts'
import type { Tokens } from './told.ts'

/** A row of the table: what the engine has counted, and what the gate has written down. */
export type Row = {
  name: string
  requests: number
  left: number
  engine: Tokens
  exact: Tokens
  estimated: Tokens
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
    faults: listFaults(outcome, of, engine, [exact, estimated]),
    bytes: seen.flatMap((one) => [...show(one, lineOf(one, lines), Infinity), '']),
  }
}

function sumOf(lines: readonly Line[]): Tokens {
  const sum = (name: string) => lines.reduce((total, line) => total + numberOf(line, name), 0)
  return { prompt: sum('promptTokens'), completion: sum('completionTokens') }
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
