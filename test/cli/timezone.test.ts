import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parsePeriod } from '../../src/cli/ledger/period.ts'
import { createFold } from '../../src/cli/ledger/sums.ts'
import { compareRows } from '../../src/cli/ledger/verify.ts'
import { formatEnd, formatHead, formatSubject } from '../../src/core/ledger/balancefile.ts'
import { foldLines } from '../../src/core/ledger/fold.ts'
import { dayOf, formatTime, parseZone, startOfDay } from '../../src/core/time.ts'
import { windowsOf } from '../../src/core/usage/rows.ts'
import { tollgate } from './command.ts'

let root: string
let dir: string
let folders = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-timezone-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A folder of configuration and its ledger, in Taipei. */
beforeEach(async () => {
  dir = join(root, `${folders++}`)
  await mkdir(join(dir, 'state'), { recursive: true })
  await mkdir(join(dir, 'nginx', 'tollgate'), { recursive: true })
  await writeFile(join(dir, 'nginx', 'nginx.conf'), '')
  await writeFile(
    join(dir, 'nginx', 'tollgate', 'dirs.conf'),
    `map "" $tollgate_state_dir { default "${dir}/state"; }
map "" $tollgate_ledger_file { default "${dir}/ledger.jsonl"; }\n`,
  )
  await setZone('+08:00')
  const clients = { app: { keys: [], budgets: { tokensPerDay: 500 } } }
  await writeFile(join(dir, 'clients.json'), JSON.stringify({ version: 1, clients }))
})

const setZone = (timeZone: string) =>
  writeFile(join(dir, 'policy.json'), JSON.stringify({ version: 1, timeZone }))

const ledgerPath = () => join(dir, 'ledger.jsonl')

/** A line of a request of 110 tokens. */
const line = (time: string, client = 'app') =>
  `${JSON.stringify({
    ...{ version: 1, time, id: 'f'.repeat(32), client, route: 'chat', outcome: 'ok', status: 200 },
    ...{ model: 'llama', promptTokens: 100, completionTokens: 10, durationMs: 1, bytesIn: 1 },
    ...{ bytesOut: 1, remote: '10.0.0.1' },
  })}\n`

async function run(...args: string[]) {
  const { stdout, stderr, code } = await tollgate(...args, '--dir', dir)
  return { out: stdout, err: stderr, code }
}

const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).out)

/** What nginx leaves: the sums over some text, with its days. */
async function keepBalance(text: string, zoneMinutes: number): Promise<void> {
  const first = text.slice(0, text.indexOf('\n'))
  const head = createHash('sha256').update(first).digest('hex')
  const { subjects } = foldLines(text, Date.now(), undefined, zoneMinutes)
  const lines = Object.entries(subjects).map(([name, sums]) =>
    formatSubject(name, JSON.stringify(sums)),
  )
  const ledger = { head, offset: Buffer.byteLength(text) }
  const of = { version: 1, ledger, lines: 1, skipped: 0, count: lines.length } as const
  const opening = formatHead(zoneMinutes ? { ...of, zoneMinutes } : of)
  await writeFile(join(dir, 'state', 'balance.json'), opening + lines.join(',\n') + formatEnd())
}

describe('tollgate usage', () => {
  const lines = ['2026-11-20T15:59:59.999Z', '2026-11-20T16:00:00.000Z', '2026-11-21T15:00:00.000Z']

  test.each<[string, string, [string, number][]]>([
    [
      '+08:00',
      'day',
      [
        ['2026-11-20', 1],
        ['2026-11-21', 2],
      ],
    ],
    [
      'Z',
      'day',
      [
        ['2026-11-20', 2],
        ['2026-11-21', 1],
      ],
    ],
    [
      '-10:00',
      'day',
      [
        ['2026-11-20', 2],
        ['2026-11-21', 1],
      ],
    ],
    [
      '+08:00',
      'hour',
      [
        ['2026-11-20 23:00', 1],
        ['2026-11-21 00:00', 1],
        ['2026-11-21 23:00', 1],
      ],
    ],
    [
      '+05:45',
      'hour',
      [
        ['2026-11-20 20:45', 1],
        ['2026-11-20 21:45', 1],
        ['2026-11-21 20:45', 1],
      ],
    ],
  ])('in %s by %s', async (zone, by, expected) => {
    await setZone(zone)
    await writeFile(ledgerPath(), lines.map((time) => line(time)).join(''))
    const { rows, timeZone } = await json('usage', '--by', by)
    expect(timeZone).toBe(zone)
    const found = rows.map((row: Record<string, unknown>) => [row[by], row['requests']])
    expect(found).toEqual(expected)
  })

  test('a date is that of the time zone, and the table says which', async () => {
    await writeFile(ledgerPath(), lines.map((time) => line(time)).join(''))
    const since = await json('usage', '--since', '2026-11-21', '--until', '2026-11-22')
    expect(since).toMatchObject({
      since: '2026-11-21T00:00:00+08:00',
      until: '2026-11-22T00:00:00+08:00',
      total: { requests: 2 },
    })
    expect((await run('usage', '--by', 'day')).out).toMatch(/^DAY \(\+08:00\) /)
  })

  test('without a policy, or with a broken one, days are those of UTC', async () => {
    await writeFile(ledgerPath(), lines.map((time) => line(time)).join(''))
    for (const text of ['{', '[]', '{"version":1,"timeZone":"Asia/Taipei"}']) {
      await writeFile(join(dir, 'policy.json'), text)
      expect(await json('usage', '--by', 'day')).toMatchObject({ timeZone: 'Z' })
    }
    await rm(join(dir, 'policy.json'))
    expect(await json('usage', '--by', 'day')).toMatchObject({ timeZone: 'Z' })
  })
})

describe('tollgate balance', () => {
  const zone = 480
  const today = () => startOfDay(dayOf(Date.now(), zone), zone)

  test('counts the day of the time zone, and tells when it renews', async () => {
    const text = line(new Date(today() - 1).toISOString()) + line(new Date(today()).toISOString())
    await writeFile(ledgerPath(), text)
    await keepBalance(text, zone)
    const { subjects, notices } = await json('balance', 'app')
    const renews = formatTime(today() + 86_400_000, zone)
    expect(subjects[0].standings[0]).toMatchObject({ used: 110, left: 390, renews })
    expect(notices.join()).not.toContain('all of the ledger')
    const { out } = await run('balance', 'app')
    expect(out).toContain('RENEWS (+08:00)')
    expect(out).toContain(renews.slice(0, 10))
  })

  test('reads all of the ledger where balance.json has days of another one, and says so', async () => {
    const text = line(new Date(today() - 1).toISOString()) + line(new Date(today()).toISOString())
    await writeFile(ledgerPath(), text)
    await keepBalance(text, 0)
    const { subjects, notices } = await json('balance', 'app')
    expect(subjects[0].standings[0].used).toBe(110)
    expect(notices.join()).toContain('has days of the time zone Z yet: all of the ledger was read')
  })
})

describe('tollgate ledger', () => {
  test('rebuild counts days of the policy, and verify those of balance.json', async () => {
    await writeFile(
      ledgerPath(),
      line(new Date(Date.now() - 100_000_000).toISOString()) +
        line(new Date(Date.now() - 1000).toISOString()),
    )
    expect((await run('ledger', 'rebuild')).code).toBe(0)
    const balance = JSON.parse(await readFile(join(dir, 'state', 'balance.json'), 'utf8'))
    expect(balance.zoneMinutes).toBe(480)
    const day = dayOf(Date.now() - 1000, 480)
    expect(balance.subjects['client:app'].days).toEqual({ [day]: [110, 0, 1] })
    await setZone('-03:30')
    expect(await json('ledger', 'verify')).toMatchObject({ ok: true, differences: [] })
    await run('ledger', 'rebuild')
    const again = JSON.parse(await readFile(join(dir, 'state', 'balance.json'), 'utf8'))
    expect(again.zoneMinutes).toBe(-210)
    expect(await json('ledger', 'verify')).toMatchObject({ ok: true, differences: [] })
  })

  test('compact sums up days of the time zone, and no part of one', async () => {
    const old = join(dir, 'old.jsonl')
    const times = ['2026-11-20T15:59:00Z', '2026-11-20T16:01:00Z', '2026-11-21T15:59:00Z']
    const after = '2026-11-21T16:00:00.000Z'
    await writeFile(old, [...times, after].map((time) => line(time)).join(''))
    const result = await json('ledger', 'compact', old, '--before', '2026-11-22')
    expect(result).toMatchObject({
      before: '2026-11-22T00:00:00+08:00',
      summed: 3,
      sums: 2,
      kept: 1,
    })
    const text = await readFile(`${old}.compact`, 'utf8')
    const { subjects } = foldLines(text, Date.parse('2026-11-21T20:00:00Z'), undefined, 480)
    expect(subjects['client:app']?.days).toEqual({
      [dayOf(Date.parse(after), 480)]: [110, 0, 1],
    })
    const rows = windowsOf(
      foldLines(text, Date.parse(after), undefined, 480).batches,
      Date.parse(after),
      480,
    )
    const day = dayOf(Date.parse(after), 480)
    expect(
      [day - 2, day - 1, day].map((one) => Object.values(rows[`d${one}`] ?? {})[0]?.[0]),
    ).toEqual([1, 2, 1])
  })
})

describe('sums of the command', () => {
  const nowMs = Date.parse('2026-11-25T12:00:00Z')
  const times = [
    ...['2026-11-24T18:14:59.999Z', '2026-11-24T18:15:00Z', '2026-11-24T15:59:59Z'],
    ...['2026-11-24T16:00:00Z', '2026-11-25T03:29:59Z', '2026-11-25T03:30:00Z'],
    ...['2026-10-31T15:59:59Z', '2026-10-31T16:00:00Z', '2026-11-01T03:30:00Z'],
  ]
  const text = times.map((time) => line(time)).join('')

  test.each(['Z', '+08:00', '+05:45', '-03:30', '-12:00', '+14:00'])(
    'are those of core, in %s',
    (zone) => {
      const minutes = parseZone(zone) as number
      const fold = createFold(nowMs, minutes)
      for (const one of text.split('\n')) fold.add(one)
      const { subjects, windows } = fold.end()
      const folded = foldLines(text, nowMs, undefined, minutes)
      expect(Object.fromEntries(subjects)).toEqual(folded.subjects)
      expect(windows).toEqual(windowsOf(folded.batches, nowMs, minutes))
    },
  )

  test('rows of days in which the time zone was changed are not compared, hours are', () => {
    const of = (zone: number) =>
      windowsOf(foldLines(text, nowMs, undefined, zone).batches, nowMs, zone)
    const [ledger, rows] = [of(480), of(0)]
    expect(compareRows(ledger, rows, 0, { zoneMinutes: 480 }).length).toBeGreaterThan(0)
    const changed = { zoneMinutes: 480, zoneSinceMs: nowMs }
    expect(compareRows(ledger, rows, 0, changed)).toEqual([])
    for (const window of Object.keys(rows)) if (window.startsWith('h')) delete rows[window]
    expect(compareRows(ledger, rows, 0, changed).length).toBeGreaterThan(0)
  })

  test('dates of a period are those of the time zone', () => {
    expect(parsePeriod('2026-11-24', '2026-11-25T00:00:00Z', nowMs, -210)).toEqual({
      sinceMs: Date.parse('2026-11-24T03:30:00Z'),
      untilMs: Date.parse('2026-11-25T00:00:00Z'),
    })
  })
})
