import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
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
export type Configuration = { record: object; rules?: object; prices?: object }

const OPEN = { client: 'app', key: 'k7q2m9xa', usual: 0 }
const BOUND = { ...OPEN, models: ['bench-*', 'other-model'] }

export const KINDS: Record<string, Configuration> = {
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

export type Counts = Record<string, number>
type Gate = Record<'admission' | 'target' | 'body' | 'settled', (r: object) => string> & {
  meter(r: object, data: Buffer, flags: { last: boolean }): void
}

/** The gate as one script, as esbuild puts it together. */
export async function bundleGate(): Promise<string> {
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
  return outputFiles[0]?.text ?? ''
}

/**
 * A context of njs with zones of its own, which counts what is asked of these and of JSON. `before` is told of each
 * call of a zone, `counters.incr` say, and may throw.
 */
export function openContext(
  code: string,
  { record, rules, prices }: Configuration,
  way: 'quick' | 'long',
  before: (call: string) => void = () => {},
) {
  let counts: Counts = {}
  /** The same function, which is counted under a name. */
  const counted = <A extends unknown[], R>(name: string, act: (...args: A) => R) => {
    return (...args: A): R => {
      counts[name] = (counts[name] ?? 0) + 1
      return act(...args)
    }
  }
  const zone = (of: string, entries: Map<string, unknown>) => {
    const told = <A extends unknown[], R>(name: string, act: (...args: A) => R) =>
      counted(name, (...args: A): R => {
        before(`${of}.${name}`)
        return act(...args)
      })
    return {
      get: told('get', (name: string) => entries.get(name)),
      has: told('get', (name: string) => entries.has(name)),
      set: told('set', (name: string, value: unknown) => void entries.set(name, value)),
      delete: told('delete', (name: string) => entries.delete(name)),
      incr: told('incr', (name: string, delta: number, init: number) => {
        const value = (Number(entries.get(name)) || init) + delta
        entries.set(name, value)
        return value
      }),
    }
  }
  const clients = new Map<string, unknown>([
    [HASH, JSON.stringify(record)],
    ['routes', ';'],
    ['rules', rules ? JSON.stringify(rules) : ''],
    ['prices', prices ? JSON.stringify(prices) : ''],
    ['password', 'secret'],
  ])
  const counters = new Map<string, unknown>([[BIRTH_COUNTER, 7]])
  const running = new Map<string, unknown>()
  const shared = {
    tollgate_clients: zone('clients', clients),
    tollgate_counters: zone('counters', counters),
    tollgate_windows: zone('windows', new Map()),
    tollgate_running: zone('running', running),
    tollgate_badkeys: zone('badkeys', new Map()),
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
  /**
   * One request from its line to its end: what its handlers return, and what it asked for. It may have another key, another
   * status, end without a log phase, and something may happen while its body comes.
   */
  const ask = ({ secret = SECRET, status = 200, isLogged = true, meanwhile = () => {} } = {}) => {
    counts = {}
    const r = {
      method: 'POST',
      status: 0,
      httpVersion: '1.1',
      remoteAddress: '192.0.2.1',
      headersIn: { Authorization: `Bearer ${secret}` },
      headersOut: { 'Content-Type': 'application/json' },
      variables: {
        tollgate_route: 'chat',
        content_length: `${BODY.length}`,
        tg_secret: way === 'quick' ? secret : '',
        pid: '7',
        request_id: '0123456789abcdef0123456789abcdef',
        msec: `${Date.now() / 1000}`,
        request_completion: 'OK',
      },
      requestBuffer: Buffer.from(BODY),
      requestText: BODY,
      sendBuffer() {},
    }
    // As nginx, which makes the variable of a broken handler an empty text.
    const called = (act: (r: object) => string): string => {
      try {
        return act(r)
      } catch (_) {
        return ''
      }
    }
    const admission = called(gate.admission)
    meanwhile()
    const target = admission === 'ok' ? called(gate.target) : ''
    const entries = running.size
    if (target === 'made') called(gate.body)
    if (target === 'made' || target === 'ok') {
      r.status = status
      gate.meter(r, Buffer.from(ANSWER), { last: false })
      gate.meter(r, Buffer.alloc(0), { last: true })
    }
    const line = isLogged ? called(gate.settled) : ''
    for (const act of atExit.splice(0)) act()
    return { admission, target, entries, line, counts }
  }
  return { ask, log, counters, running }
}
