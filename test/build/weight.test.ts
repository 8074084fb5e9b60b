import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { BIRTH_COUNTER } from '../../src/core/limits/counters.ts'

const ROOT = resolve(import.meta.dirname, '../..')

const SECRET = 'tg_secret'
const HASH = createHash('sha256').update(SECRET).digest('hex')
const BODY =
  '{"model":"bench-8b","messages":[{"role":"user","content":"Tell me something short."}]}'
const ANSWER =
  '{"id":"chatcmpl-0","object":"chat.completion","created":1764000000,"model":"bench-8b","choices":[{"index":0,' +
  '"message":{"role":"assistant","content":"Yes."},"logprobs":null,"finish_reason":"stop","stop_reason":null}],' +
  '"usage":{"prompt_tokens":15,"total_tokens":79,"completion_tokens":64,"prompt_tokens_details":null}}'

/** What stands in `tollgate_clients`, as the bench's policies come to. */
type Configuration = { record: object; rules?: object; prices?: object }

const OPEN = { client: 'app', key: 'k7q2m9xa' }
const BOUND = { ...OPEN, models: ['bench-*', 'other-model'] }

const KINDS: Record<string, Configuration> = {
  identity: { record: OPEN, rules: { metering: 'off' } },
  body: { record: BOUND },
  all: {
    record: {
      ...BOUND,
      request: { maxOutputTokens: 8192, n: 4 },
      limited: [
        {
          of: 'client',
          id: 'AbCdEfGhIj',
          limits: { requestsPerMinute: 1e8, tokensPerMinute: 1e11, concurrency: 10_000 },
          budgets: { tokensPerDay: 1e13, costPerMonth: 1e15 },
        },
      ],
    },
    prices: { 'bench-*': { input: 0.15, output: 0.6 } },
  },
}

type Counts = Record<string, number>
type Gate = Record<'admission' | 'target' | 'body' | 'settled', (r: object) => string> & {
  meter(r: object, data: Buffer, flags: { last: boolean }): void
}

let code = ''
beforeAll(async () => {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/gate.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'gate',
    platform: 'neutral',
    target: 'es2017',
    footer: { js: 'gate.default' },
    plugins: [
      {
        name: 'crypto',
        setup(builder) {
          builder.onResolve({ filter: /^crypto$/ }, () => ({ path: 'crypto', namespace: 'given' }))
          builder.onLoad({ filter: /.*/, namespace: 'given' }, () => ({
            contents: 'export default given',
          }))
        },
      },
    ],
  })
  code = outputFiles[0]?.text ?? ''
})

/** A context of njs with zones of its own, which counts what is asked of these and of JSON. */
function open({ record, rules, prices }: Configuration, way: 'quick' | 'long') {
  let counts: Counts = {}
  /** The same function, which is counted under a name. */
  const counted = <A extends unknown[], R>(name: string, act: (...args: A) => R) => {
    return (...args: A): R => {
      counts[name] = (counts[name] ?? 0) + 1
      return act(...args)
    }
  }
  const zone = (entries: Map<string, unknown>) => ({
    get: counted('get', (name: string) => entries.get(name)),
    has: counted('get', (name: string) => entries.has(name)),
    set: counted('set', (name: string, value: unknown) => void entries.set(name, value)),
    delete: counted('delete', (name: string) => entries.delete(name)),
    incr: counted('incr', (name: string, delta: number, init: number) => {
      const value = (Number(entries.get(name)) || init) + delta
      entries.set(name, value)
      return value
    }),
  })
  const clients = new Map<string, unknown>([
    [HASH, JSON.stringify(record)],
    ['routes', ';'],
    ['rules', rules ? JSON.stringify(rules) : ''],
    ['prices', prices ? JSON.stringify(prices) : ''],
  ])
  const shared = {
    tollgate_clients: zone(clients),
    tollgate_counters: zone(new Map([[BIRTH_COUNTER, 7]])),
    tollgate_windows: zone(new Map()),
    tollgate_slots: zone(new Map()),
    tollgate_running: zone(new Map()),
    tollgate_badkeys: zone(new Map()),
  }
  const log: string[] = []
  const atExit: (() => void)[] = []
  const gate = runInContext(
    code,
    createContext({
      ngx: { shared, log: (_: number, text: string) => log.push(text), ERR: 1 },
      njs: { on: (_: string, act: () => void) => atExit.push(act) },
      JSON: {
        parse: counted('parse', (text: string) => JSON.parse(text)),
        stringify: counted('stringify', (value: unknown) => JSON.stringify(value)),
      },
      process: { pid: 7 },
      Buffer,
      given: { createHash },
    }),
  ) as Gate
  /** One request from its line to its end, and what it asked for. */
  const ask = () => {
    counts = {}
    const r = {
      method: 'POST',
      status: 0,
      httpVersion: '1.1',
      remoteAddress: '192.0.2.1',
      headersIn: { Authorization: `Bearer ${SECRET}` },
      headersOut: { 'Content-Type': 'application/json' },
      variables: {
        tollgate_route: 'chat',
        content_length: `${BODY.length}`,
        tg_secret: way === 'quick' ? SECRET : '',
        pid: '7',
        request_id: '0123456789abcdef0123456789abcdef',
        msec: `${Date.now() / 1000}`,
        request_completion: 'OK',
      },
      requestBuffer: Buffer.from(BODY),
      requestText: BODY,
      sendBuffer() {},
    }
    expect(gate.admission(r)).toBe('ok')
    expect(gate.target(r)).toBe('ok')
    gate.body(r)
    r.status = 200
    gate.meter(r, Buffer.from(ANSWER), { last: false })
    gate.meter(r, Buffer.alloc(0), { last: true })
    const line = JSON.parse(`{${gate.settled(r)}}`)
    for (const act of atExit.splice(0)) act()
    expect(log).toEqual([])
    return { line, counts }
  }
  return ask
}

/**
 * What a request asks of shared memory and of JSON: each call is 1,000 to 4,000 instructions, and a parse more. A
 * context is cold on njs's own engine at every request, and warm on QuickJS. Fewer are better: write them down.
 */
describe('what a request asks for', () => {
  test.each([
    ['identity', 'quick', 'cold', { get: 4, set: 1, delete: 1, parse: 2 }],
    ['identity', 'quick', 'warm', { get: 4, set: 1, delete: 1 }],
    ['body', 'quick', 'cold', { get: 6, set: 2, delete: 1, parse: 2, stringify: 1 }],
    ['body', 'quick', 'warm', { get: 6, set: 2, delete: 1, parse: 1 }],
    ['all', 'quick', 'cold', { get: 16, set: 3, incr: 18, delete: 4, parse: 3, stringify: 1 }],
    ['all', 'quick', 'warm', { get: 16, set: 3, incr: 17, delete: 4, parse: 1 }],
    ['identity', 'long', 'cold', { get: 4, set: 1, delete: 1, parse: 2 }],
    ['body', 'long', 'cold', { get: 6, set: 2, delete: 1, parse: 2, stringify: 1 }],
    ['all', 'long', 'cold', { get: 17, set: 3, incr: 18, delete: 4, parse: 3, stringify: 1 }],
  ] as const)('of %s on the %s way in a context that is %s', (kind, way, state, expected) => {
    const ask = open(KINDS[kind] as Configuration, way)
    if (state === 'warm') ask()
    const { line, counts } = ask()
    expect(line).toMatchObject({ outcome: 'ok', client: 'app' })
    expect(line.completionTokens).toBe(kind === 'identity' ? undefined : 64)
    if (kind === 'all') expect(line.cost).toBeGreaterThan(0)
    expect(counts).toEqual(expected)
  })
})
