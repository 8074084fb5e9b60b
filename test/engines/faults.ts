import type { Line } from '../nginx/harness.ts'
import { lineOf, show } from './bytes.ts'
import type { Seen } from './caller.ts'
import type { Outcome } from './compare.ts'
import type { Engine } from './engine.ts'
import { readError, readTold, type Tokens } from './told.ts'

/** What does not hold, in words, and the bytes that tell it. */
export type Fault = { text: string; bytes: string[] }

/** What is left or cut is charged within this part of what the engine has made, as the design has it. */
const CHARGED_WITHIN = 1.2

/** What does not hold in a group, one of each kind and route. `made` is the engine's count, `charged` that of the gate. */
export function listFaults(
  outcome: Outcome,
  of: Engine,
  made: Tokens,
  charged: readonly Tokens[],
): Fault[] {
  return [...listAnswers(outcome, of), ...findLoss(outcome, made, charged)]
}

/** What the answers and the lines of single requests tell. */
function listAnswers({ group, seen, lines }: Outcome, of: Engine): Fault[] {
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
    if (one.status === 502 && group.event !== 'crash') {
      add('unavailable', '502, and the engine was well', one, line)
    }
    if (one.end === 'broken' && group.event !== 'crash') {
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

function findLoss(
  { group, seen, lines, isLost }: Outcome,
  made: Tokens,
  charged: readonly Tokens[],
): Fault[] {
  const [one] = seen
  if (group.isFinished || isLost || one === undefined) return []
  const madeTokens = made.prompt + made.completion
  const chargedTokens = charged.reduce((sum, part) => sum + part.prompt + part.completion, 0)
  const isWithin =
    chargedTokens * CHARGED_WITHIN >= madeTokens && chargedTokens <= madeTokens * CHARGED_WITHIN
  if (isWithin) return []
  const text = `the engine has worked on ${madeTokens} tokens, and ${chargedTokens} are charged`
  return [{ text, bytes: show(one, lineOf(one, lines)) }]
}

function hasUnaskedCounts({ ask, text }: Seen): boolean {
  const isStream = ask.body['stream'] === true && ask.body['stream_options'] === undefined
  const isOpenai = ask.path === '/v1/chat/completions' || ask.path === '/v1/completions'
  return isStream && isOpenai && text.includes('"usage":{')
}

/** A field of a line, 0 where it is absent. */
export function numberOf(line: Line, name: string): number {
  const value = line[name]
  return typeof value === 'number' ? value : 0
}
