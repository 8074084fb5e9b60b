import { describe, expect, test } from 'vitest'
import {
  formatEnd,
  formatHead,
  formatSubject,
  parseHead,
  parseSubjects,
} from '../../../src/core/ledger/balancefile.ts'
import { addBalance, type Balance, foldLines, todayOf } from '../../../src/core/ledger/fold.ts'
import { readLine } from '../../../src/core/ledger/read.ts'
import { dayOf, monthOf } from '../../../src/core/limits/counters.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const TODAY = dayOf(NOW_MS)
const THIS_MONTH = monthOf(NOW_MS)

const line = (fields: object) =>
  JSON.stringify({
    ...{ version: 1, time: '2026-11-25T09:00:00.123Z', client: 'app', key: 'k1', outcome: 'ok' },
    ...fields,
  })

const used = { promptTokens: 10, completionTokens: 5 }

/** The sums of one client over some lines. */
const sumsOf = (lines: string[], client = 'app') =>
  foldLines(lines.join('\n'), NOW_MS).subjects[`client:${client}`]

describe('foldLines', () => {
  const today = (sums: number[]) => ({
    all: sums,
    days: { [TODAY]: sums },
    months: { [THIS_MONTH]: sums },
  })

  test.each([
    ['a line counts for the day and the month of its time', [line(used)], today([15, 0, 1])],
    ['lines add up', [line(used), line(used)], today([30, 0, 2])],
    [
      'cost is whole nano-units',
      [line({ cost: 0.1 }), line({ cost: 0.2 }), line({ cost: 0.0000000004 })],
      today([0, 300_000_000, 3]),
    ],
    ['a refused request used nothing', [line({ outcome: 'rate_limited' })], today([0, 0, 1])],
    ['a prompt alone counts', [line({ promptTokens: 7 })], today([7, 0, 1])],
    [
      'cached tokens are a part of the prompt',
      [line({ ...used, cachedTokens: 8 })],
      today([15, 0, 1]),
    ],
    [
      'what is no number, or negative, is nothing',
      [line({ promptTokens: '7', completionTokens: -5, cost: null })],
      today([0, 0, 1]),
    ],
    [
      'a line of an earlier version counts',
      [line({ ...used, version: undefined })],
      today([15, 0, 1]),
    ],
    [
      'a day that is over counts for the month',
      [line({ ...used, time: '2026-11-24T23:59:59.999Z' })],
      { all: [15, 0, 1], days: {}, months: { [THIS_MONTH]: [15, 0, 1] } },
    ],
    [
      'the first moment of the day counts for it',
      [line({ ...used, time: '2026-11-25T00:00:00Z' })],
      today([15, 0, 1]),
    ],
    [
      'days are those of UTC',
      [line({ ...used, time: '2026-11-25T01:00:00+02:00' })],
      { all: [15, 0, 1], days: {}, months: { [THIS_MONTH]: [15, 0, 1] } },
    ],
    [
      'a month that is over counts for all',
      [line({ ...used, time: '2026-10-31T23:59:59Z' })],
      { all: [15, 0, 1], days: {}, months: {} },
    ],
    [
      'what is ahead of the clock is kept',
      [line({ ...used, time: '2026-12-01T00:00:00Z' })],
      {
        all: [15, 0, 1],
        days: { [TODAY + 6]: [15, 0, 1] },
        months: { [THIS_MONTH + 1]: [15, 0, 1] },
      },
    ],
  ])('%s', (_, lines, expected) => {
    expect(sumsOf(lines)).toEqual(expected)
  })

  test.each<[string, number, string, 'today' | 'this month' | 'all']>([
    ['Taipei: the first moment of its day', 480, '2026-11-24T16:00:00Z', 'today'],
    ['Taipei: the last moment of the day before', 480, '2026-11-24T15:59:59.999Z', 'this month'],
    ['Taipei: the first moment of its month', 480, '2026-10-31T16:00:00Z', 'this month'],
    ['Taipei: the last moment of the month before', 480, '2026-10-31T15:59:59.999Z', 'all'],
    ['Kathmandu: a day begins within an hour', 345, '2026-11-24T18:15:00Z', 'today'],
    ['Kathmandu: and ends within one', 345, '2026-11-24T18:14:59.999Z', 'this month'],
    ['Newfoundland: the first moment of its day', -210, '2026-11-25T03:30:00Z', 'today'],
    ['Newfoundland: the last before', -210, '2026-11-25T03:29:59.999Z', 'this month'],
    ['Newfoundland: the last moment of the month before', -210, '2026-11-01T03:29:59Z', 'all'],
  ])('%s', (_, zone, time, counts) => {
    const sums = [15, 0, 1]
    const folded = foldLines(line({ ...used, time }), NOW_MS, undefined, zone)
    expect(folded.subjects['client:app']).toEqual({
      all: sums,
      days: counts === 'today' ? { [dayOf(NOW_MS, zone)]: sums } : {},
      months: counts === 'all' ? {} : { [monthOf(NOW_MS, zone)]: sums },
    })
  })

  test('an hour in which a day begins is of two days', () => {
    const lines = ['2026-11-24T18:14:00Z', '2026-11-24T18:16:00Z', '2026-11-24T18:10:00Z']
    const text = lines.map((time) => line({ ...used, time })).join('\n')
    const { batches } = foldLines(text, NOW_MS, undefined, 345)
    const hour = Date.parse('2026-11-24T18:00:00Z') / 3_600_000
    expect(batches.map(({ hour, day }) => [hour, day])).toEqual([
      [hour, TODAY - 1],
      [hour, TODAY],
    ])
  })

  test('counts for client, key and group, and for those that are named', () => {
    const folded = foldLines(
      [line({ group: 'web' }), line({ key: undefined }), line({ client: 'b', key: 'k2' })].join(
        '\n',
      ),
      NOW_MS,
    )
    const requests = Object.entries(folded.subjects).map(([name, { all }]) => [name, all[2]])
    expect(Object.fromEntries(requests)).toEqual({
      ...{ 'client:app': 2, 'key:k1': 1, 'group:web': 1, 'client:b': 1, 'key:k2': 1 },
    })
  })

  test('names of JavaScript are names like others', () => {
    expect(sumsOf([line({ ...used, client: '__proto__' })], '__proto__')?.all).toEqual([15, 0, 1])
    expect(sumsOf([line({ ...used, client: 'constructor' })], 'constructor')?.all[0]).toBe(15)
  })

  test.each([
    ['a whole line', `${line(used)}\n`, { lines: 1, skipped: 0, tokens: 15 }],
    ['no line', '', { lines: 0, skipped: 0, tokens: 0 }],
    ['empty lines', '\n\n', { lines: 0, skipped: 0, tokens: 0 }],
    [
      'a line without a client',
      `${line({ client: undefined })}\n`,
      { lines: 1, skipped: 0, tokens: 0 },
    ],
    ['no JSON', `what?\n${line(used)}\n`, { lines: 2, skipped: 1, tokens: 15 }],
    ['JSON that is no object', `null\n3\n"a"\n[]\n`, { lines: 4, skipped: 4, tokens: 0 }],
    ['no time', `${line({ ...used, time: 'now' })}\n`, { lines: 1, skipped: 1, tokens: 0 }],
    [
      'a torn line in front of a whole one',
      `${line(used).slice(0, 50)}${line(used)}\n`,
      { lines: 1, skipped: 1, tokens: 15 },
    ],
    [
      'two torn lines in front of a whole one',
      `${line(used).slice(0, 20)}${line(used).slice(0, 70)}${line(used)}\n`,
      { lines: 1, skipped: 1, tokens: 15 },
    ],
    [
      'a torn line in front of one of an earlier version',
      `${line(used).slice(0, 50)}${line({ ...used, version: undefined })}\n`,
      { lines: 1, skipped: 1, tokens: 15 },
    ],
  ])('finds in %s what can be read', (_, text, expected) => {
    const { lines, skipped, subjects } = foldLines(text, NOW_MS)
    expect({ lines, skipped, tokens: subjects['client:app']?.all[0] ?? 0 }).toEqual(expected)
  })

  test('a torn line is found at every byte, and a name cannot pretend to be one', () => {
    const evil = line({
      ...used,
      client: '{"version":1,"time":"2026-11-25T09:00:00Z","client":"x"',
    })
    for (let i = 1; i < evil.length; i++) {
      const { line: found } = readLine(evil.slice(0, i) + line({ ...used, client: 'next' }))
      expect(found?.client).toBe('next')
    }
    expect(readLine(evil).line?.client).toMatch(/^\{"version"/)
  })
})

describe('addBalance', () => {
  const some: Balance = {
    all: [1, 2, 3],
    days: { [TODAY - 1]: [1, 1, 1], [TODAY]: [1, 2, 3] },
    months: { [THIS_MONTH - 1]: [1, 1, 1], [THIS_MONTH]: [4, 5, 6] },
  }

  const added = (more: Balance) => {
    const balance: Balance = JSON.parse(JSON.stringify(some))
    const before = JSON.stringify(more)
    addBalance(balance, more, todayOf(NOW_MS))
    expect(JSON.stringify(more)).toBe(before)
    return balance
  }

  test('adds in place, and drops days and months that are over', () => {
    expect(added(some)).toEqual({
      all: [2, 4, 6],
      days: { [TODAY - 1]: [1, 1, 1], [TODAY]: [2, 4, 6] },
      months: { [THIS_MONTH - 1]: [1, 1, 1], [THIS_MONTH]: [8, 10, 12] },
    })
    const more: Balance = { all: [1, 1, 1], days: {}, months: {} }
    expect(added(more)).toEqual({
      all: [2, 3, 4],
      days: { [TODAY]: [1, 2, 3] },
      months: { [THIS_MONTH]: [4, 5, 6] },
    })
  })
})

describe('balance.json', () => {
  const ledger = { head: 'a'.repeat(64), offset: 12 }
  const head = { version: 1 as const, ledger, lines: 2, skipped: 0, count: 2 }
  const sums: Balance = { all: [1, 2, 3], days: {}, months: {} }
  const names = ['client:app', 'client:"quoted"']
  const text =
    formatHead(head) +
    names.map((name) => formatSubject(name, JSON.stringify(sums))).join(',\n') +
    formatEnd()

  test('is JSON, and is read in portions that are cut at any line', () => {
    const subjects = { [names[0] as string]: sums, [names[1] as string]: sums }
    expect(JSON.parse(text)).toEqual({ ...head, subjects })
    const found = parseHead(text)
    expect(found?.head).toEqual(head)
    const rest = text.slice(found?.length)
    const lines = rest.split(/(?<=\n)/)
    for (let i = 0; i <= lines.length; i++) {
      const [first, second] = [lines.slice(0, i).join(''), lines.slice(i).join('')].map(
        parseSubjects,
      )
      expect({ ...first?.subjects, ...second?.subjects }).toEqual(subjects)
      expect(i < lines.length ? second?.isEnd : first?.isEnd).toBe(true)
    }
  })

  test('without subjects is JSON too', () => {
    const empty = formatHead({ ...head, count: 0 }) + formatEnd()
    expect(JSON.parse(empty).subjects).toEqual({})
    expect(parseSubjects(empty.slice(parseHead(empty)?.length))).toEqual({
      subjects: {},
      isEnd: true,
    })
  })

  test.each([
    ['another version', text.replace('"version":1', '"version":2')],
    ['no ledger', text.replace('"ledger"', '"book"')],
    ['an offset before the beginning', text.replace('"offset":12', '"offset":-1')],
    ['a head that is no hash', text.replace('aaaa', '')],
    ['a beginning that is cut', text.slice(0, 40)],
    ['no JSON', `what?${text}`],
  ])('%s is not taken for one', (_, wrong) => {
    expect(parseHead(wrong)).toBeNull()
  })
})
