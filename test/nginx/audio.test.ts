import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytesPerSecond } from '../../src/mock/audio.ts'
import { CHAT, chatOf, clientOf, documentOf, linesOf, MODEL } from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy } from './probe.ts'
import { findEngines } from './setups.ts'

const TRANSCRIPTIONS = '/v1/audio/transcriptions'
const BAD_KEYS = 5

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

/** A form as the official SDKs send it: a file of so many seconds, and fields. */
function formOf(seconds: number, fields: { [name: string]: string } = {}): FormData {
  const form = new FormData()
  form.set('model', MODEL)
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([randomBytes(seconds * bytesPerSecond)]), 'speech.wav')
  return form
}

describe.skipIf(isNearMidnight).each(await findEngines())('$name: multipart audio', (setup) => {
  const callers = {
    reader: clientOf({ scopes: ['inference', 'models'] }),
    two: clientOf({ limits: { requestsPerMinute: 2 } }),
    place: clientOf({ limits: { concurrency: 1, tokensPerMinute: 10 } }),
    paid: clientOf({ budgets: { costPerDay: 100 } }),
    poor: clientOf({ budgets: { costPerDay: 1 } }),
  }
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(
      setup,
      probed({
        workers: 2,
        policy: {
          version: 1,
          // What model a form names is not read: its seconds have the price of all models, and not of the usual one.
          prices: {
            '*': { input: 0, output: 0, audioSecond: 0.25 },
            [MODEL]: { input: 0, output: 0 },
          },
          defaultModel: MODEL,
          lockout: { badKeysPerMinute: BAD_KEYS, seconds: 1 },
        },
        clients: documentOf(callers),
      }),
    )
  })
  afterAll(() => gate.stop())

  const upload = (key: string, form = formOf(1), path = TRANSCRIPTIONS) =>
    fetch(gate.url + path, {
      method: 'POST',
      body: form,
      headers: { authorization: `Bearer ${key}` },
    })

  test.each([
    ['whole', {}],
    ['translated', {}],
  ])('the seconds are in the line, with their cost: %s', async (kind) => {
    const path = kind === 'whole' ? TRANSCRIPTIONS : '/v1/audio/translations'
    const before = (await linesOf(gate, 'paid')).length
    expect((await upload(callers.paid.secret, formOf(7), path)).status).toBe(200)
    const line = (await linesOf(gate, 'paid', before + 1)).at(-1)
    expect(line).toMatchObject({
      outcome: 'ok',
      route: kind === 'whole' ? 'transcriptions' : 'translations',
    })
    expect(line).not.toHaveProperty('promptTokens')
    // vLLM tells the seconds of a transcription, and none of a translation.
    if (kind === 'whole') expect(line).toMatchObject({ audioSeconds: 7, cost: 1.75 })
    else expect(line).not.toHaveProperty('audioSeconds')
  })

  test('the cost comes into the sums that budgets are taken from', async () => {
    await upload(callers.paid.secret, formOf(2))
    await until('its cost', async () => {
      const lines = await linesOf(gate, 'paid')
      const cost = lines.reduce((sum, line) => sum + (Number(line['cost']) || 0), 0)
      return cost > 0 && (await usedBy(gate, 'paid'))[2] === Math.round(cost * 1e9)
    })
  })

  test('a budget that audio has spent is spent, for audio and for all else', async () => {
    const { secret } = callers.poor
    expect((await upload(secret, formOf(3))).status).toBe(200)
    await until('its cost', async () => (await usedBy(gate, 'poor'))[2] === 750_000_000)
    expect((await upload(secret, formOf(3))).status).toBe(200)
    await until('its cost', async () => (await usedBy(gate, 'poor'))[2] === 1_500_000_000)
    const refused = await upload(secret)
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { code: 'insufficient_quota' } },
    ])
    expect(refused.headers.get('x-should-retry')).toBe('false')
    const chat = await gate.call(CHAT, { key: secret, body: JSON.stringify(chatOf('')) })
    expect(chat.status).toBe(429)
    expect((await gate.call('/v1/models', { key: secret })).status).toBe(200)
    expect(await heldBy(gate, 'poor')).toEqual([0, 0, 0])
  })

  test('the scope holds, and a refused file does not reach the server', async () => {
    gate.mock.reset()
    const answer = await upload(callers.reader.secret)
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { error: { code: 'scope_denied' } },
    ])
    expect((await upload('nobody')).status).toBe(401)
    expect(gate.mock.log()).toEqual([])
  })

  test('requests per minute hold, and say so', async () => {
    const { secret } = callers.two
    const answers = [await upload(secret), await upload(secret), await upload(secret)]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
    expect(answers.map(({ headers }) => headers.get('x-ratelimit-remaining-requests'))).toEqual([
      '1',
      '0',
      '0',
    ])
    expect(await answers.at(-1)?.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } })
  })

  test('a place is taken until the answer has ended, and tokens are none', async () => {
    const { secret } = callers.place
    const url = `${TRANSCRIPTIONS}?mock=tokens:40,itl:25`
    const running = await upload(secret, formOf(1, { stream: 'true' }), url)
    expect(running.status).toBe(200)
    expect((await heldBy(gate, 'place'))[0]).toBe(1)
    expect((await upload(secret)).status).toBe(429)
    expect(await running.text()).toContain('[DONE]')
    await until('a free place', async () => (await heldBy(gate, 'place'))[0] === 0)
    expect((await upload(secret)).status).toBe(200)
  })

  // Last, because the address is locked out then.
  test('an address that tries keys is locked out here too, and a good key is not', async () => {
    const statuses = []
    for (let i = 0; i < BAD_KEYS + 3; i++) statuses.push((await upload(`nobody-${i}`)).status)
    expect(statuses.slice(-2)).toEqual([429, 429])
    expect((await upload(callers.paid.secret)).status).toBe(200)
  })
})

describe.each(await findEngines())('$name: the bytes of an upload', (setup) => {
  let server: Server
  let gate: Gate
  let received = ''

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const hash = createHash('sha256')
      for await (const piece of request) hash.update(piece)
      received = hash.digest('hex')
      response.setHeader('content-type', 'application/json')
      response.end('{"text":"x","usage":{"type":"duration","seconds":3}}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    gate = await startGate(setup, { upstreamServer: `127.0.0.1:${port}` })
  })
  afterAll(async () => {
    await gate.stop()
    server.closeAllConnections()
    server.close()
  })

  test.each([
    ['random', () => randomBytes(3_000_000)],
    [
      'like a form within the form',
      () => Buffer.from('--x\r\nContent-Disposition: form-data\r\n\r\n'.repeat(50)),
    ],
    ['like a body that is changed', () => Buffer.from('{"stream":true,"model":"a","n":99}')],
    ['none', () => Buffer.alloc(0)],
  ])('pass as they are: %s', async (_, make) => {
    const body = Buffer.concat([
      Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'),
      make(),
      Buffer.from('\r\n--x--\r\n'),
    ])
    const answer = await fetch(gate.url + TRANSCRIPTIONS, {
      method: 'POST',
      body,
      headers: {
        authorization: `Bearer ${gate.key}`,
        'content-type': 'multipart/form-data; boundary=x',
      },
    })
    expect(answer.status).toBe(200)
    expect(received).toBe(createHash('sha256').update(body).digest('hex'))
    const line = (await gate.ledger(1)).at(-1)
    expect(line?.['audioSeconds']).toBe(3)
  })
})
