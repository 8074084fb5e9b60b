import { describe, expect, test } from 'vitest'
import { readAmount } from '../../src/console/amount.ts'
import type { RunningList, UsageRow } from '../../src/console/api/types.ts'
import { changesOf } from '../../src/console/changes.ts'
import { snippetOf } from '../../src/console/pages/keys/snippet.ts'
import { byClient, withSpeeds } from '../../src/console/pages/now/speed.ts'
import { lineOf, locate } from '../../src/console/pages/policy/locate.ts'
import { toCsv } from '../../src/console/pages/usage/csv.ts'
import { hasHours, periodOf, readQuery, timesOf } from '../../src/console/pages/usage/query.ts'
import { rank, stackOf, sumBy } from '../../src/console/pages/usage/sums.ts'

describe('readAmount', () => {
  test.each([
    ['nothing', '  ', true, { isEmpty: true }],
    ['digits', '5000000', true, { value: 5_000_000 }],
    ['separators of thousands', '5,000_000', true, { value: 5_000_000 }],
    ['millions', '5M', true, { value: 5_000_000 }],
    ['thousands with a fraction', '1.5k', true, { value: 1500 }],
    ['a fraction where it may be one', '7.5', false, { value: 7.5 }],
    ['a fraction where it may not', '7.5', true, { isWrong: true }],
    ['zero', '0', true, { value: 0 }],
    ['less than zero', '-1', true, { isWrong: true }],
    ['words', 'many', true, { isWrong: true }],
    ['more than a double holds', '9007199254740993', true, { isWrong: true }],
    ['a fraction of a million that binary has not', '4.35M', true, { value: 4_350_000 }],
  ])('%s', (_, typed, isWhole, amount) => {
    expect(readAmount(typed, isWhole)).toEqual(amount)
  })
})

describe('changesOf', () => {
  test('tells fields that came, went and changed, and leaves out the others', () => {
    const before = { a: 1, b: { c: 2, d: [1] }, gone: true }
    const after = { a: 1, b: { c: 3, d: [1] }, came: 'x' }
    expect(changesOf(before, after)).toEqual([
      { path: 'b.c', before: '2', after: '3' },
      { path: 'gone', before: 'true', after: undefined },
      { path: 'came', before: undefined, after: '"x"' },
    ])
  })

  test('takes null for nothing', () => {
    expect(changesOf(null, { a: null })).toEqual([])
  })
})

describe('locate', () => {
  const text = JSON.stringify({ plans: { 'a.b': { models: ['x', 'y'] } }, n: { deep: 1 } }, null, 2)
  const at = (path: string) => {
    const place = locate(text, path)
    return place && text.slice(place.start, place.end)
  }

  test('finds a field with its name', () => expect(at('n.deep')).toBe('"deep": 1'))
  test('finds an entry of a list', () => expect(at('plans["a.b"].models[1]')).toBe('"y"'))
  test('finds what is around a field that is not there', () => {
    expect(at('n.missing')).toContain('"deep": 1')
  })
  test('refuses what is no path', () => expect(locate(text, '(cannot be read)')).toBeNull())
  test('counts lines from one', () => {
    expect(lineOf(text, locate(text, 'plans["a.b"].models[1]')?.start ?? 0)).toBe(6)
  })
})

describe('usage', () => {
  const nowMs = Date.parse('2026-11-25T09:30:00Z')
  const ask = (search: string, zone = 0) => readQuery(new URLSearchParams(search), nowMs, zone)
  const row = (client: string, time: string, cost: number, tokens = 0): UsageRow => ({
    client,
    time,
    requests: 1,
    refused: 0,
    promptTokens: tokens,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    audioSeconds: 0,
    cost,
    estimated: false,
  })

  test('shows seven days by client unless the address says something else', () => {
    expect(ask('')).toMatchObject({ range: '7d', by: 'client', step: 'day', measure: '' })
  })

  test('seven days are today and the six before it', () => {
    const { sinceMs, untilMs } = periodOf(ask(''), nowMs, 0)
    expect(new Date(sinceMs).toISOString()).toBe('2026-11-19T00:00:00.000Z')
    expect(timesOf(sinceMs, untilMs, 'day', 0)).toHaveLength(7)
  })

  test.each([
    ['Taipei', 480, '2026-11-18T16:00:00.000Z', '2026-11-24T16:00:00.000Z', '2026-11-25'],
    ['Kathmandu', 345, '2026-11-18T18:15:00.000Z', '2026-11-24T18:15:00.000Z', '2026-11-25'],
    ['Honolulu', -600, '2026-11-18T10:00:00.000Z', '2026-11-24T10:00:00.000Z', '2026-11-24'],
    ['the easternmost', 840, '2026-11-18T10:00:00.000Z', '2026-11-24T10:00:00.000Z', '2026-11-25'],
  ])('in %s they are those of its own', (_, zone, first, last, today) => {
    const query = ask('', zone)
    expect(query.to).toBe(today)
    const { sinceMs, untilMs } = periodOf(query, nowMs, zone)
    const times = timesOf(sinceMs, untilMs, 'day', zone)
    const ends = [times[0], times.at(-1)].map((ms) => new Date(ms ?? 0).toISOString())
    expect([times.length, ...ends]).toEqual([7, first, last])
    const custom = ask(`range=custom&from=${today}&to=${today}`, zone)
    expect(periodOf(custom, nowMs, zone).sinceMs).toBe(times.at(-1))
  })

  test('24 hours end with the one that runs', () => {
    const { sinceMs, untilMs } = periodOf(ask('range=24h'), nowMs, 0)
    expect(timesOf(sinceMs, untilMs, 'hour', 0)).toHaveLength(24)
  })

  test('days of a custom range are both included, whichever comes first', () => {
    const query = ask('range=custom&from=2026-11-20&to=2026-11-18')
    const { sinceMs, untilMs } = periodOf(query, nowMs, 0)
    expect(timesOf(sinceMs, untilMs, 'day', 0)).toHaveLength(3)
  })

  test('hours are offered while they are kept', () => {
    expect(hasHours(ask('range=7d'), nowMs, 0)).toBe(true)
    expect(hasHours(ask('range=30d'), nowMs, 0)).toBe(false)
    expect(ask('range=30d&step=hour').step).toBe('day')
  })

  test('ranks by what is measured, evens by name', () => {
    const rows = [row('b', '', 1, 9), row('a', '', 1, 5), row('c', '', 2, 1), row('c', '', 2, 1)]
    const sums = sumBy(rows, ({ client }) => client ?? '')
    expect(rank(sums, 'cost').map(({ name }) => name)).toEqual(['c', 'a', 'b'])
    expect(rank(sums, 'tokens').map(({ name }) => name)).toEqual(['b', 'a', 'c'])
  })

  test('stacks the first names, and all others together', () => {
    const times = [Date.parse('2026-11-24T00:00:00Z'), Date.parse('2026-11-25T00:00:00Z')]
    const rows = ['a', 'b', 'c', 'd'].flatMap((name, i) => [
      row(name, '2026-11-24T00:00:00Z', 4 - i),
      row(name, '2026-11-25T00:00:00Z', 1),
    ])
    const ranked = rank(
      sumBy(rows, ({ client }) => client ?? ''),
      'cost',
    )
    const { series } = stackOf(rows, 'client', ranked, times, 'cost', 2)
    expect(series.map(({ values }) => values)).toEqual([
      [4, 1],
      [3, 1],
      [3, 2],
    ])
    expect(series.map(({ isRest }) => isRest)).toEqual([false, false, true])
  })

  test('CSV quotes, and lets no name become a formula', () => {
    const csv = toCsv([row('=1+1', '2026-11-24T00:00:00Z', 0.5), row('a,"b"', '', 0)])
    expect(csv.split('\r\n')[0]).toBe(
      'time,client,requests,refused,promptTokens,cachedTokens,completionTokens,reasoningTokens,audioSeconds,cost,estimated',
    )
    expect(csv).toContain("2026-11-24T00:00:00Z,'=1+1,1,")
    expect(csv).toContain('"a,""b"""')
  })
})

describe('what runs', () => {
  const list = (seconds: number, tokens?: number): RunningList => ({
    time: new Date(seconds * 1000).toISOString(),
    total: 1,
    requests: [
      {
        id: 'a',
        worker: 1,
        client: 'app',
        key: 'k',
        route: 'chat',
        startedAt: new Date(0).toISOString(),
        remote: '::1',
        ...(tokens === undefined ? {} : { completionTokens: tokens }),
      },
    ],
  })

  test('has no speed before the first count', () => {
    expect(withSpeeds(list(1), [])[0]?.speed).toBeNull()
  })

  test('has the speed since its beginning at the first look', () => {
    expect(withSpeeds(list(2, 40), [])[0]?.speed).toBe(20)
  })

  test('has the speed since the earliest look that is kept', () => {
    expect(withSpeeds(list(4, 100), [list(2, 40), list(3, 41)])[0]?.speed).toBe(30)
  })

  test('believes the gate when it tells one', () => {
    const told = list(4, 100)
    if (told.requests[0]) told.requests[0].tokensPerSecond = 7
    expect(withSpeeds(told, [])[0]?.speed).toBe(7)
  })

  test('is summed up by client', () => {
    const shown = withSpeeds(list(2, 40), [])
    expect(byClient([...shown, ...shown])).toEqual([
      { client: 'app', requests: 2, speed: 40, tokens: 80 },
    ])
  })
})

test('snippetOf() has the address once, with or without a slash at its end', () => {
  for (const gate of ['https://gate.example', 'https://gate.example/ ']) {
    expect(snippetOf('curl', gate, 'tg_x', 'm')).toContain(
      'curl https://gate.example/v1/chat/completions',
    )
  }
  expect(snippetOf('python', 'http://g', 'tg_x', 'm')).toContain('base_url="http://g/v1"')
  expect(snippetOf('javascript', 'http://g', 'tg_x', 'm')).toContain("apiKey: 'tg_x'")
})
