import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { CHAT, chatOf, clientOf, documentOf, MODEL } from './clients.ts'
import { scrape, total } from './exposition.ts'
import { type Gate, type GateOptions, type Line, sleep, startGate, until } from './harness.ts'
import { KILLED_MS, whileKilled } from './locked.ts'
import { watchLogs } from './logs.ts'
import { killAll, killWorkers } from './processes.ts'
import { findPrometheus, type Prometheus, runTool } from './prometheus.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

const setups = await findEngines()

const SECONDS = 20
const PRICES = { '*': { input: 2, cachedInput: 1, output: 4 } }
const REQUESTS = 'tollgate_requests_total'
const TOKENS = 'tollgate_tokens_total'

/** Around midnight in UTC nothing is proven about a day. */
const isNearMidnight = 86_400_000 - (Date.now() % 86_400_000) < 60_000

let tools: Prometheus
beforeAll(async () => {
  tools = await findPrometheus()
})

watchLogs()

describe.each(setups)('$name: metrics', (setup) => {
  async function start(options: GateOptions = {}) {
    const gate = await startGate(setup, {
      ...options,
      policy: options.policy ?? { version: 1, prices: PRICES },
    })
    onTestFinished(() => gate.stop())
    return gate
  }

  /** Until so many lines are counted. */
  const waitForLines = (gate: Gate, count: number) =>
    until(
      `${count} lines in the metrics`,
      async () => {
        const { samples } = await scrape(gate)
        return total(samples, 'tollgate_ledger_lines_total') === count
      },
      SECONDS,
    )

  async function expectLint(gate: Gate): Promise<string> {
    const { text } = await scrape(gate)
    expect(await runTool(tools.promtool, ['check', 'metrics'], text)).toEqual({ code: 0, said: '' })
    return text
  }

  let serial = 0
  /** A line that is not older than nginx: its clock is this one. */
  const lineOf = (fields: { [name: string]: unknown }) =>
    `${JSON.stringify({
      ...{ version: 1, time: new Date().toISOString(), id: `request-${serial++}`, client: 'app' },
      ...{ key: 'aaaaaaaa', route: 'chat', outcome: 'ok', status: 200, model: 'llama' },
      ...{ promptTokens: 3, completionTokens: 2, cost: 0.001, durationMs: 5, upstream: 'x' },
      served: fields['model'] ?? 'llama',
      ...fields,
    })}\n`
  const append = (gate: Gate, text: string) => appendFile(join(gate.stateDir, 'ledger.jsonl'), text)

  /** Counters, as they should be after these lines. */
  function expectCounters(samples: Parameters<typeof total>[0], lines: Line[]): void {
    const sum = (of: Line[], field: string) =>
      of.reduce((all, line) => all + Number(line[field] ?? 0), 0)
    expect(total(samples, REQUESTS)).toBe(lines.length)
    for (const client of new Set(lines.map((line) => String(line['client'] ?? '')))) {
      const own = lines.filter((line) => String(line['client'] ?? '') === client)
      for (const outcome of new Set(own.map((line) => String(line['outcome'])))) {
        const some = own.filter((line) => line['outcome'] === outcome)
        expect(total(samples, REQUESTS, { client, outcome })).toBe(some.length)
        for (const line of some) {
          const status = `${String(line['status']).charAt(0)}xx`
          const alike = some.filter((one) => String(one['status']).startsWith(status.charAt(0)))
          expect(total(samples, REQUESTS, { client, outcome, status })).toBe(alike.length)
        }
      }
      for (const kind of ['prompt', 'cached', 'completion', 'reasoning']) {
        const tokens = sum(own, `${kind}Tokens`)
        expect(total(samples, TOKENS, { client, kind })).toBe(tokens)
      }
      expect(total(samples, 'tollgate_cost_total', { client })).toBeCloseTo(sum(own, 'cost'), 9)
    }
    const passed = lines.filter((line) => line['upstream'] !== undefined)
    expect(total(samples, 'tollgate_model_requests_total')).toBe(passed.length)
    const first = lines.filter((line) => line['ttftMs'] !== undefined)
    const ttft = 'gen_ai_server_time_to_first_token_seconds'
    expect(total(samples, `${ttft}_count`)).toBe(first.length)
    expect(total(samples, `${ttft}_bucket`, { le: '+Inf' })).toBe(first.length)
    expect(total(samples, `${ttft}_sum`)).toBeCloseTo(sum(first, 'ttftMs') / 1000, 6)
    const own = lines.filter((line) => line['admissionMs'] !== undefined)
    expect(total(samples, 'tollgate_admission_duration_seconds_count')).toBe(own.length)
    const usage = 'gen_ai_client_token_usage_sum'
    expect(total(samples, usage, { gen_ai_token_type: 'input' })).toBe(sum(lines, 'promptTokens'))
    const output = sum(lines, 'completionTokens')
    expect(total(samples, usage, { gen_ai_token_type: 'output' })).toBe(output)
  }

  test('are the sums over the ledger after streams, refusals, aborts and errors', async () => {
    const callers = {
      app: clientOf({ budgets: { tokensPerDay: 1_000_000 } }),
      other: clientOf(),
      poor: clientOf({ limits: { requestsPerMinute: 0 } }),
    }
    const gate = await start({ clients: documentOf(callers), workers: 2 })
    gate.expectErrors(/upstream prematurely closed connection/)
    const call = (caller: keyof typeof callers, mock: string, fields = {}) =>
      send(gate, CHAT, { key: callers[caller].secret, body: chatOf(mock, fields) })
    const calls = [
      call('app', 'tokens:7'),
      call('app', 'tokens:12', { stream: true }),
      call('other', 'tokens:5,cached:2', { stream: true }),
      call('other', 'status:500'),
      call('poor', ''),
      call('app', 'die:before'),
      call('app', '', { model: 'unknown' }),
      send(gate, CHAT, { key: 'tg_nobody', body: chatOf('') }),
      send(gate, '/nowhere', { key: callers.app.secret }),
    ]
    for (const { answer } of calls) await (await answer).body().catch(() => undefined)
    const left = call('app', 'tokens:1000,itl:20', { stream: true })
    await until('some of the stream', async () => (await left.answer).pieces.length > 3)
    left.abort()
    const lines = await gate.ledger(calls.length + 1)
    expect(new Set(lines.map((line) => line['outcome']))).toEqual(
      new Set([
        ...[
          'ok',
          'upstream_error',
          'rate_limited',
          'upstream_unavailable',
          'invalid_key',
          'unknown_route',
        ],
        'client_aborted',
      ]),
    )
    await waitForLines(gate, lines.length)
    const text = await expectLint(gate)
    const { samples } = await scrape(gate)
    expectCounters(samples, lines)
    expect(text).not.toMatch(/tga?_[a-z0-9]{8}_/)
    for (const { secret } of Object.values(callers)) expect(text).not.toContain(secret)
    const open = await scrape(gate, 'application/openmetrics-text;version=1.0.0')
    expect(open.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(open.text.endsWith('# EOF\n')).toBe(true)
    expectCounters(open.samples, lines)
  })

  test.skipIf(isNearMidnight)(
    'tell what runs, what limits and budgets have left, and how the gate is',
    async () => {
      const caller = clientOf({
        group: 'web',
        limits: { concurrency: 5, tokensPerMinute: 100_000 },
        budgets: { tokensPerDay: 5000, costPerMonth: 20 },
      })
      const groups = { web: { budgets: { tokensPerMonth: 10_000 } } }
      const policy = {
        version: 1 as const,
        prices: PRICES,
        groups,
        lockout: { badKeysPerMinute: 2 },
      }
      const gate = await start({ clients: documentOf({ app: caller }), policy })
      const key = caller.secret
      const whole = await send(gate, CHAT, { key, body: chatOf('tokens:7') }).answer
      await whole.body()
      const stream = send(gate, CHAT, { key, body: chatOf('tokens:1000,itl:20', { stream: true }) })
      await until('the stream', async () => (await stream.answer).pieces.length > 0)
      for (let i = 0; i < 4; i++) {
        await (await send(gate, '/v1/models', { key: `tg_bad${i}` }).answer).body()
      }
      const { samples } = await scrape(gate)
      const app = { subject: 'client', name: 'app' }
      expect(total(samples, 'tollgate_requests_in_flight', { client: 'app' })).toBe(1)
      expect(total(samples, 'tollgate_limit', { ...app, limit: 'concurrency' })).toBe(5)
      expect(total(samples, 'tollgate_limit_used', { ...app, limit: 'concurrency' })).toBe(1)
      expect(total(samples, 'tollgate_budget_limit_tokens', { ...app, period: 'day' })).toBe(5000)
      expect(total(samples, 'tollgate_budget_used_tokens', { ...app, period: 'day' })).toBe(10)
      expect(total(samples, 'tollgate_budget_reserved_tokens', app)).toBeGreaterThan(100)
      expect(total(samples, 'tollgate_budget_limit_cost', app)).toBe(20)
      expect(total(samples, 'tollgate_budget_used_cost', app)).toBeCloseTo(0.000034, 9)
      const web = { subject: 'group', name: 'web', period: 'month' }
      expect(total(samples, 'tollgate_budget_limit_tokens', web)).toBe(10_000)
      expect(total(samples, 'tollgate_locked_out_addresses')).toBe(1)
      expect(total(samples, 'tollgate_config_generation')).toBe(1)
      expect(total(samples, 'tollgate_config_clients')).toBe(1)
      expect(total(samples, 'tollgate_config_last_load_successful')).toBe(1)
      expect(total(samples, 'tollgate_workers')).toBe(1)
      expect(
        total(samples, 'tollgate_build_info', {
          engine: setup.nginx.engine === 'qjs' ? 'QuickJS' : 'njs',
        }),
      ).toBe(1)
      const zones = samples.filter(({ name }) => name === 'tollgate_zone_capacity_bytes')
      expect(zones.map(({ labels }) => labels['zone'])).toContain('tollgate_counters')
      for (const { labels, value } of zones) {
        const free = total(samples, 'tollgate_zone_free_bytes', labels)
        expect(free).toBeGreaterThan(0)
        expect(free).toBeLessThan(value)
      }
      stream.abort()
      await until('the end of the stream', async () => {
        const now = (await scrape(gate)).samples
        return total(now, 'tollgate_requests_in_flight') === 0
      })
      gate.expectErrors(/Tollgate cannot load|Tollgate goes on with/)
      await gate.writeConfig('clients.json', '{')
      await until('the failed load', async () => {
        const now = (await scrape(gate)).samples
        return total(now, 'tollgate_config_last_load_successful') === 0
      })
      expect(total((await scrape(gate)).samples, 'tollgate_config_generation')).toBe(1)
    },
  )

  test('begin with nginx: what is older does not count, nor does adding it up anew', async () => {
    const old = lineOf({ time: new Date(Date.now() - 3_600_000).toISOString() }).repeat(500)
    const gate = await start({
      async prepare(root) {
        await mkdir(join(root, 'state', 'state'), { recursive: true })
        await writeFile(join(root, 'state', 'ledger.jsonl'), old)
      },
    })
    await until('the old lines', async () => (await gate.state()).ledger?.lines === 500)
    await append(gate, lineOf({}).repeat(20))
    await waitForLines(gate, 20)
    expect(total((await scrape(gate)).samples, REQUESTS)).toBe(20)
    await killAll(gate)
    await gate.restart()
    await until('the configuration', async () => (await gate.admin('/me')).status === 200)
    await append(gate, lineOf({}).repeat(3))
    await waitForLines(gate, 3)
    const { samples } = await scrape(gate)
    expect(total(samples, REQUESTS)).toBe(3)
    expect(total(samples, 'gen_ai_server_request_duration_seconds_count')).toBe(3)
  })

  test(
    'never count twice when a worker is killed while it adds up',
    async () => {
      const kill = async (gate: Gate) => {
        let written = 0
        let counted = 0
        for (let round = 0; round < 5; round++) {
          await append(gate, Array.from({ length: 3000 }, () => lineOf({})).join(''))
          written += 3000
          await sleep(250 + round * 83)
          killWorkers(gate)
          await until('a worker', () => gate.admin('/me').then(Boolean, () => false))
          const now = total((await scrape(gate)).samples, REQUESTS)
          expect(now).toBeGreaterThanOrEqual(counted)
          expect(now).toBeLessThanOrEqual(written)
          counted = now
        }
        await until('the rest', async () => {
          const { ledger } = await gate.state()
          return ledger?.lines === written && ledger.behindBytes === 0
        })
        const { samples } = await scrape(gate)
        // At worst a portion of some hundred lines is lost each time.
        expect(total(samples, REQUESTS)).toBeLessThanOrEqual(written)
        expect(total(samples, REQUESTS)).toBeGreaterThan(written - 5 * 1000)
      }
      await whileKilled(() => start(), kill)
    },
    KILLED_MS,
  )

  test('have bounds: what is beyond them is counted under another name', async () => {
    const gate = await start()
    const lines = Array.from({ length: 2700 }, (_, i) =>
      lineOf({ client: `client-${i}`, model: 'x', served: `model-${i % 130}` }),
    )
    await append(gate, lines.join(''))
    await until('the lines', async () => (await gate.state()).ledger?.lines === 2700, SECONDS)
    const { samples } = await scrape(gate)
    expect(total(samples, REQUESTS)).toBe(2700)
    expect(total(samples, REQUESTS, { client: '(other)' })).toBeGreaterThan(0)
    expect(total(samples, TOKENS, { kind: 'prompt' })).toBe(8100)
    expect(total(samples, 'tollgate_cost_total')).toBeCloseTo(2.7, 9)
    expect(total(samples, 'tollgate_series_dropped_total')).toBe(0)
    const named = samples.filter(({ labels }) => labels['client'] !== undefined)
    expect(named.length).toBeLessThan(10_100)
    const duration = 'gen_ai_server_request_duration_seconds_count'
    const models = samples.filter(({ name }) => name === duration)
    expect(models.length).toBe(101)
    expect(total(samples, duration)).toBe(2700)
  })

  test('know models by servers and the policy, not by what callers ask for', async () => {
    const priced = { input: 1, output: 1 }
    const policy = { version: 1 as const, prices: { ...PRICES, priced, 'other-*': priced } }
    const gate = await start({ policy })
    const names = Array.from({ length: 120 }, (_, i) => `invented-${i}`)
    const models = [...names, 'other-*', 'priced', MODEL]
    for (const model of models) {
      await (await send(gate, CHAT, { key: gate.key, body: chatOf('', { model }) }).answer).body()
    }
    await waitForLines(gate, models.length)
    const duration = 'gen_ai_server_request_duration_seconds_count'
    const told = async () => {
      const { samples } = await scrape(gate)
      const some = samples.filter(({ name }) => name === duration)
      return some.map(({ labels, value }) => [labels['gen_ai_request_model'], value]).sort()
    }
    expect(await told()).toEqual([
      ['', 121],
      [MODEL, 1],
      ['priced', 1],
    ])
    // What is known once is so where no server answers.
    const lost = { model: MODEL, served: undefined, outcome: 'upstream_aborted' }
    // A server with one model may answer under its name whatever was asked for, or under none.
    const answered = names.map((model) => lineOf({ model, served: 'llama' }))
    const unnamed = names.map((model) => lineOf({ model, served: undefined }))
    await append(gate, [lineOf(lost), ...answered, ...unnamed].join(''))
    await waitForLines(gate, models.length + 1 + 2 * names.length)
    expect(await told()).toEqual([
      ['', 241],
      [MODEL, 2],
      ['llama', 120],
      ['priced', 1],
    ])
    const { samples } = await scrape(gate)
    const tokens = samples.filter(({ name }) => name === TOKENS)
    expect(new Set(tokens.map(({ labels }) => labels['model']))).toEqual(
      new Set([MODEL, 'llama', '']),
    )
  })

  test('bear names that callers make up', async () => {
    const gate = await start()
    const models = ['a"b', 'back\\slash', 'line\nend', '模型😀', '{x="y"} 5', 'x'.repeat(1000)]
    await append(gate, models.map((model) => lineOf({ model })).join(''))
    await waitForLines(gate, models.length)
    await expectLint(gate)
    const { samples } = await scrape(gate)
    const told = samples.filter(({ name }) => name === TOKENS).map(({ labels }) => labels['model'])
    expect(new Set(told)).toEqual(
      new Set([
        ...['a"b', 'back\\slash', 'line\ufffdend', '模型😀', '{x="y"} 5', `${'x'.repeat(200)}…`],
      ]),
    )
  })

  test('count lines that cannot be read', async () => {
    const gate = await start()
    await append(gate, `${lineOf({})}what?\n`)
    await until('the line', async () => {
      const { samples } = await scrape(gate)
      return total(samples, 'tollgate_ledger_skipped_lines_total') === 1
    })
    await expectLint(gate)
  })

  test('need a token', async () => {
    const gate = await start()
    expect((await gate.admin('/metrics', { token: null })).status).toBe(401)
    expect((await gate.admin('/metrics', { token: gate.key })).status).toBe(401)
  })
})
