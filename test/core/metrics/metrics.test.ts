import { describe, expect, test } from 'vitest'
import type { Limited } from '../../../src/core/config/record.ts'
import type { Client } from '../../../src/core/config/shapes.ts'
import { foldLines } from '../../../src/core/ledger/fold.ts'
import { dayOf } from '../../../src/core/limits/counters.ts'
import type { LimitsTaken } from '../../../src/core/limits/taken.ts'
import { listFamilies } from '../../../src/core/metrics/catalog.ts'
import { addCounters, addModels, type Models } from '../../../src/core/metrics/counters.ts'
import { HISTOGRAMS, NUMBERS } from '../../../src/core/metrics/histograms.ts'
import { addLimited, noteLimited } from '../../../src/core/metrics/limited.ts'
import { seriesOf } from '../../../src/core/metrics/series.ts'
import {
  addSample,
  formatMetrics,
  prefersOpen,
  type Samples,
} from '../../../src/core/metrics/text.ts'

const NOW_MS = Date.parse('2026-11-25T12:30:00Z')

const line = (fields: object = {}) =>
  JSON.stringify({
    ...{ version: 1, time: new Date(NOW_MS).toISOString(), client: 'app', key: 'k1' },
    ...{ route: 'chat', outcome: 'ok', status: 200, model: 'llama', served: 'llama' },
    ...{ durationMs: 2500, upstream: '127.0.0.1:8000', ...fields },
  })

/** The counters that lines come to, by their names in the zone. */
function count(lines: string[], freshMs = NOW_MS): Map<string, number> {
  const counted = new Map<string, number>()
  const folded = foldLines(lines.join('\n'), NOW_MS, freshMs)
  for (const { name, delta } of seriesOf(folded, (model) => model)) {
    counted.set(name, (counted.get(name) ?? 0) + delta)
  }
  return counted
}

/** What is told of lines. */
function tell(lines: string[], isOpen = false): string[] {
  const samples: Samples = {}
  const models: Models = {}
  addCounters(samples, models, [...count(lines)].sort())
  addModels(samples, models)
  return formatMetrics(samples, isOpen).join('').split('\n')
}

describe('counters', () => {
  const usage = { promptTokens: 100, cachedTokens: 60, completionTokens: 20, cost: 0.5 }

  test('are of requests, tokens and cost', () => {
    const told = tell([
      line(usage),
      line({ ...usage, key: 'k2' }),
      line({ outcome: 'budget_spent', status: 429, upstream: undefined }),
    ])
    expect(told).toEqual(
      expect.arrayContaining([
        'tollgate_requests_total{client="app",route="chat",outcome="budget_spent",status="4xx"} 1',
        'tollgate_requests_total{client="app",route="chat",outcome="ok",status="2xx"} 2',
        'tollgate_model_requests_total{model="llama",outcome="ok",status="2xx"} 2',
        'tollgate_tokens_total{client="app",model="llama",kind="cached"} 120',
        'tollgate_tokens_total{client="app",model="llama",kind="completion"} 40',
        'tollgate_tokens_total{client="app",model="llama",kind="prompt"} 200',
        'tollgate_cost_total{client="app"} 1',
      ]),
    )
    expect(told.join()).not.toContain('kind="reasoning"')
    expect(told.filter((one) => one.startsWith('tollgate_model_requests'))).toHaveLength(1)
  })

  test.each<[unknown, string]>([
    [200, '2xx'],
    [299, '2xx'],
    [304, '3xx'],
    [400, '4xx'],
    [499, '4xx'],
    [500, '5xx'],
    [599, '5xx'],
    [100, '1xx'],
    [99, '(other)'],
    [0, '(other)'],
    [600, '(other)'],
    [999, '(other)'],
    [-200, '(other)'],
    ['200', '(other)'],
    [undefined, '(other)'],
  ])('have the status %s as %s, so that six are all there are', (status, told) => {
    expect([...count([line({ status })]).keys()].slice(0, 2)).toEqual([
      `r\tapp\tchat\tok\t${told}`,
      `p\tllama\tok\t${told}`,
    ])
  })

  test('tell an error of the server from an answer, by client and by model', () => {
    const failed = (status: number) =>
      line({ outcome: 'upstream_error', status, served: undefined })
    const told = tell([line(), failed(503), failed(200), failed(200)])
    const of = 'client="app",route="chat",outcome="upstream_error"'
    const by = 'model="llama",outcome="upstream_error"'
    expect(told).toEqual(
      expect.arrayContaining([
        `tollgate_requests_total{${of},status="2xx"} 2`,
        `tollgate_requests_total{${of},status="5xx"} 1`,
        `tollgate_model_requests_total{${by},status="2xx"} 2`,
        `tollgate_model_requests_total{${by},status="5xx"} 1`,
      ]),
    )
  })

  test('of a version that told no status go on without one', () => {
    const samples: Samples = {}
    addCounters(samples, {}, [['r\tapp\tchat\tok', 7]])
    expect(samples['tollgate_requests']).toEqual([
      '{client="app",route="chat",outcome="ok",status=""} 7\n',
    ])
  })

  test.each([
    ['older than this nginx', line({ time: '2026-11-25T12:29:59.999Z' })],
    ['a sum over many', line({ summary: true, requests: 7 })],
    ['nothing', 'what?'],
  ])('leave out a line that is %s', (_, text) => {
    expect([...count([text])]).toEqual([])
    expect(foldLines(text, NOW_MS, NOW_MS).lines).toBe(1)
  })

  test('count only lines that are told to be fresh', () => {
    expect(foldLines(line(), NOW_MS).tally.lines).toBe(0)
  })

  test('name what takes their place when there are too many', () => {
    const folded = foldLines(line(usage), NOW_MS, NOW_MS)
    const others = seriesOf(folded, () => 'm').map(({ other }) => other.split('\t'))
    expect(others.filter(([kind]) => kind !== 'h')).toEqual([
      ['r', '(other)', 'chat', 'ok', '2xx'],
      ['p', 'm', 'ok', '2xx'],
      ['c', '(other)'],
      ['t', '(other)', '(other)', 'prompt'],
      ['t', '(other)', '(other)', 'cached'],
      ['t', '(other)', '(other)', 'completion'],
    ])
  })
})

describe('histograms', () => {
  const bucketsOf = (name: string, lines: string[]) =>
    tell(lines)
      .filter((one) => one.startsWith(name))
      .map((one) => one.slice(name.length))

  test('count up to their bounds, the bound included', () => {
    const durations = [10, 11, 81920, 81921].map((durationMs) => line({ durationMs }))
    const told = bucketsOf('gen_ai_server_request_duration_seconds', durations)
    const of = 'gen_ai_request_model="llama"'
    expect(told.slice(0, 2)).toEqual([`_bucket{${of},le="0.01"} 1`, `_bucket{${of},le="0.02"} 2`])
    expect(told.slice(-5)).toEqual([
      `_bucket{${of},le="40.96"} 2`,
      `_bucket{${of},le="81.92"} 3`,
      `_bucket{${of},le="+Inf"} 4`,
      `_sum{${of}} 163.862`,
      `_count{${of}} 4`,
    ])
  })

  test('are of all that a line tells', () => {
    const told = tell([
      line({
        ...{ ttftMs: 84, tokensPerSecond: 50, promptTokens: 512, completionTokens: 128 },
        ...{ admissionMs: 0.25 },
      }),
    ])
    const sums = told.filter((one) => /_sum/.test(one))
    expect(sums).toEqual([
      'gen_ai_server_request_duration_seconds_sum{gen_ai_request_model="llama"} 2.5',
      'gen_ai_server_time_to_first_token_seconds_sum{gen_ai_request_model="llama"} 0.084',
      'gen_ai_server_time_per_output_token_seconds_sum{gen_ai_request_model="llama"} 0.02',
      'gen_ai_client_token_usage_sum{gen_ai_request_model="llama",gen_ai_token_type="input"} 512',
      'gen_ai_client_token_usage_sum{gen_ai_request_model="llama",gen_ai_token_type="output"} 128',
      'tollgate_admission_duration_seconds_sum 0.00025',
    ])
  })

  test.each<[string, object]>([
    ['a refusal, which had no server', { outcome: 'rate_limited', upstream: undefined }],
    ['a time that is no number', { durationMs: '5' }],
    ['a negative one', { durationMs: -5 }],
    ['one that is beyond all', { durationMs: 1e300 }],
  ])('leave out %s', (_, fields) => {
    const told = bucketsOf('gen_ai_server_request_duration_seconds_count', [line(fields)])
    expect(told).toEqual([])
  })

  test('have places of their own for their numbers', () => {
    const places = HISTOGRAMS.flatMap(({ at, bounds }) =>
      Array.from({ length: bounds.length + 2 }, (_, i) => at + i),
    )
    expect(places).toEqual(Array.from({ length: NUMBERS }, (_, i) => i))
    for (const { bounds } of HISTOGRAMS) expect(bounds).toEqual([...bounds].sort((a, b) => a - b))
  })
})

describe('limits and budgets', () => {
  const taken: LimitsTaken = {
    ...{ inFlight: 3, heldTokens: 40, heldCost: 5e8, requestsPerMinute: 7, tokensPerMinute: 900 },
    ...{ inputTokensPerMinute: 0, outputTokensPerMinute: 0 },
  }
  const client = (fields: Partial<Client>): Client => ({
    keys: [{ id: 'k1', sha256: '', created: '' }],
    ...fields,
  })

  test('are told with what is used of them', () => {
    const samples: Samples = {}
    const subject: Limited = {
      of: 'client',
      id: 'client:app',
      limits: { requestsPerMinute: 60, concurrency: 4 },
      budgets: { tokensPerDay: 1000, costPerMonth: 2e9, hard: true },
    }
    const used = (kind: string, window: number) =>
      kind === 'd' && window === dayOf(NOW_MS) ? 123 : kind === 'M' ? 1.5e9 : 0
    addLimited(samples, subject, { taken, used }, NOW_MS)
    const of = 'subject="client",name="app"'
    const told = formatMetrics(samples, false).join('').split('\n')
    expect(told.filter((one) => one && !one.startsWith('#'))).toEqual([
      `tollgate_limit{${of},limit="requestsPerMinute"} 60`,
      `tollgate_limit{${of},limit="concurrency"} 4`,
      `tollgate_limit_used{${of},limit="requestsPerMinute"} 7`,
      `tollgate_limit_used{${of},limit="concurrency"} 3`,
      `tollgate_budget_limit_tokens{${of},period="day"} 1000`,
      `tollgate_budget_used_tokens{${of},period="day"} 123`,
      `tollgate_budget_reserved_tokens{${of},period="day"} 40`,
      `tollgate_budget_limit_cost{${of},period="month"} 2`,
      `tollgate_budget_used_cost{${of},period="month"} 1.5`,
      `tollgate_budget_reserved_cost{${of},period="month"} 0.5`,
    ])
  })

  test('are collected once for each client, key and group, 500 at most', () => {
    const policy = { version: 1 as const, groups: { web: { budgets: { costPerDay: 1 } } } }
    const list: Limited[] = []
    for (let i = 0; i < 3; i++) {
      const limits = { concurrency: 1 }
      noteLimited(list, `app${i}`, client({ group: 'web', limits }), policy)
    }
    noteLimited(list, 'free', client({}), policy)
    expect(list.map(({ id }) => id)).toEqual([
      ...['client:app0', 'group:web', 'client:app1', 'client:app2'],
    ])
    for (let i = 3; i < 600; i++) {
      noteLimited(list, `app${i}`, client({ limits: { concurrency: 1 } }), policy)
    }
    expect(list).toHaveLength(500)
  })
})

describe('the text', () => {
  test('escapes what a label may not hold', () => {
    const samples: Samples = {}
    addSample(samples, 'tollgate_cost', { client: 'a"b\\c\nd' }, 1)
    const text = formatMetrics(samples, false).join('')
    expect(text).toContain('tollgate_cost_total{client="a\\"b\\\\c\\nd"} 1\n')
  })

  test('of OpenMetrics names families without _total, has units, and ends', () => {
    const samples: Samples = {}
    addSample(samples, 'tollgate_cost', { client: 'app' }, 1)
    addSample(samples, 'tollgate_start_time_seconds', {}, 5.5)
    const told = formatMetrics(samples, true).join('').split('\n')
    expect(told.filter((one) => !one.startsWith('# HELP'))).toEqual([
      '# TYPE tollgate_cost counter',
      'tollgate_cost_total{client="app"} 1',
      '# TYPE tollgate_start_time_seconds gauge',
      '# UNIT tollgate_start_time_seconds seconds',
      'tollgate_start_time_seconds 5.5',
      '# EOF',
      '',
    ])
  })

  test.each([
    [undefined, false],
    ['*/*', false],
    ['text/plain', false],
    ['application/openmetrics-text', true],
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', true],
    ['application/openmetrics-text;version=0.0.1', false],
    ['application/openmetrics-text;q=0.2,text/plain;q=0.5', false],
    ['application/openmetrics-text;q=0', false],
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      true,
    ],
  ])('is chosen by Accept: %s', (accept, isOpen) => {
    expect(prefersOpen(accept)).toBe(isOpen)
  })

  test('tells each family once, with what it is', () => {
    const names = listFamilies().map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, help } of listFamilies()) {
      expect(name).toMatch(/^(tollgate|gen_ai)_[a-z_]+$/)
      expect(help).toMatch(/^[A-Z].*\.$|^The versions.*$/)
    }
  })
})
