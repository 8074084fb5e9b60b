import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Alert } from '../../core/admin/status.ts'
import {
  addKey,
  clientOf,
  findKey,
  findKeyByHash,
  refuseClient,
  removeClient,
  revokeKey,
  rotateKeys,
} from '../../core/config/edits.ts'
import {
  endImport,
  type Imported,
  type ImportedKey,
  importKeys,
  refusePlan,
} from '../../core/config/imports.ts'
import { askGate } from '../ledger/ask.ts'
import { findPlace, type Place } from '../ledger/place.ts'
import { sumUp } from '../ledger/report.ts'
import { readStanding } from '../ledger/standing.ts'
import { tailFile } from '../ledger/tail.ts'
import { Refused } from '../output.ts'
import { readStateIn } from '../serve/foreground.ts'
import type { Folder } from './dirs.ts'
import { editClients, editPlan, inspect, load, readZone, rewriteClients } from './documents.ts'
import type { ImportOrder, Status, Store } from './store.ts'

/** The gate whose files are on this machine. `isNamed`: the folder has to be there. */
export function openFiles(folder: Folder, isNamed: boolean, nowMs: number): Store {
  const { dir } = folder
  return {
    place: dir,
    isThere: async () => isNamed || (await stat(dir).catch(() => null)) !== null,
    load: () => load(dir),
    async loadClient(name) {
      const { clients } = await load(dir)
      const client = clientOf(clients, name)
      if (!client) throw new Refused(refuseClient(clients, name).refused)
      return client
    },
    async findKey(id) {
      const found = findKey((await load(dir)).clients, id)
      if (found) return found
      throw new Refused(`No key has the id "${id.slice(0, 20)}"; see: tollgate key list`)
    },
    findKeyByHash: async (sha256) => findKeyByHash((await load(dir)).clients, sha256),
    inspect: () => inspect(dir),
    rewrite: () => rewriteClients(dir),
    addKey: (request, plan) =>
      editClients(dir, (clients, policy) => addKey(clients, policy, request, plan)),
    rotateKeys: (request, graceMs) =>
      editClients(dir, (clients, policy) => rotateKeys(clients, policy, request, graceMs)),
    importKeys: (keys, order) => importInto(dir, keys, order, nowMs),
    revokeKey: (id, atMs) => editClients(dir, (clients) => revokeKey(clients, id, atMs)),
    editClient: (_name, edit) =>
      editClients(dir, (clients, policy) => {
        const result = edit(clients, policy)
        return 'refused' in result ? result : { ...result, policy }
      }),
    removeClient: async (name) =>
      (await editClients(dir, (clients) => removeClient(clients, name))).client,
    editPlan: (name, edit) => editPlan(dir, name, edit),
    async balance(name, ledger) {
      const { clients, policy } = await load(dir)
      const client = clientOf(clients, name)
      if (!client) throw new Refused(refuseClient(clients, name).refused)
      return readStanding(findPlace(folder, ledger), name, client, policy, nowMs)
    },
    zoneMinutes: () => readZone(dir),
    async usage({ ledger: named, ...wanted }) {
      const { ledger } = findPlace(folder, named)
      return { ledger, period: wanted.period, ...(await sumUp(ledger, wanted)) }
    },
    running: (ledger) => askGate(findPlace(folder, ledger), []),
    tail: ({ ledger, ...question }, listener, ending) =>
      tailFile(findPlace(folder, ledger).ledger, question, listener, ending),
    status: () => readStatus(findPlace(folder, undefined)),
  }
}

async function importInto(
  dir: string,
  keys: ImportedKey[],
  { plan, note, ...mode }: ImportOrder,
  nowMs: number,
): Promise<Imported> {
  const { imported } = await editClients(dir, (clients, policy) => {
    const refused = refusePlan(policy, plan)
    if (refused) return refused
    return endImport(clients, importKeys(clients, policy, keys, { nowMs, plan, note }), mode)
  })
  return imported
}

/** What the housekeeping has written last, and whether there is still one that answers. */
async function readStatus(place: Place): Promise<Status> {
  const folder = dirname(place.balance)
  const state = await readStateIn(folder)
  if (state === null) {
    throw new Refused(`No gate has written its state into ${folder} yet: is nginx running?`)
  }
  const reply = await askGate(place, [])
  if (!('problem' in reply)) return state
  const alert: Alert = reply.isSilent
    ? {
        severity: 'error',
        code: 'no_answer',
        message: 'No nginx with Tollgate answers',
        fix: 'Start it, or look into its error log',
      }
    : {
        severity: 'warning',
        code: 'not_asked',
        message: 'It is not known whether nginx runs',
        fix: reply.problem,
      }
  return { ...state, alerts: [alert] }
}
