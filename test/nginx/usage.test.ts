import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import { tollgate } from '../cli/command.ts'
import { type Gate, type GateOptions, sleep, startGate, stoppedTogether, until } from './harness.ts'
import { KILLED_MS, whileKilled } from './locked.ts'
import { watchLogs } from './logs.ts'
import { killAll, killWorkers } from './processes.ts'
import { findEngines } from './setups.ts'
import { expectedRows, linesUntil, textOf, type UsageLine } from './usagelines.ts'

const setups = await findEngines()

const SECONDS = 20
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Moves the state of the rows, which is JSON, by a function of its text. */
const REWRITE = `
function day(r) {
  const zone = ngx.shared.tollgate_usage
  const state = JSON.parse(zone.get('state'))
  if (r.args.back) state.compactedDay -= Number(r.args.back)
  zone.set('state', JSON.stringify(state))
  r.return(200, JSON.stringify(state))
}
export default { day }
`

/** Another stamp of the same length. */
const nextDigit = (text: string) => text.replace(/\d/, (digit) => `${(Number(digit) + 1) % 10}`)

type Answer = {
  since: string
  until: string
  isPartial: boolean
  rows: Record<string, string | number | boolean | null>[]
}

watchLogs()

// Most of each is waiting for housekeeping, so they run side by side.
describe.each(setups)('$name: usage over time', { concurrent: true }, (setup) => {
  const ledgerOf = (gate: Gate) => join(gate.stateDir, 'ledger.jsonl')
  const fileOf = (gate: Gate, name: string) => join(gate.stateDir, 'state', name)
  const append = (gate: Gate, lines: UsageLine[]) => appendFile(ledgerOf(gate), textOf(lines))

  const started = stoppedTogether()

  async function start(ledger = '', options: GateOptions = {}) {
    const gate = await startGate(setup, {
      ...options,
      serverExtra: `location = /rows { js_import rows from rows.js; js_content rows.day;
        access_log off; }`,
      async prepare(root, configDir) {
        await mkdir(join(root, 'state', 'state'), { recursive: true })
        await writeFile(join(root, 'rows.js'), REWRITE)
        await writeFile(join(root, 'state', 'ledger.jsonl'), ledger)
        await options.prepare?.(root, configDir)
      },
    })
    started.push(gate)
    return gate
  }

  async function ask(gate: Gate, query: string): Promise<Answer> {
    const response = await gate.admin(`/usage?${query}`)
    expect(response.status).toBe(200)
    return JSON.parse(await response.text())
  }

  const byText = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

  /** Names are in the order in which they are asked for. */
  async function expectUsage(gate: Gate, lines: UsageLine[], by: string, more = ''): Promise<void> {
    const { rows } = await ask(gate, `by=${by}${more}`)
    const expected = expectedRows(lines, by.split(','))
    expect(rows.map((row) => ({ ...row })).sort(byText)).toEqual(expected.sort(byText))
  }

  const requests = async (gate: Gate, query = 'since=390d') =>
    (await ask(gate, query)).rows.reduce((sum, row) => sum + Number(row['requests']), 0)

  // After a start tokens are not known for a moment.
  const isLoaded = async (gate: Gate) => (await gate.admin('/me')).status === 200

  async function waitFor(gate: Gate, count: number): Promise<void> {
    await until('the configuration', () => isLoaded(gate))
    let found = 0
    const isThere = async () => {
      found = await requests(gate)
      return found === count
    }
    await until(`${count} requests in usage`, isThere, SECONDS).catch(async (error: Error) => {
      // Too many were counted twice, too few are waited for: by what, the state says.
      const { ledger } = await gate.state()
      throw new Error(`${error.message}: there are ${found}, ${JSON.stringify(ledger)}`)
    })
  }

  const balance = async (gate: Gate) =>
    JSON.parse(await readFile(fileOf(gate, 'balance.json'), 'utf8')) as BalanceFile

  /** Until balance.json has all lines of the ledger. */
  const waitForKept = (gate: Gate, lines: number) =>
    until(
      `${lines} lines in balance.json`,
      async () => (await balance(gate).catch(() => null))?.lines === lines,
      SECONDS,
    )

  const state = async (gate: Gate, query = '') => {
    const text = await (await gate.call(`/rows${query}`, { key: null })).text()
    return JSON.parse(text)
  }

  const isClosed = async (gate: Gate) => Object.keys((await state(gate)).windows).length <= 4

  const verify = (gate: Gate) =>
    tollgate('ledger', 'verify', '--json', '--ledger', ledgerOf(gate), '--dir', gate.configDir)

  test('is the sum over the ledger, by everything, over the borders of hours and days', async () => {
    const endMs = Date.now()
    // A week, three lines an hour, so that windows are open and closed.
    const lines = linesUntil(endMs, 500, 20 * 60_000)
    const gate = await start(textOf(lines.slice(0, 300)))
    await waitFor(gate, 300)
    await append(gate, lines.slice(300))
    await waitFor(gate, 500)
    for (const by of ['client', 'model', 'key', 'group', 'day', 'client,key,model']) {
      await expectUsage(gate, lines, by, '&since=7d')
    }
    for (const by of ['hour', 'model,hour,client', 'group,hour']) {
      await expectUsage(gate, lines, by, '&since=7d')
    }
    await until('closed windows', async () => (await state(gate)).closed.bytes > 0, SECONDS)
    await until('all of them', () => isClosed(gate), SECONDS)
    for (const by of ['hour,client', 'day,model']) await expectUsage(gate, lines, by, '&since=7d')
    const app = lines.filter(({ client }) => client === 'app')
    await expectUsage(gate, app, 'model', '&since=7d&client=app')
    const one = lines.filter(({ model }) => model === '模型-2')
    const model = encodeURIComponent('模型-2')
    await expectUsage(gate, one, 'client', `&since=7d&model=${model}`)
    expect((await ask(gate, 'since=7d')).isPartial).toBe(false)
  })

  test('takes the hours of a span that is not of whole days', async () => {
    const endMs = Date.now()
    const lines = linesUntil(endMs, 300, 20 * 60_000)
    const gate = await start(textOf(lines))
    await waitFor(gate, 300)
    const hour = (back: number) => Math.floor(endMs / HOUR_MS - back) * HOUR_MS
    for (const [from, to] of [
      [90, 3],
      [30, 29],
      [70, 10],
    ] as const) {
      const [since, until] = [hour(from), hour(to)]
      const within = lines.filter(({ time }) => {
        const ms = Date.parse(time)
        return ms >= since && ms < until
      })
      const span = `since=${new Date(since).toISOString()}&until=${new Date(until).toISOString()}`
      await expectUsage(gate, within, 'client,day', `&${span}`)
      const said = await ask(gate, span)
      expect([said.since, said.until].map(Date.parse)).toEqual([since, until])
    }
  })

  test('kill -9 of all at any moment: nothing is lost, and nothing counted twice', async () => {
    const gate = await start('', { workers: 2 })
    const lines: UsageLine[] = []
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 15; i++) {
        // Hours of yesterday are closed while others are added to.
        const more = linesUntil(Date.now() - (i % 3) * 8 * HOUR_MS, 20, 60_000)
        await append(gate, more)
        lines.push(...more)
        await sleep(30 + round * 13)
      }
      await killAll(gate)
      await gate.restart()
    }
    await waitFor(gate, lines.length)
    await expectUsage(gate, lines, 'client,hour,model', '&since=3d')
    await expectUsage(gate, lines, 'day,key', '&since=3d')
    await waitForKept(gate, lines.length)
    const { code, stdout } = await verify(gate)
    expect(JSON.parse(stdout)).toMatchObject({ differences: [], notices: [] })
    // The lines of a ledger that is made by hand are not in the order of their times.
    expect([0, 1]).toContain(code)
  })

  test(
    'a worker that is killed while it adds up or closes: nothing is counted twice',
    async () => {
      const kill = async (gate: Gate) => {
        const lines: UsageLine[] = []
        for (let round = 0; round < 5; round++) {
          const more = linesUntil(Date.now() - 3 * HOUR_MS, 3000, 60_000)
          await append(gate, more)
          lines.push(...more)
          await sleep(300 + round * 97)
          killWorkers(gate)
        }
        await until('a worker', () => gate.admin('/me').then(Boolean, () => false))
        await waitFor(gate, lines.length)
        await expectUsage(gate, lines, 'client,hour', '&since=7d')
      }
      await whileKilled(() => start(), kill)
    },
    KILLED_MS,
  )

  test('goes on over a rotation', async () => {
    const gate = await start()
    const lines = linesUntil(Date.now(), 90, 60_000)
    await append(gate, lines.slice(0, 30))
    await waitFor(gate, 30)
    await rename(ledgerOf(gate), `${ledgerOf(gate)}.1`)
    await appendFile(`${ledgerOf(gate)}.1`, textOf(lines.slice(30, 60)))
    gate.signal('SIGUSR1')
    await until('the new ledger', () => readFile(ledgerOf(gate)).then(Boolean, () => false))
    await append(gate, lines.slice(60))
    await waitFor(gate, 90)
    await expectUsage(gate, lines, 'client,hour', '&since=2d')
  })

  test('has a bound: further models of a client go into one row, and that is told', async () => {
    const gate = await start()
    const [line] = linesUntil(Date.now(), 1, 1) as [UsageLine]
    const lines = Array.from({ length: 900 }, (_, i) => ({
      ...line,
      ...{ client: 'app', key: `key${i % 3}`, group: 'web', model: `invented-${i}`, cost: 0.001 },
    }))
    const other = { ...line, client: 'quiet', model: 'llama' }
    await append(gate, [...lines, other])
    await waitFor(gate, 901)
    const { rows, isPartial } = await ask(gate, 'by=client,model')
    expect(isPartial).toBe(true)
    expect(rows.length).toBeLessThan(300)
    expect(rows.find(({ model }) => model === '(other)')).toMatchObject({ client: 'app' })
    await expectUsage(gate, [...lines, other], 'client')
    // Who is not concerned is not touched.
    expect(await ask(gate, 'by=model&client=quiet')).toMatchObject({ isPartial: false })
    expect((await state(gate)).open).toBeLessThan(600)
  })

  test('keeps a row for a model that is used while others are made up', async () => {
    const gate = await start()
    const [line] = linesUntil(Date.now(), 1, 1) as [UsageLine]
    const { time, client = '', key = '' } = line
    const refused = Array.from({ length: 900 }, (_, i) => ({
      ...{ time, client, key, model: `invented-${i}`, outcome: 'ok', status: 404 },
    }))
    const used = { ...line, model: 'llama' }
    const lines: UsageLine[] = [...refused.slice(0, 600), used, ...refused.slice(600)]
    await append(gate, lines)
    await waitFor(gate, 901)
    const { rows } = await ask(gate, 'by=client,model')
    expect(rows.find(({ model }) => model === 'llama')).toMatchObject({
      ...{ requests: 1, promptTokens: used.promptTokens },
    })
    expect(rows.length).toBeLessThan(120)
    await expectUsage(gate, lines, 'client')
  })

  describe('an upgrade', () => {
    test('from sums without rows begins with the lines since, and rebuild has the rest', async () => {
      const gate = await start()
      const lines = linesUntil(Date.now() - HOUR_MS, 60, 30 * 60_000)
      await append(gate, lines)
      await waitForKept(gate, 60)
      await killAll(gate)
      const path = fileOf(gate, 'balance.json')
      const { usage, ...old } = await balance(gate)
      expect(usage).toBeDefined()
      const text = await readFile(path, 'utf8')
      await writeFile(path, text.replace(/,"usage":\{[^}]*\}/, ''))
      expect(await balance(gate)).toEqual(old)
      await gate.restart()
      const more = linesUntil(Date.now(), 3, 1000)
      await append(gate, more)
      await waitFor(gate, 3)
      expect(await ask(gate, 'since=2d')).toMatchObject({ isPartial: true })
      await until('the notice', async () =>
        ((await gate.state()).ledger?.notice ?? '').includes('begins now'),
      )
      await waitForKept(gate, 63)
      await killAll(gate)
      const { code } = await tollgate(
        ...['ledger', 'rebuild', '--ledger', ledgerOf(gate), '--dir', gate.configDir],
      )
      expect(code).toBe(0)
      await gate.restart()
      await waitFor(gate, 63)
      await expectUsage(gate, [...lines, ...more], 'client,hour', '&since=3d')
      expect(await ask(gate, 'since=2d')).toMatchObject({ isPartial: false })
      await append(gate, more)
      await waitFor(gate, 66)
      await expectUsage(gate, [...lines, ...more, ...more], 'model,hour', '&since=3d')
    })
  })

  test.each([
    ['the open rows are gone', 'usage-open', null],
    ['the open rows are cut', 'usage-open', (text: string) => text.slice(0, -9)],
    ['the open rows are others', 'usage-open', (text: string) => text.replace(/\d\}/, nextDigit)],
    ['the closed rows are gone', 'usage-closed', null],
    ['the closed rows are shorter', 'usage-closed', (text: string) => text.slice(0, -9)],
  ])('begins anew where %s, and no budget with it', async (_, prefix, change) => {
    const gate = await start()
    await append(gate, linesUntil(Date.now(), 40, HOUR_MS))
    await waitForKept(gate, 40)
    await until('closed windows', async () => ((await balance(gate)).usage?.closedBytes ?? 0) > 0)
    await until('all of them', () => isClosed(gate), SECONDS)
    await killAll(gate)
    const { usage } = await balance(gate)
    const slot = prefix === 'usage-open' ? usage?.open : usage?.closed
    const path = fileOf(gate, `${prefix}-${slot}.jsonl`)
    if (change === null) await rm(path)
    else await writeFile(path, change(await readFile(path, 'utf8')))
    await gate.restart()
    await until('the notice', async () =>
      ((await gate.state()).ledger?.notice ?? '').includes('begins anew'),
    )
    await append(gate, linesUntil(Date.now(), 2, 1000))
    await waitFor(gate, 2)
    expect(await ask(gate, '')).toMatchObject({ isPartial: true })
    await waitForKept(gate, 42)
    const file = await balance(gate)
    expect(file.subjects['client:app']?.all[2]).toBeGreaterThan(10)
  })

  test('leaves out what is too old once a day, without a moment in which anything is missing', async () => {
    const nowMs = Date.now()
    const recent = linesUntil(nowMs, 200, HOUR_MS / 2)
    const old = linesUntil(nowMs - 20 * DAY_MS, 200, HOUR_MS)
    const gate = await start(textOf([...old, ...recent]))
    await waitFor(gate, 400)
    await until('closed windows', async () => {
      const { windows } = await state(gate)
      // This hour and day, and for ten minutes those before.
      return Object.keys(windows).length <= 4
    })
    await waitForKept(gate, 400)
    const before = (await state(gate)).closed
    await state(gate, '?back=1')
    await until('the other file', async () => {
      expect(await requests(gate)).toBe(400)
      return (await state(gate)).closed.slot !== before.slot
    })
    // No hour was kept of what is 20 days old, so nothing had to go: it is copied as it was.
    const after = (await state(gate)).closed
    expect(after.bytes).toBeGreaterThanOrEqual(before.bytes)
    await until('balance.json', async () => (await balance(gate)).usage?.closed === after.slot)
    await killAll(gate)
    await gate.restart()
    await waitFor(gate, 400)
    await expectUsage(gate, [...old, ...recent], 'day,client', '&since=60d')
    await expectUsage(gate, recent, 'hour', '&since=7d')
  })

  test('is compared with the ledger by verify', async () => {
    const gate = await start()
    const lines = linesUntil(Date.now() - 2 * HOUR_MS, 100, 60_000)
    await append(gate, linesUntil(Date.parse(lines[0]?.time ?? '') - DAY_MS, 1, 1))
    await append(gate, lines)
    await waitForKept(gate, 101)
    await until('closed windows', async () => ((await balance(gate)).usage?.closedBytes ?? 0) > 0)
    expect(JSON.parse((await verify(gate)).stdout)).toMatchObject({ ok: true, differences: [] })
    await killAll(gate)
    const { usage } = await balance(gate)
    const path = fileOf(gate, `usage-closed-${usage?.closed}.jsonl`)
    const text = await readFile(path, 'utf8')
    // A request more or less, and the file as long as before.
    const row = /^(\["h\d+",(?:"[^"]*",){4})(\d)(?=,)/gm
    const changed = text.replace(row, (_, names, count) => names + ((Number(count) + 1) % 10))
    expect(changed).not.toBe(text)
    await writeFile(path, changed)
    const { code, stdout } = await verify(gate)
    expect(code).toBe(1)
    const { differences } = JSON.parse(stdout)
    expect(differences.length).toBeGreaterThan(0)
    for (const { subject } of differences) expect(subject).toBe('usage')
  })

  test('says what is wrong with a question', async () => {
    const gate = await start()
    const response = await gate.admin('/usage?by=route')
    expect(response.status).toBe(400)
    expect(JSON.parse(await response.text())).toMatchObject({ type: '/problems/bad-parameter' })
    expect((await gate.admin('/usage', { token: null })).status).toBe(401)
  })
})
