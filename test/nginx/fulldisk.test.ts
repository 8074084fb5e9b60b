import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkLedger } from '../../src/cli/checks/state.ts'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import { subjectName } from '../../src/core/limits/counters.ts'
import { CHAT, chatOf, clientOf, documentOf, tokensOf } from './clients.ts'
import { type Gate, type Line, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy } from './probe.ts'
import { findEngines } from './setups.ts'
import { get } from './wire.ts'

const setups = await findEngines()

const SECONDS = 20
const DISK_BYTES = 1024 * 1024

function mount(path: string): boolean {
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tollgate-test', path]
  return spawnSync('mount', options).status === 0
}

// Lazily: nginx may still have its ledger open.
function unmount(path: string): void {
  spawnSync('umount', ['--lazy', path])
}

function canMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-mount-'))
  try {
    if (mount(path)) {
      unmount(path)
      return true
    }
    process.stderr.write('The full disk is left out: mounting a tmpfs takes root\n')
    return false
  } finally {
    rmdirSync(path)
  }
}

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

watchLogs()

describe.skipIf(isNearMidnight || !canMount()).each(setups)('$name: a full disk', (setup) => {
  const budget = { tokensPerDay: 1000, tokensPerMonth: 1_000_000 }

  async function start() {
    const callers = { one: clientOf({ budgets: budget }), other: clientOf() }
    const gate = await startGate(
      setup,
      probed({
        workers: 2,
        clients: documentOf(callers),
        async prepare(root) {
          const stateDir = join(root, 'state')
          if (!mount(stateDir)) throw new Error(`Cannot mount ${stateDir}`)
          onTestFinished(() => unmount(stateDir))
          await mkdir(join(stateDir, 'state'))
        },
      }),
    )
    onTestFinished(async () => {
      unmount(gate.stateDir)
      await gate.stop()
    })
    gate.expectErrors(/No space left on device/, /write\(\) .*was incomplete/)
    const ask = async (tokens: number, name: keyof typeof callers = 'one') => {
      const body = chatOf(`prompt:3,tokens:${tokens - 3}`, { max_tokens: 100 })
      return (await get(gate, CHAT, { key: callers[name].secret, body })).status
    }
    return { gate, ask }
  }

  const filler = (gate: Gate) => join(gate.stateDir, 'filler')

  /** Takes all room that is left, to the last byte. */
  async function fill(gate: Gate): Promise<void> {
    await writeFile(filler(gate), '')
    for (let bytes = DISK_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
      for (let i = 0; i < 3; i++) {
        if (
          !(await appendFile(filler(gate), '-'.repeat(bytes)).then(
            () => true,
            () => false,
          ))
        )
          break
      }
    }
  }

  /**
   * The whole lines of the ledger. What the full disk has left of a line stands in front of the next one,
   * without an end of line between them.
   */
  async function wholeLines(gate: Gate): Promise<Line[]> {
    const text = await readFile(join(gate.stateDir, 'ledger.jsonl'), 'utf8')
    return text.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line.slice(line.lastIndexOf('{"version":'))) as Line]
      } catch {
        return []
      }
    })
  }

  const problemOf = async (gate: Gate) =>
    (await gate.state().catch(() => null))?.ledger?.problem ?? null

  const keptTokens = async (gate: Gate) => {
    const path = join(gate.stateDir, 'state', 'balance.json')
    const text = await readFile(path, 'utf8').catch(() => '{}')
    const file = JSON.parse(text) as Partial<BalanceFile>
    return file.subjects?.[subjectName('client', 'one')]?.all[0]
  }

  const isKept = (gate: Gate, tokens: number) =>
    until(`${tokens} in balance.json`, async () => (await keptTokens(gate)) === tokens, SECONDS)

  test('requests go on, budgets hold, it is told, and all comes right when there is room', async () => {
    const { gate, ask } = await start()
    for (let i = 0; i < 10; i++) expect(await ask(10)).toBe(200)
    await isKept(gate, 100)
    await until('no news', async () => (await gate.state()).ledger?.lines === 10, SECONDS)
    await fill(gate)
    // What runs now leaves no lines, and is in the counters all the same.
    for (let i = 0; i < 30; i++) expect([i, await ask(10)]).toEqual([i, 200])
    for (let i = 0; i < 5; i++) expect(await ask(10, 'other')).toBe(200)
    expect((await usedBy(gate, 'one'))[0]).toBe(400)
    expect(await heldBy(gate, 'one')).toEqual([0, 0, 0])
    await until(
      'the problem in state.json',
      async () => {
        return (await problemOf(gate))?.includes('No space left on device') ?? false
      },
      SECONDS,
    )
    const told = expect.stringContaining('No space left on device')
    expect(await checkLedger(gate)).toEqual([{ name: 'ledger', level: 'problem', message: told }])
    const alerts = (await gate.errorLog()).match(/\[(alert|error|crit)\].*No space left/g) ?? []
    expect(alerts.length).toBeGreaterThan(0)
    expect(alerts.length).toBeLessThan(40)
    // The budget holds, though the ledger knows little of it.
    for (let i = 0; i < 6; i++) expect(await ask(100)).toBe(200)
    expect(await ask(100)).toBe(429)
    expect(await ask(100, 'other')).toBe(200)
    const used = (await usedBy(gate, 'one'))[0] ?? 0
    expect(used).toBe(1000)
    await rm(filler(gate))
    await until(
      'the end of the problem',
      async () => {
        expect(await ask(10, 'other')).toBe(200)
        await sleep(100)
        return (await problemOf(gate)) === null
      },
      SECONDS,
    )
    expect(await ask(100)).toBe(429)
    expect((await usedBy(gate, 'one')).slice(0, 2)).toEqual([used, used])
    // After a restart the ledger is all that is known.
    const logged = (await wholeLines(gate)).filter(({ client }) => client === 'one')
    const sum = logged.reduce((total, line) => total + tokensOf(line), 0)
    expect(sum).toBeGreaterThanOrEqual(100)
    expect(sum).toBeLessThan(used)
    await isKept(gate, sum)
    await gate.restart()
    await until('the counters', async () => (await usedBy(gate, 'one'))[0] === sum, SECONDS)
    expect(await ask(10)).toBe(200)
    await isKept(gate, sum + 10)
    expect((await gate.state()).ledger?.problem).toBeNull()
  }, 40_000)
})
