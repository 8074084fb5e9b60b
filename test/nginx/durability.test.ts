import { appendFile, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import {
  counterName,
  dayOf,
  monthOf,
  pidName,
  subjectName,
} from '../../src/core/limits/counters.ts'
import { runningEnd, runningLine } from '../../src/core/running.ts'
import { subjectId } from '../../src/edge/config/subject.ts'
import { edit } from './edit.ts'
import { type Gate, type GateOptions, sleep, startGate, stoppedTogether, until } from './harness.ts'
import { KILLED_MS, whileKilled } from './locked.ts'
import { watchLogs } from './logs.ts'
import { entriesOf, probed, usedBy, zone } from './probe.ts'
import { killAll, killWorkers, workersOf } from './processes.ts'
import { findEngines } from './setups.ts'
import { get } from './wire.ts'

const setups = await findEngines()

const SECONDS = 15

type Used = { client?: string; key?: string; tokens: number; cost?: number }

let serial = 0

/** One line of the ledger, as the gate writes it. */
function lineOf({ client = 'app', key = 'aaaaaaaa', tokens, cost = 0 }: Used): string {
  serial++
  return `${JSON.stringify({
    ...{ version: 1, time: new Date().toISOString(), id: `request-${serial}`, client, key },
    ...{ route: 'chat', outcome: 'ok', status: 200, promptTokens: tokens - 1, completionTokens: 1 },
    ...{ cost, durationMs: 1, bytesIn: 1, bytesOut: 1, remote: '127.0.0.1' },
  })}\n`
}

const linesOf = (count: number, used: Used) =>
  Array.from({ length: count }, () => lineOf(used)).join('')

watchLogs()

// Most of each is waiting for housekeeping, so they run side by side.
describe.each(setups)('$name', { concurrent: true }, (setup) => {
  const ledgerOf = (gate: Gate) => join(gate.stateDir, 'ledger.jsonl')
  const balanceOf = (gate: Gate) => join(gate.stateDir, 'state', 'balance.json')
  const append = (gate: Gate, text: string) => appendFile(ledgerOf(gate), text)

  const started = stoppedTogether()

  /** `before` lies in the folder of the ledger when nginx starts. */
  async function start(before: Record<string, string> = {}, options: GateOptions = {}) {
    const gate = await startGate(
      setup,
      probed({
        ...options,
        async prepare(root, configDir) {
          await mkdir(join(root, 'state', 'state'), { recursive: true })
          for (const [name, text] of Object.entries(before)) {
            await writeFile(join(root, 'state', name), text)
          }
          await options.prepare?.(root, configDir)
        },
      }),
    )
    started.push(gate)
    return gate
  }

  const waitForTokens = (gate: Gate, tokens: number, client = 'app') =>
    until(
      `${tokens} tokens in the counters`,
      async () => {
        const [day, month] = await usedBy(gate, client)
        return day === tokens && month === tokens
      },
      SECONDS,
    )

  const balance = async (gate: Gate) =>
    JSON.parse(await readFile(balanceOf(gate), 'utf8')) as BalanceFile

  /** Tokens of a client in balance.json; -1 while there is none. */
  const keptTokens = async (gate: Gate, client = 'app') => {
    const file = await balance(gate).catch(() => null)
    return file?.subjects[subjectName('client', client)]?.all[0] ?? -1
  }

  const waitForKept = (gate: Gate, tokens: number, client = 'app') =>
    until(
      `${tokens} tokens in balance.json`,
      async () => (await keptTokens(gate, client)) === tokens,
      SECONDS,
    )

  const isBorn = async (gate: Gate) => (await zone(gate, 'counters'))['birth'] !== undefined

  const warnings = async (gate: Gate) =>
    (await gate.errorLog()).split('\n').filter((line) => /\[warn\].*Tollgate/.test(line))

  const waitForNotice = (gate: Gate, text: string) =>
    until('the notice', async () => (await gate.state()).ledger?.notice?.includes(text) ?? false)

  describe('a start', () => {
    test('in an empty folder is no reason for a notice, and the budgets are open at once', async () => {
      const gate = await start()
      await until('the birth of the counters', () => isBorn(gate))
      expect(await warnings(gate)).toEqual([])
      expect((await gate.state()).ledger).toMatchObject({ lines: 0, notice: null, problem: null })
    })

    test('without balance.json adds the ledger and its rotated files up', async () => {
      const gate = await start({
        'ledger.jsonl': linesOf(300, { tokens: 10, cost: 0.000002 }),
        'ledger.jsonl.1': linesOf(200, { tokens: 5, cost: 0.000001 }),
        'ledger.jsonl-2026010107': linesOf(1, { tokens: 7 }),
        'ledger.jsonl.2.gz': 'not read',
        'ledger.jsonl.compact': linesOf(9, { tokens: 9 }),
      })
      await until('the birth of the counters', () => isBorn(gate))
      expect(await usedBy(gate)).toEqual([4007, 4007, 800_000, 800_000])
      await waitForKept(gate, 4007)
      expect((await balance(gate)).subjects[subjectName('key', 'aaaaaaaa')]).toEqual({
        all: [4007, 800_000, 501],
        days: { [dayOf(Date.now())]: [4007, 800_000, 501] },
        months: { [monthOf(Date.now())]: [4007, 800_000, 501] },
      })
      expect(await warnings(gate)).toEqual([expect.stringContaining('There is no balance.json')])
      await waitForNotice(gate, 'without 1 compressed files')
    })

    test.each([
      ['no JSON', 'corrupt', 'cannot be read'],
      ['cut off in the middle', (text: string) => text.slice(0, -8), 'cannot be read'],
      ['empty', '', 'cannot be read'],
      [
        'of another ledger',
        (text: string) => text.replace(/"head":"...../, '"head":"00000'),
        'is of another ledger',
      ],
      [
        'of another version',
        (text: string) => text.replace('"version":1', '"version":9'),
        'cannot',
      ],
      ['missing', null, 'There is no balance.json'],
    ])('whose balance.json is %s makes it anew and says so', async (_, change, why) => {
      const gate = await start()
      await append(gate, linesOf(50, { tokens: 10 }))
      await waitForKept(gate, 500)
      await killAll(gate)
      const text = await readFile(balanceOf(gate), 'utf8')
      if (change === null) await rm(balanceOf(gate))
      else await writeFile(balanceOf(gate), typeof change === 'string' ? change : change(text))
      const before = (await warnings(gate)).length
      await gate.restart()
      await until('the birth of the counters', () => isBorn(gate))
      expect((await usedBy(gate))[0]).toBe(500)
      expect((await warnings(gate)).slice(before)).toEqual([expect.stringContaining(why)])
      await waitForNotice(gate, why)
      await append(gate, lineOf({ tokens: 10 }))
      await waitForKept(gate, 510)
    })
  })

  test('lines are in the counters and in balance.json soon, and counters ahead stay so', async () => {
    const gate = await start()
    await append(gate, linesOf(20, { tokens: 10 }) + linesOf(3, { client: 'b', tokens: 2 }))
    await waitForTokens(gate, 200)
    await waitForTokens(gate, 6, 'b')
    const name = counterName('d', subjectId('client', 'b'), dayOf(Date.now()))
    await zone(gate, 'counters', `&set=${name}&to=100`)
    await append(gate, lineOf({ client: 'b', tokens: 2 }))
    await waitForKept(gate, 8, 'b')
    expect(await usedBy(gate, 'b')).toEqual([100, 8, undefined, undefined])
  })

  test('kill -9 of all at any moment, then a start: exactly the sum over the ledger', async () => {
    const gate = await start({}, { workers: 2 })
    let total = 0
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40 + round * 17; i++) {
        await append(gate, linesOf(5, { tokens: 3 }))
        total += 15
        await sleep(20)
      }
      await killAll(gate)
      await append(gate, lineOf({ tokens: 4 }))
      total += 4
      await gate.restart()
      await until('the birth of the counters', () => isBorn(gate))
      expect((await usedBy(gate))[0]).toBe(total)
    }
    await waitForKept(gate, total)
    expect((await warnings(gate)).filter((line) => line.includes('from its beginning'))).toEqual([])
  })

  test(
    'worker 0 is killed while it adds up: nothing is counted twice',
    async () => {
      const kill = async (gate: Gate) => {
        let total = 0
        for (let round = 0; round < 6; round++) {
          await append(gate, linesOf(4000, { tokens: 2 }))
          total += 8000
          await sleep(300 + round * 47)
          killWorkers(gate)
        }
        await until(
          'a worker',
          async () => (await get(gate, '/zones?zone=tollgate_running')).status === 200,
        )
        await waitForTokens(gate, total)
        await waitForKept(gate, total)
      }
      await whileKilled(() => start(), kill)
    },
    KILLED_MS,
  )

  describe('a rotation', () => {
    test('with rename and USR1 loses nothing that is written to either file', async () => {
      const gate = await start()
      const moved = `${ledgerOf(gate)}.1`
      await append(gate, linesOf(10, { tokens: 10 }))
      await waitForTokens(gate, 100)
      await rename(ledgerOf(gate), moved)
      await appendFile(moved, linesOf(2, { tokens: 10 }))
      await waitForTokens(gate, 120)
      gate.signal('SIGUSR1')
      await until('the new ledger', () => readFile(ledgerOf(gate)).then(Boolean, () => false))
      await sleep(700)
      await append(gate, linesOf(3, { tokens: 10 }))
      await waitForTokens(gate, 150)
      // A worker that has not opened the new one yet.
      await appendFile(moved, linesOf(1, { tokens: 10 }))
      await waitForTokens(gate, 160)
      await waitForKept(gate, 160)
      await killAll(gate)
      await appendFile(moved, linesOf(1, { tokens: 10 }))
      await append(gate, linesOf(1, { tokens: 10 }))
      await gate.restart()
      await waitForTokens(gate, 180)
      expect(await warnings(gate)).toEqual([])
    })

    test('while nginx stands still goes on in both files', async () => {
      const gate = await start()
      await append(gate, linesOf(10, { tokens: 10 }))
      await waitForKept(gate, 100)
      await killAll(gate)
      await append(gate, linesOf(1, { tokens: 10 }))
      await rename(ledgerOf(gate), `${ledgerOf(gate)}-20261125`)
      await writeFile(ledgerOf(gate), linesOf(2, { tokens: 10 }))
      await gate.restart()
      await waitForTokens(gate, 130)
      expect(await warnings(gate)).toEqual([])
    })

    test('with copytruncate starts the file anew, and says so where there is no copy', async () => {
      const gate = await start()
      await append(gate, linesOf(10, { tokens: 10 }))
      await waitForTokens(gate, 100)
      await writeFile(`${ledgerOf(gate)}.1`, await readFile(ledgerOf(gate)))
      await writeFile(ledgerOf(gate), '')
      await append(gate, lineOf({ tokens: 10 }))
      await waitForTokens(gate, 110)
      expect(await warnings(gate)).toEqual([])
      await writeFile(ledgerOf(gate), lineOf({ tokens: 10 }))
      await waitForTokens(gate, 120)
      expect(await warnings(gate)).toEqual([expect.stringContaining('is another file than before')])
    })
  })

  test('a torn last line waits for its rest, and does not take the next one with it', async () => {
    const gate = await start()
    const line = lineOf({ tokens: 10 })
    await append(gate, lineOf({ tokens: 10 }) + line.slice(0, 90))
    await waitForTokens(gate, 10)
    await sleep(1200)
    await waitForTokens(gate, 10)
    await append(gate, line.slice(90))
    await waitForTokens(gate, 20)
    await append(gate, line.slice(0, 90))
    await killAll(gate)
    await gate.restart()
    await append(gate, linesOf(2, { tokens: 10 }))
    await waitForTokens(gate, 40)
    await waitForKept(gate, 40)
    await until('the state', async () => (await gate.state()).ledger?.skipped === 1)
  })

  test.each([
    ['tollgate_counters', 'tollgate_counters:128M', 'tollgate_counters:8M'],
    ['tollgate_balance', 'tollgate_balance:128M', 'tollgate_balance:8M'],
    ['tollgate_usage', 'tollgate_usage:64M', 'tollgate_usage:8M'],
  ])('a resized zone is filled again: %s', async (_, from, to) => {
    const gate = await start()
    await append(gate, linesOf(500, { tokens: 10 }))
    await waitForTokens(gate, 5000)
    await waitForKept(gate, 5000)
    await edit(join(gate.runDir, '..', 'tollgate', 'http.conf'), from, to)
    const [old] = workersOf(gate)
    gate.signal('SIGHUP')
    await until('a new worker', () => workersOf(gate).some((pid) => pid !== old))
    await append(gate, lineOf({ tokens: 10 }))
    await waitForTokens(gate, 5010)
    await until('the birth of the counters', () => isBorn(gate))
    await waitForKept(gate, 5010)
    expect(await warnings(gate)).toEqual([])
  })

  test('a full disk is told once and shown; when there is room again all is kept', async () => {
    const gate = await start()
    gate.expectErrors(/Cannot write .*: No space left on device/)
    await append(gate, linesOf(10, { tokens: 10 }))
    await waitForKept(gate, 100)
    const files = ['balance.json', 'state.json'].map((name) =>
      join(gate.stateDir, 'state', `${name}.new`),
    )
    // Both are written next in some seconds: not while the links are being made.
    const statePath = join(gate.stateDir, 'state', 'state.json')
    const writtenMs = async () => (await stat(statePath)).mtimeMs
    const beforeMs = await writtenMs()
    await until('a new state.json', async () => (await writtenMs()) > beforeMs)
    for (const file of files) {
      await rm(file, { force: true })
      await symlink('/dev/full', file)
    }
    await append(gate, linesOf(10, { tokens: 10 }))
    await waitForTokens(gate, 200)
    await until('the state', async () => {
      const { ledger } = await gate.state().catch(() => ({ ledger: undefined }))
      return ledger?.problem?.includes('No space left on device') ?? false
    })
    for (let i = 0; i < 8; i++) {
      await append(gate, lineOf({ tokens: 10 }))
      await sleep(600)
    }
    await waitForTokens(gate, 280)
    expect(await keptTokens(gate)).toBe(100)
    const errors = (await gate.errorLog()).split('\n').filter((line) => line.includes('[error]'))
    expect(errors.length).toBeLessThanOrEqual(2)
    for (const file of files) await rm(file)
    await waitForKept(gate, 280)
    await until('the state', async () => (await gate.state()).ledger?.problem === null)
  })

  /** An entry of a request among those that run, but for its last field. */
  const lineOfRunning = (atMs: number, held: string) =>
    `${runningLine('192.0.2.1', ' ', atMs, 'app k1  chat', false, held)}0 `

  test('what a dead worker held goes back, what living ones hold stays', async () => {
    const gate = await start({}, { workers: 2 })
    await until('the birth of the counters', () => isBorn(gate))
    const [, second = 0] = workersOf(gate)
    const [gone, here] = [pidName(4_194_303), pidName(second)]
    const id = subjectId('client', 'app')
    const { birth = 0 } = await zone(gate, 'counters')
    const counters = {
      ...{ [`f${id}`]: 5, [`r${id}`]: 700, [`R${id}`]: 90, uk1: 30000 },
      ...{ 'f*': 6, 'a/gone': 2, 'a/both': 4, 'a/': 2 },
    }
    /** An entry of a worker: what it holds by name, and how many tokens and how much cost. */
    const entry = (names: string, tokens = 0, cost = 0, of = birth) =>
      lineOfRunning(1, `${tokens} ${cost} 0`) + runningEnd('"m"', names && `${of} ${names}`)
    const entries = {
      [`${gone}1`]: entry(`f${id} f* a/gone r${id} R${id}`, 300, 50),
      [`${gone}2`]: entry(`f${id} f* a/gone`),
      // Its body is on its way.
      [`${gone}3`]: lineOfRunning(0, '  ') + runningEnd('', '0 f* a/both uk1:20000'),
      [`${gone}4`]: entry('f*'),
      // Of counters that are gone; and of an older version, which named nothing that it holds.
      [`${gone}5`]: entry(`f${id}`, 0, 0, birth - 1),
      [`${gone}6`]: entry('', 5, 7),
      [`${here}1`]: entry(`f${id} f* a/both r${id} R${id}`, 400, 40),
      [`${here}2`]: entry(`f${id} f* a/both`),
      [`${here}3`]: entry(`f${id} a/both`),
    }
    for (const [name, value] of Object.entries(counters))
      await zone(gate, 'counters', `&set=${encodeURIComponent(name)}&to=${value}`)
    // Those that live first, so that all counters are as they were when the dead ones come.
    for (const [name, text] of Object.entries(entries).reverse())
      await zone(gate, 'running', `&set=${name}&text=${encodeURIComponent(text)}`)
    const of = async (pid: string) => (await entriesOf(gate)).filter((name) => name.startsWith(pid))
    await until('the dead to go', async () => (await of(gone)).length === 0)
    const counted = await zone(gate, 'counters')
    expect(counted).toMatchObject({
      ...{ [`f${id}`]: 3, [`r${id}`]: 400, [`R${id}`]: 40, uk1: 10000 },
      ...{ 'f*': 2, 'a/both': 3, 'a/': 1 },
    })
    expect(counted['a/gone'] ?? 0).toBe(0)
    expect(await of(here)).toHaveLength(3)
    gate.expectErrors(/exited on signal 9/)
    process.kill(second, 'SIGKILL')
    await until('the entries of the second', async () => (await of(here)).length === 0)
    expect(await zone(gate, 'counters')).toMatchObject({
      ...{ [`f${id}`]: 0, [`r${id}`]: 0, [`R${id}`]: 0, 'f*': 0, 'a/': 0 },
    })
  })
})
