import type { Client, Clients } from '../../src/core/config/shapes.ts'
import { type Gate, type Line, makeKey, until } from './harness.ts'

/** The model of the mock. */
export const MODEL = 'Qwen/Qwen3-8B'
export const CHAT = '/v1/chat/completions'

/** A prompt of three words: three tokens to the mock. */
export const messages = [{ role: 'user' as const, content: 'one two three' }]

/** What of a client a test needs. */
export type Caller = { secret: string; client: Client; id: string }

/** A client of its own for each test, so that no test spends what another one needs. */
export function clientOf(fields: Partial<Client> = {}): Caller {
  const { secret, record } = makeKey()
  return { secret, client: { keys: [record], ...fields }, id: record.id }
}

/** The file in which these clients stand under their names. */
export function documentOf(callers: { [name: string]: Caller }): Clients {
  const named = Object.entries(callers).map(([name, { client }]) => [name, client] as const)
  return { version: 1, clients: Object.fromEntries(named) }
}

/** A chat, with what the mock makes of it. */
export function chatOf(mock: string, fields: object = {}): object {
  return { model: MODEL, messages, mock, ...fields }
}

/** The lines of a client, as soon as there are so many. */
export async function linesOf(gate: Gate, client: string, count = 0): Promise<Line[]> {
  let lines: Line[] = []
  await until(`${count} lines of ${client}`, async () => {
    lines = (await gate.ledger()).filter((line) => line['client'] === client)
    return lines.length >= count
  })
  return lines
}

/** The tokens that a line charges. */
export function tokensOf(line: Line): number {
  return (Number(line['promptTokens']) || 0) + (Number(line['completionTokens']) || 0)
}

export function sumOf(lines: readonly Line[], value: (line: Line) => number): number {
  return lines.reduce((sum, line) => sum + value(line), 0)
}
