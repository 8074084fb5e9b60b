import type { Client, Policy, Problem } from '../../core/config/shapes.ts'
import { NANOS } from '../../core/limits/cost.ts'
import type { RunningReply } from '../../core/running.ts'
import { Refused } from '../output.ts'
import type { Inspection } from '../store/documents.ts'
import type { FileProblem } from '../store/source.ts'
import type { FoundKey, Known, Status } from '../store/store.ts'
import { ProblemReply } from './http.ts'
import { locate, nameOf } from './problems.ts'
import { clientOf, policyOf, type RemoteClient, type RemoteKey } from './shapes.ts'
import { orNull, pathOf, readAll, type Wire } from './wire.ts'

/** A request as GET /running tells it: with times and costs in the form of the whole API. */
type RemoteRequest = Omit<RunningReply['requests'][number], 'atMs'> & { startedAt: string }

export async function readPolicy(wire: Wire): Promise<Policy> {
  return policyOf((await wire.get<Policy>('/policy')).body)
}

export async function readClient(
  wire: Wire,
  name: string,
): Promise<{ client: Client; etag: string }> {
  const { body, etag } = await wire.get<RemoteClient>(pathOf('clients', name))
  return { client: clientOf(body), etag }
}

export async function load(wire: Wire): Promise<Known> {
  const policy = await readPolicy(wire)
  const all = await readAll<RemoteClient>(wire, '/clients', 'clients')
  const clients = Object.fromEntries(all.map((one) => [one.name, clientOf(one)]))
  return { clients: { version: 1, clients }, policy }
}

export async function findKey(wire: Wire, id: string): Promise<FoundKey> {
  const { body } = await wire.get<RemoteKey & { client: string }>(pathOf('keys', id))
  const { client } = await readClient(wire, body.client)
  const key = client.keys.find((one) => one.id === body.id)
  if (key) return { name: body.client, client, key }
  throw new Refused(`Key ${id} has just been removed`)
}

export async function findKeyByHash(wire: Wire, sha256: string): Promise<FoundKey | null> {
  const found = await wire
    .post<{ id: string }>('/keys/verify', { sha256 })
    .catch(orNull('unknown-key'))
  return found === null ? null : findKey(wire, found.id)
}

/** What is wrong with the files as the gate has seen them, and with the policy by the rules of now. */
export async function inspect(wire: Wire): Promise<Inspection> {
  const { body: status } = await wire.get<Status>('/status')
  if (status.problems.length > 0) return broken(status.problems.map(locate))
  try {
    const { body: policy } = await wire.get<Policy>('/policy')
    const checked = await wire.post<{ problems: Problem[] }>('/policy/validate', policy)
    if (checked.problems.length > 0) return broken(checked.problems.map(locate))
    return { ...(await load(wire)), problems: [], missing: [] }
  } catch (error) {
    if (error instanceof ProblemReply && nameOf(error.problem) === 'broken-configuration') {
      return broken(error.problems)
    }
    throw error
  }
}

/** What is broken is not looked into. */
function broken(problems: FileProblem[]): Inspection {
  return { clients: { version: 1, clients: {} }, policy: { version: 1 }, problems, missing: [] }
}

export async function running(wire: Wire): Promise<RunningReply> {
  const { body } = await wire.get<Omit<RunningReply, 'requests'> & { requests: RemoteRequest[] }>(
    '/running',
  )
  const requests = body.requests.map(({ startedAt, ...request }) => ({
    ...request,
    ...(request.heldCost === undefined ? {} : { heldCost: Math.round(request.heldCost * NANOS) }),
    atMs: Date.parse(startedAt),
  }))
  return { ...body, requests }
}
