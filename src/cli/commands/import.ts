import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { Imported } from '../../core/config/imports.ts'
import { parseKey } from '../../core/config/key.ts'
import { contextOf } from '../context.ts'
import { type MapEntry, parseMapFile } from '../map/mapfile.ts'
import { count, print, Refused } from '../output.ts'
import { createKeyId, sha256Hex } from '../secret.ts'

type ImportOptions = { plan?: string; partial?: boolean }

/** Registers `tollgate import`. */
export function registerImport(program: Command): void {
  program
    .command('import <file>')
    .description(
      'take over the keys of an nginx map file: "Bearer <key>" "<identity>"; (- is stdin)',
    )
    .option('--plan <plan>', 'plan of new clients (default: standard, if there is one)')
    .option('--partial', 'import the good lines even when others have problems')
    .addHelpText(
      'after',
      '\nCallers keep their keys. Keys that are there already are skipped, so the same file can be\nimported again. With any problem nothing is changed, unless --partial is given.',
    )
    .action(importFile)
}

async function importFile(file: string, options: ImportOptions, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  const label = file === '-' ? 'standard input' : file
  const parsed = parseMapFile(file === '-' ? await text(process.stdin) : await readMap(file))
  const isPartial = options.partial === true
  const imported = await store.importKeys(parsed.entries.map(withIdAndHash), {
    plan: options.plan,
    note: `imported from ${file === '-' ? label : basename(file)}`.slice(0, 1000),
    isPartial,
    // Lines that nobody could read are problems as well.
    isDry: parsed.problems.length > 0 && !isPartial,
  })
  const problems = [...parsed.problems, ...imported.problems].sort((a, b) => a.line - b.line)
  const { changed, added, skipped } = imported
  const result = { ...imported, problems }
  print(isJson, { changed, added, skipped, problems }, describe(result, label))
  if (problems.length > 0) process.exitCode = 1
}

async function readMap(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refused(`Cannot read ${file}: ${error.code}`)
  })
}

/** A key that Tollgate made elsewhere keeps its public id; others get a new one. */
function withIdAndHash(entry: MapEntry) {
  const parsed = parseKey(entry.key)
  const id = 'id' in parsed ? parsed.id : createKeyId()
  return { line: entry.line, identity: entry.identity, id, sha256: sha256Hex(entry.key) }
}

function describe(imported: Imported, label: string): string {
  const { added, skipped, problems } = imported
  const dead = skipped
    .filter((key) => key.state !== 'live')
    .map((key) => `${label}:${key.line}: ${key.client}: Key ${key.id} is there, but ${key.state}`)
  const lines = problems.map(({ line, identity, message }) =>
    [`${label}:${line}`, ...(identity === null ? [] : [identity]), message].join(': '),
  )
  const clients = new Set(added.map((key) => key.client)).size
  const done = `Imported ${count(added.length, 'key')} of ${count(clients, 'client')}`
  const already =
    skipped.length > 0 ? `; skipped ${count(skipped.length, 'key')} there already` : ''
  const summary =
    problems.length === 0 || imported.changed
      ? `${done}${already}.`
      : `Nothing was changed: ${count(problems.length, 'problem')}. Fix them, or import the other ${count(imported.importable, 'key')} with --partial.`
  return [...lines, ...dead, summary].join('\n')
}
