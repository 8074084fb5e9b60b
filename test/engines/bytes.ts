import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Line } from '../nginx/harness.ts'
import { cacheDir } from './cache.ts'
import type { Seen } from './caller.ts'
import type { Table } from './report.ts'

/** How much of a request and of its answer is shown beside a fault. */
const BYTES_SHOWN = 1_500

/** The line of an answer; of one that has not begun nobody knows it. */
export function lineOf({ headers }: Seen, lines: readonly Line[]): Line | undefined {
  return lines.find(({ id }) => id === headers['x-request-id'])
}

/** A request, its answer and its line, shortened in their middle. */
export function show(
  { ask, status, end, text, headers }: Seen,
  line: Line | undefined,
  most = BYTES_SHOWN,
): string[] {
  const isText = headers['content-type'] !== 'application/octet-stream'
  const metadata = headers['metadata']
  return [
    `POST ${ask.path} ${shorten(JSON.stringify(ask.body), most)}`,
    `${status ?? 'no answer'}, ${end}${ask.leaveAfterMs === undefined ? '' : ` after ${ask.leaveAfterMs} ms`}`,
    ...(metadata === undefined ? [] : [`metadata: ${metadata}`]),
    ...(isText ? shorten(text, most).split('\n').filter(Boolean) : ['(no text)']),
    `ledger: ${line === undefined ? 'no line' : JSON.stringify(line)}`,
  ]
}

function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  const half = most / 2
  return `${text.slice(0, half)}\n[... ${text.length - 2 * half} characters ...]\n${text.slice(-half)}`
}

/** Writes all requests of a run with their answers and lines, and returns the file. */
export async function writeAll(tables: readonly Table[]): Promise<string> {
  const lines = tables.flatMap(({ engine, world, rows }) =>
    rows.flatMap(({ name, bytes }) => [`#### ${engine.name}, ${world.name}, ${name}`, ...bytes]),
  )
  const file = join(cacheDir(), 'all.txt')
  await writeFile(file, `${lines.join('\n')}\n`)
  return file
}

/** Writes every fault with its request, its answer and its line, and returns the file. */
export async function writeFaults(tables: readonly Table[]): Promise<string> {
  const lines = tables.flatMap(({ engine, world, rows }) =>
    rows.flatMap(({ name, faults }) =>
      faults.flatMap(({ text, bytes }) => [
        `#### ${engine.name}, ${world.name}, ${name}: ${text}`,
        ...bytes,
        '',
      ]),
    ),
  )
  const file = join(cacheDir(), 'faults.txt')
  await writeFile(file, `${lines.join('\n')}\n`)
  return file
}
