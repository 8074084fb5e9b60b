import { describe, expect, onTestFinished, test } from 'vitest'
import { dialects } from '../../src/mock/settings.ts'
import { CHAT, chatOf, MODEL, tokensOf } from './clients.ts'
import { type Gate, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { get, oneConnection } from './wire.ts'

const setups = await findEngines()

const COMPLETIONS = '/v1/completions'

/** Bytes of a piece: more than an event has, so that pieces hold ends, whole events and beginnings. */
const PIECE_BYTES = 400

const AT_ONCE = 16

const asked = {
  nothing: {},
  'the final usage': { stream_options: { include_usage: true } },
}

/** What of a server's stream must be there: else nothing was put in and taken out. */
const ALL_USAGE = { stream_options: { include_usage: true, continuous_usage_stats: true } }

watchLogs()

function bodyOf(path: string, mock: string, fields: object): object {
  const settings = `prompt:3,tokens:2,words:utf8,${mock}`
  if (path === CHAT) return chatOf(settings, { stream: true, ...fields })
  return { model: MODEL, prompt: 'one two three', mock: settings, stream: true, ...fields }
}

/** Without the id, which is each request's own. */
function plain(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/[0-9a-f]{32}/g, 'ID')
}

describe.each(setups)('$name', (setup) => {
  describe.each(dialects)('%s', (dialect) => {
    test.each([
      [CHAT, 'nothing'],
      [CHAT, 'the final usage'],
      [COMPLETIONS, 'nothing'],
    ] as const)(
      '%s asked for %s, split once at every byte, is the stream without the gate',
      async (path, wish) => {
        const gate = await startGate(setup)
        onTestFinished(() => gate.stop())
        const fields = asked[wish]
        const straight = { ...gate, url: gate.mock.url }
        const id = { headers: { 'x-request-id': '0'.repeat(32) } }
        const whole = await get(straight, path, {
          body: bodyOf(path, `dialect:${dialect}`, fields),
          ...id,
        })
        const behind = await get(straight, path, {
          body: bodyOf(path, `dialect:${dialect}`, ALL_USAGE),
          ...id,
        })
        expect(whole.bytes.length).toBeGreaterThan(300)
        gate.mock.reset()
        const found = await splitEverywhere(gate, path, `dialect:${dialect}`, fields)
        const wrong = found.filter(({ text }) => text !== plain(whole.bytes))
        expect(wrong.slice(0, 1)).toEqual([])
        // Each position of the server's own stream was the end of a piece once.
        expect(behind.bytes.length).toBeGreaterThanOrEqual(PIECE_BYTES)
        expect(found).toHaveLength(PIECE_BYTES)
        const lines = await gate.ledger(PIECE_BYTES)
        const charges = lines.map((line) => [tokensOf(line), line['estimated']])
        expect(charges.filter(([tokens, estimated]) => tokens !== 5 || estimated)).toEqual([])
      },
    )
  })
})

/** One request for each place where the first piece may end. */
async function splitEverywhere(gate: Gate, path: string, mock: string, fields: object) {
  const found: { cut: number; text: string }[] = []
  let next = 1
  const drive = async () => {
    const agent = oneConnection()
    while (next <= PIECE_BYTES) {
      const cut = next++
      const body = bodyOf(path, `${mock},cut:${cut},split:${PIECE_BYTES},gap:1`, fields)
      const { bytes } = await get(gate, path, { agent, body })
      found.push({ cut, text: plain(bytes) })
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, drive))
  return found
}
