import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listLedger } from '../../src/cli/ledger/files.ts'
import { createSplitter, LINE_BYTES_MAX, readLines } from '../../src/cli/ledger/lines.ts'
import { describeProgress } from '../../src/cli/ledger/progress.ts'
import { createFold } from '../../src/cli/ledger/sums.ts'
import { csvCell, safe, short } from '../../src/cli/ledger/text.ts'
import { formatEnd, formatHead, formatSubject } from '../../src/core/ledger/balancefile.ts'
import { foldLines } from '../../src/core/ledger/fold.ts'
import { sleep, until } from '../waiting.ts'

const DAY_MS = 86_400_000

let root: string
let dir: string
let folders = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-ledger-'))
  await build({
    entryPoints: ['src/cli/main.ts'],
    outfile: join(root, 'cli.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    mainFields: ['module', 'main'],
    banner: {
      js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url)",
    },
  })
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A folder like that of `tollgate serve`, whose dirs.conf says where the ledger is. */
beforeEach(async () => {
  folders++
  dir = join(root, `state-${folders}`)
  await mkdir(join(dir, 'nginx', 'tollgate'), { recursive: true })
  await mkdir(join(dir, 'state'))
  await writeFile(join(dir, 'nginx', 'nginx.conf'), '')
  await writeFile(
    join(dir, 'nginx', 'tollgate', 'dirs.conf'),
    `map "" $tollgate_state_dir { default "${dir}/state"; }
map "" $tollgate_ledger_file { default "${dir}/ledger.jsonl"; }\n`,
  )
})

type Run = { code: number; out: string; err: string }

function tollgate(args: string[], env: object = {}): Promise<Run> {
  return new Promise((done) => {
    const { COLUMNS: _, LC_ALL: __, LC_CTYPE: ___, ...kept } = process.env
    execFile(
      process.execPath,
      [join(root, 'cli.mjs'), ...args, '--dir', dir],
      { cwd: dir, maxBuffer: 1e8, env: { ...kept, LANG: 'C.UTF-8', ...env } },
      (error, out, err) => done({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
}

async function json(...args: string[]) {
  const { out, err } = await tollgate([...args, '--json'])
  if (out === '') throw new Error(err)
  return JSON.parse(out)
}

const path = (name: string) => join(dir, name)
const write = (name: string, data: string | Buffer) => writeFile(path(name), data)
const at = (text: string) => ({ time: text })
const ago = (ms: number) => ({ time: new Date(Date.now() - ms).toISOString() })

/** A line of a request that used 100 and 10 tokens, 40 of them cached, for 0.001. */
function line(difference: object = {}): string {
  const usual = {
    version: 1,
    time: '2026-11-20T12:00:00.000Z',
    id: 'f'.repeat(32),
    client: 'app',
    key: 'k7q2m9xa',
    route: 'chat',
    outcome: 'ok',
    status: 200,
    model: 'llama',
    promptTokens: 100,
    cachedTokens: 40,
    completionTokens: 10,
    cost: 0.001,
    durationMs: 100,
    bytesIn: 10,
    bytesOut: 20,
    remote: '10.0.0.1',
  }
  return JSON.stringify({ ...usual, ...difference })
}

/** The same of version 2, as an nginx in Taipei writes it. */
function line2(timeMs: number, difference: object = {}): string {
  const time = `${new Date(timeMs + 8 * 3_600_000).toISOString().slice(0, 19)}+08:00`
  return line({ version: 2, time, at: timeMs / 1000, ...difference })
}

const ledger = (...lines: string[]) => lines.map((one) => `${one}\n`).join('')
const refused = {
  outcome: 'rate_limited',
  status: 429,
  promptTokens: undefined,
  cachedTokens: undefined,
  completionTokens: undefined,
  cost: undefined,
}

describe('tollgate usage', () => {
  test('sums up by client, with totals, the largest first', async () => {
    await write(
      'ledger.jsonl',
      ledger(
        line({ client: 'small' }),
        line(),
        line({ cost: 0.000000001 }),
        line(refused),
        line({ status: 400 }),
        line({ outcome: 'upstream_unavailable', status: 502 }),
        line({ outcome: 'client_aborted', completionTokens: 3 }),
        line({ client: undefined, outcome: 'missing_key', status: 401, promptTokens: 0 }),
      ),
    )
    const { rows, total, by } = await json('usage')
    expect(by).toBe('client')
    expect(rows.map((row: { client: string }) => row.client)).toEqual(['app', 'small', null])
    expect(rows[0]).toEqual({
      client: 'app',
      requests: 6,
      refused: 1,
      errors: 2,
      aborted: 1,
      promptTokens: 500,
      cachedTokens: 200,
      completionTokens: 43,
      reasoningTokens: 0,
      audioSeconds: 0,
      cost: 0.004000001,
      estimated: false,
    })
    expect(total).toMatchObject({ requests: 8, refused: 2, promptTokens: 600, cost: 0.006000001 })
  })

  test.each([
    ['client', ['app', 'b']],
    ['key', ['k7q2m9xa', 'other']],
    ['group', ['web', null]],
    ['model', ['llama', 'served-one']],
    ['day', ['2026-11-20', '2026-11-21']],
    ['hour', ['2026-11-20 12:00', '2026-11-21 00:00']],
  ])('--by %s', async (by, names) => {
    const other = { client: 'b', key: 'other', model: undefined, served: 'served-one' }
    await write(
      'ledger.jsonl',
      ledger(
        line({ group: 'web', cost: 1 }),
        line({ ...other, ...at('2026-11-21T00:00:00.000Z') }),
      ),
    )
    const { rows } = await json('usage', '--by', by)
    expect(rows.map((row: Record<string, unknown>) => row[by])).toEqual(names)
  })

  test('days begin at midnight in UTC, wherever this machine is', async () => {
    await write(
      'ledger.jsonl',
      ledger(line(at('2026-11-20T23:59:59.999Z')), line(at('2026-11-21T00:00:00.000Z'))),
    )
    const { out } = await tollgate(['usage', '--by', 'day', '--json'], { TZ: 'Asia/Taipei' })
    const days = JSON.parse(out).rows.map(({ day, requests }: Record<string, unknown>) => [
      day,
      requests,
    ])
    expect(days).toEqual([
      ['2026-11-20', 1],
      ['2026-11-21', 1],
    ])
  })

  test.each([
    ['nothing said', [], 4],
    ['from a moment on, which counts', ['--since', '2026-11-20T12:00:00Z'], 3],
    ['until a moment, which does not count', ['--until', '2026-11-20T12:00:00Z'], 1],
    ['a date is midnight', ['--since', '2026-11-21'], 2],
    ['an offset', ['--since', '2026-11-20T13:00:00.001+01:00'], 2],
    ['a time back', ['--since', '1s'], 0],
    ['one client', ['--client', 'app'], 3],
    ['a client that is not there', ['--client', 'ap'], 0],
  ])('%s', async (_, args, requests) => {
    await write(
      'ledger.jsonl',
      ledger(
        line(at('2026-11-20T11:59:59.999Z')),
        line(),
        line(at('2026-11-21T00:00:00.000Z')),
        line({ ...at('2026-11-22T00:00:00.000Z'), client: 'b' }),
      ),
    )
    expect((await json('usage', ...args)).total.requests).toBe(requests)
  })

  test.each([
    [['--since', 'yesterday'], '7d, 24h, 2026-11-24'],
    [['--since', '2026-11-31'], 'Cannot read --since'],
    [['--since', '2026-11-21', '--until', '2026-11-20'], 'is not before'],
    [['--by', 'colour'], 'Allowed choices'],
    [['--csv', '--json'], '--csv'],
  ])('%j is wrong usage', async (args, message) => {
    await write('ledger.jsonl', '')
    const { code, out, err } = await tollgate(['usage', ...args])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })

  test('reads rotated files, also compressed and dated ones, and nothing else', async () => {
    await write('ledger.jsonl.10.gz', gzipSync(ledger(line(), line())))
    await write('ledger.jsonl-20261101', ledger(line()))
    await write('ledger.jsonl-20261102.gz', gzipSync(ledger(line())))
    await write('ledger.jsonl-2026110307', ledger(line()))
    await write('ledger.jsonl.1', ledger(line()))
    await write('ledger.jsonl', ledger(line()))
    await write('ledger.jsonl.1.compact', ledger(line()))
    await write('ledger.jsonl.bak', ledger(line()))
    await write('ledger.jsonl~', ledger(line()))
    expect((await json('usage')).total.requests).toBe(7)
  })

  test('a file that is being compressed counts once', async () => {
    const whole = ledger(line(), line())
    await write('ledger.jsonl.1', whole)
    await write('ledger.jsonl.1.gz', gzipSync(whole).subarray(0, 40))
    const { total, notices } = await json('usage')
    expect(total.requests).toBe(2)
    expect(notices).toEqual([])
  })

  test('a compressed file that is cut counts as far as it goes, and is told', async () => {
    const many = ledger(...Array.from({ length: 500 }, (_, id) => line({ id: String(id) })))
    const packed = gzipSync(many)
    await write('ledger.jsonl.1.gz', packed.subarray(0, packed.length - 200))
    await write('ledger.jsonl', ledger(line()))
    const { total, notices } = await json('usage')
    expect(total.requests).toBeGreaterThan(1)
    expect(notices.join()).toContain('ledger.jsonl.1.gz: cannot be unpacked')
  })

  test('lines that nobody can read are told, not counted, and stop nothing', async () => {
    await write(
      'ledger.jsonl',
      Buffer.concat([
        Buffer.from(ledger('garbage', '', '[]', '{"time":1}', line().slice(0, 60) + line())),
        Buffer.from([0xff, 0xfe, 0, 10]),
        Buffer.from(`${'x'.repeat(3 * LINE_BYTES_MAX)}\n`),
        Buffer.from(ledger(line({ promptTokens: '1e9', completionTokens: -5 }))),
        Buffer.from(line()),
      ]),
    )
    const { total, notices } = await json('usage')
    // The one behind a torn piece, and the one whose numbers are none; the last has no end yet.
    expect(total).toMatchObject({ requests: 2, promptTokens: 100, completionTokens: 10 })
    expect(notices).toEqual([expect.stringContaining('6 lines not counted')])
  })

  test('estimated sums are marked', async () => {
    await write('ledger.jsonl', ledger(line({ client: 'exact' }), line({ estimated: true })))
    const { out } = await tollgate(['usage'])
    expect(out).toMatch(/^app +1 +0 +0 +~100 +~40 +~10 +~0.001000/m)
    expect(out).toMatch(/^exact +1 +0 +0 +100 +40 +10 +0.001000/m)
    expect(out).toMatch(/^total .*~200/m)
  })

  test('without prices there is no cost, and bars are by tokens, or else by requests', async () => {
    await write('ledger.jsonl', ledger(line({ cost: undefined })))
    expect((await tollgate(['usage'])).out).toMatch(/BY TOKENS\napp .* 10 +- +█+$/m)
    await write('ledger.jsonl', ledger(line(refused)))
    expect((await tollgate(['usage'])).out).toMatch(/BY REQUESTS\napp .* 0 +- +█+$/m)
  })

  test.each([
    [80, 'short'],
    [120, 'exact'],
    [40, 'short'],
  ])('in %i columns no line is longer, and numbers are %s', async (columns, kind) => {
    const big = { promptTokens: 123_456_789_012, cachedTokens: 99_999_999, cost: 1234.5 }
    const names = ['app', 'a'.repeat(60), '名前'.repeat(30)]
    await write('ledger.jsonl', ledger(...names.map((client) => line({ ...big, client }))))
    const { out } = await tollgate(['usage'], { COLUMNS: String(columns) })
    const widths = out.split('\n').map((one) => [...one].length)
    // Numbers need 58 columns and the name 8: a narrower terminal wraps.
    expect(Math.max(...widths)).toBeLessThanOrEqual(Math.max(columns, 74))
    expect(out.includes('123G')).toBe(kind === 'short')
    expect(out.includes('123,456,789,012')).toBe(kind === 'exact')
  })

  test('bars are in proportion, and in ASCII where the locale is', async () => {
    await write('ledger.jsonl', ledger(line({ client: 'b', cost: 0.25 }), line({ cost: 1 })))
    const bars = async (env: object) => {
      const { out } = await tollgate(['usage'], { COLUMNS: '120', ...env })
      return out.match(/[█▏▎▍▌▋▊▉#]+/g) ?? []
    }
    const [large = '', small = ''] = await bars({})
    expect(large).toMatch(/^█+$/)
    expect(Math.abs(small.length * 4 - large.length)).toBeLessThanOrEqual(4)
    expect((await bars({ LANG: 'C' })).join('')).toMatch(/^#+$/)
  })

  test('no escape sequence reaches the terminal, nor a pipe', async () => {
    const evil = '\u001b]0;x\u0007\u009b31m\u202egpj\u0000\r\n\ud800'
    await write('ledger.jsonl', ledger(line({ model: evil, client: evil })))
    for (const args of [[], ['--json'], ['--csv'], ['--by', 'model']]) {
      const { out } = await tollgate(['usage', ...args])
      expect(out.replace(/\r?\n/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
      expect(out).toContain('\\u001b')
    }
    const { rows } = await json('usage', '--by', 'model')
    expect(rows[0].model).toBe(evil)
  })

  test('--csv is safe in a spreadsheet and exact', async () => {
    const names = ['=1+1', '+1', '-1', '@x', '\t=1', 'a,"b"', "it's", 'plain']
    await write('ledger.jsonl', ledger(...names.map((model) => line({ model, cost: 1e-9 }))))
    const { out } = await tollgate(['usage', '--by', 'model', '--csv'])
    const [heading, ...lines] = out.trimEnd().split('\r\n')
    expect(heading).toMatch(/^model,requests,.*,cost,estimated$/)
    expect(lines).toHaveLength(names.length)
    expect(lines).toContain(`"'=1+1",1,0,0,0,100,40,10,0,0,1e-9,false`)
    expect(lines).toContain('"a,""b""",1,0,0,0,100,40,10,0,0,1e-9,false')
    for (const one of lines) expect(one).not.toMatch(/^"?[=+\-@\t]/)
  })

  test('names that callers make up do not fill the memory, and the total stays right', async () => {
    const lines = Array.from({ length: 50_300 }, (_, id) => line({ model: `made-up-${id}` }))
    await write('ledger.jsonl', ledger(...lines))
    const { rows, rest, total } = await json('usage', '--by', 'model')
    expect(rows).toHaveLength(50_000)
    expect(rest).toMatchObject({ requests: 300, promptTokens: 30_000 })
    expect(total.requests).toBe(50_300)
  })

  test('no ledger is refused, an empty one is not', async () => {
    const { code, err } = await tollgate(['usage'])
    expect(code).toBe(1)
    expect(err).toContain('--ledger')
    await write('ledger.jsonl', '')
    expect(await tollgate(['usage'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('No requests'),
    })
    await write('other.jsonl', ledger(line()))
    expect((await json('usage', '--ledger', path('other.jsonl'))).total.requests).toBe(1)
  })
})

describe('tollgate balance', () => {
  const policy = {
    version: 1,
    plans: {
      standard: {
        limits: { requestsPerMinute: 60 },
        budgets: { tokensPerDay: 1000, costPerMonth: 0.005, hard: true },
      },
    },
    groups: { web: { budgets: { tokensPerMonth: 250 } } },
  }
  const key = {
    id: 'k7q2m9xa',
    sha256: 'a'.repeat(64),
    created: '2026-01-01T00:00:00Z',
    budgets: { tokensPerDay: 50 },
  }
  const client = { plan: 'standard', group: 'web', budgets: { tokensPerDay: 500 }, keys: [key] }

  beforeEach(async () => {
    await write('policy.json', JSON.stringify(policy))
    await write('clients.json', JSON.stringify({ version: 1, clients: { app: client } }))
  })

  /** What nginx's housekeeping leaves: the sums over the first bytes of a ledger. */
  async function keepBalance(counted: string, subjects = foldLines(counted, Date.now()).subjects) {
    const first = counted.slice(0, counted.indexOf('\n'))
    const head = createHash('sha256').update(first).digest('hex')
    const mark = { head, offset: Buffer.byteLength(counted) }
    const count = Object.keys(subjects).length
    const lines = Object.entries(subjects).map(([name, sums]) =>
      formatSubject(name, JSON.stringify(sums)),
    )
    const opening = formatHead({ version: 1, ledger: mark, lines: 0, skipped: 0, count })
    await write('state/balance.json', opening + lines.join(',\n') + formatEnd())
  }

  async function standings() {
    const { subjects } = await json('balance', 'app')
    return Object.fromEntries(
      subjects.flatMap((one: { of: string; standings: { budget: string }[] }) =>
        one.standings.map((standing) => [`${one.of} ${standing.budget}`, standing]),
      ),
    )
  }

  test('used is the balance and the lines since, exactly', async () => {
    const counted = ledger(line({ ...ago(2000), group: 'web' }))
    await write('ledger.jsonl', counted + ledger(line({ ...ago(1), group: 'web' })))
    await keepBalance(counted)
    expect(await standings()).toMatchObject({
      'client tokensPerDay': { limit: 500, used: 220, left: 280 },
      'client costPerMonth': { limit: 0.005, used: 0.002, left: 0.003 },
      'key tokensPerDay': { limit: 50, used: 220, left: 0 },
      'group tokensPerMonth': { limit: 250, used: 220, left: 30 },
    })
  })

  test('the lines since are found over a rotation, also a compressed one', async () => {
    const counted = ledger(line({ ...ago(3000), id: 'first' }))
    const rest = ledger(line({ ...ago(2000), id: 'second' }))
    await write('ledger.jsonl.1.gz', gzipSync(counted + rest))
    await write('ledger.jsonl', ledger(line({ ...ago(1000), id: 'third' })))
    await keepBalance(counted)
    expect((await standings())['client tokensPerDay'].used).toBe(330)
  })

  test.each([
    ['missing', null, 'There is no'],
    ['torn', '{"version":1,"ledger":{"head":null,"off', 'no balance'],
    ['of another ledger', 'other', 'another ledger'],
    [
      'not of all subjects',
      '{"version":1,"ledger":{"head":null,"offset":0},"lines":0,"skipped":0,"count":0,"isPartial":true,"subjects":{\n\n}}\n',
      'not all sums',
    ],
  ])(
    'a balance that is %s: the whole ledger is read, and that is said',
    async (_, text, notice) => {
      if (text === 'other') await keepBalance(ledger(line({ id: 'other' })))
      else if (text !== null) await write('state/balance.json', text)
      await write('ledger.jsonl', ledger(line(ago(1))))
      const { notices } = await json('balance', 'app')
      expect(notices.join()).toContain(notice)
      expect((await standings())['client tokensPerDay'].used).toBe(110)
    },
  )

  test('yesterday does not count for today, and renewal is at midnight in UTC', async () => {
    await write('ledger.jsonl', ledger(line(ago(DAY_MS)), line(ago(1))))
    const now = new Date()
    const { 'client tokensPerDay': today, 'client costPerMonth': month } = await standings()
    expect(today.used).toBe(110)
    const tomorrow = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1)
    expect(Date.parse(today.renews)).toBe(tomorrow)
    expect(Date.parse(month.renews)).toBe(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
  })

  test('a person reads budgets and limits', async () => {
    await write('ledger.jsonl', ledger(line(ago(1))))
    const { out, err, code } = await tollgate(['balance', 'app'])
    expect(code).toBe(0)
    expect(out).toContain('Client app, plan standard, group web')
    expect(out).toMatch(/^client app +tokensPerDay \(hard\) +500 +110 +- +390 +\d{4}-\d\d-\d\d$/m)
    expect(out).toMatch(/^client app +tokensPerMonth +- +110 +- +- /m)
    expect(out).toMatch(/^client app +requestsPerMinute +60 +- +-$/m)
    expect(err).toContain('What is reserved is not shown: no nginx with Tollgate answers')
  })

  test('an unknown client is refused', async () => {
    await write('ledger.jsonl', '')
    const { code, err } = await tollgate(['balance', 'ap'])
    expect(code).toBe(1)
    expect(err).toContain('ap')
  })

  describe('tollgate ledger', () => {
    test('verify finds nothing wrong with a good ledger and its balance', async () => {
      const counted = ledger(line(ago(40 * DAY_MS)), line(ago(5000)))
      await write('ledger.jsonl', counted + ledger(line(ago(1000))) + line().slice(0, 20))
      await keepBalance(counted)
      const { out, code } = await tollgate(['ledger', 'verify'])
      expect(out).toContain('All is well.')
      expect(out).toContain('balance.json')
      expect(code).toBe(0)
    })

    test('verify names each flaw with its line', async () => {
      await write('ledger.jsonl.1', ledger(line(ago(9000))) + line().slice(0, 50))
      await write(
        'ledger.jsonl',
        ledger(
          line(ago(8000)),
          'garbage',
          line({ ...ago(7000), version: 3 }),
          line({ ...ago(6000), promptTokens: 'many' }),
          line().slice(0, 50) + line(ago(5000)),
          line(ago(-DAY_MS)),
          line(ago(2 * DAY_MS)),
          line(at('1970-01-01T00:00:00Z')),
          '',
        ),
      )
      const { ok, flaws } = await json('ledger', 'verify')
      expect(ok).toBe(false)
      const found = flaws.map(
        (flaw: { file: string; line: number; message: string }) =>
          `${flaw.file.slice(dir.length + 1)}:${flaw.line} ${flaw.message}`,
      )
      expect(found).toEqual([
        'ledger.jsonl.1:2 it is torn, the file ends within it',
        'ledger.jsonl:2 it is no JSON object with a "time"',
        'ledger.jsonl:3 its version is not 1 or 2, so this command may misread it',
        'ledger.jsonl:4 "promptTokens" is no number of 0 or more',
        'ledger.jsonl:5 it stands behind a piece of another line',
        'ledger.jsonl:6 its time is in the future',
        'ledger.jsonl:7 its time is more than a minute before that of an earlier line',
        'ledger.jsonl:8 its time is before 2020',
        'ledger.jsonl:9 it is empty',
      ])
      expect((await tollgate(['ledger', 'verify'])).code).toBe(1)
    })

    test.each([
      ['more in the balance', 111, /app today: tokens 110 in the ledger, 111 in the balance/],
      ['less in the balance', 109, /app today: tokens 110 in the ledger, 109 in the balance/],
    ])('verify tells, per subject, %s', async (_, tokens, expected) => {
      const counted = ledger(line(ago(40 * DAY_MS)), line(ago(1000)))
      await write('ledger.jsonl', counted)
      // A copy: the subjects of one line share its sums.
      const subjects = JSON.parse(JSON.stringify(foldLines(counted, Date.now()).subjects))
      for (const sums of Object.values<number[]>(subjects['client:app'].days)) sums[0] = tokens
      await keepBalance(counted, subjects)
      const { out, code } = await tollgate(['ledger', 'verify'])
      expect(out).toMatch(expected)
      expect(out).not.toContain('key:k7q2m9xa')
      expect(code).toBe(1)
    })

    test('both versions of a line add up, also over a rotation', async () => {
      const now = Date.now()
      const past = [line(ago(5000)), line2(now - 4000), line(ago(3000))]
      await write('ledger.jsonl.1', ledger(...past))
      await write('ledger.jsonl', ledger(line2(now - 2000), line2(now - 1000, refused)))
      const { total } = await json('usage')
      expect(total).toMatchObject({ requests: 5, refused: 1, promptTokens: 400, cost: 0.004 })
      expect((await tollgate(['ledger', 'rebuild'])).code).toBe(0)
      const balance = JSON.parse(await readFile(path('state/balance.json'), 'utf8'))
      expect(balance.subjects['client:app'].all).toEqual([440, 4_000_000, 5])
      expect(await json('ledger', 'verify')).toMatchObject({ ok: true, flaws: [], differences: [] })
    })

    test('verify does not ask for what older files held that are gone', async () => {
      const gone = ledger(line(ago(45 * DAY_MS)))
      const kept = ledger(line(ago(40 * DAY_MS)), line(ago(1000)))
      await write('ledger.jsonl', kept)
      await keepBalance(kept, foldLines(gone + kept, Date.now()).subjects)
      expect((await json('ledger', 'verify')).differences).toEqual([])
    })

    test('rebuild makes what nginx makes, of all files, up to the last whole line', async () => {
      const old = ledger(line({ ...ago(2000), id: 'old' }))
      const current = ledger(line(ago(1000)), line({ ...ago(500), client: 'b' }))
      await write('ledger.jsonl.2.gz', gzipSync(old))
      await write('ledger.jsonl', `${current}{"version":1,"ti`)
      const { code } = await tollgate(['ledger', 'rebuild'])
      expect(code).toBe(0)
      const balance = JSON.parse(await readFile(path('state/balance.json'), 'utf8'))
      expect(balance.subjects).toEqual(foldLines(old + current, Date.now()).subjects)
      expect(balance.ledger.offset).toBe(Buffer.byteLength(current))
      expect(balance.count).toBe(3)
      expect((await json('ledger', 'verify')).ok).toBe(true)
      // Of the ledger there is nothing to say.
      const { notices } = await json('balance', 'app')
      expect(notices).toEqual([expect.stringContaining('What is reserved is not shown')])
    })

    test.each([
      ['a port', 0],
      ['a socket', 'admin.sock'],
    ])(
      'rebuild refuses while the housekeeping answers on %s, but for --output',
      async (_, where) => {
        const server = createServer()
        if (typeof where === 'number') server.listen(where, '127.0.0.1')
        else server.listen(path(where))
        await once(server, 'listening')
        const at = server.address() as { port: number } | string
        const listen = typeof at === 'string' ? `unix:${at}` : `127.0.0.1:${at.port}`
        await write('nginx/tollgate/admin.conf', `server {\n  listen ${listen};\n}\n`)
        await write('ledger.jsonl', ledger(line(ago(1))))
        const { code, err } = await tollgate(['ledger', 'rebuild'])
        expect(code).toBe(1)
        expect(err).toContain('nginx runs')
        expect(await stat(path('state/balance.json')).catch(() => null)).toBeNull()
        expect((await tollgate(['ledger', 'rebuild', '--output', path('b.json')])).code).toBe(0)
        server.close()
        await once(server, 'close')
        expect((await tollgate(['ledger', 'rebuild'])).code).toBe(0)
      },
    )

    test('rebuild writes through no link', async () => {
      await write('ledger.jsonl', ledger(line(ago(1))))
      await write('precious', 'kept')
      const { symlink } = await import('node:fs/promises')
      await symlink(path('precious'), path('state/balance.json'))
      expect((await tollgate(['ledger', 'rebuild'])).code).toBe(0)
      expect(await readFile(path('precious'), 'utf8')).toBe('kept')
    })

    test('compact leaves all sums as they were', async () => {
      const lines = [
        line({ ...at('2026-10-01T01:00:00.000Z'), key: 'late' }),
        ...[1, 2, 3].map((id) => line({ ...at('2026-10-01T10:00:00.000Z'), id: String(id) })),
        line({ ...at('2026-10-01T23:59:59.999Z'), client: 'b', estimated: true, group: 'web' }),
        line({ ...at('2026-10-01T23:59:59.999Z'), ...refused }),
        line({ ...at('2026-10-01T23:59:59.998Z'), key: 'late' }),
        line({ ...at('2026-10-02T00:00:00.000Z'), model: undefined, served: 'x', cost: 1e-9 }),
        'garbage',
        line({ ...at('2026-11-05T00:00:00.000Z'), audioSeconds: 1.5, status: 500 }),
      ]
      await write('ledger.jsonl.1.gz', gzipSync(ledger(...lines)))
      await write('ledger.jsonl', ledger(line(ago(1))))
      const sums = async () =>
        Promise.all(
          ['client', 'key', 'group', 'model', 'day'].map(async (by) => {
            const { rows, total } = await json('usage', '--by', by)
            return { rows, total }
          }),
        )
      const before = await sums()
      const args = ['ledger', 'compact', 'ledger.jsonl.1.gz', '--before', '2026-11-01']
      const result = await json(...args)
      expect(result).toMatchObject({ summed: 8, sums: 4, kept: 1, unreadable: 1 })
      // Until it is put in its place it does not count.
      expect(await sums()).toEqual(before)
      const text = gunzipSync(await readFile(path('ledger.jsonl.1.compact.gz'))).toString()
      expect(text.split('\n')).toContain('garbage')
      expect(text).toContain(lines.at(-1))
      const { flaws } = await json('ledger', 'verify', 'ledger.jsonl.1.compact.gz')
      expect(flaws).toHaveLength(1)
      await rename(path('ledger.jsonl.1.compact.gz'), path('ledger.jsonl.1.gz'))
      expect(await sums()).toEqual(before)
      // And once more: sums are summed up.
      expect(await json(...args)).toMatchObject({ summed: 4, sums: 4 })
      await rename(path('ledger.jsonl.1.compact.gz'), path('ledger.jsonl.1.gz'))
      expect(await sums()).toEqual(before)
    })

    test('compact keeps the used of days and months that run', async () => {
      const lines = ledger(line({ ...ago(DAY_MS), id: '1' }), line({ ...ago(DAY_MS), id: '2' }))
      await write('ledger.jsonl.1', lines)
      await write('ledger.jsonl', ledger(line(ago(1))))
      const used = async () => (await standings())['client costPerMonth'].used
      const before = await used()
      await tollgate(['ledger', 'compact', 'ledger.jsonl.1', '--before', '0d'])
      await rename(path('ledger.jsonl.1.compact'), path('ledger.jsonl.1'))
      expect(await used()).toBe(before)
    })

    test.each([
      ['the file that nginx writes', ['ledger.jsonl'], 'rotate it first'],
      ['a file that is not there', ['ledger.jsonl.7'], 'no file'],
      ['an output that is there', ['ledger.jsonl.1', '--output', 'policy.json'], 'already'],
      ['a line that it cannot keep', ['ledger.jsonl.3'], 'line 1 is longer than 1 MB'],
      ['a cut compressed file', ['ledger.jsonl.2.gz'], 'Cannot unpack'],
    ])('compact refuses %s', async (_, args, message) => {
      await write('ledger.jsonl', ledger(line({ id: 'now' })))
      await write('ledger.jsonl.1', ledger(line({ id: 'then' })))
      await write('ledger.jsonl.3', `${'x'.repeat(LINE_BYTES_MAX + 1)}\n`)
      await write('ledger.jsonl.2.gz', gzipSync(ledger(line(), line({ id: 'x' }))).subarray(0, 150))
      const { code, err } = await tollgate(['ledger', 'compact', ...args, '--before', '0d'])
      expect(err).toContain(message)
      expect(code).toBe(1)
      expect(await stat(path('ledger.jsonl.2.compact.gz')).catch(() => null)).toBeNull()
    })

    test('compact refuses a rotated file that nginx has not summed up yet', async () => {
      const counted = ledger(line())
      await write('ledger.jsonl.1', counted + ledger(line()))
      await write('ledger.jsonl', ledger(line({ id: 'now' })))
      await keepBalance(counted)
      const args = ['ledger', 'compact', 'ledger.jsonl.1', '--before', '0d']
      expect((await tollgate(args)).err).toContain('still sums up')
    })
  })
})

describe('tollgate tail', () => {
  /** Runs until the text has come, or fails with what did. */
  async function tailUntil(args: string[], steps: (() => Promise<void>)[], last: string) {
    const child = spawn(process.execPath, [join(root, 'cli.mjs'), 'tail', ...args, '--dir', dir])
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.resume()
    await sleep(700)
    for (const step of steps) {
      await step()
      await sleep(500)
    }
    await until(last, () => out.includes(last), 4).catch(() => undefined)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    return { out, code }
  }
  const idsOf = (out: string) =>
    out
      .trimEnd()
      .split('\n')
      .map((one) => JSON.parse(one).id)

  test('follows over a rotation by rename, and loses nothing of the old file', async () => {
    await write('ledger.jsonl', ledger(line({ id: 'a' })))
    const { out, code } = await tailUntil(
      ['--json'],
      [
        () => appendFile(path('ledger.jsonl'), ledger(line({ id: 'b' }))),
        () => rename(path('ledger.jsonl'), path('ledger.jsonl.1')),
        () => appendFile(path('ledger.jsonl.1'), ledger(line({ id: 'c' }))),
        () => write('ledger.jsonl', ledger(line({ id: 'd' }))),
        // A worker that has not reopened its files yet.
        () => appendFile(path('ledger.jsonl.1'), ledger(line({ id: 'e' }))),
        () => appendFile(path('ledger.jsonl'), line({ id: 'f' }).slice(0, 30)),
        () => appendFile(path('ledger.jsonl'), `${line({ id: 'f' }).slice(30)}\n`),
      ],
      '"f"',
    )
    expect(idsOf(out)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(code).toBe(0)
  })

  test('waits for a ledger, and begins again in one that was emptied', async () => {
    const { out } = await tailUntil(
      ['--json'],
      [
        () => write('ledger.jsonl', ledger(line({ id: 'a' }), line({ id: 'b' }))),
        () => write('ledger.jsonl', ''),
        () => appendFile(path('ledger.jsonl'), ledger(line({ id: 'c' }))),
      ],
      '"c"',
    )
    expect(idsOf(out)).toEqual(['a', 'b', 'c'])
  })

  test('begins with the last lines of one client', async () => {
    const lines = ['1', '2', '3', '4'].flatMap((id) => [line({ id }), line({ id, client: 'b' })])
    await write('ledger.jsonl', ledger(...lines))
    const args = ['--json', '--client', 'b', '--lines', '2']
    const { out } = await tailUntil(args, [], '"4"')
    expect(idsOf(out)).toEqual(['3', '4'])
    expect(out).not.toContain('"app"')
  })

  test('tells both versions of a line in UTC and to the millisecond', async () => {
    const endMs = Date.UTC(2026, 10, 20, 23, 59, 59, 7)
    await write('ledger.jsonl', ledger(line(), line2(endMs, { id: 'last' })))
    const { out } = await tailUntil(['--json'], [], '"last"')
    const told = out.trimEnd().split('\n')
    const times = ['2026-11-20T12:00:00.000Z', '2026-11-20T23:59:59.007Z']
    expect(told.map((one) => JSON.parse(one).time)).toEqual(times)
    expect(out).not.toContain('"at"')
  })

  test('a person reads one line each, and no escape sequence', async () => {
    const more = { ttftMs: 84, tokensPerSecond: 52.14, durationMs: 2400, estimated: true }
    await write(
      'ledger.jsonl',
      ledger(line({ ...more, model: '\u001b[2Jevil' }), line({ ...refused, client: undefined })),
    )
    const { out } = await tailUntil([], [], 'rate_limited')
    expect(out).not.toContain('\u001b')
    expect(out).toMatch(/^-- 2026-11-20 \(UTC\)$/m)
    expect(out).toMatch(
      /^12:00:00 +app +\\u001b\[2Jevil +ok +~100>10 +0\.00100 +84ms +52t\/s +2\.4s$/m,
    )
    expect(out).toMatch(/^12:00:00 +- +llama +rate_limited +- +- +- +- +100ms$/m)
  })

  test("a person reads the status of the server's own errors, where it is not 200", async () => {
    const own = (outcome: string, status: number) => line({ outcome, status })
    const errors = [own('ok', 404), own('upstream_error', 500), own('upstream_error', 200)]
    await write('ledger.jsonl', ledger(...errors, own('rate_limited', 429)))
    const { out } = await tailUntil([], [], 'rate_limited')
    const told = out.trimEnd().split('\n').slice(1)
    expect(told.map((one) => /llama +(\w+(?: \d+)?)/.exec(one)?.[1])).toEqual([
      ...['ok 404', 'upstream_error 500', 'upstream_error', 'rate_limited'],
    ])
  })
})

describe('readLines', () => {
  test('refuses a file whose name a rotation has given to another', async () => {
    const silent = { advance: () => undefined, end: () => undefined }
    await write('ledger.jsonl', ledger(line()))
    await write('ledger.jsonl.1', ledger(line()))
    const [older, newer] = await listLedger(path('ledger.jsonl'))
    if (!older || !newer) throw new Error('Both files are listed')
    await rename(path('ledger.jsonl.1'), path('ledger.jsonl.2'))
    await rename(path('ledger.jsonl'), path('ledger.jsonl.1'))
    for (const file of [older, newer]) {
      await expect(readLines(file, () => undefined, silent)).rejects.toThrow('just been rotated')
    }
  })
})

describe('createSplitter', () => {
  test('finds the same lines wherever the pieces are cut', () => {
    const bytes = Buffer.from('eins\n\nzwei é 名\r\nthree\nrest')
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const lines: [string | null, number][] = []
        const splitter = createSplitter((text, number) => lines.push([text, number]))
        splitter.push(bytes.subarray(0, first))
        splitter.push(bytes.subarray(first, second))
        splitter.push(bytes.subarray(second))
        expect(splitter.end()).toEqual({ lines: 4, torn: 'rest', tornBytes: 4 })
        expect(lines).toEqual([
          ['eins', 1],
          ['', 2],
          ['zwei é 名\r', 3],
          ['three', 4],
        ])
      }
    }
  })
})

describe('createFold', () => {
  test('comes to what foldLines() of the core comes to', () => {
    const text = ledger(
      line(ago(1)),
      line({ ...ago(40 * DAY_MS), group: 'web' }),
      line({ ...ago(1), client: 'b', cost: 0.123456789, promptTokens: 'x' }),
      'garbage',
      '',
      line().slice(0, 40) + line(ago(2)),
      line({ ...ago(1), client: '__proto__', key: undefined }),
      line2(Date.now() - 1, { cost: 0.000000007 }),
      line2(Date.now() - 40 * DAY_MS).slice(0, 60) + line2(Date.now() - 3),
    )
    const fold = createFold(Date.now(), 0)
    for (const one of text.split('\n')) fold.add(one)
    const { subjects, lines, skipped } = fold.end()
    const expected = foldLines(text, Date.now())
    expect(Object.fromEntries(subjects)).toEqual(expected.subjects)
    expect({ lines, skipped }).toEqual({ lines: expected.lines, skipped: expected.skipped })
  })
})

describe('text', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [1000, '1.00k'],
    [12_345, '12.3k'],
    [999_999, '999k'],
    [1_000_000, '1.00M'],
    [123_456_789_012, '123G'],
    [5e15, '5000T'],
  ])('short(%i) is %s', (number, expected) => {
    expect(short(number)).toBe(expected)
  })

  test.each([
    ['letters of any script', 'naïve 模型 🙂', 'naïve 模型 🙂'],
    ['an escape', '\u001b[31m', '\\u001b[31m'],
    ['a tag, which has two halves', '\u{e0041}', '\\udb40\\udc41'],
    ['a half of a pair', '\ud83d', '\\ud83d'],
  ])('safe() keeps or escapes %s', (_, text, expected) => {
    expect(safe(text)).toBe(expected)
  })

  test('csvCell() leaves numbers alone', () => {
    expect([csvCell(-1), csvCell('-1'), csvCell('a b')]).toEqual(['-1', `"'-1"`, 'a b'])
  })

  test('the progress says how far, how fast, and how long it takes', () => {
    expect(describeProgress(500e6, 1000e6, 2000)).toBe(
      ' 50 % [############            ] 500 of 1000 MB, 250 MB/s, 2 s left',
    )
  })
})
