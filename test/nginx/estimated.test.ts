import { describe, expect, onTestFinished, test } from 'vitest'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL } from './clients.ts'
import { startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { probed, usedBy } from './probe.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

watchLogs()

const NUMBERS = 'temperature top_p top_k min_p seed presence_penalty frequency_penalty'

describe.each(await findEngines())('$name: a stream that nobody has counted', (setup) => {
  test.each<[string, object]>([
    ['a text', {}],
    [
      'a picture',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://x/y.png' } }] },
        ],
      },
    ],
    [
      'long numbers beside a short text',
      {
        messages: [{ role: 'user', content: 'a' }],
        ...Object.fromEntries(NUMBERS.split(' ').map((name) => [name, 1.234567890123e20])),
      },
    ],
  ])('has a cost where its prompt is %s', async (_, fields) => {
    const app = clientOf({ budgets: { costPerDay: 100 } })
    const policy = {
      version: 1 as const,
      metering: 'off' as const,
      prices: { [MODEL]: { input: 1, output: 1 } },
    }
    const gate = await startGate(setup, probed({ clients: documentOf({ app }), policy }))
    onTestFinished(() => gate.stop())
    const stream = send(gate, CHAT, {
      key: app.secret,
      body: chatOf('prompt:3,tokens:1000,itl:10', { stream: true, ...fields }),
    })
    const { pieces } = await stream.answer
    await until('some events', () => pieces.length > 10)
    stream.abort()
    const [line] = await linesOf(gate, 'app', 1)
    expect(line).toMatchObject({ estimated: true, outcome: 'client_aborted' })
    expect(Number(line?.['promptTokens'])).toBeGreaterThan(0)
    expect(Number(line?.['cost'])).toBeGreaterThan(0)
    expect((await usedBy(gate))[2]).toBeGreaterThan(10_000)
  })
})
