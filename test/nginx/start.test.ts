import { request } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
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
  test('requests with bodies wait for keys and budgets, and are answered', async () => {
    const one = clientOf({ budgets: { tokensPerDay: 1_000_000 } })
    const gate = await startGate(setup, { workers: 2, clients: documentOf({ one }) })
    onTestFinished(() => gate.stop())
    for (let round = 0; round < 4; round++) {
      await gate.restart()
      gate.mock.reset()
      const post = (key: string, fields: object) =>
        get(gate, CHAT, { key, body: chatOf('prompt:3,tokens:4', fields) })
      const [whole, stream, budget, refused, slow, slowRefused] = await Promise.all([
        post(gate.key, {}),
        post(gate.key, { stream: true }),
        post(one.secret, { stream: true }),
        post('nobody', {}),
        trickle(gate, one.secret, chatOf('prompt:3,tokens:4')),
        trickle(gate, 'nobody', chatOf('prompt:3,tokens:4')),
      ])
      expect([whole.status, stream.status, budget.status, slow]).toEqual([200, 200, 200, 200])
      expect([refused.status, slowRefused]).toEqual([401, 401])
      for (const { bytes } of [stream, budget]) {
        expect(eventsOf([{ atMs: 0, bytes }])).toHaveLength(7)
        expect(bytes.toString()).not.toContain('"usage"')
      }
      expect(gate.mock.log()).toHaveLength(4)
      await gate.ledger(6 * (round + 1))
    }
    expect(await gate.ledger()).toHaveLength(24)
    const lines = await linesOf(gate, 'one', 8)
    expect(
      lines.map(({ promptTokens, completionTokens }) => [promptTokens, completionTokens]),
    ).toEqual(Array(8).fill([3, 4]))
  })
})
