import type { Command } from 'commander'
import { type Refused as EditRefused, keyState, setDisabled } from '../../core/config/edits.ts'
import { findLostGroup } from '../../core/config/notices.ts'
import { findUnpriced } from '../../core/config/prices.ts'
import type { Client } from '../../core/config/shapes.ts'
import { contextOf } from '../context.ts'
import { type Assignment, parseAssignment, setClientFields } from '../edits/fields.ts'
import { count, formatTable, print, Refused, remark } from '../output.ts'
import { describeKey } from './key.ts'

/** Registers `tollgate client …`. */
export function registerClient(program: Command): void {
  const client = program.command('client').description('list, show, change and remove clients')
  client.command('list').description('list all clients').action(listClients)
  client.command('show <client>').description('show a client and its keys').action(showClient)
  client
    .command('set <client> <assignments...>')
    .usage('<client> FIELD=VALUE...')
    .description('set fields of a client; an empty value takes a field away')
    .addHelpText('after', SET_HELP)
    .action(setFields)
  client
    .command('disable <client>')
    .description('refuse all keys of a client until it is enabled again')
    .action((name, _options, command) => changeDisabled(name, true, command))
  client
    .command('enable <client>')
    .description('take the keys of a disabled client again')
    .action((name, _options, command) => changeDisabled(name, false, command))
  client
    .command('remove <client>')
    .description('take a client and its keys out of the file; logs then call its keys unknown')
    .action(remove)
}

/** How fields are written, for clients and plans alike. */
export const SET_HELP = `
FIELD is a dotted path into the record. VALUE is JSON or plain text; lists may be written a,b,c.
  plan=gold  disabled=true  scopes=inference,models  addresses=10.0.0.0/8,2001:db8::/32
  limits.requestsPerMinute=50  note="on call: Kim"  limits.requestsPerMinute=  (takes it away)`

/** Reads FIELD=VALUE arguments, and refuses them all when one is wrong. */
export function readAssignments(texts: string[], of: 'client' | 'plan'): Assignment[] {
  return texts.map((text) => {
    const assignment: Assignment | EditRefused = parseAssignment(text, of)
    if ('refused' in assignment) throw new Refused(assignment.refused)
    return assignment
  })
}

async function setFields(
  name: string,
  texts: string[],
  _options: object,
  command: Command,
): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const assignments = readAssignments(texts, 'client')
  const { client, policy } = await store.editClient(name, (clients, policy) =>
    setClientFields(clients, policy, name, assignments),
  )
  const assigned = { keys: [], ...pickAssigned(client, assignments) }
  const set = { version: 1 as const, clients: { [name]: assigned } }
  const notices = findLostGroup(set, policy)
  if (changesPrices(assignments)) {
    const plan = client.plan ?? ''
    const plans = { [plan]: policy.plans?.[plan] ?? {} }
    const whole = { version: 1 as const, clients: { [name]: client } }
    notices.unshift(...findUnpriced(whole, { ...policy, plans }))
  }
  for (const notice of notices) remark(isJson, `${notice.path}: ${notice.message}`)
  const result = { client: name, ...describeClient(client, nowMs), notices }
  print(isJson, result, `Changed client "${name}".`)
}

/** Whether it may be news that models have no price: whose budgets hold, or what may be used, was just set. */
export function changesPrices(assignments: Assignment[]): boolean {
  return assignments.some(({ path }) => /^(budgets|models|scopes|plan|group)\b/.test(path))
}

/** The fields that were just set: notices are about these, an old field is no news. */
export function pickAssigned(record: object, assignments: Assignment[]): object {
  const roots = assignments.map((assignment) => assignment.path.split('.')[0])
  return Object.fromEntries(Object.entries(record).filter(([name]) => roots.includes(name)))
}

async function showClient(name: string, _options: object, command: Command): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const client = await store.loadClient(name)
  const shown = { client: name, ...describeClient(client, nowMs) }
  const { keys, ...fields } = shown
  const rows = Object.entries(fields).map(([field, value]) => [
    field,
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
  const keyRows = keys.map((key) => [key.id, key.state, key.created, key.expires ?? '-', key.note])
  const table = formatTable(['KEY', 'STATE', 'CREATED', 'EXPIRES', 'NOTE'], keyRows)
  print(isJson, shown, `${formatTable([], rows)}\n\n${keys.length > 0 ? table : 'No keys'}`)
}

async function listClients(_options: object, command: Command): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const loaded = await store.load()
  const clients = Object.entries(loaded.clients.clients).map(([name, client]) => ({
    client: name,
    plan: client.plan ?? null,
    group: client.group ?? null,
    disabled: client.disabled === true,
    keys: client.keys.length,
    liveKeys: client.keys.filter((key) => keyState(client, key, nowMs) === 'live').length,
    note: client.note ?? '',
  }))
  const rows = clients.map((one) => [
    one.client,
    one.plan ?? '-',
    one.disabled ? 'disabled' : 'enabled',
    `${one.liveKeys}/${one.keys}`,
    one.note,
  ])
  const table = formatTable(['CLIENT', 'PLAN', 'STATE', 'LIVE KEYS', 'NOTE'], rows)
  print(isJson, { clients }, rows.length > 0 ? table : 'No clients yet: tollgate key create CLIENT')
}

async function changeDisabled(name: string, isDisabled: boolean, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  await store.editClient(name, (clients) => setDisabled(clients, name, isDisabled))
  print(
    isJson,
    { client: name, disabled: isDisabled },
    isDisabled
      ? `Disabled client "${name}"; nginx refuses its keys within a second.`
      : `Enabled client "${name}".`,
  )
}

async function remove(name: string, _options: object, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  const client = await store.removeClient(name)
  const keys = client.keys.length
  print(
    isJson,
    { client: name, removedKeys: keys },
    `Removed client "${name}" and ${count(keys, 'key')}.`,
  )
}

/** A client as it is shown: its own fields as in the file, its keys without their hashes. */
function describeClient(client: Client, nowMs: number) {
  const { keys, ...fields } = client
  return { ...fields, keys: keys.map((key) => describeKey(client, key, nowMs)) }
}
