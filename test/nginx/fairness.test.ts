import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CHAT, chatOf, clientOf, documentOf, linesOf } from './clients.ts'
import { edit } from './edit.ts'
import { startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { entriesOf, probed, zone } from './probe.ts'
import { findEngines } from './setups.ts'
import { type Call, get, send } from './wire.ts'

const PLACES = 6

watchLogs()

describe.each(await findEngines())('$name: maxInFlight', (setup) => {
  async function start() {
    const callers = { greedy: clientOf(), second: clientOf(), third: clientOf() }
    const gate = await startGate(
      setup,
      probed({
        workers: 4,
        policy: { version: 1, maxInFlight: PLACES },
        clients: documentOf(callers),
      }),
    )
    const calls: Call[] = []
    onTestFinished(() => {
      for (const { abort } of calls) abort()
      return gate.stop()
    })
    const call = (name: keyof typeof callers, mock: string): Call => {
      const body = chatOf(mock, { stream: true })
      const made = send(gate, CHAT, { key: callers[name].secret, body })
      calls.push(made)
      return made
    }
    const inFlight = async () => {
      const { 'f*vllm': all = 0, 'avllm/': active = 0 } = await zone(gate, 'counters')
      return { all, active }
    }
    return { gate, callers, call, inFlight }
  }

  const long = 'tokens:100000,itl:100'

  /** Those of some calls that were admitted; the others must be told to come again. */
  async function admitted(calls: Call[]): Promise<Call[]> {
    const answers = await Promise.all(calls.map(({ answer }) => answer))
    for (const { status, headers, body } of answers.filter(({ status }) => status !== 200)) {
      expect(status).toBe(429)
      expect(headers['retry-after']).toBe('1')
      const { error } = JSON.parse((await body()).toString())
      expect(error.code).toBe('rate_limit_exceeded')
      expect(error.message).toContain(`${PLACES} requests at once for all clients together`)
    }
    return calls.filter((_, i) => answers[i]?.status === 200)
  }

  test('a greedy client gets all places, and those who come later their share at once', async () => {
    const { gate, call, inFlight } = await start()
    const taken = await admitted(Array.from({ length: 40 }, () => call('greedy', long)))
    expect(taken).toHaveLength(PLACES)
    expect(await inFlight()).toEqual({ all: PLACES, active: 1 })
    // Half of the places for each of two, a third for each of three, although none is free.
    for (const status of [200, 200, 200, 429]) {
      expect((await call('second', long).answer).status).toBe(status)
    }
    const third = [call('third', 'tokens:20,itl:50'), call('third', 'tokens:20,itl:50')]
    expect(await admitted(third)).toHaveLength(2)
    expect(await admitted([call('third', long)])).toHaveLength(0)
    expect(await admitted(Array.from({ length: 10 }, () => call('greedy', long)))).toHaveLength(0)
    expect(await inFlight()).toEqual({ all: PLACES + 5, active: 3 })
    expect(gate.mock.log()).toHaveLength(PLACES + 5)
    const refused = (await linesOf(gate, 'greedy', 44)).filter(({ status }) => status === 429)
    expect(refused.map(({ outcome, limit }) => [outcome, limit])).toEqual(
      Array(44).fill(['rate_limited', 'maxInFlight']),
    )
    // The greedy one gets none of its own back before there are fewer than the places.
    for (const { abort } of taken.slice(0, 2)) abort()
    await until('two places', async () => (await inFlight()).all <= PLACES + 3)
    expect(await admitted([call('greedy', long)])).toHaveLength(0)
    for (const { answer } of third) expect((await (await answer).body()).toString()).toMatch(/DONE/)
    for (const { abort } of taken) abort()
    await until('the second alone', async () => (await inFlight()).all === 3)
    expect(await admitted([call('greedy', long)])).toHaveLength(1)
    expect(await inFlight()).toEqual({ all: 4, active: 2 })
  })

  test('is free again after whole answers, refusals, aborts and breaks', async () => {
    const { gate, callers, call, inFlight } = await start()
    const free = () =>
      until('all places to be free', async () => {
        const { all, active } = await inFlight()
        return all === 0 && active === 0
      })
    gate.expectErrors(/upstream prematurely closed connection/)
    const kinds = ['tokens:3,itl:5', 'die:3', 'die:before', 'status:500', 'hang', long]
    for (let round = 0; round < 5; round++) {
      const calls = kinds.map((mock, i) =>
        call((['second', 'third'] as const)[i % 2] ?? 'second', mock),
      )
      await until('all at the mock', () => gate.mock.log().length === (round + 1) * kinds.length)
      for (const { abort } of calls.slice(4)) abort()
      await free()
    }
    const again = await Promise.all(
      Array.from({ length: PLACES }, () =>
        get(gate, CHAT, { key: callers.greedy.secret, body: chatOf('tokens:5,itl:20') }),
      ),
    )
    expect(again.map(({ status }) => status)).toEqual(Array(PLACES).fill(200))
    await free()
    expect(await entriesOf(gate)).toEqual([])
  })
})

describe.each(await findEngines())('$name: several servers behind', (setup) => {
  test('each that a site names has a maxInFlight of its own', async () => {
    const caller = clientOf()
    const gate = await startGate(setup, {
      workers: 2,
      policy: { version: 1, maxInFlight: 2 },
      clients: documentOf({ caller }),
      async prepare(root) {
        const conf = join(root, 'nginx.conf')
        const set = 'set $tollgate_upstream vllm;'
        await edit(conf, set, `${set} if ($arg_to) { set $tollgate_upstream $arg_to; }`)
        const { 1: block = '' } =
          /(upstream vllm \{[^}]*\})/.exec(await readFile(conf, 'utf8')) ?? []
        await edit(conf, block, `${block}\n${block.replace('vllm', 'other')}`)
      },
    })
    const calls: Call[] = []
    onTestFinished(() => {
      for (const { abort } of calls) abort()
      return gate.stop()
    })
    const statuses = async (path: string) => {
      const body = chatOf('tokens:1000,itl:100', { stream: true })
      const made = [1, 2, 3].map(() => send(gate, path, { key: caller.secret, body }))
      calls.push(...made)
      const answers = await Promise.all(made.map(({ answer }) => answer))
      return answers.map(({ status }) => status).sort()
    }
    expect(await statuses(CHAT)).toEqual([200, 200, 429])
    expect(await statuses(`${CHAT}?to=other`)).toEqual([200, 200, 429])
    expect(await statuses(CHAT)).toEqual([429, 429, 429])
  })
})
