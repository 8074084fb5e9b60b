import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatClients } from '../src/core/config/clientsfile.ts'
import { formatKey, keyId } from '../src/core/config/key.ts'
import type { Clients, Policy } from '../src/core/config/shapes.ts'
import type { Kind } from './subjects.ts'

/** One key of the bench, the same in every run. */
export type BenchKey = { client: string; id: string; secret: string }

const made: BenchKey[] = []

/** The first so many keys, each of a client of its own. */
export function makeKeys(count: number): BenchKey[] {
  for (let index = made.length; index < count; index++) {
    const bytes = createHash('sha256').update(`bench ${index}`).digest()
    const id = keyId(createHash('sha256').update(bytes).digest())
    made.push({ client: `client-${index}`, id, secret: formatKey(id, bytes) })
  }
  return made.slice(0, count)
}

/** Text of clients.json: one client for each key, on the plan of the bench. */
export function clientsText(keys: readonly BenchKey[], note = ''): string {
  const clients: Clients['clients'] = {}
  for (const { client, id, secret } of keys) {
    const sha256 = createHash('sha256').update(secret).digest('hex')
    clients[client] = {
      plan: 'standard',
      ...(note === '' ? {} : { note }),
      keys: [{ id, sha256, created: '2026-01-01T00:00:00Z' }],
    }
  }
  return formatClients({ version: 1, clients })
}

/** The policy that makes a kind of gate. Its limits are never reached. */
export function policyOf(kind: Kind): Policy {
  const models = ['bench-*', 'other-model']
  if (kind === 'body') return { version: 1, plans: { standard: { models } } }
  if (kind !== 'all') return { version: 1, metering: 'off', plans: { standard: {} } }
  const limits = { requestsPerMinute: 1e8, tokensPerMinute: 1e11, concurrency: 10_000 }
  const budgets = { tokensPerDay: 1e13, costPerMonth: 1e6 }
  const request = { maxOutputTokens: 8192, n: 4 }
  return {
    version: 1,
    plans: { standard: { models, limits, budgets, request } },
    prices: { 'bench-*': { input: 0.15, output: 0.6 } },
    metering: 'exact',
  }
}

/** The map of the recipe: what the Authorization header may be, and who that is. */
export function mapText(keys: readonly BenchKey[]): string {
  return keys.map(({ client, secret }) => `"Bearer ${secret}" "${client}";\n`).join('')
}

/** Writes the keys for a client of a load, one a line, unless they are there already. */
export async function writeKeys(folder: string, keys: readonly BenchKey[]): Promise<string> {
  const file = join(folder, `keys-${keys.length}`)
  if (existsSync(file)) return file
  await writeFile(file, keys.map(({ secret }) => `${secret}\n`).join(''))
  return file
}
