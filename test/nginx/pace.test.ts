import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Caller, CHAT, clientOf, documentOf, MODEL, messages } from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { type Call, nowMs, send } from './wire.ts'

/** The same server behind the same nginx, without the gate. */
const PLAIN = `
location /plain/ {
  access_log off;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_pass http://vllm/;
}
`
const EVENTS = 150

watchLogs()

/** An event of vLLM with its running count. */
function eventOf(token: number): string {
  const choice = {
    index: 0,
    delta: { content: ` t${token}.` },
    logprobs: null,
    finish_reason: null,
  }
  const counts = `"prompt_tokens":3,"total_tokens":${3 + token},"completion_tokens":${token}`
  const head = `"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"${MODEL}"`
  const rest = `"choices":[${JSON.stringify(choice)}],"usage":{${counts},"completion_tokens_details":null}`
  return `data: {${head},${rest}}\n\n`
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

describe.each(await findEngines())('$name', (setup) => {
  const callers: { [name: string]: Caller } = {
    plain: clientOf(),
    limited: clientOf({ limits: { concurrency: 9, tokensPerMinute: 1e9 } }),
    hard: clientOf({ budgets: { tokensPerDay: 1e9, hard: true } }),
  }
  let server: Server
  let gate: Gate
  let opened: ServerResponse[] = []
  let calls: Call[] = []

  beforeAll(async () => {
    server = createServer({ noDelay: true }, (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      opened.push(response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    gate = await startGate(setup, {
      upstreamServer: `127.0.0.1:${port}`,
      serverExtra: PLAIN,
      clients: documentOf(callers),
    })
  })
  afterEach(() => {
    for (const { abort } of calls) abort()
    calls = []
    opened = []
  })
  afterAll(async () => {
    await gate.stop()
    server.closeAllConnections()
    server.close()
  })

  /** Opens a stream; `step` sends the next event and gives the time until the caller has all of it. */
  async function openStream(key: string, path: string, fields: object = {}) {
    const count = opened.length
    const body = { model: MODEL, messages, stream: true, ...fields }
    const call = send(gate, path, { key, body })
    calls.push(call)
    const { status, response } = await call.answer
    expect(status).toBe(200)
    await until('the server', () => opened.length > count)
    let text = ''
    let token = 0
    let arrived: (() => void) | null = null
    response.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      if (text.includes(` t${token}.`) && text.endsWith('\n\n')) arrived?.()
    })
    return {
      async step(): Promise<number> {
        token++
        const arrival = new Promise<void>((resolve, reject) => {
          const timer = setTimeout(
            () => reject(new Error(`Token ${token} waits for the next`)),
            5000,
          )
          arrived = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        const startMs = nowMs()
        opened[count]?.write(eventOf(token))
        await arrival
        return nowMs() - startMs
      },
    }
  }

  const running = { stream_options: { include_usage: true, continuous_usage_stats: true } }

  describe('“Gateways in Lua that parse streams added 9 to 169 ms per token”', () => {
    test.each([
      ['passed as it is', 'plain', running],
      ['with its usage taken out', 'plain', {}],
      ['of a client with limits', 'limited', {}],
      ['of a hard budget', 'hard', {}],
    ])(
      'here each token arrives before the server has the next one: %s',
      async (_, name, fields) => {
        const stream = await openStream(callers[name]?.secret ?? '', CHAT, fields)
        for (let i = 0; i < 40; i++) await stream.step()
      },
    )

    // Times are true only when nothing else takes the machine, so it may be tried again.
    test('here a token takes its time in nginx, and no milliseconds more', {
      retry: 3,
    }, async () => {
      const key = callers['hard']?.secret ?? ''
      const gated = await openStream(key, CHAT)
      const plain = await openStream(key, `/plain${CHAT}`)
      const times: { gated: number[]; plain: number[] } = { gated: [], plain: [] }
      for (let i = 0; i < EVENTS; i++) {
        times.plain.push(await plain.step())
        times.gated.push(await gated.step())
      }
      // Both take a fraction of a millisecond.
      expect(median(times.gated)).toBeLessThan(5 * median(times.plain))
    })
  })
})
