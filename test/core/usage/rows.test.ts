import { describe, expect, test } from 'vitest'
import { foldLines } from '../../../src/core/ledger/fold.ts'
import { dayOf, formatTime, formatZone, startOfDay } from '../../../src/core/time.ts'
import { describeUsage } from '../../../src/core/usage/answer.ts'
import {
  formatPage,
  formatRow,
  formatStamp,
  hasStamp,
  parsePage,
  parseRows,
} from '../../../src/core/usage/file.ts'
import {
  groupRows,
  isCovered,
  isWanted,
  parseUsageQuery,
  type UsageGroups,
  type UsageQuery,
} from '../../../src/core/usage/query.ts'
import {
  addRow,
  boundName,
  clean,
  HOURS_KEPT,
  isKept,
  OTHER,
  ROW_FIELDS,
  spanOf,
  type Windows,
  windowsOf,
} from '../../../src/core/usage/rows.ts'

const NOW = '2026-11-25T12:30:00Z'
const NOW_MS = Date.parse(NOW)
const HOUR_MS = 3_600_000

const line = (fields: object) =>
  JSON.stringify({
    ...{ version: 1, time: '2026-11-25T09:00:00.123Z', client: 'app', key: 'k1', outcome: 'ok' },
    ...{ status: 200, model: 'llama' },
    ...fields,
  })

const rowsOf = (...lines: string[]) =>
  windowsOf(foldLines(lines.join('\n'), NOW_MS).batches, NOW_MS)

/** The sums of a row that are not 0, by their names. */
const named = (sums: number[] | undefined) =>
  Object.fromEntries(
    ROW_FIELDS.map((field, at) => [field, sums?.[at]] as const).filter(([, sum]) => sum !== 0),
  )

const hour = (time: string) => `h${Math.floor(Date.parse(time) / HOUR_MS)}`
const day = (time: string) => `d${Math.floor(Date.parse(time) / HOUR_MS / 24)}`

describe('rows of the ledger', () => {
  const used = { promptTokens: 10, cachedTokens: 4, completionTokens: 5, reasoningTokens: 2 }

  test.each<[string, object, object]>([
    [
      'all that a line tells is added up',
      { ...used, audioSeconds: 1.5, cost: 0.25 },
      { requests: 1, ...used, audioMs: 1500, costNanos: 250_000_000 },
    ],
    ['a refused one used nothing', { outcome: 'rate_limited', status: 429 }, { refused: 1 }],
    ['an error of the server is one', { status: 500 }, { errors: 1 }],
    [
      'one that is told inside of a 200 is one, and what was used counts',
      { outcome: 'upstream_error', ...used },
      { errors: 1, ...used },
    ],
    ['an error of the gate is one', { outcome: 'gate_error', status: 500 }, { errors: 1 }],
    ['who leaves is counted as such', { outcome: 'client_aborted' }, { aborted: 1 }],
    ['a stream that was cut is none of these', { outcome: 'cut_budget' }, {}],
    ['an estimated one is counted as such', { estimated: true }, { estimated: 1 }],
    ['what is no number is nothing', { promptTokens: 'x', cost: -1, cachedTokens: null }, {}],
    ['an outcome of another version is a refusal', { outcome: undefined }, { refused: 1 }],
  ])('%s', (_, fields, expected) => {
    const rows = rowsOf(line(fields))
    for (const window of [hour, day]) {
      const sums = rows[window('2026-11-25T09:00:00Z')]?.['app\tk1\t\tllama']
      expect(named(sums)).toEqual({ requests: 1, ...expected })
    }
  })

  test('each hour and each day has its own, at their borders too', () => {
    const times = [
      '2026-11-24T22:59:59.999Z',
      '2026-11-24T23:00:00.000Z',
      '2026-11-24T23:59:59.999Z',
      '2026-11-25T00:00:00.000Z',
    ]
    const rows = rowsOf(...times.map((time) => line({ time })))
    const counts = Object.entries(rows).map(([window, of]) => [window, Object.values(of)[0]?.[0]])
    expect(Object.fromEntries(counts)).toEqual({
      [hour('2026-11-24T22:00:00Z')]: 1,
      [hour('2026-11-24T23:00:00Z')]: 2,
      [hour('2026-11-25T00:00:00Z')]: 1,
      [day('2026-11-24T00:00:00Z')]: 3,
      [day('2026-11-25T00:00:00Z')]: 1,
    })
  })

  test('one row has what was asked for under one name, whoever answered', () => {
    const rows = rowsOf(
      ...['llama-a', 'llama-b', undefined].map((served) => line({ ...used, served })),
    )
    expect(Object.keys(rows[day(NOW)] ?? {})).toEqual(['app\tk1\t\tllama'])
    expect(named(rows[day(NOW)]?.['app\tk1\t\tllama'])).toMatchObject({
      requests: 3,
      promptTokens: 30,
    })
  })

  test('names make rows of their own, and one that is missing is not one of that name', () => {
    const rows = rowsOf(
      line({}),
      line({ group: 'web' }),
      line({ model: undefined, served: 'llama' }),
      line({ client: undefined, key: undefined }),
      line({ client: 'undefined', key: 'undefined' }),
      line({ model: 'a\tb\nc' }),
    )
    expect(Object.keys(rows[day(NOW)] ?? {})).toEqual([
      'app\tk1\t\tllama',
      'app\tk1\tweb\tllama',
      '\t\t\tllama',
      'undefined\tundefined\t\tllama',
      'app\tk1\t\ta\ufffdb\ufffdc',
    ])
    expect(rows[day(NOW)]?.['app\tk1\t\tllama']?.[0]).toBe(2)
  })

  test('a sum over a day has no hour', () => {
    const rows = rowsOf(line({ summary: true, requests: 7, refused: 2, aborted: 1, ...used }))
    expect(Object.keys(rows)).toEqual([day(NOW)])
    const sums = rows[day(NOW)]?.['app\tk1\t\tllama']
    expect(named(sums)).toEqual({ requests: 7, refused: 2, aborted: 1, ...used })
  })

  test('hours are kept 8 days, days 400', () => {
    const back = (hours: number) => new Date(NOW_MS - hours * HOUR_MS).toISOString()
    const windows = (hours: number) => Object.keys(rowsOf(line({ time: back(hours) })))
    expect(windows(HOURS_KEPT - 1)).toHaveLength(2)
    expect(windows(HOURS_KEPT)).toHaveLength(1)
    expect(windows(399 * 24)).toHaveLength(1)
    expect(windows(400 * 24)).toHaveLength(0)
    expect(isKept(hour(NOW), NOW_MS + 8 * 24 * HOUR_MS)).toBe(false)
  })

  test.each([
    ['a name', 'llama-3.1', 'llama-3.1'],
    ['one that is not ASCII', '模型😀', '模型😀'],
    ['control characters', 'a\u0000b\u007fc\r\n', 'a\ufffdb\ufffdc\ufffd\ufffd'],
    ['a very long one', 'x'.repeat(300), `${'x'.repeat(200)}…`],
    ['no text', 7, ''],
  ])('keep lines whole: %s', (_, name, expected) => {
    expect(clean(name)).toBe(expected)
  })

  const some = [1, 0, 0, 0, 10, 0, 5, 0, 0, 0, 0]
  const nothing = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
  test.each([
    ['few', some, 199, 0, 'app\tk1\tweb\tllama'],
    ['many of one client', some, 200, 200, `app\tk1\tweb\t${OTHER}`],
    ['few that used nothing', nothing, 99, 99, 'app\tk1\tweb\tllama'],
    ['many that used nothing', nothing, 100, 100, `app\tk1\tweb\t${OTHER}`],
    ['many keys of one client', some, 400, 400, `app\t\t\t${OTHER}`],
    ['many keys that used nothing', nothing, 400, 400, `app\t\t\t${OTHER}`],
    ['many in all', some, 0, 10_000, `${OTHER}\t\t\t${OTHER}`],
  ])('have a bound: %s', (_, sums, clientRows, windowRows, expected) => {
    expect(boundName('app\tk1\tweb\tllama', sums, clientRows, windowRows)).toBe(expected)
    expect(boundName(expected, sums, clientRows, windowRows)).toBe(expected)
  })
})

describe('files of rows', () => {
  const sums = ROW_FIELDS.map((_, at) => at)
  const row = formatRow('h494000', 'app\tk"1\t\t模型', JSON.stringify(sums))

  test('give back what was written, and add up what stands there twice', () => {
    const windows: Windows = {}
    expect(parseRows(row + row, windows)).toBe(0)
    expect(windows).toEqual({ h494000: { 'app\tk"1\t\t模型': sums.map((one) => one * 2) } })
  })

  test.each([
    ['a piece of a row', row.slice(0, -3)],
    ['no JSON', 'what?'],
    ['too few numbers', '["h1","a","b","c","d",1,2]'],
    ['texts for numbers', row.replace(/\d+\]\n/, '"x"]\n')],
    ['a page', formatPage('h1', '', 0).trim()],
  ])('count %s as none', (_, text) => {
    expect(parseRows(text, {})).toBe(1)
  })

  test('know pages and stamps from rows', () => {
    expect(parsePage(formatPage('h1', row, 12).split('\n')[0] ?? '')).toEqual({
      window: 'h1',
      bytes: 12,
    })
    expect(parsePage(row.trim())).toBeNull()
    expect(parsePage('["h1",-1]')).toBeNull()
    expect(hasStamp(`${formatStamp(17)}${row}`, 17)).toBe(true)
    expect(hasStamp(formatStamp(17), 1)).toBe(false)
  })
})

describe('GET /usage', () => {
  const ask = (query: Record<string, string>) => parseUsageQuery(query, NOW_MS, 0)
  const at = (time: string) => Date.parse(time)

  test.each<[string, Record<string, string>, [string, string]]>([
    ['nothing: 30 days up to the end of today', {}, ['2026-10-26T00:00Z', '2026-11-26T00:00Z']],
    ['by hour: a day', { by: 'hour' }, ['2026-11-24T12:00Z', '2026-11-25T13:00Z']],
    ['a time back', { since: '24h' }, ['2026-11-24T12:00Z', '2026-11-26T00:00Z']],
    ['days back, within the hours', { since: '7d' }, ['2026-11-18T12:00Z', '2026-11-26T00:00Z']],
    ['days back, beyond them', { since: '9d' }, ['2026-11-16T00:00Z', '2026-11-26T00:00Z']],
    [
      'a span of days',
      { since: '2026-01-01', until: '2026-02-01' },
      ['2026-01-01T00:00Z', '2026-02-01T00:00Z'],
    ],
    [
      'a span that is not of days, long ago',
      { since: '2026-01-01T07:00:00Z', until: '2026-01-02T07:00:00Z' },
      ['2026-01-01T00:00Z', '2026-01-03T00:00Z'],
    ],
    [
      'a span of minutes',
      { since: '2026-11-25T09:10:00Z', until: '2026-11-25T09:50:00Z' },
      ['2026-11-25T09:00Z', '2026-11-25T10:00Z'],
    ],
  ])('%s', (_, query, [since, until]) => {
    expect(ask(query)).toMatchObject({ sinceMs: at(since), untilMs: at(until) })
  })

  test.each([
    ['an unknown one', { by: 'route' }, 'by: "route"'],
    ['four', { by: 'client,key,group,model' }, 'by: takes up to 3'],
    ['the same twice', { by: 'client,client' }, 'by: takes up to 3'],
    ['hours and days', { by: 'hour,day' }, 'by: takes one'],
    ['no time', { since: 'yesterday' }, 'since: write'],
    ['no day', { until: '2026-02-30' }, 'until: write'],
    ['an end before the beginning', { since: '1d', until: '2d' }, 'since: is not before'],
  ])('tells what is wrong with %s', (_, query, problem) => {
    expect(ask(query)).toContain(problem)
  })

  test('takes each hour of a span once: whole days as such, the rest by hours', () => {
    const spans = [
      { since: '2026-11-22T07:00:00Z', until: '2026-11-25T05:00:00Z' },
      { since: '2026-11-24T07:00:00Z', until: '2026-11-24T09:00:00Z' },
      { since: '2026-11-24', until: '2026-11-25' },
      { since: '6d' },
      { since: '20d' },
      { by: 'hour', since: '3d' },
      { by: 'hour' },
    ]
    for (const span of spans) {
      const query = ask(span) as UsageQuery
      const seen = new Map<number, number>()
      const first = at('2026-11-01T00:00:00Z') / HOUR_MS
      for (let one = first; one < first + 26 * 24; one++) {
        const windows = [`h${one}`, ...(one % 24 === 0 ? [`d${one / 24}`] : [])]
        for (const window of windows.filter((name) => isWanted(query, name, NOW_MS))) {
          const { startMs, endMs } = spanOf(window)
          for (let ms = startMs; ms < endMs; ms += HOUR_MS) seen.set(ms, (seen.get(ms) ?? 0) + 1)
        }
      }
      const wanted = []
      for (let ms = query.sinceMs; ms < query.untilMs; ms += HOUR_MS) wanted.push(ms)
      // Hours that have not begun have no rows, and no window of their own here.
      const past = (ms: number) => ms < at('2026-11-26T00:00:00Z')
      expect([...seen.keys()].sort().filter(past)).toEqual(wanted.filter(past))
      expect(new Set(seen.values())).toEqual(new Set([1]))
    }
  })

  describe.each([
    ['Taipei', 480],
    ['Kathmandu', 345],
    ['Newfoundland', -210],
    ['Honolulu', -600],
  ])('in %s', (_, zone) => {
    const inZone = (query: Record<string, string>) =>
      parseUsageQuery(query, NOW_MS, zone) as UsageQuery
    const QUARTER_MS = 15 * 60_000

    test('a date is that of the time zone, and days are its own', () => {
      const query = inZone({ since: '2026-11-20', until: '2026-11-22' })
      const offset = formatZone(zone)
      expect(formatTime(query.sinceMs, zone)).toBe(`2026-11-20T00:00:00${offset}`)
      expect(formatTime(query.untilMs, zone)).toBe(`2026-11-22T00:00:00${offset}`)
      const { untilMs } = inZone({})
      expect(untilMs).toBe(startOfDay(dayOf(NOW_MS, zone) + 1, zone))
    })

    test('each quarter of an hour is taken once', () => {
      const spans = [
        { since: '2026-11-22T07:00:00Z', until: '2026-11-25T05:00:00Z' },
        { since: '2026-11-24T07:00:00Z', until: '2026-11-24T09:00:00Z' },
        { since: '2026-11-24', until: '2026-11-25' },
        { since: '6d' },
        { since: '20d' },
        { by: 'hour', since: '3d' },
      ]
      for (const span of spans) {
        const query = inZone(span)
        const seen = new Map<number, number>()
        const note = (window: string) => {
          if (!isWanted(query, window, NOW_MS)) return
          const { startMs, endMs } = spanOf(window, zone)
          for (let ms = startMs; ms < endMs; ms += QUARTER_MS) {
            seen.set(ms, (seen.get(ms) ?? 0) + 1)
          }
        }
        const first = at('2026-11-01T00:00:00Z') / HOUR_MS
        for (let hour = first; hour < first + 25 * 24; hour++) note(`h${hour}`)
        for (let day = 0; day < 27; day++) note(`d${first / 24 + day}`)
        const wanted = []
        for (let ms = query.sinceMs; ms < query.untilMs; ms += QUARTER_MS) wanted.push(ms)
        const past = (ms: number) => ms < NOW_MS - HOUR_MS
        expect([...seen.keys()].sort().filter(past)).toEqual(wanted.filter(past))
        expect(new Set(seen.values())).toEqual(new Set([1]))
      }
    })

    test('the answer tells times in it', () => {
      const query = inZone({ by: 'day', since: '2026-11-20' })
      const windows: Windows = {}
      const today = dayOf(NOW_MS, zone)
      addRow(
        windows,
        `d${today - 1}`,
        'app\tk1\t\tllama',
        ROW_FIELDS.map(() => 1),
      )
      const groups: UsageGroups = { groups: {}, count: 0, isPartial: false }
      groupRows(groups, query, windows)
      expect(describeUsage(query, groups)).toMatchObject({
        timeZone: formatZone(zone),
        rows: [{ time: formatTime(startOfDay(today - 1, zone), zone), requests: 1 }],
      })
    })
  })

  test('a line in an hour of two days stands in one row of each kind', () => {
    const times = ['2026-11-24T18:14:00Z', '2026-11-24T18:16:00Z']
    const text = times.map((time) => line({ time })).join('\n')
    const { batches } = foldLines(text, NOW_MS, undefined, 345)
    const windows = windowsOf(batches, NOW_MS, 345)
    const counts = Object.entries(windows).map(([window, rows]) => [
      window,
      Object.values(rows).map((sums) => sums[0]),
    ])
    const day24 = at('2026-11-24T00:00:00Z') / HOUR_MS / 24
    expect(Object.fromEntries(counts)).toEqual({
      [hour('2026-11-24T18:00:00Z')]: [2],
      [`d${day24}`]: [1],
      [`d${day24 + 1}`]: [1],
    })
  })

  test('says when it has not all that was asked for', () => {
    const of = (query: Record<string, string>, sinceMs = 0) =>
      isCovered(ask(query) as UsageQuery, sinceMs, NOW_MS)
    expect(of({ by: 'hour', since: '8d' })).toBe(true)
    expect(of({ by: 'hour', since: '9d' })).toBe(false)
    expect(of({ since: '400d' })).toBe(true)
    expect(of({ since: '401d' })).toBe(false)
    expect(of({ since: '2d' }, NOW_MS - 24 * HOUR_MS)).toBe(false)
  })

  const ROWS: [string, string, number][] = [
    ['h494073', 'app\tk1\tweb\tllama', 1],
    ['h494073', 'app\tk2\tweb\tllama', 2],
    ['h494074', 'app\tk1\tweb\tqwen', 4],
    ['h494074', '\t\t\t', 8],
  ]
  const answer = (query: Record<string, string>) => {
    const wanted = ask({ since: '2026-05-01', until: '2026-06-01', ...query }) as UsageQuery
    const windows: Windows = {}
    for (const [window, name, requests] of ROWS) {
      addRow(windows, window, name, [requests, ...ROW_FIELDS.slice(1).map(() => 0)])
    }
    const groups: UsageGroups = { groups: {}, count: 0, isPartial: false }
    groupRows(groups, wanted, windows)
    return describeUsage(wanted, groups) as { rows: Record<string, unknown>[]; isPartial: boolean }
  }
  const short = (query: Record<string, string>, ...fields: string[]) =>
    answer(query).rows.map((row) => [...fields, 'requests'].map((field) => row[field]))

  test('groups by what is asked for, the largest first', () => {
    expect(short({ by: 'client' }, 'client')).toEqual([
      [null, 8],
      ['app', 7],
    ])
    expect(short({ by: 'model,key', client: 'app' }, 'model', 'key')).toEqual([
      ['qwen', 'k1', 4],
      ['llama', 'k2', 2],
      ['llama', 'k1', 1],
    ])
    expect(short({ by: 'group', model: 'llama' }, 'group')).toEqual([['web', 3]])
  })

  test('puts times in their order', () => {
    expect(short({ by: 'client,hour' }, 'time', 'client')).toEqual([
      ['2026-05-13T09:00:00Z', 'app', 3],
      ['2026-05-13T10:00:00Z', null, 8],
      ['2026-05-13T10:00:00Z', 'app', 4],
    ])
    expect(short({ by: 'day' }, 'time')).toEqual([['2026-05-13T00:00:00Z', 15]])
  })

  test('says that names were put together', () => {
    expect(answer({}).isPartial).toBe(false)
    ROWS.push(['h494074', `app\tk1\tweb\t${OTHER}`, 1])
    expect(answer({}).isPartial).toBe(true)
    expect(answer({ client: 'other' }).isPartial).toBe(false)
    ROWS.pop()
  })
})
