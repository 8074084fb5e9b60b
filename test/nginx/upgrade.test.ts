import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { gatherOlder } from '../cli/older.ts'
import {
  CHAT,
  chatOf,
  clientOf,
  documentOf,
  linesOf,
  MODEL,
  messages,
  sumOf,
  tokensOf,
} from './clients.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { heldBy, probed, usedBy } from './probe.ts'
import { childrenOf } from './processes.ts'
import { findEngines, type Setup } from './setups.ts'
import { type Call, get, send } from './wire.ts'

// What runs while a gate is replaced by another version: 0.1.0, whose includes stand in fixtures, with its bundles as the
// build of its sources made them, by this one, and back. The zones survive that, and old workers run on with old code.

watchLogs()

const BUNDLES = join(import.meta.dirname, 'fixtures/0.1.0')

const TOKENS = 25
const STREAM = chatOf(`prompt:3,tokens:${TOKENS},itl:120`, { stream: true, max_tokens: 60 })
/** As the quick way knows it. */
const USUAL = { model: MODEL, messages }

/** Lays out 0.1.0 beside this version, each in a folder of its own with its nginx.conf. */
async function layOutBoth(root: string, setup: Setup): Promise<void> {
  const newer = join(root, 'newer')
  const older = join(root, 'older')
  const conf = await readFile(join(root, 'nginx.conf'), 'utf8')
  await mkdir(newer)
  await cp(join(root, 'tollgate'), join(newer, 'tollgate'), { recursive: true })
  await writeFile(join(newer, 'nginx.conf'), conf)
  await mkdir(join(older, 'tollgate'), { recursive: true })
  const admin = await readFile(join(newer, 'tollgate', 'admin.conf'), 'utf8')
  const [, adminListen = ''] = /listen ([\d.:]+);/.exec(admin) ?? []
  const [configDir, stateDir] = [join(root, 'config'), join(root, 'state')]
  const layout = { nginxDir: root, configDir, stateDir, adminListen, rareListen: '' }
  for (const [name, text] of await gatherOlder(layout, setup.nginx.engine)) {
    await writeFile(join(older, 'tollgate', name), text)
  }
  for (const name of ['tollgate.js', 'tollgate-admin.js']) {
    const packed = await readFile(join(BUNDLES, `${name}.gz`))
    await writeFile(join(older, 'tollgate', name), gunzipSync(packed))
  }
  const location =
    setup.nginx.engine === 'qjs'
      ? 'location / { include tollgate/gate.conf; proxy_pass http://vllm; }'
      : 'location / { include tollgate/enter.conf; }\n' +
        'location @tollgate { include tollgate/upstream.conf; proxy_pass http://vllm; }'
  const olderConf = conf
    .replace(/location \/ \{\s*set[^}]*\}/, location)
    .replace('include tollgate/malformed.conf;', '')
  expect(olderConf).not.toBe(conf)
  await writeFile(join(older, 'nginx.conf'), olderConf)
}

/** Puts one of them in its place. */
async function use(root: string, version: 'older' | 'newer'): Promise<void> {
  await rm(join(root, 'tollgate'), { recursive: true })
  await cp(join(root, version), root, { recursive: true })
}

/** Has nginx read its configuration again, and waits for the new worker. */
async function reload(gate: Gate): Promise<number> {
  const [before] = childrenOf(gate.pid)
  gate.signal('SIGHUP')
  await until('a new worker', () => childrenOf(gate.pid).some((pid) => pid !== before))
  return before ?? 0
}

describe.each(await findEngines())('$name', (setup) => {
  test.each([
    ['an upgrade', 'older', 'newer'],
    ['a rollback', 'newer', 'older'],
  ] as const)('%s loses nothing of what runs, and counts nothing twice', async (_, from, to) => {
    const limits = { concurrency: 40, requestsPerMinute: 1000, tokensPerMinute: 1e6 }
    const callers = {
      soft: clientOf({ limits, budgets: { tokensPerDay: 1e6, tokensPerMonth: 1e7 } }),
      hard: clientOf({ limits, budgets: { tokensPerDay: 1e6, hard: true } }),
      free: clientOf(),
    }
    const names = Object.keys(callers) as (keyof typeof callers)[]
    const root: string[] = []
    const gate = await startGate(
      setup,
      probed({
        clients: documentOf(callers),
        async prepare(folder) {
          root.push(folder)
          await layOutBoth(folder, setup)
          await use(folder, from)
        },
      }),
    )
    onTestFinished(() => gate.stop())
    const askAll = async (): Promise<void> => {
      for (const name of names) {
        for (const body of [USUAL, chatOf('prompt:3,tokens:4')]) {
          const { status } = await get(gate, CHAT, { key: callers[name].secret, body })
          expect(status, name).toBe(200)
        }
      }
    }
    const begin = async (): Promise<Call[]> => {
      const calls = names.flatMap((name) =>
        [1, 2].map(() => send(gate, CHAT, { key: callers[name].secret, body: STREAM })),
      )
      for (const call of calls) {
        const { status, pieces } = await call.answer
        expect(status).toBe(200)
        await until('a first token', () => pieces.length > 1)
      }
      return calls
    }
    const finish = async (calls: Call[]): Promise<void> => {
      for (const call of calls) {
        const text = (await (await call.answer).body()).toString()
        expect(text.match(/"content":"/g)?.length).toBeGreaterThanOrEqual(TOKENS)
        expect(text).toContain('data: [DONE]')
      }
    }

    await askAll()
    const running = await begin()
    await use(root[0] as string, to)
    const old = await reload(gate)
    // At once, while housekeeping of the new version writes its records.
    await askAll()
    const more = await begin()
    await askAll()
    await finish(running)
    await finish(more)
    await until('the end of the old worker', () => !childrenOf(gate.pid).includes(old))
    await askAll()

    const each = 4 * 2 + 2 * 2
    for (const name of names) {
      const lines = await linesOf(gate, name, each)
      expect(lines, name).toHaveLength(each)
      expect(new Set(lines.map(({ id }) => id)).size, name).toBe(each)
      expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([])
      const streams = lines.filter(({ stream }) => stream)
      expect(streams.map(({ completionTokens }) => completionTokens)).toEqual(Array(4).fill(TOKENS))
      if (name === 'free') continue
      await until(`nothing held by ${name}`, async () =>
        (await heldBy(gate, name)).every((held) => held === 0),
      )
      expect((await usedBy(gate, name))[0], name).toBe(sumOf(lines, tokensOf))
    }
  })
})
