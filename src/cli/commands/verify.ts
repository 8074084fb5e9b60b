import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { keyState } from '../../core/config/edits.ts'
import { describeKeyProblem, parseKey } from '../../core/config/key.ts'
import { type Context, contextOf } from '../context.ts'
import { print } from '../output.ts'
import { sha256Hex } from '../secret.ts'

/** What is known of a key. `known` is null where there is no folder to look it up in. */
type Verdict = {
  ok: boolean
  format: 'ok' | 'prefix' | 'length' | 'alphabet' | 'checksum'
  known: boolean | null
  client: string | null
  id: string | null
  state: string | null
}

/** `tollgate key verify`: exit code 0 only for a key that gets in, or that may, with no folder. */
export async function verifyKey(
  argument: string,
  _options: object,
  command: Command,
): Promise<void> {
  const context = contextOf(command)
  const key = (argument === '-' ? await text(process.stdin) : argument).trim()
  const parsed = parseKey(key)
  const id = 'id' in parsed ? parsed.id : null
  const format = 'id' in parsed ? 'ok' : parsed.problem
  const verdict: Verdict = { ok: id !== null, format, known: null, client: null, id, state: null }
  if (await context.store.isThere()) await lookUp(context, key, verdict)
  print(context.isJson, verdict, describe(context, verdict))
  if (!verdict.ok) process.exitCode = 1
}

async function lookUp(context: Context, key: string, verdict: Verdict): Promise<void> {
  const found = await context.store.findKeyByHash(sha256Hex(key))
  verdict.known = found !== null
  verdict.ok = false
  if (!found) return
  verdict.client = found.name
  verdict.id = found.key.id
  verdict.state = keyState(found.client, found.key, context.nowMs)
  verdict.ok = verdict.state === 'live'
}

function describe(context: Context, verdict: Verdict): string {
  const { format, known, id } = verdict
  const { place } = context.store
  if (known) {
    const imported = format === 'ok' ? '' : ' (an imported key, not of the format of Tollgate)'
    return `Key ${id} of client "${verdict.client}" is ${verdict.state}${imported}.`
  }
  if (format !== 'ok') return `${describeKeyProblem(format)}.`
  const intact = `The format and checksum are right (id ${id})`
  return known === null
    ? `${intact}; there is no folder ${place} to look it up in.`
    : `${intact}, but the key is not known in ${place}.`
}
