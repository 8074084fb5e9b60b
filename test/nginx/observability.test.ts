import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { listFamilies } from '../../src/core/metrics/catalog.ts'
import { CHAT, chatOf, clientOf, documentOf, MODEL } from './clients.ts'
import { familiesOf, scrape, total } from './exposition.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import {
  findPrometheus,
  type Prometheus,
  runTool,
  type Scraper,
  startPrometheus,
} from './prometheus.ts'
import { findOneSetup } from './setups.ts'

// The texts are the same on both engines, which metrics.test.ts sees to.
const setup = await findOneSetup()

const SECONDS = 60
const LONG_MS = 120_000
const FOLDER = join(packageDir(), 'nginx', 'observability')
const read = (name: string) => readFile(join(FOLDER, name), 'utf8')

let gate: Gate
let tools: Prometheus
let scraper: Scraper
let folder: string

const caller = clientOf({
  limits: { requestsPerMinute: 100 },
  budgets: { tokensPerDay: 100_000, costPerMonth: 10 },
})

const admin = makeAdmin({ name: 'prometheus', role: 'read' })
const told = () => scrape(gate, undefined, admin.token)

watchLogs()

beforeAll(async () => {
  tools = await findPrometheus()
  folder = await mkdtemp(join(tmpdir(), 'tollgate-observability-'))
  const prices = { '*': { input: 1, output: 2 } }
  gate = await startGate(setup, {
    clients: documentOf({ app: caller }),
    policy: { version: 1, prices, admins: [admin.record] },
  })
  for (const stream of [true, false]) {
    const body = JSON.stringify(chatOf('tokens:7,itl:3', { stream }))
    await (await gate.call(CHAT, { key: caller.secret, body })).text()
  }
  await gate.ledger(2)
  // As with tollgate admin token create > FILE.
  await writeFile(join(folder, 'token'), `${admin.token}\n`, { mode: 0o400 })
  const configuration = (await read('prometheus.yml'))
    .replaceAll(/15s/g, '1s')
    .replace('rules.yml', join(FOLDER, 'rules.yml'))
    .replace('/run/tollgate/token', join(folder, 'token'))
    .replace('"gate:9182"', `"${new URL(gate.adminUrl).host}"`)
  scraper = await startPrometheus(tools, configuration)
})

afterAll(async () => {
  await scraper.stop()
  await gate.stop()
  await rm(folder, { recursive: true })
})

/** Names of metrics in an expression; two labels of gen_ai look like them. */
function namesIn(text: string): string[] {
  const names = text.match(/\b(?:tollgate|gen_ai)_[a-z_]+\b/g) ?? []
  return names.filter((name) => !/^gen_ai_(request_model|token_type)$/.test(name))
}

type Panel = { title: string; panels?: Panel[]; targets?: { expr: string }[] }
type Dashboard = {
  panels: Panel[]
  templating: { list: { definition?: string }[] }
  annotations: { list: { expr?: string }[] }
}

async function readExpressions(): Promise<string[]> {
  const dashboard = JSON.parse(await read('grafana/dashboards/tollgate.json')) as Dashboard
  const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
  const targets = panels.flatMap(({ targets }) => targets ?? []).map(({ expr }) => expr)
  return [...targets, ...dashboard.annotations.list.flatMap(({ expr }) => (expr ? [expr] : []))]
}

test(
  'Prometheus scrapes the gate with a token from a file, and answers questions',
  async () => {
    const asked = 'sum by (client, outcome) (tollgate_requests_total)'
    await until(
      'the requests in Prometheus',
      async () => (await scraper.query(asked))[0]?.value === 2,
      SECONDS,
    )
    expect(await scraper.query(asked)).toEqual([
      { metric: { client: 'app', outcome: 'ok' }, value: 2 },
    ])
    expect(await scraper.query('up')).toMatchObject([{ value: 1 }])
    const ratio = 'tollgate_budget_used_tokens / tollgate_budget_limit_tokens'
    expect(await scraper.query(ratio)).toMatchObject([
      { metric: { subject: 'client', name: 'app', period: 'day' }, value: 20 / 100_000 },
    ])
    const tokens = 'sum(gen_ai_client_token_usage_sum{gen_ai_token_type="output"})'
    expect(await scraper.query(tokens)).toMatchObject([{ value: 14 }])
    const { samples } = await told()
    const own = samples.filter(({ name }) => name.startsWith('gen_ai_'))
    for (const { name, labels } of own.filter((one) => one.labels['le'] !== undefined)) {
      const of = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`)
      const found = await scraper.query(`${name}{${of.join(',')}}`)
      expect(found, name).toMatchObject([{ value: total(samples, name, labels) }])
    }
  },
  LONG_MS,
)

test(
  'the rules are valid, are tested, and find nothing wrong with a gate that is well',
  async () => {
    expect(
      await runTool(tools.promtool, ['check', 'rules', join(FOLDER, 'rules.yml')]),
    ).toMatchObject({ code: 0 })
    const tests = await runTool(tools.promtool, ['test', 'rules', join(FOLDER, 'rules.test.yml')])
    expect(tests, tests.said).toMatchObject({ code: 0 })
    const checked = ['check', 'config', '--syntax-only', join(FOLDER, 'prometheus.yml')]
    expect(await runTool(tools.promtool, checked)).toMatchObject({ code: 0 })
    expect(await scraper.query('ALERTS')).toEqual([])
  },
  LONG_MS,
)

test(
  'the alerts of a server that fails find one, and its model',
  async () => {
    gate.expectErrors(/upstream prematurely closed connection/)
    const rules = await read('rules.yml')
    const expressionOf = (alert: string) =>
      new RegExp(`alert: ${alert}\\n(?: +#.*\\n)* +expr: >-\\n((?: {10,}.*\\n)+)`).exec(
        rules,
      )?.[1] ?? ''
    const fail = async () => {
      const body = JSON.stringify(chatOf('die:before'))
      await (await gate.call(CHAT, { key: caller.secret, body })).text()
    }
    const failed = 'sum(tollgate_model_requests_total{outcome="upstream_unavailable"})'
    const wait = (count: number) =>
      until(
        'it in Prometheus',
        async () => (await scraper.query(failed))[0]?.value === count,
        SECONDS,
      )
    // Of a series that is new, increase() sees what comes after its first sample.
    await fail()
    await wait(1)
    expect(await scraper.query(expressionOf('TollgateUpstreamFailing'))).toEqual([])
    for (let i = 0; i < 4; i++) await fail()
    await wait(5)
    expect(await scraper.query(expressionOf('TollgateUpstreamFailing'))).toMatchObject([
      { value: 1 },
    ])
    const [found] = await scraper.query(expressionOf('TollgateModelFailing'))
    expect(found?.metric['model']).toBe(MODEL)
  },
  LONG_MS,
)

test('every metric of rules and dashboard is told by a gate, and every expression is one', async () => {
  const { text } = await told()
  const families = familiesOf(text)
  const dashboard = await readExpressions()
  expect(dashboard.length).toBeGreaterThan(30)
  // On one line, or on further ones that stand deeper.
  const rules = (await read('rules.yml')).match(/expr: (?:>-\n(?: {10,}.*\n)+|.*)/g) ?? []
  expect(rules.length).toBeGreaterThan(10)
  for (const name of [...dashboard, ...rules].flatMap(namesIn)) {
    const family = name.replace(/_(total|bucket|sum|count)$/, '')
    expect(families.has(family), name).toBe(true)
  }
  for (const expression of dashboard) {
    const filled = expression
      .replaceAll('$__rate_interval', '5m')
      .replaceAll('$job', 'tollgate')
      .replaceAll(/\$(instance|client)/g, '.*')
    expect(await scraper.fault(filled), filled).toBeNull()
  }
})

test('the gate tells all families, and docs/metrics.md describes each', async () => {
  const { text } = await told()
  const families = familiesOf(text)
  const docs = await readFile(join(packageDir(), 'docs', 'metrics.md'), 'utf8')
  for (const { name, type } of listFamilies()) {
    expect(families.has(name), name).toBe(true)
    expect(docs).toContain(`\`${name}${type === 'counter' ? '_total' : ''}\``)
  }
})
