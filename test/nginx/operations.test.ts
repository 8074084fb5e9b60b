import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client, Policy } from '../../src/core/config/shapes.ts'
import { CHAT, chatOf, clientOf } from './clients.ts'
import { type Gate, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { get } from './wire.ts'

/**
 * The calls of shared memory that one request makes, with everything that it needs. Each costs 0.1 to 0.3
 * us, and takes a lock that all workers share: raise a number only with a reason.
 */
const CALLS = {
  identity: 7,
  metered: 9,
  limited: 51,
  event: 1,
}

watchLogs()

/** Counts the calls that go through it, in a zone of its own. */
const COUNTING = `
function zoneOf(name) {
  const zone = ngx.shared[name]
  const calls = ngx.shared.calls
  const counted = {}
  const methods = ['add', 'delete', 'get', 'has', 'incr', 'pop', 'set', 'size', 'keys', 'items']
  methods.forEach((method) => {
    counted[method] = function (a, b, c) {
      calls.incr('all', 1, 0)
      return b === undefined ? zone[method](a) : c === undefined ? zone[method](a, b) : zone[method](a, b, c)
    }
  })
  return counted
}
`
const SHOW = `
function show(r) { r.return(200, String(ngx.shared.calls.get('all') || 0)) }
export default { show }
`

describe.each(await findEngines())('$name: calls of shared memory', (setup) => {
  const limits = { requestsPerMinute: 1e6, tokensPerMinute: 1e9, concurrency: 1000 }
  const limited = clientOf({ limits, budgets: { tokensPerDay: 1e9, costPerMonth: 1e6 } } as Client)
  let gate: Gate

  beforeAll(async () => {
    gate = await startGate(setup, {
      clients: { version: 1, clients: { limited: limited.client } },
      serverExtra:
        'location = /calls { js_import calls from calls.js; js_content calls.show; access_log off; }',
      async prepare(root) {
        await writeFile(join(root, 'calls.js'), SHOW)
        const bundle = join(root, 'tollgate', 'tollgate.js')
        const text = await readFile(bundle, 'utf8')
        const wrapped = text
          .replaceAll(/ngx\.shared\.(\w+)/g, 'zoneOf("$1")')
          .replaceAll(/ngx\.shared\[(\w+)\]/g, 'zoneOf($1)')
        expect(wrapped).not.toContain('ngx.shared')
        await writeFile(bundle, COUNTING + wrapped)
        const conf = join(root, 'tollgate', 'http.conf')
        const zone = 'js_shared_dict_zone zone=calls:1M type=number;\n'
        await writeFile(conf, zone + (await readFile(conf, 'utf8')))
      },
    })
  })
  afterAll(() => gate.stop())

  const calls = async () => Number((await get(gate, '/calls')).bytes.toString())

  /** The calls of some work, until its line is in the ledger. What the mock is to do is no part of a usual body. */
  async function callsOf(key: string, { mock, ...body }: { mock?: string }): Promise<number> {
    await fetch(`http://127.0.0.1:${gate.mock.port}/__mock/next`, {
      method: 'POST',
      body: mock ?? '',
    })
    const [before, lines] = [await calls(), (await gate.ledger()).length]
    expect((await get(gate, CHAT, { key, body })).status).toBe(200)
    await gate.ledger(lines + 1)
    return (await calls()) - before
  }

  async function setMetering(metering: Policy['metering']): Promise<void> {
    const prices = { '*': { input: 1, output: 1 } }
    await gate.setPolicy({ version: 1, prices, ...(metering ? { metering } : {}) })
  }

  test('of a request with keys and ledger alone', async () => {
    await setMetering('off')
    expect(await callsOf(gate.key, chatOf('tokens:2'))).toBeLessThanOrEqual(CALLS.identity)
  })

  test('of one that is metered', async () => {
    await setMetering('exact')
    expect(await callsOf(gate.key, chatOf('tokens:2'))).toBeLessThanOrEqual(CALLS.metered)
  })

  test('of one with limits and budgets', async () => {
    await setMetering('exact')
    expect(await callsOf(limited.secret, chatOf('tokens:2'))).toBeLessThanOrEqual(CALLS.limited)
  })

  test('of an event in a stream', async () => {
    await setMetering('exact')
    const [few, many] = [20, 220]
    const stream = (tokens: number) =>
      callsOf(limited.secret, chatOf(`tokens:${tokens},itl:2`, { stream: true }))
    const [short, long] = [await stream(few), await stream(many)]
    expect((long - short) / (many - few)).toBeLessThanOrEqual(CALLS.event)
  })
})
