import { refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { clientOf, refuseClient } from '../../core/config/edits.ts'
import type { Client, Policy } from '../../core/config/shapes.ts'
import { type ClientBalance, collectLimited, describeBalance } from '../../core/limits/standing.ts'
import { takenOf } from '../../core/limits/taken.ts'
import { readPolicy, readSome } from '../config/store.ts'
import { idOf } from '../config/subject.ts'
import { openZones } from '../gate/registry.ts'
import { giveWay } from '../giveway.ts'
import { collectUsed } from '../ledger/used.ts'
import { findPage } from './clients.ts'

/** Clients that are described in one go, some milliseconds. */
const SLICE_CLIENTS = 100

type Named = { name: string; client: Client }

/** GET /clients/{name}/balance. */
export async function getBalance(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const found = await readSome(call.places.dir, { name, keys: [] })
  if ('status' in found) return found
  const client = clientOf(found.clients, name)
  if (!client) return refusal(refuseClient(found.clients, name), 'unknown-client')
  const balances = await describeAll(call, [{ name, client }], found.policy)
  return { status: 200, body: balances[0] }
}

/** GET /balances. */
export async function listBalances(call: Call): Promise<Reply> {
  const policy = readPolicy(call.places.dir)
  if ('status' in policy) return policy
  const page = await findPage(call)
  if ('status' in page) return page
  const balances = await describeAll(call, page.clients, policy)
  return { status: 200, body: { balances, next: page.next } }
}

async function describeAll(call: Call, clients: Named[], policy: Policy): Promise<ClientBalance[]> {
  const nowMs = call.nowMs
  const limited = clients.map((one) => collectLimited(one.name, one.client, policy))
  const names: string[] = []
  limited.forEach((some) => {
    some.forEach((one) => {
      names.push(one.id)
    })
  })
  const used = await collectUsed(names, call.places.ledger, nowMs)
  const zones = openZones()
  const counts = {
    used: (id: string) => used.subjects[id],
    taken: (id: string) => takenOf(zones, idOf(id), nowMs),
  }
  const balances: ClientBalance[] = []
  for (let i = 0; i < clients.length; i++) {
    const one = clients[i] as Named
    const some = limited[i] || []
    const notices = used.notices
    const zone = used.zoneMinutes
    balances.push(describeBalance(one.name, one.client, policy, some, counts, notices, nowMs, zone))
    if (i % SLICE_CLIENTS === SLICE_CLIENTS - 1) await giveWay()
  }
  return balances
}
