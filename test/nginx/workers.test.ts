import { describe, expect, onTestFinished, test } from 'vitest'
import { stayInMinute } from '../waiting.ts'
import {
  type Caller,
  CHAT,
  chatOf,
  clientOf,
  documentOf,
  linesOf,
  sumOf,
  tokensOf,
} from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { connectAll, entriesOf, heldBy, probed, usedBy, zone } from './probe.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { type Call, type CallOptions, eventsOf, get, send } from './wire.ts'

const WORKERS = 4

watchLogs()

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

describe.skipIf(isNearMidnight).each(await findEngines())('$name: four workers', (setup) => {
  async function start(callers: { [name: string]: Caller }): Promise<Gate> {
    const gate = await startGate(
      setup,
      probed({ workers: WORKERS, listenExtra: 'reuseport', clients: documentOf(callers) }),
    )
    onTestFinished(() => gate.stop())
    return gate
  }

  async function connect(gate: Gate, each = 1) {
    const agents = await connectAll(gate, WORKERS, each)
    onTestFinished(() => {
      for (const agent of [...agents.values()].flat()) agent.destroy()
    })
    return agents
  }

  test('have one limit together, not one each (bifrost#3547)', async () => {
    const callers = {
      requests: clientOf({ limits: { requestsPerMinute: 6 } }),
      // With the prompt a request reserves somewhat more than 1000, and so three of them fit.
      tokens: clientOf({ limits: { tokensPerMinute: 3500 } }),
      places: clientOf({ limits: { concurrency: 3 } }),
      budget: clientOf({ budgets: { tokensPerDay: 3500 } }),
    }
    const gate = await start(callers)
    const agents = await connect(gate, 2)
    await stayInMinute(8)
    /** The statuses of two requests by each worker, all at once. */
    const ask = async (name: keyof typeof callers) => {
      const calls = []
      for (const agent of [...agents.values()].flat()) {
        const body = chatOf('tokens:30,itl:20', { stream: true, max_tokens: 1000 })
        const call = send(gate, CHAT, { key: callers[name].secret, agent, body })
        calls.push(await call.answer)
      }
      await Promise.all(calls.map((answer) => answer.body()))
      return calls.filter(({ status }) => status === 200).length
    }
    expect(await ask('requests')).toBe(6)
    expect(await ask('tokens')).toBe(3)
    expect(await ask('places')).toBe(3)
    // Of a budget the fourth gets what is left.
    expect(await ask('budget')).toBe(4)
  })

  test.each([
    ['the one that does the housekeeping', 0],
    ['another one', 2],
  ])('kill -9 of %s gives back its places, and no others', async (_, index) => {
    const one = clientOf({ limits: { concurrency: 8 }, budgets: { tokensPerDay: 1_000_000 } })
    const gate = await start({ one })
    gate.expectErrors(/exited on signal 9/)
    const agents = await connect(gate, 2)
    const body = chatOf('tokens:100000,itl:50', { stream: true, max_tokens: 200 })
    const run = (options: CallOptions = {}) =>
      send(gate, CHAT, { key: one.secret, body, ...options })
    const calls = [...agents].map(([pid, some]) => ({
      pid,
      made: some.map((agent) => run({ agent })),
    }))
    const answers = await Promise.all(calls.flatMap(({ made }) => made.map(({ answer }) => answer)))
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect((await run().answer).status).toBe(429)
    const [, reserved = 0] = await heldBy(gate, 'one')
    expect(reserved).toBeGreaterThan(8 * 200)
    const victim = workersOf(gate)[index] ?? 0
    process.kill(victim, 'SIGKILL')
    await until('the places of the dead', async () => (await heldBy(gate, 'one'))[0] === 6)
    expect(await heldBy(gate, 'one')).toEqual([6, (reserved / 8) * 6, 0])
    const more: Call[] = []
    for (const status of [200, 200, 429]) {
      const call = run()
      more.push(call)
      expect((await call.answer).status).toBe(status)
    }
    // The streams of the others go on, and take nothing along when they end.
    const others = calls.filter(({ pid }) => pid !== victim).flatMap(({ made }) => made)
    for (const { answer } of others) {
      const { pieces } = await answer
      const before = pieces.length
      await until('more of a stream', () => pieces.length > before)
    }
    for (const { abort } of [...others, ...more]) abort()
    await until('all to be free', async () => (await heldBy(gate, 'one'))[0] === 0)
    expect(await heldBy(gate, 'one')).toEqual([0, 0, 0])
    await until('no entries', async () => (await entriesOf(gate)).length === 0)
  })

  test('tokens per minute are not overshot but by what requests used beyond their reservation', async () => {
    const limit = 3000
    const one = clientOf({ limits: { tokensPerMinute: limit } })
    const gate = await start({ one })
    await stayInMinute(8)
    // Some name a maximum and some do not, and a third has a prompt that is longer than it looks.
    const kinds = [
      chatOf('prompt:3,tokens:40', { max_tokens: 60 }),
      chatOf('prompt:60,tokens:20,itl:2', { max_tokens: 30, stream: true }),
      chatOf('prompt:3,tokens:25'),
      chatOf('prompt:5,tokens:30,itl:1', { stream: true }),
    ]
    let admitted = 1
    let asked = 0
    for (let wave = 0; wave < 12 && admitted > 0; wave++) {
      const calls = Array.from({ length: 60 }, (_, i) =>
        get(gate, CHAT, { key: one.secret, body: kinds[(i + wave) % 4] ?? {} }),
      )
      const statuses = (await Promise.all(calls)).map(({ status }) => status)
      expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([])
      admitted = statuses.filter((status) => status === 200).length
      asked += statuses.length
    }
    const lines = (await linesOf(gate, 'one', asked)).filter(({ status }) => status === 200)
    const used = sumOf(lines, tokensOf)
    const beyond = sumOf(lines, (line) =>
      Math.max(0, tokensOf(line) - Number(line['reservedTokens'])),
    )
    expect(beyond).toBeGreaterThan(0)
    // A maximum that the caller names is reserved as far as answers of the model have come: 20 to 40 tokens.
    const named = lines.filter(({ completionTokens }) => completionTokens === 40)
    expect(named.length).toBeGreaterThan(0)
    for (const line of named) expect(line['reservedTokens']).toBeGreaterThan(20)
    expect(named[0]?.['reservedTokens']).toBeGreaterThan(60)
    expect(used).toBeLessThanOrEqual(limit + beyond)
    expect(used).toBeGreaterThan(limit / 2)
    // The window holds what was used, to the token.
    const counted = Object.entries(await zone(gate, 'windows')).filter(([name]) =>
      name.startsWith('t'),
    )
    expect(counted.map(([, value]) => value)).toEqual([used])
  })

  test('a hard budget is not overshot by a token, though a third of the streams is left', async () => {
    const limit = 6000
    const one = clientOf({ budgets: { tokensPerDay: limit, hard: true } })
    const gate = await start({ one })
    const kinds = ['prompt:3,tokens:900,itl:1', 'prompt:60,tokens:700,itl:2', 'prompt:7,tokens:800']
    const run = async (i: number) => {
      const whole = i % 5 === 4 ? { max_tokens: 300 } : { stream: true }
      const call = send(gate, CHAT, { key: one.secret, body: chatOf(kinds[i % 3] ?? '', whole) })
      const answer = await call.answer
      if (answer.status !== 200 || i % 3 !== 1) return answer.body()
      const leavesAfter = 5 + ((i * 7) % 40)
      const isTime = () => eventsOf(answer.pieces).length >= leavesAfter
      await until('some events', () => isTime() || answer.response.complete)
      return call.abort()
    }
    for (let wave = 0; wave < 4; wave++) {
      await Promise.all(Array.from({ length: 30 }, (_, i) => run(i)))
      await linesOf(gate, 'one', 30 * (wave + 1))
    }
    const lines = await linesOf(gate, 'one', 120)
    const used = sumOf(lines, tokensOf)
    expect(used).toBeLessThanOrEqual(limit)
    expect(used).toBeGreaterThan(limit * 0.8)
    const outcomes = new Set(lines.map(({ outcome }) => outcome))
    for (const outcome of ['cut_budget', 'client_aborted']) {
      expect(outcomes).toContain(outcome)
    }
    expect(await heldBy(gate, 'one')).toEqual([0, 0, 0])
    expect((await usedBy(gate, 'one')).slice(0, 1)).toEqual([used])
  })
})
