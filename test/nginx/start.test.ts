import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf } from './clients.ts'
import { type Gate, sleep, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get } from './wire.ts'

watchLogs()

/** Sends a body in two halves, and gives the status of the answer. */
async function trickle(gate: Gate, key: string, body: object): Promise<number | undefined> {
  const text = JSON.stringify(body)
  const outgoing = request(`${gate.url}${CHAT}`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': text.length,
    },
  })
  const answered = new Promise<number | undefined>((resolve, reject) => {
    outgoing.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    outgoing.on('error', reject)
  })
  outgoing.write(text.slice(0, 20))
  await sleep(100)
  outgoing.end(text.slice(20))
  return answered
}

describe.each(await findEngines())('$name: in the first moments after a start', (setup) => {
  test('requests are told to come again until keys and budgets are there, and none passes before', async () => {
    const one = clientOf({ budgets: { tokensPerDay: 1_000_000 } })
    // So many that they take a while to read: else a busy machine has read them before the first request.
    const others = Array.from({ length: 3000 }, (_, n) => [`other-${n}`, clientOf()])
    const gate = await startGate(setup, {
      workers: 2,
      clients: documentOf({ one, ...Object.fromEntries(others) }),
      prepare: async (_, configDir) => {
        const file = join(configDir, 'clients.json')
        await writeFile(file, formatClients(JSON.parse(await readFile(file, 'utf8'))))
      },
    })
    onTestFinished(() => gate.stop())
    let early = 0
    for (let round = 0; round < 4; round++) {
      await gate.restart(true)
      gate.mock.reset()
      /** Asks until the gate has started; what comes before must be its 503, with a hint. */
      const post = async (key: string, fields: object) => {
        for (;;) {
          const answer = await get(gate, CHAT, { key, body: chatOf('prompt:3,tokens:4', fields) })
          if (answer.status !== 503) return answer
          early++
          expect(answer.headers['retry-after']).toBe('1')
          expect(JSON.parse(answer.bytes.toString())).toMatchObject({ error: { code: 'starting' } })
          await sleep(20)
        }
      }
      const [whole, stream, budget, refused] = await Promise.all([
        post(gate.key, {}),
        post(gate.key, { stream: true }),
        post(one.secret, { stream: true }),
        post('nobody', {}),
      ])
      expect([whole.status, stream.status, budget.status]).toEqual([200, 200, 200])
      expect(refused.status).toBe(401)
      const slow = await trickle(gate, one.secret, chatOf('prompt:3,tokens:4'))
      const slowRefused = await trickle(gate, 'nobody', chatOf('prompt:3,tokens:4'))
      expect([slow, slowRefused]).toEqual([200, 401])
      for (const { bytes } of [stream, budget]) {
        expect(eventsOf([{ atMs: 0, bytes }])).toHaveLength(7)
        expect(bytes.toString()).not.toContain('"usage"')
      }
      expect(gate.mock.log()).toHaveLength(4)
    }
    // Else nothing of it was seen.
    expect(early).toBeGreaterThan(0)
    const lines = await linesOf(gate, 'one', 8)
    const admitted = lines.filter(({ outcome }) => outcome === 'ok')
    expect(
      admitted.map(({ promptTokens, completionTokens }) => [promptTokens, completionTokens]),
    ).toEqual(Array(8).fill([3, 4]))
    const all = await gate.ledger(6 * 4 + early)
    expect(all.filter(({ outcome }) => outcome === 'starting')).toHaveLength(early)
  })
})
