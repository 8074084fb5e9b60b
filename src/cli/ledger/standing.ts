import { zoneOf } from '../../core/config/resolve.ts'
import type { Client, Policy } from '../../core/config/shapes.ts'
import { addBalance, type Balance, emptyBalance, todayOf } from '../../core/ledger/fold.ts'
import { type ClientBalance, collectLimited, describeBalance } from '../../core/limits/standing.ts'
import { formatZone } from '../../core/time.ts'
import { askGate } from './ask.ts'
import { readBalance } from './balancefile.ts'
import { listLedger } from './files.ts'
import type { Place } from './place.ts'
import { showProgress } from './progress.ts'
import { type Counted, createFold, findCounted, readCounted } from './sums.ts'

/** How a client stands, by the ledger and by what the running nginx says. */
export async function readStanding(
  place: Place,
  name: string,
  client: Client,
  policy: Policy,
  nowMs: number,
): Promise<ClientBalance> {
  const limited = collectLimited(name, client, policy)
  const ids = limited.map(({ id }) => id)
  const zoneMinutes = zoneOf(policy)
  const { used, notices } = await readUsed(place, ids, nowMs, zoneMinutes)
  const reply = await askGate(place, ids)
  if ('problem' in reply) notices.push(`What is reserved is not shown: ${reply.problem}`)
  const taken = 'problem' in reply ? {} : reply.subjects
  const counts = { used: (id: string) => used.get(id), taken: (id: string) => taken[id] }
  return describeBalance(name, client, policy, limited, counts, notices, nowMs, zoneMinutes)
}

/** What these subjects have used, from balance.json and all lines that are not in it yet. */
async function readUsed(place: Place, ids: string[], nowMs: number, zoneMinutes: number) {
  const notices: string[] = []
  const used = new Map<string, Balance>()
  const kept = await readBalance(place.balance)
  const files = await listLedger(place.ledger)
  let counted: Counted[] = files.map((file) => ({ file, head: null, to: 0 }))
  if (kept === null) notices.push(`There is no ${place.balance} yet: all of the ledger was read`)
  else if ('broken' in kept) notices.push(`${kept.broken}: all of the ledger was read`)
  else if ((kept.zoneMinutes ?? 0) !== zoneMinutes) {
    const zone = formatZone(kept.zoneMinutes ?? 0)
    notices.push(
      `${place.balance} has days of the time zone ${zone} yet: all of the ledger was read`,
    )
  } else {
    const found = await findCounted(files, kept)
    if (found === null) notices.push(`${place.balance} is of another ledger: all of this was read`)
    else {
      counted = found
      for (const id of ids) {
        const sums = kept.subjects[id]
        if (sums) used.set(id, sums)
      }
    }
  }
  const fold = createFold(nowMs, zoneMinutes)
  const progress = showProgress(restBytes(counted))
  await readCounted(counted, 'out', fold.add, progress)
  progress.end()
  const { subjects } = fold.end()
  for (const id of ids) {
    const more = subjects.get(id)
    if (!more) continue
    const sums = used.get(id) ?? emptyBalance()
    addBalance(sums, more, todayOf(nowMs, zoneMinutes))
    used.set(id, sums)
  }
  return { used, notices }
}

function restBytes(counted: Counted[]): number {
  return counted.reduce((sum, { file, to }) => sum + Math.max(0, file.bytes - to), 0)
}
