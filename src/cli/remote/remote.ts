import { zoneOf } from '../../core/config/resolve.ts'
import type { ClientBalance } from '../../core/limits/standing.ts'
import { Misused } from '../output.ts'
import type { Status, Store } from '../store/store.ts'
import * as reading from './reading.ts'
import { tailApi } from './tail.ts'
import type { AdminTarget } from './target.ts'
import { readUsage } from './usage.ts'
import { connect, pathOf } from './wire.ts'
import * as writing from './writing.ts'

/** The gate behind an admin API. */
export function openRemote(target: AdminTarget): Store {
  const wire = connect(target)
  return {
    place: target.url,
    isThere: async () => true,
    load: () => reading.load(wire),
    loadClient: async (name) => (await reading.readClient(wire, name)).client,
    findKey: (id) => reading.findKey(wire, id),
    findKeyByHash: (sha256) => reading.findKeyByHash(wire, sha256),
    inspect: () => reading.inspect(wire),
    async rewrite() {
      throw new Misused('--write is for the files of this machine: the admin API writes so anyway')
    },
    addKey: (request, plan) => writing.addKey(wire, request, plan),
    rotateKeys: (request, graceMs) => writing.rotateKeys(wire, request, graceMs),
    importKeys: (keys, order) => writing.importKeys(wire, keys, order),
    revokeKey: (id) => writing.revokeKey(wire, id),
    editClient: (name, edit) => writing.editClient(wire, name, edit),
    removeClient: (name) => writing.removeClient(wire, name),
    editPlan: (name, edit) => writing.editPlan(wire, name, edit),
    async balance(name, ledger) {
      refuseLedger(ledger)
      return (await wire.get<ClientBalance>(pathOf('clients', name, 'balance'))).body
    },
    zoneMinutes: async () => zoneOf(await reading.readPolicy(wire)),
    async usage({ ledger, ...question }) {
      refuseLedger(ledger)
      return readUsage(wire, question)
    },
    async running(ledger) {
      refuseLedger(ledger)
      return reading.running(wire)
    },
    async tail({ ledger, ...question }, listener, ending) {
      refuseLedger(ledger)
      return tailApi(wire, question, listener, ending)
    },
    status: async () => (await wire.get<Status>('/status')).body,
  }
}

function refuseLedger(ledger: string | undefined): void {
  if (ledger === undefined) return
  throw new Misused('--ledger names a file of this machine: choose one of it and --admin')
}
