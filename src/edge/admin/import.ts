import { describeChange, TOO_LARGE } from '../../core/admin/change.ts'
import { endReading, type ImportBody, readKeys, startReading } from '../../core/admin/importbody.ts'
import { invalid, refusal } from '../../core/admin/replies.ts'
import type { Call, Change, Reply } from '../../core/admin/types.ts'
import type { Refused } from '../../core/config/edits.ts'
import {
  endImport,
  type Imported,
  importMore,
  refusePlan,
  startImport,
} from '../../core/config/imports.ts'
import { replace } from '../../core/config/replace.ts'
import type { Clients, Policy } from '../../core/config/shapes.ts'
import type { Many } from '../config/many.ts'
import { editClients } from '../config/store.ts'
import { giveWay } from '../giveway.ts'

type Result = { document: Clients; imported: Imported }

/** Keys that are read, or added, in one go, some milliseconds: a body of 1 MB has up to 10,000. */
const SLICE_KEYS = 200

/** POST /import: many keys at once, that somebody has read out of a map file and hashed. */
export async function importAll(call: Call): Promise<Reply> {
  const body = await readImport(call.body)
  if (Array.isArray(body)) return invalid(body)
  const result = await editClients(call.places.dir, wantedOf(body), (clients, policy) =>
    addAll(clients, policy, body, call.nowMs),
  )
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-plan')
  const reply: Reply = { status: 200, body: result.imported }
  return result.imported.changed
    ? Object.assign(reply, { audit: auditOf(body, result.imported) })
    : reply
}

async function readImport(given: unknown): Promise<ReturnType<typeof endReading>> {
  const reading = startReading(given)
  while (reading.keys.length < reading.given.length) {
    readKeys(reading, SLICE_KEYS)
    await giveWay()
  }
  return endReading(reading)
}

async function addAll(
  clients: Clients,
  policy: Policy,
  body: ImportBody,
  nowMs: number,
): Promise<Result | Refused> {
  const refused = refusePlan(policy, body.plan)
  if (refused) return refused
  const state = startImport(clients, policy, { nowMs, plan: body.plan, note: body.note })
  for (let i = 0; i < body.keys.length; i += SLICE_KEYS) {
    importMore(state, body.keys.slice(i, i + SLICE_KEYS))
    await giveWay()
  }
  return endImport(clients, state, body)
}

function wantedOf(body: ImportBody): Many {
  const keys: string[] = []
  body.keys.forEach((key) => {
    keys.push(key.id, key.sha256)
  })
  return { names: body.keys.map((key) => key.identity), keys }
}

/** Of very many keys the log tells how many: which ones is in the file that the note names. */
function auditOf(body: ImportBody, imported: Imported): Change {
  const after: { [name: string]: unknown } = { keys: imported.added.length }
  if (body.plan !== undefined) after['plan'] = body.plan
  if (body.note !== '') after['note'] = body.note
  const added = imported.added.map((one) => ({ client: one.client, id: one.id }))
  const change = describe(replace(after, { added }))
  return change.after === TOO_LARGE ? describe(after) : change
}

function describe(after: object): Change {
  return describeChange('key.import', 'clients.json', null, after)
}
