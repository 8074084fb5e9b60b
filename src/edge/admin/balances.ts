import { refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import {
  BIRTH_COUNTER,
  type CounterKind,
  counterName,
  dayOf,
  monthOf,
} from '../../core/counters.ts'
import { clientOf, refuseClient } from '../../core/edits.ts'
import type { Balance, Sums } from '../../core/fold.ts'
import type { Client, Policy } from '../../core/shapes.ts'
import { type ClientBalance, collectLimited, describeBalance } from '../../core/standing.ts'
import { takenOf } from '../ask.ts'
import { countersZone, openZones } from '../registry.ts'
import { readCursor, readSums } from '../sums.ts'
import { idOf } from '../topup.ts'
import { findPage } from './clients.ts'
import { readPolicy, readSome } from './store.ts'

/** From here on the sums are behind by more than a moment. */
const BEHIND_BYTES_TOLD = 1048576

/** GET /clients/{name}/balance. */
export async function getBalance(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const found = await readSome(call.places.dir, { name, keys: [] })
  if ('status' in found) return found
  const client = clientOf(found.clients, name)
  if (!client) return refusal(refuseClient(found.clients, name), 'unknown-client')
  return { status: 200, body: balanceOf(name, client, found.policy, call.nowMs) }
}

/** GET /balances. */
export async function listBalances(call: Call): Promise<Reply> {
  const policy = readPolicy(call.places.dir)
  if ('status' in policy) return policy
  const page = await findPage(call)
  if ('status' in page) return page
  const balances = page.clients.map((one) => balanceOf(one.name, one.client, policy, call.nowMs))
  return { status: 200, body: { balances, next: page.next } }
}

function balanceOf(name: string, client: Client, policy: Policy, nowMs: number): ClientBalance {
  const zones = openZones()
  const limited = collectLimited(name, client, policy)
  const figures = {
    used: (id: string) => usedBy(id, nowMs),
    taken: (id: string) => takenOf(zones, idOf(id), nowMs),
  }
  return describeBalance(name, client, policy, limited, figures, listNotices(), nowMs)
}

/**
 * What a subject has used: the sums of the housekeeping, half a second old at most, or what the gate has
 * counted since, which it does for those with budgets.
 */
function usedBy(id: string, nowMs: number): Balance {
  const sums = readSums(id) || { all: [0, 0, 0], days: {}, months: {} }
  const subject = idOf(id)
  const day = dayOf(nowMs)
  const month = monthOf(nowMs)
  return {
    all: sums.all,
    days: { [day]: larger(sums.days[day], 'd', 'D', subject, day) },
    months: { [month]: larger(sums.months[month], 'm', 'M', subject, month) },
  }
}

function larger(
  sums: Sums | undefined,
  tokens: CounterKind,
  cost: CounterKind,
  subject: string,
  window: number,
): Sums {
  const counters = countersZone()
  const known = sums || [0, 0, 0]
  return [
    Math.max(known[0], counters.get(counterName(tokens, subject, window)) || 0),
    Math.max(known[1], counters.get(counterName(cost, subject, window)) || 0),
    known[2],
  ]
}

function listNotices(): string[] {
  if (!countersZone().has(BIRTH_COUNTER)) return ['The ledger is being added up: wait a moment']
  const cursor = readCursor()
  if (!cursor) return ['The sums over the ledger are not there yet']
  const notices: string[] = []
  if (cursor.isPartial) notices.push('tollgate_balance is full: the sums of some are not known')
  if (cursor.readProblem !== null) notices.push(cursor.readProblem)
  else if (cursor.behindBytes > BEHIND_BYTES_TOLD) {
    notices.push(`${cursor.behindBytes} bytes of the ledger are not added up yet`)
  }
  return notices
}
