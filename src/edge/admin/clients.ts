import { describeChange } from '../../core/admin/change.ts'
import { patchClient, setClient } from '../../core/admin/clients.ts'
import { checkCondition } from '../../core/admin/etag.ts'
import { readPageQuery } from '../../core/admin/pages.ts'
import { showClient, showWhole } from '../../core/admin/present.ts'
import { problem } from '../../core/admin/problems.ts'
import { conditionOf, invalid, isName, refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { clientOf, type Refused, refuseClient, removeClient } from '../../core/config/edits.ts'
import { replace } from '../../core/config/replace.ts'
import type { Client, Clients, Policy } from '../../core/config/shapes.ts'
import { closeBook } from '../config/book.ts'
import { brokenReply } from '../config/sound.ts'
import { editClients, openClients, readSome } from '../config/store.ts'
import { etagOf } from './hash.ts'
import { type Page, readPage } from './pages.ts'

type Edit = (
  clients: Clients,
  policy: Policy,
) => { document: Clients; client: Client } | Refused | Reply

/** GET /clients. */
export async function listClients(call: Call): Promise<Reply> {
  const page = await findPage(call)
  if ('status' in page) return page
  const clients = page.clients.map((one) => showClient(one.name, one.client, call.nowMs))
  return { status: 200, body: { clients, next: page.next } }
}

/** The clients that a page is to show, by the query. */
export async function findPage(call: Call): Promise<Page | Reply> {
  const query = readPageQuery(call)
  if ('status' in query) return query
  const book = openClients(call.places.dir)
  if ('status' in book) return book
  try {
    const page = await readPage(book, query)
    return page || problem('bad-parameter', `after: there is no client "${query.after}" any more`)
  } catch (error) {
    return brokenReply([{ path: 'clients.json', message: (error as Error).message }])
  } finally {
    closeBook(book)
  }
}

/** GET /clients/{name}. */
export async function getClient(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const found = await readSome(call.places.dir, { name, keys: [] })
  if ('status' in found) return found
  const client = clientOf(found.clients, name)
  if (!client) return refusal(refuseClient(found.clients, name), 'unknown-client')
  return tagged(200, client, showWhole(name, client, found.policy, call.nowMs))
}

/** PUT /clients/{name}. */
export function putClient(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  if (!isName(name)) {
    const message = 'Must be 1 to 128 letters, digits and . _ @ : + -, a letter or digit first'
    return Promise.resolve(invalid([{ path: 'name', message }]))
  }
  return change(call, name, (clients, policy) => {
    const body = call.body === undefined ? {} : call.body
    return setClient(clients, policy, name, body)
  })
}

/** PATCH /clients/{name}. */
export function changeClient(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  return change(call, name, (clients, policy) => {
    if (!clientOf(clients, name)) return refuseClient(clients, name)
    return patchClient(clients, policy, name, call.body === undefined ? {} : call.body)
  })
}

/** DELETE /clients/{name}. */
export async function deleteClient(call: Call): Promise<Reply> {
  const name = call.params['name'] as string
  const result = await editClients(call.places.dir, { name, keys: [] }, (clients) => {
    const found = clientOf(clients, name)
    const refused = found ? checkCondition(conditionOf(call), etagOf(found)) : null
    return refused || removeClient(clients, name)
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-client')
  return { status: 204, audit: describeChange('client.remove', name, result.client, null) }
}

/** What an edit was based on goes along with its result: see editClients(). */
async function change(call: Call, name: string, edit: Edit): Promise<Reply> {
  const result = await editClients(call.places.dir, { name, keys: [] }, (clients, policy) => {
    const before = clientOf(clients, name) || null
    const isChecked = before || call.method === 'PUT'
    const refused = isChecked ? checkCondition(conditionOf(call), before && etagOf(before)) : null
    const edited = refused || edit(clients, policy)
    return 'document' in edited ? replace(edited, { before, policy }) : edited
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-client')
  const client = result.client
  const shown = showWhole(name, client, result.policy, call.nowMs)
  const reply = tagged(result.before ? 200 : 201, client, shown)
  const action = result.before ? 'client.change' : 'client.create'
  return Object.assign(reply, { audit: describeChange(action, name, result.before, client) })
}

/** An answer with the ETag of what stands in the file. */
export function tagged(status: number, stored: unknown, body: unknown): Reply {
  return { status, body, headers: { ETag: etagOf(stored) } }
}
