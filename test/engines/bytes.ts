import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDir } from './cache.ts'
import type { Table } from './report.ts'

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
