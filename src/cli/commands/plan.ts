import type { Command } from 'commander'
import { findUnpriced } from '../../core/config/prices.ts'
import { contextOf } from '../context.ts'
import { setPlanFields } from '../edits/fields.ts'
import { formatTable, print, remark } from '../output.ts'
import { changesPrices, readAssignments, SET_HELP } from './client.ts'

/** Registers `tollgate plan …`. */
export function registerPlan(program: Command): void {
  const plan = program.command('plan').description('list and change the plans of policy.json')
  plan.command('list').description('list all plans').action(listPlans)
  plan
    .command('set <plan> <assignments...>')
    .usage('<plan> FIELD=VALUE...')
    .description('set fields of a plan, for all its clients; a new plan is made')
    .addHelpText('after', SET_HELP.replace('plan=gold  disabled=true  ', ''))
    .action(setFields)
}

async function setFields(
  name: string,
  texts: string[],
  _options: object,
  command: Command,
): Promise<void> {
  const { store, isJson } = contextOf(command)
  const assignments = readAssignments(texts, 'plan')
  const { plan, isNewPlan, policy } = await store.editPlan(name, (before) =>
    setPlanFields(before, name, assignments),
  )
  const nobody = { version: 1 as const, clients: {} }
  const notices = changesPrices(assignments)
    ? findUnpriced(nobody, { ...policy, plans: { [name]: plan } })
    : []
  for (const notice of notices) remark(isJson, `${notice.path}: ${notice.message}`)
  const text = `${isNewPlan ? 'Made' : 'Changed'} plan "${name}".`
  print(isJson, { plan: name, ...plan, notices }, text)
}

async function listPlans(_options: object, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  const { clients, policy } = await store.load()
  const users = new Map<string, number>()
  for (const client of Object.values(clients.clients)) {
    if (client.plan !== undefined) users.set(client.plan, (users.get(client.plan) ?? 0) + 1)
  }
  const plans = Object.entries(policy.plans ?? {}).map(([name, plan]) => ({
    plan: name,
    clients: users.get(name) ?? 0,
    ...plan,
  }))
  const rows = plans.map(({ plan, clients: number, ...fields }) => [
    plan,
    String(number),
    JSON.stringify(fields),
  ])
  const table = formatTable(['PLAN', 'CLIENTS', 'FIELDS'], rows)
  print(
    isJson,
    { plans },
    rows.length > 0 ? table : 'No plans yet: tollgate plan set PLAN FIELD=VALUE',
  )
}
