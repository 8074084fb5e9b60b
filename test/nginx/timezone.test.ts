import { appendFile, mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Client, Policy } from '../../src/core/config/shapes.ts'
import type { BalanceFile } from '../../src/core/ledger/balancefile.ts'
import { type Balance, foldLines } from '../../src/core/ledger/fold.ts'
import { counterName } from '../../src/core/limits/counters.ts'
import type { ClientBalance } from '../../src/core/limits/standing.ts'
import {
  dayOf,
  formatTime,
  formatZone,
  monthOf,
  startOfDay,
  startOfMonth,
} from '../../src/core/time.ts'
import { subjectId } from '../../src/edge/config/subject.ts'
import { tollgate } from '../cli/command.ts'
import {
  type Gate,
  type GateOptions,
  makeKey,
  sleep,
  startGate,
  stoppedTogether,
  until,
} from './harness.ts'
import { watchLogs } from './logs.ts'
import { probed, zone as zoneOfGate } from './probe.ts'
import { killAll } from './processes.ts'
import { findEngines } from './setups.ts'
import { get } from './wire.ts'

// What counts days is the same whichever door a request came by.
const setups = await findEngines()

const CHAT = '/v1/chat/completions'
const MODEL = 'Qwen/Qwen3-8B'
const SECONDS = 20
const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS

/** A time zone in which it is another day than in UTC, and as near to noon as there is one. */
const ELSEWHERE = [-720, -600, -480, 480, 600, 720, 840]
  .filter((zone) => dayOf(Date.now(), zone) !== dayOf(Date.now()))
  .sort((a, b) => fromNoon(a) - fromNoon(b))[0] as number

function fromNoon(zone: number): number {
  return Math.abs((Date.now() - startOfDay(dayOf(Date.now(), zone), zone)) / DAY_MS - 0.5)
}

const ELSEWHERE_TEXT = formatZone(ELSEWHERE)

/** Around the midnight of either nothing is proven about a day. */
const isNearMidnight = [0, ELSEWHERE].some((zone) => {
  const sinceMs = Date.now() - startOfDay(dayOf(Date.now(), zone), zone)
  return sinceMs < 5 * MINUTE_MS || sinceMs > DAY_MS - 5 * MINUTE_MS
})

let serial = 0

/** One line of the ledger, as the gate writes it. */
function lineOf(timeMs: number, tokens: number, client = 'app'): string {
  const time = new Date(timeMs).toISOString()
  return `${JSON.stringify({
    ...{ version: 1, time, id: `request-${serial++}`, client, key: 'aaaaaaaa' },
    ...{ route: 'chat', outcome: 'ok', status: 200, model: MODEL, promptTokens: tokens },
    ...{ completionTokens: 0, durationMs: 1, bytesIn: 1, bytesOut: 1, remote: '127.0.0.1' },
  })}\n`
}

/** Lines around the midnights of both time zones, each of which can be told by its tokens. */
function someLines(): string {
  const nowMs = Date.now()
  const midnights = [0, ELSEWHERE].map((zone) => startOfDay(dayOf(nowMs, zone), zone))
  const times = midnights.flatMap((ms) => [ms - DAY_MS - 1000, ms - 1000, ms + 1000])
  const past = [...times, nowMs - 3000].filter((ms) => ms < nowMs).sort((a, b) => a - b)
  return past.map((ms, at) => lineOf(ms, 2 ** at)).join('')
}

const clientOf = (fields: Partial<Client> = {}) => {
  const { secret, record } = makeKey()
  return { secret, client: { keys: [record], ...fields } as Client }
}

watchLogs()

// Most of each is waiting for housekeeping, so they run side by side.
describe.skipIf(isNearMidnight).each(setups)(
  '$name: the time zone',
  { concurrent: true },
  (setup) => {
    const ledgerOf = (gate: Gate) => join(gate.stateDir, 'ledger.jsonl')

    /** `ledger` is there when nginx starts. */
    const started = stoppedTogether()

    async function start(options: GateOptions = {}, ledger = '') {
      const gate = await startGate(
        setup,
        probed({
          ...options,
          async prepare(root) {
            await mkdir(join(root, 'state', 'state'), { recursive: true })
            await writeFile(join(root, 'state', 'ledger.jsonl'), ledger)
          },
        }),
      )
      started.push(gate)
      return gate
    }

    const policyOf = async (gate: Gate) =>
      JSON.parse(await readFile(join(gate.configDir, 'policy.json'), 'utf8')) as Policy

    /** Writes policy.json with a time zone, and waits until days are counted by it. */
    async function setZone(gate: Gate, zone: number): Promise<void> {
      const policy = { ...(await policyOf(gate)), timeZone: formatZone(zone) }
      await gate.writeConfig('policy.json', JSON.stringify(policy))
      await waitForZone(gate, zone)
    }

    const waitForZone = (gate: Gate, zone: number) =>
      until(
        `the time zone ${formatZone(zone)} in balance.json`,
        async () => ((await balance(gate).catch(() => null))?.zoneMinutes ?? 0) === zone,
        SECONDS,
      )

    const balance = async (gate: Gate) =>
      JSON.parse(
        await readFile(join(gate.stateDir, 'state', 'balance.json'), 'utf8'),
      ) as BalanceFile

    /** Until balance.json has all lines of the ledger. */
    const waitForAll = (gate: Gate) =>
      until(
        'all lines in balance.json',
        async () => (await balance(gate).catch(() => null))?.lines === (await lineCount(gate)),
        SECONDS,
      )

    const lineCount = async (gate: Gate) =>
      (await readFile(ledgerOf(gate), 'utf8')).split('\n').length - 1

    /** What the ledger comes to, by core's own sums, with the days of a time zone. */
    const foldedBy = async (gate: Gate, zone: number) =>
      foldLines(await readFile(ledgerOf(gate), 'utf8'), Date.now(), undefined, zone).subjects

    async function standings(gate: Gate, client = 'app') {
      const response = await gate.admin(`/clients/${client}/balance`)
      expect(response.status).toBe(200)
      const { subjects } = (await response.json()) as ClientBalance
      const of = subjects.find((subject) => subject.of === 'client')?.standings ?? []
      return Object.fromEntries(of.map(({ budget, used, renews }) => [budget, { used, renews }]))
    }

    /** Tokens in the counters of a client by which requests are judged. */
    async function counted(gate: Gate, zone: number, client = 'app') {
      const entries = await zoneOfGate(gate, 'counters')
      const id = subjectId('client', client)
      return [
        entries[counterName('d', id, dayOf(Date.now(), zone), zone)] ?? 0,
        entries[counterName('m', id, monthOf(Date.now(), zone), zone)] ?? 0,
      ]
    }

    async function verify(gate: Gate) {
      const args = ['--json', '--ledger', ledgerOf(gate), '--dir', gate.configDir]
      const { stdout } = await tollgate('ledger', 'verify', ...args)
      const { ok, flaws, differences, notices } = JSON.parse(stdout)
      return { ok, flaws, differences, notices }
    }

    const WELL = { ok: true, flaws: [], differences: [], notices: [] }

    const chat = (secret: string, gate: Gate, mock = 'prompt:3,tokens:60') =>
      get(gate, CHAT, {
        key: secret,
        body: { model: MODEL, messages: [{ role: 'user', content: 'one' }], mock },
      })

    const renewalOfDay = (zone: number) =>
      formatTime(startOfDay(dayOf(Date.now(), zone) + 1, zone), zone)
    const renewalOfMonth = (zone: number) =>
      formatTime(startOfMonth(monthOf(Date.now(), zone) + 1, zone), zone)

    test('a budget is of its day, in refusals, balances and usage, also after a restart', async () => {
      const app = clientOf({ budgets: { tokensPerDay: 40, tokensPerMonth: 1000 } })
      const clients = { version: 1 as const, clients: { spender: app.client } }
      const gate = await start({ policy: { version: 1, timeZone: ELSEWHERE_TEXT }, clients })
      expect((await chat(app.secret, gate)).status).toBe(200)
      const isRefused = async () => {
        const refused = await chat(app.secret, gate)
        expect(refused.status).toBe(429)
        expect(refused.bytes.toString()).toContain(
          `at 00:00 ${renewalOfDay(ELSEWHERE).slice(19).replace('Z', '+00:00')}`,
        )
      }
      await gate.ledger(1)
      await isRefused()
      await waitForAll(gate)
      const spent = {
        tokensPerDay: { used: 63, renews: renewalOfDay(ELSEWHERE) },
        tokensPerMonth: { used: 63, renews: renewalOfMonth(ELSEWHERE) },
      }
      expect(await standings(gate, 'spender')).toEqual(spent)
      expect(await counted(gate, ELSEWHERE, 'spender')).toEqual([63, 63])
      expect((await balance(gate)).zoneMinutes).toBe(ELSEWHERE)

      const answer = await (await gate.admin('/usage?by=day')).json()
      const begins = formatTime(startOfDay(dayOf(Date.now(), ELSEWHERE), ELSEWHERE), ELSEWHERE)
      expect(answer).toMatchObject({
        timeZone: ELSEWHERE_TEXT,
        rows: [{ time: begins, requests: 2, refused: 1 }],
      })
      const today = await (await gate.admin(`/usage?since=${begins.slice(0, 10)}`)).json()
      expect(today).toMatchObject({ since: begins, rows: [{ client: 'spender', requests: 2 }] })
      const metrics = await (await gate.admin('/metrics')).text()
      expect(metrics).toMatch(
        /tollgate_budget_used_tokens\{subject="client",name="spender",period="day"\} 63/,
      )

      const files = ['--json', '--dir', gate.configDir, '--ledger', ledgerOf(gate)]
      const told = JSON.parse((await tollgate('balance', 'spender', ...files)).stdout)
      const of = (told as ClientBalance).subjects[0]?.standings
      expect(of?.map(({ used, renews }) => [used, renews])).toEqual([
        [63, renewalOfDay(ELSEWHERE)],
        [63, renewalOfMonth(ELSEWHERE)],
      ])
      const used = JSON.parse((await tollgate('usage', '--by', 'day', ...files)).stdout)
      expect(used).toMatchObject({
        timeZone: ELSEWHERE_TEXT,
        rows: [{ day: begins.slice(0, 10), requests: 2 }],
      })
      expect(await verify(gate)).toEqual(WELL)

      await gate.restart()
      await until('the budgets', async () => (await chat(app.secret, gate)).status === 429)
      await isRefused()
      await waitForAll(gate)
      expect(await standings(gate, 'spender')).toEqual(spent)
      expect((await gate.state()).ledger).toMatchObject({ notice: null, problem: null })
      expect(await verify(gate)).toEqual(WELL)
    })

    test('changed while it runs, days and months are added up anew, and nothing else', async () => {
      const gate = await start({ workers: 2 }, someLines())
      await waitForAll(gate)
      const check = async (zone: number) => {
        await waitForAll(gate)
        const expected = await foldedBy(gate, zone)
        expect((await balance(gate)).subjects).toEqual(expected)
        const { all, days, months } = expected['client:app'] as Balance
        const [day, month] = [dayOf(Date.now(), zone), monthOf(Date.now(), zone)]
        const tokens = [days[day]?.[0] ?? 0, months[month]?.[0] ?? 0]
        expect(await counted(gate, zone)).toEqual(tokens)
        expect(await standings(gate)).toEqual({
          tokensPerDay: { used: tokens[0], renews: renewalOfDay(zone) },
          tokensPerMonth: { used: tokens[1], renews: renewalOfMonth(zone) },
        })
        // Rows of usage have each line once, in whatever day.
        const usage = await (await gate.admin('/usage?since=30d')).json()
        expect(usage).toMatchObject({ rows: [{ promptTokens: all[0] }] })
        expect(await verify(gate)).toEqual(WELL)
      }
      await check(0)
      await setZone(gate, ELSEWHERE)
      await check(ELSEWHERE)
      expect((await gate.state()).ledger?.notice).toContain(
        `by the time zone ${ELSEWHERE_TEXT} now, and were added up anew from the ledger`,
      )
      await appendFile(ledgerOf(gate), lineOf(Date.now(), 5))
      await check(ELSEWHERE)
      await setZone(gate, 0)
      await appendFile(ledgerOf(gate), lineOf(Date.now(), 7))
      await check(0)
      await setZone(gate, ELSEWHERE)
      await check(ELSEWHERE)
    })

    test('changed while nginx stands still, the same after its start', async () => {
      const gate = await start({}, someLines())
      await waitForAll(gate)
      await killAll(gate)
      const policy = { ...(await policyOf(gate)), timeZone: ELSEWHERE_TEXT }
      await gate.writeConfig('policy.json', JSON.stringify(policy))
      await gate.restart()
      await waitForZone(gate, ELSEWHERE)
      await waitForAll(gate)
      expect((await balance(gate)).subjects).toEqual(await foldedBy(gate, ELSEWHERE))
      expect(await verify(gate)).toEqual(WELL)
    })

    test('killed in the middle of a change, it is the same in the end', async () => {
      const nowMs = Date.now()
      // Some thousand lines, so that adding up takes some turns.
      const lines = Array.from({ length: 6000 }, (_, at) => lineOf(nowMs - (6000 - at) * 10_000, 1))
      const gate = await start({}, lines.join(''))
      await waitForAll(gate)
      const policy = { ...(await policyOf(gate)), timeZone: ELSEWHERE_TEXT }
      await gate.writeConfig('policy.json', JSON.stringify(policy))
      await sleep(700)
      await killAll(gate)
      await gate.restart()
      await waitForZone(gate, ELSEWHERE)
      expect((await balance(gate)).subjects).toEqual(await foldedBy(gate, ELSEWHERE))
      expect((await counted(gate, ELSEWHERE))[0]).toBe(
        (await foldedBy(gate, ELSEWHERE))['client:app']?.days[dayOf(Date.now(), ELSEWHERE)]?.[0],
      )
      expect(await verify(gate)).toEqual(WELL)
    })

    test('no budget is free while it changes, and a stream over it counts once', async () => {
      const spender = clientOf({ budgets: { tokensPerDay: 40, tokensPerMonth: 40 } })
      const runner = clientOf({ budgets: { tokensPerDay: 10_000, hard: true } })
      const clients = { spender: spender.client, runner: runner.client }
      // Today and this month in both time zones.
      const ledger = lineOf(Date.now() - 1000, 1000, 'spender') + someLines()
      const gate = await start({ clients: { version: 1, clients }, workers: 2 }, ledger)
      await waitForAll(gate)
      const stream = get(gate, CHAT, {
        key: runner.secret,
        body: {
          ...{ model: MODEL, messages: [{ role: 'user', content: 'one' }], stream: true },
          ...{ mock: 'prompt:3,tokens:120,itl:40' },
        },
      })
      let isOver = false
      const statuses: number[] = []
      const calls = (async () => {
        while (!isOver) statuses.push((await chat(spender.secret, gate)).status)
      })()
      await setZone(gate, ELSEWHERE)
      await sleep(500)
      await setZone(gate, 0)
      await setZone(gate, ELSEWHERE)
      isOver = true
      await calls
      expect((await stream).status).toBe(200)
      expect(new Set(statuses)).toEqual(new Set([429]))
      await until('the line of the stream', async () =>
        (await gate.ledger()).some((line) => line['client'] === 'runner'),
      )
      await waitForAll(gate)
      await until('its counters', async () => (await counted(gate, ELSEWHERE, 'runner'))[0] === 123)
      expect(await counted(gate, ELSEWHERE, 'runner')).toEqual([123, 123])
      expect(await counted(gate, ELSEWHERE, 'spender')).toEqual([1000, 1000])
      const entries = await zoneOfGate(gate, 'counters')
      const held = Object.entries(entries).filter(([name, value]) => /^[rRf]/.test(name) && value)
      expect(held).toEqual([])
    })

    test.skipIf(monthOf(Date.now()) !== monthOf(Date.now(), ELSEWHERE))(
      'the month goes on with its sum where its files are compressed, and says so',
      async () => {
        const gate = await start({}, someLines())
        await waitForAll(gate)
        await killAll(gate)
        const before = await foldedBy(gate, 0)
        const text = await readFile(ledgerOf(gate), 'utf8')
        const rotated = `${ledgerOf(gate)}.2.gz`
        await writeFile(rotated, gzipSync(text))
        // Before the day in both time zones, and in the month.
        const changed = (startOfMonth(monthOf(Date.now())) + 13 * 60 * MINUTE_MS) / 1000
        await utimes(rotated, changed, changed)
        await rm(ledgerOf(gate))
        await writeFile(ledgerOf(gate), lineOf(Date.now(), 100_000))
        await gate.restart()
        await until('the line', async () => (await balance(gate)).lines === text.split('\n').length)
        await setZone(gate, ELSEWHERE)
        const month = monthOf(Date.now())
        const { all, months } = (await balance(gate)).subjects['client:app'] ?? {}
        const was = before['client:app']
        expect(all?.[0]).toBe((was?.all[0] ?? 0) + 100_000)
        expect(months?.[month]?.[0]).toBe((was?.months[month]?.[0] ?? 0) + 100_000)
        expect((await counted(gate, ELSEWHERE))[1]).toBe(months?.[month]?.[0])
        expect((await gate.state()).ledger?.notice).toContain('tollgate ledger rebuild')

        await killAll(gate)
        const files = ['--dir', gate.configDir, '--ledger', ledgerOf(gate)]
        await tollgate('ledger', 'rebuild', ...files)
        await gate.restart()
        await until('its state', async () => (await gate.state()).ledger !== undefined)
        expect((await balance(gate)).zoneMinutes).toBe(ELSEWHERE)
        expect(await verify(gate)).toEqual(WELL)
      },
    )

    test('a month whose files are gone goes on with its sum too', async () => {
      const lines = someLines().split('\n')
      const gone = `${lines.slice(0, -2).join('\n')}\n`
      const gate = await start({}, gone)
      await waitForAll(gate)
      const was = (await balance(gate)).subjects['client:app'] as Balance
      // As logrotate does it, which keeps nothing.
      await rename(ledgerOf(gate), `${ledgerOf(gate)}.1`)
      process.kill(gate.pid, 'SIGUSR1')
      await appendFile(ledgerOf(gate), lineOf(Date.now(), 100_000))
      const all = (was.all[0] ?? 0) + 100_000
      await until(
        'both files',
        async () => (await balance(gate)).subjects['client:app']?.all[0] === all,
        SECONDS,
      )
      await rm(`${ledgerOf(gate)}.1`)
      await setZone(gate, ELSEWHERE)
      const [day, month] = await counted(gate, ELSEWHERE)
      const isSame = monthOf(Date.now()) === monthOf(Date.now(), ELSEWHERE)
      const before = isSame ? (was.months[monthOf(Date.now())]?.[0] ?? 0) : 0
      expect([day, month]).toEqual([100_000, before + 100_000])
      expect((await balance(gate)).subjects['client:app']).toMatchObject({
        all: [all, 0, expect.anything()],
      })
      expect((await balance(gate)).subjects['client:app']).not.toHaveProperty('before')
    })

    test('one that is none is refused, and the last good one goes on', async () => {
      const gate = await start({ policy: { version: 1, timeZone: ELSEWHERE_TEXT } })
      gate.expectErrors(/Tollgate cannot load policy\.json|Tollgate goes on with what it loaded/)
      const timeZone = 'Asia/Taipei'
      const policy = { ...(await policyOf(gate)), timeZone }
      const shown = (await (await gate.admin('/policy')).json()) as Policy
      const body = { ...shown, timeZone }
      const response = await gate.admin('/policy/validate', { method: 'POST', body })
      expect(await response.json()).toMatchObject({
        problems: [{ path: 'timeZone', message: expect.stringContaining('such as +08:00') }],
      })
      await gate.writeConfig('policy.json', JSON.stringify(policy))
      await until('its refusal', async () => (await gate.state()).problems.length === 1)
      expect((await gate.state()).problems[0]?.path).toBe('policy.json: timeZone')
    })
  },
)
