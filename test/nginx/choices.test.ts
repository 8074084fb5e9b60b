import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  type Caller,
  CHAT,
  chatOf,
  clientOf,
  documentOf,
  linesOf,
  MODEL,
  tokensOf,
} from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { get, send } from './wire.ts'

const COMPLETIONS = '/v1/completions'

watchLogs()

/** A completion of so many prompts, of three tokens each. */
function promptsOf(count: number, mock: string, fields: object = {}): object {
  const prompt = Array.from({ length: count }, () => 'one two three')
  return { model: MODEL, prompt, mock: `prompt:${3 * count},${mock}`, ...fields }
}

describe.each(await findEngines())('$name', (setup) => {
  const hard = (tokensPerDay: number) => clientOf({ budgets: { tokensPerDay, hard: true } })
  const callers: { [name: string]: Caller } = {
    chat: hard(1000),
    one: hard(1000),
    prompts: hard(2000),
    streams: hard(2000),
    minute: clientOf({ limits: { tokensPerMinute: 100_000 } }),
    leaves: clientOf(),
  }
  const keyOf = (name: string) => (callers[name] as Caller).secret
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, { clients: documentOf(callers) })
    gate.expectErrors(/Tollgate has ended this stream: cut_budget/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  async function chargeOf(name: string): Promise<number> {
    const [line] = await linesOf(gate, name, 1)
    return line ? tokensOf(line) : Number.NaN
  }

  test('F: a hard budget holds for all choices of a chat together', async () => {
    const body = chatOf('prompt:3,tokens:600', { n: 16, max_tokens: 600 })
    expect((await get(gate, CHAT, { key: keyOf('chat'), body })).status).toBe(200)
    expect(await chargeOf('chat')).toBeLessThanOrEqual(1000)
    expect(JSON.parse(gate.mock.log()[0]?.body ?? '').max_tokens).toBeLessThan(1000 / 16)
  })

  test('F: one choice has all of it, as before', async () => {
    const body = chatOf('prompt:3,tokens:600', { max_tokens: 600 })
    expect((await get(gate, CHAT, { key: keyOf('one'), body })).status).toBe(200)
    expect(await chargeOf('one')).toBe(603)
    expect(JSON.parse(gate.mock.log()[0]?.body ?? '').max_tokens).toBe(600)
  })

  test('F: a hard budget holds for all prompts of a completion together', async () => {
    const body = promptsOf(40, 'tokens:1000', { max_tokens: 1000 })
    expect((await get(gate, COMPLETIONS, { key: keyOf('prompts'), body })).status).toBe(200)
    expect(await chargeOf('prompts')).toBeLessThanOrEqual(2000)
  })

  test('F: so it does for a stream of them, which is ended', async () => {
    const body = promptsOf(40, 'tokens:1000,itl:0', { max_tokens: 1000, stream: true })
    expect((await get(gate, COMPLETIONS, { key: keyOf('streams'), body })).status).toBe(200)
    const [line] = await linesOf(gate, 'streams', 1)
    expect(line).toMatchObject({ outcome: 'cut_budget' })
    expect(line && tokensOf(line)).toBeLessThanOrEqual(2000)
    expect(line && tokensOf(line)).toBeGreaterThan(1900)
  })

  test('F: what is reserved of a minute is the maximum times choices times prompts', async () => {
    const body = promptsOf(5, 'tokens:2', { max_tokens: 300, n: 4 })
    expect((await get(gate, COMPLETIONS, { key: keyOf('minute'), body })).status).toBe(200)
    const [line] = await linesOf(gate, 'minute', 1)
    expect(line?.['reservedTokens']).toBeGreaterThanOrEqual(5 * 4 * 300)
  })

  test('G: a stream of several prompts that is left is charged for all of them', async () => {
    const body = promptsOf(4, 'tokens:5000,itl:20', { stream: true })
    const call = send(gate, COMPLETIONS, { key: keyOf('leaves'), body })
    onTestFinished(() => void call.abort())
    expect((await call.answer).status).toBe(200)
    await until('some tokens', () => (gate.mock.log()[0]?.eventsSent ?? 0) >= 40)
    call.abort()
    const [line] = await linesOf(gate, 'leaves', 1)
    const sent = gate.mock.log()[0]?.eventsSent ?? 0
    expect(line).toMatchObject({ outcome: 'client_aborted', promptTokens: 12 })
    expect(line).not.toHaveProperty('estimated')
    // What was on its way when the caller left is not in it.
    expect(line?.['completionTokens']).toBeGreaterThanOrEqual(30)
    expect(line?.['completionTokens']).toBeLessThanOrEqual(sent)
  })
})
