import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatClients } from '../../src/core/config/clientsfile.ts'
import type { Clients } from '../../src/core/config/shapes.ts'
import { type Gate, makeKey, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { get, nowMs, oneConnection } from './wire.ts'

/** What one portion of the file has, see src/edge/config/portions.ts. */
const PORTION_BYTES = 32768

const setups = await findEngines()

watchLogs()

function secretOf(number: number): string {
  return `secret-${number}`
}

/** A file in which client `c<i>` has the key `secret-<i>`, after the client of the harness. */
function makeClients(count: number, note?: (number: number) => string): Clients {
  const clients: Clients['clients'] = {}
  for (let i = 0; i < count; i++) {
    const sha256 = createHash('sha256').update(secretOf(i)).digest('hex')
    const id = i.toString(36).padStart(8, '0')
    clients[`c${i}`] = { keys: [{ id, sha256, created: '2026-01-01T00:00:00Z' }] }
    if (note) Object.assign(clients[`c${i}`] ?? {}, { note: note(i) })
  }
  return { version: 1, clients }
}

/** A file whose lines have 256 bytes each, and so fill portions to the byte; the last is shorter. */
function makeEvenLines(count: number, lastIsShorterBy: number): string {
  const lines = Object.entries(makeClients(count).clients).map(([name, client], i) => {
    const bytes = i === count - 1 ? 255 - lastIsShorterBy : 254
    const bare = `    ${JSON.stringify(name)}: ${JSON.stringify({ note: '', ...client })}`
    return bare.replace('"note":""', `"note":"${'x'.repeat(bytes - bare.length)}"`)
  })
  return `{\n  "version": 1,\n  "clients": {\n${lines.join(',\n')}\n  }\n}\n`
}

describe.each(setups)('$name', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup)
  })
  afterAll(() => gate.stop())

  const statusOf = async (number: number) =>
    (await get(gate, '/v1/models', { key: secretOf(number) })).status

  async function load(text: string, clients: number): Promise<void> {
    const { generation } = await gate.state()
    await gate.writeConfig('clients.json', text)
    await gate.waitForGeneration(generation + 1)
    expect(await gate.state()).toMatchObject({ clients, problems: [] })
  }

  test('5,000 clients load in portions that cut their notes in the middle of characters', async () => {
    const note = (number: number) => 'é漢😀'.repeat(5 + (number % 7))
    await load(formatClients(makeClients(5000, note)), 5000)
    for (const number of [0, 1, 2500, 4998, 4999]) expect(await statusOf(number)).toBe(200)
    expect(await statusOf(5000)).toBe(401)
  })

  test('the same with CRLF', async () => {
    const text = formatClients(makeClients(4000)).replaceAll('\n', '\r\n')
    expect(text.length).toBeGreaterThan(8 * PORTION_BYTES)
    await load(text, 4000)
    expect([await statusOf(0), await statusOf(3999), await statusOf(4999)]).toEqual([200, 200, 401])
  })

  test.each([0, 1, 4])(
    'the last portion ends in the closing braces, %d bytes in',
    async (bytes) => {
      const text = makeEvenLines(1280, bytes)
      const opening = text.indexOf('    "c0"')
      const rest = Buffer.byteLength(text) - opening
      expect(rest % PORTION_BYTES).toBe(6 - bytes)
      await load(text, 1280)
      expect([await statusOf(0), await statusOf(1279)]).toEqual([200, 200])
    },
  )

  test('a client has 1,000 keys, in a line longer than a portion', async () => {
    const document = makeClients(1500)
    const keys = Array.from({ length: 1000 }, (_, i) => makeKey(`many-${i}`))
    document.clients['many'] = { keys: keys.map(({ record }) => record) }
    await load(formatClients(document), 1501)
    expect((await gate.state()).keys).toBe(2500)
    for (const number of [0, 500, 999]) {
      expect((await get(gate, '/v1/models', { key: `many-${number}` })).status).toBe(200)
    }
    expect(await statusOf(1499)).toBe(200)
  })

  test('a large file in another layout is refused, and the fix is named', async () => {
    gate.expectErrors(/Tollgate cannot load/, /Tollgate goes on/)
    const document = makeClients(2000)
    const behind = formatClients(document).replace(/\}\s*\}\s*$/, '}, "more": {}\n}\n')
    for (const [text, expected] of [
      [JSON.stringify(document), /not one client a line: run tollgate/],
      [JSON.stringify(document, null, 2), /not one client a line: run tollgate/],
      [behind, /Nothing may stand behind the clients/],
      [formatClients(document).slice(0, -20), /clients\.json/],
    ] as const) {
      await gate.writeConfig('clients.json', text)
      await until(`a report of ${expected}`, async () => {
        const [problem] = (await gate.state()).problems
        return expected.test(`${problem?.path}: ${problem?.message}`)
      })
      expect([await statusOf(1499), await statusOf(1500)]).toEqual([200, 401])
    }
  })

  test('a mistake in the last portion keeps the first from coming into force', async () => {
    gate.expectErrors(/Tollgate cannot load/, /Tollgate goes on/)
    const document = makeClients(3000)
    Object.assign(document.clients['c2999'] ?? {}, { scope: ['models'] })
    await gate.writeConfig('clients.json', formatClients(document))
    await until('its report', async () => {
      const [problem] = (await gate.state()).problems
      return problem?.path === 'clients.json: clients.c2999.scope'
    })
    expect([await statusOf(1499), await statusOf(1500)]).toEqual([200, 401])
  })
})

describe.each(setups)('$name: 100,000 keys', (setup) => {
  const COUNT = 100_000
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup)
  })
  afterAll(() => gate.stop())

  /** Writes a file, asks all the time until it is in force, and tells the longest wait. */
  async function loadWatched(document: Clients): Promise<{ seconds: number; stallMs: number }> {
    const { generation } = await gate.state()
    const agent = oneConnection()
    await gate.writeConfig('clients.json', formatClients(document))
    const startMs = nowMs()
    let stallMs = 0
    while ((await gate.state()).generation === generation) {
      expect(nowMs() - startMs).toBeLessThan(120_000)
      const askedMs = nowMs()
      const { status } = await get(gate, '/health', { agent })
      stallMs = Math.max(stallMs, nowMs() - askedMs)
      expect(status).toBe(200)
      await sleep(1)
    }
    agent.destroy()
    return { seconds: (nowMs() - startMs) / 1000, stallMs }
  }

  test('load while requests are answered, and a removed one goes', {
    timeout: 300_000,
  }, async () => {
    const document = makeClients(COUNT)
    const statusOf = async (number: number) =>
      (await get(gate, '/v1/models', { key: secretOf(number) })).status
    const first = await loadWatched(document)
    expect(await gate.state()).toMatchObject({ clients: COUNT, keys: COUNT, problems: [] })
    for (const number of [0, 1, COUNT / 2, COUNT - 1]) expect(await statusOf(number)).toBe(200)
    delete document.clients[`c${COUNT / 2}`]
    const second = await loadWatched(document)
    expect(await statusOf(COUNT / 2)).toBe(401)
    expect([await statusOf(0), await statusOf(COUNT - 1)]).toEqual([200, 200])
    for (const [what, { seconds, stallMs }] of Object.entries({ first, second })) {
      const took = `${seconds.toFixed(1)} s, longest wait of a request ${stallMs.toFixed(0)} ms`
      console.log(`100,000 keys, ${setup.nginx.engine}, ${what} load: ${took}`)
    }
  })
})
