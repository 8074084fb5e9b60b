import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Client, Clients, Policy } from '../../src/core/config/shapes.ts'
import { type Gate, type GateOptions, makeAdmin, makeKey, sleep, until } from '../nginx/harness.ts'

const DAY_MS = 86_400_000
const LLAMA = 'llama-3.1-8b-instruct'
const QWEN = 'qwen3-32b'

/** How much each client of the scene uses, beside the others; and its model. */
const USE: [name: string, weight: number, model: string][] = [
  ['web-shop', 4.1, QWEN],
  ['support-bot', 2.6, LLAMA],
  ['data-science', 1.7, QWEN],
  ['batch-nightly', 1.2, LLAMA],
  ['intranet-search', 0.5, LLAMA],
  ['edu-lab', 0.3, LLAMA],
]

/** A gate as it is after some weeks of use: for pictures, and for looking at every page with something in it. */
export function makeScene() {
  const writer = makeAdmin({ name: 'alice' })
  const keys = new Map(USE.map(([name]) => [name, makeKey()]))
  const options: GateOptions = {
    workers: 2,
    policy: policyOf([writer.record]),
    clients: clientsOf(keys),
    // The dialect that answers under any name of a model.
    mock: { dialect: 'sglang', ttftMs: 300, itlMs: 20 },
    prepare: async (root) => {
      await mkdir(join(root, 'state'), { recursive: true })
      await writeFile(join(root, 'state', 'ledger.jsonl'), history(keys, Date.now()))
    },
  }
  return { options, token: writer.token, keys }
}

export type Scene = ReturnType<typeof makeScene>

/** Streams that go on until `stop` is called, some more than others. */
export function startTraffic(gate: Gate, { keys }: Scene): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const refused: string[] = []
  const calls = [0, 0, 0, 1, 1, 2, 4].map(async (place, i) => {
    const [name = '', , model] = USE[place] ?? []
    const messages = [{ role: 'user', content: 'one two three' }]
    const mock = `prompt:${400 + 310 * i},tokens:100000,itl:${18 + 3 * i}`
    const body = JSON.stringify({ model, messages, mock, stream: true })
    const key = keys.get(name)?.secret ?? null
    try {
      const { signal } = stopping
      let answer = await gate.call('/v1/chat/completions', { key, body, signal })
      // The history of some weeks has to be added up first, see start.test.ts.
      while (answer.status === 503) {
        await sleep(100)
        answer = await gate.call('/v1/chat/completions', { key, body, signal })
      }
      if (answer.ok) await answer.text()
      else refused.push(`${name}: ${answer.status} ${await answer.text()}`)
    } catch {
      // It was stopped.
    }
  })
  return {
    stop: async () => {
      stopping.abort()
      await Promise.all(calls)
      expect(refused, 'streams that the scene needs').toEqual([])
    },
  }
}

/** Waits until the history is in the sums, as it is on any gate that was not started just now. */
export async function isCounted(gate: Gate, { token }: Scene): Promise<void> {
  await until('the history to be counted', async () => {
    const usage = await gate.admin('/usage?by=client', { token })
    if (usage.status !== 200) return false
    const { rows } = (await usage.json()) as { rows: unknown[] }
    return rows.length >= USE.length
  })
}

function policyOf(admins: NonNullable<Policy['admins']>): Policy {
  return {
    version: 1,
    admins,
    plans: {
      standard: {
        models: ['llama-*', 'qwen3-*'],
        limits: { requestsPerMinute: 600, tokensPerMinute: 2_000_000, concurrency: 32 },
        budgets: { tokensPerDay: 90_000_000 },
      },
      trial: { limits: { requestsPerMinute: 30 }, budgets: { costPerMonth: 8, hard: true } },
    },
    groups: { shop: { limits: { tokensPerMinute: 5_000_000 } } },
    prices: {
      'llama-*': { input: 0.15, cachedInput: 0.05, output: 0.6 },
      'qwen3-*': { input: 0.4, cachedInput: 0.1, output: 1.2 },
    },
    maxInFlight: 256,
  }
}

type Keys = Map<string, ReturnType<typeof makeKey>>

function clientsOf(keys: Keys): Clients {
  const fields: { [name: string]: Partial<Client> } = {
    'web-shop': {
      plan: 'standard',
      group: 'shop',
      budgets: { costPerMonth: 260 },
      note: 'Checkout and product pages',
    },
    'support-bot': { plan: 'standard', group: 'shop', budgets: { costPerMonth: 64 } },
    'data-science': { plan: 'standard', budgets: { costPerMonth: 200 }, note: 'Ask Mei-Ling' },
    'batch-nightly': { plan: 'standard', disabled: true },
    'intranet-search': { plan: 'trial', shadow: true },
    'edu-lab': { plan: 'trial', note: 'Spring course' },
  }
  const entries = [...keys].map(([name, { record }]): [string, Client] => {
    const older = makeKey().record
    const revoked = { ...older, revoked: '2026-03-01T09:00:00Z', note: 'before the move' }
    const own = name === 'edu-lab' ? { limits: { requestsPerMinute: 10 } } : {}
    return [name, { ...fields[name], keys: [{ ...record, note: 'production', ...own }, revoked] }]
  })
  return { version: 1, clients: Object.fromEntries(entries) }
}

/** Lines of the ledger of the last eight days, a few for each client and hour of the day. */
function history(keys: Keys, nowMs: number): string {
  const lines: string[] = []
  const firstMs = Math.floor(nowMs / DAY_MS) * DAY_MS - 8 * DAY_MS
  for (let ms = firstMs, hour = 0; ms < nowMs - DAY_MS / 24; ms += DAY_MS / 24, hour++) {
    USE.forEach(([name, weight, model], place) => {
      lines.push(lineOf(ms, hour, name, weight, model, keys.get(name)?.record.id ?? '', place))
    })
  }
  return lines.map((line) => `${line}\n`).join('')
}

function lineOf(
  ms: number,
  hour: number,
  client: string,
  weight: number,
  model: string,
  key: string,
  place: number,
): string {
  // Busy by day, quiet at night, and no day like the other.
  const tide = 1.1 + Math.sin(((hour % 24) / 24) * 2 * Math.PI - 2) + 0.3 * Math.sin(hour * 1.7)
  const promptTokens = Math.round(weight * tide * 250_000 * (1 + 0.2 * Math.sin(hour / 24 + place)))
  const completionTokens = Math.round(promptTokens * 0.3)
  const price = model === QWEN ? [0.4, 1.2] : [0.15, 0.6]
  const cost = (promptTokens * (price[0] ?? 0) + completionTokens * (price[1] ?? 0)) / 1e6
  const id = (hour * 16 + place).toString(16).padStart(32, '0')
  return JSON.stringify({
    version: 1,
    time: new Date(ms + place * 1000).toISOString(),
    id,
    client,
    key,
    route: 'chat',
    outcome: 'ok',
    status: 200,
    model,
    stream: true,
    promptTokens,
    completionTokens,
    cost: Math.round(cost * 1e9) / 1e9,
    durationMs: 2000,
    bytesIn: 2000,
    bytesOut: 20_000,
    remote: '10.0.0.7',
  })
}
