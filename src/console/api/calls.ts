import { mergePatch } from '../../core/admin/patch.ts'
import type { Budgets, Grant, Limits, Problem } from '../../core/config/shapes.ts'
import { call, type Fetched, withQuery } from './http.ts'
import type {
  AuditEntry,
  Balance,
  Client,
  ClientDetail,
  ClientFields,
  Key,
  Me,
  NewKey,
  Plan,
  PolicyDocument,
  RunningList,
  Status,
  Usage,
} from './types.ts'

/** A JSON merge patch (RFC 7396): null takes a field away. */
export type MergePatch = { [name: string]: unknown }

type Page = { q?: string | undefined; after?: string | undefined; limit?: number }

export async function getMe(trial: string): Promise<Me> {
  return (await call<Me>('/me', { token: trial })).body
}

export async function getStatus(signal?: AbortSignal): Promise<Status> {
  return (await call<Status>('/status', signal ? { signal } : {})).body
}

export async function getRunning(signal: AbortSignal): Promise<RunningList> {
  return (await call<RunningList>('/running', { signal })).body
}

export async function cutRequest(id: string): Promise<void> {
  await call(`/requests/${encodeURIComponent(id)}/cut`, once())
}

export async function listClients(page: Page, signal: AbortSignal) {
  const path = withQuery('/clients', { ...page, limit: page.limit?.toString() })
  return (await call<{ clients: Client[]; next: string | null }>(path, { signal })).body
}

export async function listBalances(page: Page, signal: AbortSignal) {
  const path = withQuery('/balances', { ...page, limit: page.limit?.toString() })
  return (await call<{ balances: Balance[]; next: string | null }>(path, { signal })).body
}

export function getClient(name: string, signal?: AbortSignal): Promise<Fetched<ClientDetail>> {
  return call<ClientDetail>(pathOf(name), signal ? { signal } : {})
}

export async function getBalance(name: string, signal: AbortSignal): Promise<Balance> {
  return (await call<Balance>(`${pathOf(name)}/balance`, { signal })).body
}

export async function createClient(name: string, fields: ClientFields): Promise<void> {
  const headers = { 'if-none-match': '*' }
  await call(pathOf(name), { method: 'PUT', headers, body: fields })
}

export async function patchClient(name: string, etag: string, patch: MergePatch): Promise<void> {
  const headers = { 'if-match': etag, 'content-type': 'application/merge-patch+json' }
  await call(pathOf(name), { method: 'PATCH', headers, body: patch })
}

export async function removeClient(name: string, etag: string): Promise<void> {
  await call(pathOf(name), { method: 'DELETE', headers: { 'if-match': etag } })
}

export type RotatedKeyFields = { expires?: string; note?: string }
export type NewKeyFields = RotatedKeyFields & { limits?: Limits; budgets?: Budgets }

export async function createKey(client: string, fields: NewKeyFields): Promise<NewKey> {
  return (await call<NewKey>(`${pathOf(client)}/keys`, once(fields))).body
}

export async function rotateKeys(
  client: string,
  fields: RotatedKeyFields & { graceSeconds: number },
): Promise<NewKey> {
  return (await call<NewKey>(`${pathOf(client)}/keys/rotate`, once(fields))).body
}

export async function revokeKey(id: string): Promise<Key> {
  return (await call<Key>(`/keys/${encodeURIComponent(id)}/revoke`, once())).body
}

export async function listPlans(signal: AbortSignal): Promise<Plan[]> {
  return (await call<{ plans: Plan[] }>('/plans', { signal })).body.plans
}

export function getPlan(name: string, signal?: AbortSignal): Promise<Fetched<Plan>> {
  return call<Plan>(planPath(name), signal ? { signal } : {})
}

export async function createPlan(name: string, fields: Grant): Promise<void> {
  const headers = { 'if-none-match': '*' }
  await call(planPath(name), { method: 'PUT', headers, body: fields })
}

/** The API has no PATCH of plans: the patch is made here, onto what it was based on. */
export async function patchPlan(base: Fetched<Plan>, patch: MergePatch): Promise<void> {
  const { name, clients: _, ...fields } = base.body
  const headers = { 'if-match': base.etag }
  await call(planPath(name), { method: 'PUT', headers, body: mergePatch(fields, patch) })
}

export async function removePlan(name: string, etag: string): Promise<void> {
  await call(planPath(name), { method: 'DELETE', headers: { 'if-match': etag } })
}

export function getPolicy(signal?: AbortSignal): Promise<Fetched<PolicyDocument>> {
  return call<PolicyDocument>('/policy', signal ? { signal } : {})
}

export async function validatePolicy(document: unknown): Promise<Problem[]> {
  const options = { method: 'POST', body: document } as const
  return (await call<{ problems: Problem[] }>('/policy/validate', options)).body.problems
}

export async function putPolicy(document: unknown, etag: string): Promise<void> {
  await call('/policy', { method: 'PUT', headers: { 'if-match': etag }, body: document })
}

export async function getUsage(
  query: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<Usage> {
  return (await call<Usage>(withQuery('/usage', query), { signal })).body
}

export async function listAudit(limit: number, signal: AbortSignal): Promise<AuditEntry[]> {
  const path = withQuery('/audit', { limit: String(limit) })
  return (await call<{ entries: AuditEntry[] }>(path, { signal })).body.entries
}

function pathOf(client: string): string {
  return `/clients/${encodeURIComponent(client)}`
}

function planPath(name: string): string {
  return `/plans/${encodeURIComponent(name)}`
}

/** A POST that takes effect once, also when the browser sends it again. */
function once(body: unknown = {}) {
  return { method: 'POST', body, headers: { 'idempotency-key': newId() } } as const
}

/** Not crypto.randomUUID(): that is missing where the page came over http from another host. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
