import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Client } from '../../src/core/config/shapes.ts'
import type { RunningReply } from '../../src/core/running.ts'
import { start as startCommand, tollgate } from '../cli/command.ts'
import { type Gate, makeKey, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { eventsOf, get, send } from './wire.ts'

const CHAT = '/v1/chat/completions'
const MODEL = 'Qwen/Qwen3-8B'

watchLogs()

/** What `tollgate tail --live` and `tollgate balance` are told by a running nginx. */
describe.each(await findEngines())('$name: what runs', (setup) => {
  const { secret, record } = makeKey()
  const client: Client = {
    keys: [record],
    group: 'web',
    limits: { concurrency: 5, tokensPerMinute: 100_000 },
    budgets: { tokensPerDay: 50_000, costPerDay: 1 },
  }
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, prices: { [MODEL]: { input: 1, output: 1 } } },
      clients: { version: 1, clients: { limited: client } },
    })
    gate.expectErrors(/exited on signal 9/)
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  function run(mock: string, fields: object = {}, key = secret) {
    const messages = [{ role: 'user', content: 'one two three' }]
    const call = send(gate, CHAT, { key, body: { model: MODEL, messages, mock, ...fields } })
    onTestFinished(() => void call.abort())
    return call
  }

  /** The next object of `tollgate tail --live --json`. */
  async function look(...args: string[]): Promise<RunningReply> {
    const command = startCommand(['tail', '--live', '--json', '--dir', gate.configDir, ...args])
    await until('what runs', () => command.output.stdout.includes('\n'), 20)
    command.child.kill('SIGTERM')
    expect((await command.ended).code).toBe(0)
    return JSON.parse(command.output.stdout.split('\n')[0] ?? '')
  }

  async function balance() {
    const { code, stdout } = await tollgate('balance', 'limited', '--json', '--dir', gate.configDir)
    expect(code).toBe(0)
    return JSON.parse(stdout)
  }

  test('is listed with how far it is, and not when it has ended', async () => {
    const stream = run('tokens:1000,itl:20', { stream: true })
    const { pieces } = await stream.answer
    const whole = run('hang', {}, gate.key)
    await until('both', () => gate.mock.log().length === 2)
    // How far a stream is, is shown once a second.
    await until('80 tokens', () => eventsOf(pieces).length > 80, 20)
    const { total, requests } = await look()
    expect(total).toBe(2)
    const [first, second] = requests
    expect(first).toMatchObject({
      ...{ client: 'limited', key: record.id, group: 'web', route: 'chat', model: MODEL },
      ...{ stream: true, promptTokens: 3, remote: '127.0.0.1' },
    })
    expect(first?.completionTokens).toBeGreaterThan(20)
    expect(first?.heldTokens).toBeGreaterThan(1000)
    expect(workersOf(gate)).toContain(first?.worker)
    expect(second).toMatchObject({ client: 'app', route: 'chat' })
    expect(second).not.toHaveProperty('stream')
    expect((await look('--client', 'app')).requests.map((one) => one.client)).toEqual(['app'])
    stream.abort()
    whole.abort()
    await until('their end', async () => (await look()).total === 0, 20)
  })

  test('is shown to a person', async () => {
    const { pieces } = await run('tokens:1000,itl:20', { stream: true }).answer
    await until('80 tokens', () => eventsOf(pieces).length > 80, 20)
    const { stdout } = await tollgate('tail', '--live', '--dir', gate.configDir)
    expect(stdout).toMatch(/^1 request running, 1 stream, \d+ tokens\/s/)
    expect(stdout).toMatch(
      /^limited +\S{8} +chat +Qwen\/Qwen3-8B +127\.0\.0\.1 +3 +\d+ .*t\/s +\d/m,
    )
  })

  test('a refused request is not listed', async () => {
    expect((await get(gate, CHAT, { key: secret, body: { model: [] } })).status).toBe(400)
    expect((await look()).total).toBe(0)
  })

  test('what it holds is told by balance, and goes back', async () => {
    const call = run('hang', { max_tokens: 500 })
    await until('it', () => gate.mock.log().length === 1)
    const during = await balance()
    const [subject] = during.subjects
    const standing = (name: string) =>
      subject.standings.find(({ budget }: { budget: string }) => budget === name)
    const reserved = standing('tokensPerDay').reserved
    expect(reserved).toBeGreaterThan(500)
    expect(standing('tokensPerDay')).toMatchObject({
      limit: 50_000,
      left: 50_000 - reserved - standing('tokensPerDay').used,
    })
    expect(standing('costPerDay').reserved).toBeCloseTo(reserved / 1e6, 9)
    expect(subject.rates).toMatchObject([
      { limit: 'concurrency', value: 5, taken: 1, left: 4 },
      { limit: 'tokensPerMinute', value: 100_000 },
    ])
    expect(subject.rates[1].taken).toBeGreaterThanOrEqual(reserved)
    call.abort()
    await until('its end', async () => (await balance()).subjects[0].rates[0].taken === 0, 20)
    expect((await balance()).subjects[0].standings[0].reserved).toBe(0)
  })

  test('a question that is none is not answered, and does no harm', async () => {
    for (const text of ['', 'null', '{"id":1}', '{"id":"x","subjects":"client:app"}']) {
      await writeFile(join(gate.stateDir, 'ask.json'), text)
      await sleep(600)
    }
    expect((await look()).requests).toEqual([])
  })

  test('requests of a killed worker go off the list', async () => {
    await run('tokens:1000,itl:20', { stream: true }).answer
    const { requests } = await look()
    process.kill(requests[0]?.worker ?? 0, 'SIGKILL')
    await until('its end', async () => (await look()).total === 0, 20)
  })
})
