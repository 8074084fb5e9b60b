import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type Gate, type GateOptions, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { privateBytesOf, workersOf } from './processes.ts'
import { ask, message, open, parseAnswers } from './raw.ts'
import { findEngines } from './setups.ts'

watchLogs()

/** Lets a test call from any address. */
const fromAnywhere = 'set_real_ip_from 127.0.0.1; real_ip_header X-Caller;'

describe.each(await findEngines())('$name', (setup) => {
  let gate: Gate
  afterEach(() => gate.stop())

  async function start(lockout: object, options: GateOptions = {}) {
    gate = await startGate(setup, { policy: { version: 1, lockout }, ...options })
  }

  function tryKey(secret: string, caller = '192.0.2.1') {
    return ask(gate, 'GET', '/v1/models', [`x-api-key: ${secret}`, `X-Caller: ${caller}`])
  }

  async function statusesOf(count: number, caller?: string): Promise<number[]> {
    const statuses: number[] = []
    for (let i = 0; i < count; i++) statuses.push((await tryKey(`bad${i}`, caller)).status)
    return statuses
  }

  test('bad keys lock their address out, good keys go on, and the end comes by itself', async () => {
    await start({ badKeysPerMinute: 5, seconds: 2 })
    expect(await statusesOf(5)).toEqual([401, 401, 401, 401, 401])
    const locked = await tryKey('bad')
    expect(locked.status).toBe(429)
    expect(JSON.parse(locked.body).error).toMatchObject({ code: 'locked_out', type: 'requests' })
    expect(['1', '2']).toContain(locked.headers['retry-after'])
    expect(Number(locked.headers['retry-after-ms'])).toBe(
      Number(locked.headers['retry-after']) * 1000,
    )
    expect((await tryKey(gate.key)).status).toBe(200)
    expect((await tryKey('bad')).status).toBe(429)
    await sleep(2100)
    expect(await statusesOf(6)).toEqual([401, 401, 401, 401, 401, 429])
    expect(gate.mock.log()).toHaveLength(1)
    const outcomes = (await gate.ledger(14)).map((line) => line.outcome)
    expect(outcomes.filter((outcome) => outcome === 'locked_out')).toHaveLength(3)
  })

  test('a caller is told to wait a minute at most, however long the lock-out is', async () => {
    await start({ badKeysPerMinute: 1, seconds: 3600 })
    await statusesOf(2)
    const { headers } = await tryKey('bad')
    expect([headers['retry-after'], headers['retry-after-ms']]).toEqual(['60', '60000'])
  })

  test('all workers count together, and each address by itself', async () => {
    await start({ badKeysPerMinute: 5, seconds: 60 }, { workers: 2, serverExtra: fromAnywhere })
    expect((await statusesOf(12)).filter((status) => status === 401)).toHaveLength(5)
    expect(await statusesOf(1, '192.0.2.2')).toEqual([401])
    expect((await tryKey(gate.key)).status).toBe(200)
  })

  test('IPv6 is counted by its /64, which belongs to one subscriber', async () => {
    await start({ badKeysPerMinute: 2, seconds: 60 }, { serverExtra: fromAnywhere })
    const callers = ['2001:db8::1', '2001:db8::2', '2001:db8::ffff:3', '2001:db8:0:1::1']
    const statuses = []
    for (const caller of callers) statuses.push((await tryKey('bad', caller)).status)
    expect(statuses).toEqual([401, 401, 429, 401])
  })

  test('10,000 bad keys in a burst change nothing for the others', async () => {
    await start({ badKeysPerMinute: 5, seconds: 60 })
    // The housekeeping takes memory while it adds up so many lines; it must come back to that.
    await flood(10_000, () => '192.0.2.1')
    await sleep(1500)
    const [worker = 0] = workersOf(gate)
    const before = privateBytesOf(worker)
    const statuses = await flood(10_000, () => '192.0.2.1')
    expect(statuses).toEqual({ 429: 10_000 })
    await until('the memory', () => privateBytesOf(worker) - before < 8 * 1024 * 1024)
    expect((await tryKey(gate.key)).status).toBe(200)
    expect((await gate.ledger(20_001)).length).toBe(20_001)
    expect(gate.mock.log()).toHaveLength(1)
  })

  test('a flood of addresses that fills the zone opens nothing and breaks nothing', async () => {
    await start(
      { badKeysPerMinute: 5, seconds: 60 },
      { serverExtra: fromAnywhere, prepare: shrink },
    )
    gate.expectErrors(/js_shared_dict_zone|ngx_slab_alloc\(\) failed: no memory/)
    const statuses = await flood(3000, (index) => `10.0.${index >> 8}.${index & 255}`)
    expect(statuses).toEqual({ 401: 3000 })
    expect((await tryKey(gate.key, '10.9.9.9')).status).toBe(200)
    expect(gate.mock.log()).toHaveLength(1)
  })

  /** The zone of bad keys at its smallest: 32 KB hold some hundred addresses. */
  async function shrink(root: string): Promise<void> {
    const path = join(root, 'tollgate', 'http.conf')
    const text = await readFile(path, 'utf8')
    const small = text.replace('zone=tollgate_badkeys:8M', 'zone=tollgate_badkeys:32k')
    expect(small).not.toBe(text)
    await writeFile(path, small)
  }

  /** Sends bad keys without waiting in between, and counts the statuses. */
  async function flood(count: number, callerOf: (index: number) => string) {
    const counts: Record<number, number> = {}
    for (let from = 0; from < count; from += 500) {
      const requests = Array.from({ length: 500 }, (_, index) =>
        message('GET', '/v1/models', [
          `x-api-key: bad${from + index}`,
          `X-Caller: ${callerOf(from + index)}`,
          ...(index === 499 ? ['Connection: close'] : []),
        ]),
      )
      const socket = await open(gate.port)
      const pieces: Buffer[] = []
      socket.on('data', (piece) => pieces.push(piece))
      socket.write(requests.join(''))
      await once(socket, 'close')
      for (const { status } of parseAnswers(Buffer.concat(pieces).toString('latin1'))) {
        counts[status] = (counts[status] ?? 0) + 1
      }
    }
    return counts
  }
})
