/** Lines of a ledger that differ in everything that usage is asked by, for the tests of usage. */

export type UsageLine = {
  time: string
  client?: string
  key?: string
  group?: string
  model?: string
  outcome: string
  status: number
  promptTokens?: number
  cachedTokens?: number
  completionTokens?: number
  reasoningTokens?: number
  audioSeconds?: number
  cost?: number
  estimated?: true
}

const HOUR_MS = 3_600_000
const CLIENTS = ['app', 'batch', 'web']
const OUTCOMES: [string, number][] = [
  ['ok', 200],
  ['rate_limited', 429],
  ['ok', 500],
  ['upstream_error', 200],
  ['client_aborted', 200],
  ['cut_budget', 200],
  ['ok', 200],
]

let serial = 0

/** Some lines, the newest at `endMs` and each `stepMs` before the next, oldest first. */
export function linesUntil(endMs: number, count: number, stepMs: number): UsageLine[] {
  return Array.from({ length: count }, (_, at) => lineAt(endMs - (count - 1 - at) * stepMs))
}

function lineAt(timeMs: number): UsageLine {
  const i = serial++
  const [outcome = 'ok', status = 200] = OUTCOMES[i % OUTCOMES.length] ?? []
  const client = CLIENTS[i % CLIENTS.length] ?? 'app'
  return {
    time: new Date(timeMs).toISOString(),
    client,
    key: `key${client}${i % 2}`,
    ...(client === 'web' ? { group: 'site' } : {}),
    ...(i % 7 === 0 ? {} : { model: `模型-${i % 4}` }),
    outcome,
    status,
    promptTokens: 100 + (i % 13),
    cachedTokens: i % 11,
    completionTokens: i % 17,
    ...(i % 5 === 0 ? { reasoningTokens: 3 } : {}),
    ...(i % 6 === 0 ? { audioSeconds: 2.5 } : {}),
    cost: (i % 9) / 1000,
    ...(i % 8 === 0 ? { estimated: true as const } : {}),
  }
}

/** As nginx would have written them: every other one of version 2, by a clock of Taipei. */
export function textOf(lines: UsageLine[]): string {
  const id = () => `request-${serial}-${Math.round(Math.random() * 1e9)}`
  const versioned = lines.map((line, at) => (at % 2 ? { version: 1, ...line } : second(line)))
  return versioned.map((line) => `${JSON.stringify({ ...line, id: id() })}\n`).join('')
}

function second(line: UsageLine) {
  const timeMs = Date.parse(line.time)
  const local = new Date(timeMs + 8 * HOUR_MS).toISOString().slice(0, 19)
  return { version: 2, ...line, time: `${local}+08:00`, at: timeMs / 1000 }
}

type Row = Record<string, unknown>

/** What GET /usage should say of lines, in no order. */
export function expectedRows(lines: UsageLine[], by: string[]): Row[] {
  const groups = new Map<string, Row & Record<string, number>>()
  for (const line of lines) {
    const names = Object.fromEntries(by.map((one) => nameOf(line, one)))
    const key = JSON.stringify(names)
    const row = groups.get(key) ?? ({ ...names, ...nothing() } as Row & Record<string, number>)
    groups.set(key, row)
    row['requests'] = (row['requests'] ?? 0) + 1
    const fate = fateOf(line)
    if (fate) row[fate] = (row[fate] ?? 0) + 1
    for (const field of SUMS) row[field] = (row[field] ?? 0) + (line[field] ?? 0)
    if (line.estimated) (row as Row)['estimated'] = true
  }
  for (const row of groups.values()) row['cost'] = Math.round((row['cost'] ?? 0) * 1e9) / 1e9
  return [...groups.values()]
}

const SUMS = [
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'reasoningTokens',
  'audioSeconds',
  'cost',
] as const

function nothing(): Row {
  const sums = Object.fromEntries(SUMS.map((field) => [field, 0]))
  return { requests: 0, refused: 0, errors: 0, aborted: 0, ...sums, estimated: false }
}

function fateOf({ outcome, status }: UsageLine): string | null {
  if (outcome === 'ok') return status >= 400 ? 'errors' : null
  if (outcome === 'client_aborted') return 'aborted'
  if (outcome === 'upstream_error') return 'errors'
  return outcome.startsWith('cut_') ? null : 'refused'
}

function nameOf(line: UsageLine, by: string): [string, string | null] {
  const timeMs = Date.parse(line.time)
  const begin = (stepMs: number) =>
    `${new Date(Math.floor(timeMs / stepMs) * stepMs).toISOString().slice(0, 19)}Z`
  if (by === 'hour') return ['time', begin(HOUR_MS)]
  if (by === 'day') return ['time', begin(24 * HOUR_MS)]
  return [by, line[by as 'client' | 'key' | 'group' | 'model'] ?? null]
}
