import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { get, oneConnection, send } from './wire.ts'

const EMBEDDINGS = '/v1/embeddings'

watchLogs()

// A server that counts connections, and ends them when a test says so.
describe.each(await findEngines())('$name: connections to the server behind', (setup) => {
  let gate: Gate
  let server: Server
  let connections = 0
  let requests = 0
  let answer: RequestListener = () => {}

  beforeAll(async () => {
    server = createServer((request, response) => {
      requests++
      request.resume()
      request.on('end', () => answer(request, response))
    })
    server.on('connection', () => {
      connections++
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    gate = await startGate(setup, { upstreamServer: `127.0.0.1:${port}` })
  })
  afterAll(async () => {
    await gate.stop()
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    connections = 0
    requests = 0
    answer = (_, response) => void response.end('{}')
  })

  test('one connection is used for 20 requests, of several callers', async () => {
    const agent = oneConnection()
    for (let i = 0; i < 10; i++) {
      const options = i % 2 === 0 ? { agent } : {}
      expect((await get(gate, '/v1/models', options)).status).toBe(200)
      expect((await get(gate, EMBEDDINGS, { ...options, body: { input: 'x' } })).status).toBe(200)
    }
    agent.destroy()
    expect(requests).toBe(20)
    expect(connections).toBe(1)
  })

  test('a POST is not sent again when the server closes a kept connection on it', async () => {
    gate.expectErrors(/upstream prematurely closed connection/)
    await get(gate, EMBEDDINGS, { body: {} })
    answer = (request) => void request.socket.destroy()
    const { status } = await get(gate, EMBEDDINGS, { body: {} })
    expect([status, requests]).toEqual([502, 2])
    answer = (_, response) => void response.end('{}')
    expect((await get(gate, EMBEDDINGS, { body: {} })).status).toBe(200)
  })

  test('a POST is not sent again when a new connection dies', async () => {
    gate.expectErrors(/upstream prematurely closed connection|Connection reset by peer/)
    server.closeAllConnections()
    answer = (request) => void request.socket.resetAndDestroy()
    const { status, bytes } = await get(gate, EMBEDDINGS, { body: {} })
    expect([status, requests]).toEqual([502, 1])
    expect(JSON.parse(bytes.toString()).error.code).toBe('upstream_unavailable')
  })

  test('an answer that is shorter than it says is cut for the caller too, and told apart', async () => {
    gate.expectErrors(/upstream prematurely closed connection/)
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('{"half":', () => request.socket.destroy())
    }
    const cut = await send(gate, EMBEDDINGS, { body: {} }).answer
    await expect(cut.body()).rejects.toThrow()
    await until('its line', async () => (await gate.ledger()).at(-1)?.['status'] === 200)
    expect((await gate.ledger()).at(-1)).toMatchObject({ outcome: 'upstream_aborted' })
  })
})

describe.each(await findEngines())('$name: a server that dies', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup)
    gate.expectErrors(/upstream prematurely closed connection/)
  })
  afterAll(() => gate.stop())

  const ask = (mock: string, stream = true) =>
    send(gate, '/v1/chat/completions', {
      body: { model: 'Qwen/Qwen3-8B', messages: [], stream, mock },
    }).answer

  test('before the header: 502 that may be tried again', async () => {
    const answer = await ask('die:before')
    expect(answer.status).toBe(502)
    expect(JSON.parse((await answer.body()).toString())).toMatchObject({
      error: { type: 'server_error', code: 'upstream_unavailable' },
    })
  })

  test.each([
    ['after the header of a stream', 'die:header', true],
    ['after some events', 'die:4', true],
    ['in the middle of an event', 'die:body', true],
    ['after the header of a body', 'die:header', false],
    ['in the middle of a body', 'die:body', false],
  ])('%s: the answer is cut, not ended', async (_, mock, stream) => {
    const before = (await gate.ledger()).length
    const answer = await ask(mock, stream)
    expect(answer.status).toBe(200)
    await expect(answer.body()).rejects.toThrow()
    const lines = await gate.ledger(before + 1)
    expect(lines.at(-1)).toMatchObject({ outcome: 'upstream_aborted', client: 'app' })
  })

  test('each request reached it once, and the gate goes on', async () => {
    expect(gate.mock.log()).toHaveLength(6)
    expect((await get(gate, '/v1/models')).status).toBe(200)
  })
})

test.each(await findEngines())('$name: no server at all is 502', async (setup) => {
  const gate = await startGate(setup, { upstreamServer: '127.0.0.1:1' })
  gate.expectErrors(/connect\(\) failed/)
  for (const path of ['/v1/models', '/health']) {
    const { status, bytes } = await get(gate, path)
    expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([502, 'upstream_unavailable'])
  }
  await gate.stop()
})
