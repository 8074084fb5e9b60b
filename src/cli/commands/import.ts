import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { type ImportResult, importKeys } from '../../core/imports.ts'
import { hasOwn } from '../../core/interpret.ts'
import { parseKey } from '../../core/key.ts'
import { type MapEntry, parseMapFile } from '../../core/mapfile.ts'
import { localContextOf } from '../context.ts'
import { count, print, Refused } from '../output.ts'
import { createKeyId, sha256Hex } from '../secret.ts'
import { editClients } from '../store.ts'

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
  const { dir, isJson, nowMs } = localContextOf(command)
  const label = file === '-' ? 'standard input' : file
  const parsed = parseMapFile(file === '-' ? await text(process.stdin) : await readMap(file))
  const keys = parsed.entries.map(withIdAndHash)
  const note = `imported from ${file === '-' ? label : basename(file)}`.slice(0, 1000)
  let isChanged = false
  const result = await editClients(dir, (clients, policy) => {
    if (options.plan !== undefined && !hasOwn(policy.plans ?? {}, options.plan)) {
      return { refused: `No plan "${options.plan}" in policy.json; see: tollgate plan list` }
    }
    const imported = importKeys(clients, policy, keys, { nowMs, plan: options.plan, note })
    imported.problems = [...parsed.problems, ...imported.problems].sort((a, b) => a.line - b.line)
    isChanged =
      imported.added.length > 0 && (imported.problems.length === 0 || options.partial === true)
    return isChanged ? imported : { ...imported, document: clients }
  })
  const { added, skipped, problems } = result
  print(
    isJson,
    { changed: isChanged, added: isChanged ? added : [], skipped, problems },
    describe(result, isChanged, label),
  )
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

function describe(result: ImportResult, isChanged: boolean, label: string): string {
  const { added, skipped, problems } = result
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
    problems.length === 0 || isChanged
      ? `${done}${already}.`
      : `Nothing was changed: ${count(problems.length, 'problem')}. Fix them, or import the other ${count(added.length, 'key')} with --partial.`
  return [...lines, ...dead, summary].join('\n')
}
