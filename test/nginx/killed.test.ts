import { readdirSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import { subjectName } from '../../src/core/limits/counters.ts'
import { CHAT, chatOf, clientOf, documentOf, MODEL, sumOf, tokensOf } from './clients.ts'
import { type Gate, type Line, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { entriesOf, probed, usedBy, zone } from './probe.ts'
import { killAll } from './processes.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

const setups = await findEngines()

const budgets = { tokensPerDay: 1e9, tokensPerMonth: 1e9, costPerDay: 1e6, costPerMonth: 1e6 }
const callers = {
  many: clientOf({ budgets, limits: { concurrency: 100 } }),
  hard: clientOf({ budgets: { ...budgets, hard: true } }),
  free: clientOf(),
}
const names = ['many', 'hard', 'free'] as const
const SECONDS = 30

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 120_000

watchLogs()

/** Streams and short requests of all clients, many at once, until it is told to stop. */
function startLoad(gate: Gate) {
  const kinds = [
    ['prompt:9,tokens:40,itl:5', { stream: true }],
    ['prompt:3,tokens:2', {}],
    ['prompt:5,tokens:30,itl:3', { stream: true, n: 2 }],
    ['prompt:70,tokens:7', { stream: true, stream_options: { include_usage: true } }],
  ] as const
  let isOver = false
  let serial = 0
  async function drive(): Promise<void> {
    while (!isOver) {
      const i = serial++
      const [mock, fields] = kinds[i % kinds.length] ?? kinds[0]
      const { secret: key } = callers[names[i % names.length] ?? 'free']
      const call = send(gate, CHAT, { key, body: chatOf(mock, fields) })
      const answer = await call.answer.catch(() => null)
      if (answer && i % 7 === 0) {
        await sleep(i % 40)
        call.abort()
      } else await answer?.body().catch(() => null)
      if (!answer) await sleep(20)
    }
  }
  const drivers = Array.from({ length: 24 }, drive)
  return {
    async stop() {
      isOver = true
      await Promise.all(drivers)
      return serial
    },
  }
}

/** All lines of the ledger and of what a rotation has left of it. */
async function allLines(gate: Gate): Promise<Line[]> {
  const files = readdirSync(gate.stateDir).filter((name) => name.startsWith('ledger.jsonl'))
  const texts = await Promise.all(files.map((name) => readFile(join(gate.stateDir, name), 'utf8')))
  const lines = texts.join('').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line))
}

/** Tokens, cost in nano-units and requests of each client, by the ledger. */
async function sumsOf(gate: Gate) {
  const lines = await allLines(gate)
  return names.map((name) => {
    const own = lines.filter(({ client }) => client === name)
    const cost = sumOf(own, (line) => Math.round((Number(line['cost']) || 0) * 1e9))
    return [name, sumOf(own, tokensOf), cost, own.length] as const
  })
}

/** balance.json as soon as it is written, and the counters, must say what the ledger says. */
async function expectEqual(gate: Gate): Promise<void> {
  const sums = await sumsOf(gate)
  const expected = Object.fromEntries(
    sums.map(([name, ...all]) => [subjectName('client', name), all]),
  )
  let kept: object = {}
  const path = join(gate.stateDir, 'state', 'balance.json')
  const isKept = async () => {
    const file = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as Partial<BalanceFile>
    const of = (name: string) => file.subjects?.[name]?.all
    kept = Object.fromEntries(Object.keys(expected).map((name) => [name, of(name)]))
    return JSON.stringify(kept) === JSON.stringify(expected)
  }
  await until('balance.json', isKept, SECONDS).catch(() => expect(kept).toEqual(expected))
  await expectCounted(gate)
}

async function expectCounted(gate: Gate): Promise<void> {
  for (const [name, tokens, cost] of await sumsOf(gate)) {
    expect([name, await usedBy(gate, name)]).toEqual([name, [tokens, tokens, cost, cost]])
  }
}

const isBorn = (gate: Gate) =>
  until('the birth', async () => 'birth' in (await zone(gate, 'counters')), SECONDS)

describe.skipIf(isNearMidnight).each(setups)('$name', (setup) => {
  test('kill -9 of all under load, then a start: counters, balance.json and ledger are equal', async () => {
    const gate = await startGate(
      setup,
      probed({
        workers: 2,
        policy: { version: 1, prices: { [MODEL]: { input: 0.3, cachedInput: 0.1, output: 1.7 } } },
        clients: documentOf(callers),
      }),
    )
    onTestFinished(() => gate.stop())
    await isBorn(gate)
    const ledger = join(gate.stateDir, 'ledger.jsonl')
    let count = 0
    for (let round = 0; round < 4; round++) {
      const load = startLoad(gate)
      await sleep(500 + round * 173)
      if (round === 1) {
        await rename(ledger, `${ledger}.1`)
        await sleep(50)
        gate.signal('SIGUSR1')
        await sleep(300)
      }
      // Here the workers write into the moved file to their end.
      if (round === 2) await rename(ledger, `${ledger}.2`)
      await killAll(gate)
      await load.stop()
      const lines = (await allLines(gate)).length
      expect(lines).toBeGreaterThan(count + 50)
      count = lines
      await gate.restart()
      await isBorn(gate)
      await expectCounted(gate)
      await expectEqual(gate)
      expect((await zone(gate, 'counters'))['f*']).toBeUndefined()
      expect(await entriesOf(gate)).toEqual([])
    }
    // And what settles by itself comes to the same.
    const load = startLoad(gate)
    await sleep(500)
    const asked = await load.stop()
    await until('all lines', async () => (await allLines(gate)).length === count + asked, SECONDS)
    await expectEqual(gate)
    const outcomes = new Set((await allLines(gate)).map(({ outcome }) => outcome))
    expect([...outcomes].sort()).toEqual(['client_aborted', 'ok'])
    expect((await gate.errorLog()).match(/from its beginning/g)).toBeNull()
  }, 120_000)
})
