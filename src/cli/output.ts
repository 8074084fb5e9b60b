import type { FileProblem } from './store/source.ts'

/** What a command was asked for and cannot do: no bug, exit code 1, a text that tells the fix. */
export class Refused extends Error {
  problems: FileProblem[]

  constructor(message: string, problems: FileProblem[] = []) {
    super(message)
    this.name = 'Refused'
    this.problems = problems
  }
}

/** null in the place of a refusal; any other error goes on. */
export function noneOf(error: unknown): null {
  if (error instanceof Refused) return null
  throw error
}

/** A wrong command line, found by a command itself: exit code 2. */
export class Misused extends Error {}

/** Prints a result: one JSON object for machines, or text for people. */
export function print(isJson: boolean, result: object, text: string): void {
  process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : `${text}\n`)
}

/** Prints a remark for people; with --json remarks stand in the result. */
export function remark(isJson: boolean, text: string): void {
  if (!isJson) process.stderr.write(`tollgate: ${text}\n`)
}

/**
 * Prints why a command failed, on stderr. With --json it is one object there, and stdout stays empty:
 * {"error":{"code":"refused"|"usage"|"failed","message":"…","problems":[…]}}
 */
export function printError(
  isJson: boolean,
  code: 'refused' | 'usage' | 'failed',
  message: string,
  problems: FileProblem[] = [],
): void {
  if (isJson) {
    process.stderr.write(`${JSON.stringify({ error: { code, message, problems } })}\n`)
    return
  }
  const lines = [message, ...problems.map((problem) => `  ${formatProblem(problem)}`)]
  process.stderr.write(`tollgate: ${lines.join('\n')}\n`)
}

/** `clients.json:12:5 clients.app.plan: No plan "gold" in policy.json`. */
export function formatProblem(problem: FileProblem): string {
  const at = problem.line === undefined ? '' : `:${problem.line}:${problem.column}`
  const path = problem.path === '' ? '' : ` ${problem.path}`
  return `${problem.file}${at}${path}: ${problem.message}`
}

/** Lays rows out in columns, below a heading where there is one; numbers in columns `right`. */
export function formatTable(heading: string[], rows: string[][], right: number[] = []): string {
  const all = heading.length > 0 ? [heading, ...rows] : rows
  const widths: number[] = []
  for (const row of all) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
    })
  }
  return all.map((row) => formatRow(row, widths, right)).join('\n')
}

function formatRow(row: string[], widths: number[], right: number[]): string {
  const cells = row.map((cell, column) => {
    const space = ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)))
    return right.includes(column) ? space + cell : cell + space
  })
  return cells.join('  ').trimEnd()
}

/** Characters, as far as terminals give each one column. */
function widthOf(cell: string): number {
  return [...cell].length
}

/** `1 key`, `2 keys`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
