import type { Command } from 'commander'
import { NANOS } from '../../core/cost.ts'
import { dayOf, monthOf, subjectName } from '../../core/counters.ts'
import { clientOf, refuseClient } from '../../core/edits.ts'
import { addBalance, type Balance } from '../../core/fold.ts'
import type { Limited } from '../../core/record.ts'
import { limitedOf, planOf } from '../../core/resolve.ts'
import type { Taken } from '../../core/running.ts'
import type { Budgets, Client, Key, Limits, Policy } from '../../core/shapes.ts'
import { contextOf } from '../context.ts'
import { ask } from '../ledger/ask.ts'
import { listLedger } from '../ledger/files.ts'
import { findPlace, LEDGER_OPTION, type Place } from '../ledger/place.ts'
import { showProgress } from '../ledger/progress.ts'
import { type Counted, createFold, findCounted, readBalance, readCounted } from '../ledger/sums.ts'
import { exact, safe, toJson } from '../ledger/text.ts'
import { formatTable, Refused, remark } from '../output.ts'
import { load } from '../store.ts'

type BudgetName = Exclude<keyof Budgets, 'hard'>

/** One budget as it stands. Cost is in the unit of the prices; null is without a limit. */
type Standing = {
  budget: BudgetName
  limit: number | null
  used: number
  /** By what runs now; null where nginx has not said, and without a limit. */
  reserved: number | null
  left: number | null
  renews: string
}

/** One limit of a minute or of requests in flight; how much of it is taken, where nginx has said. */
type Rate = { limit: keyof Limits; value: number; taken: number | null; left: number | null }

/** One client, key or group, with what holds for it. */
type Subject = {
  of: Limited['of']
  name: string
  rates: Rate[]
  isHard: boolean
  standings: Standing[]
}

const BUDGETS: BudgetName[] = ['tokensPerDay', 'tokensPerMonth', 'costPerDay', 'costPerMonth']

const BUDGET_HEADING = ['OF', 'BUDGET', 'LIMIT', 'USED', 'RESERVED', 'LEFT', 'RENEWS (UTC)']
const RATE_HEADING = ['OF', 'LIMIT', 'VALUE', 'TAKEN', 'LEFT']

const HELP = `
USED is exact to the last line of the ledger: what balance.json has, and the lines since. RESERVED is
held by running requests, TAKEN is of the last minute or in flight: for these the running nginx is
asked, and they are left out (-) when it does not answer.`

/** Registers `tollgate balance`. */
export function registerBalance(program: Command): void {
  program
    .command('balance <client>')
    .description('show limits and budgets of a client: what is used, left, and when it renews')
    .option(...LEDGER_OPTION)
    .addHelpText('after', HELP)
    .action(balance)
}

async function balance(
  name: string,
  options: { ledger?: string },
  command: Command,
): Promise<void> {
  const { dir, isJson, nowMs } = contextOf(command)
  const { clients, policy } = await load(dir)
  const client = clientOf(clients, name)
  if (!client) throw new Refused(refuseClient(clients, name).refused)
  const place = await findPlace(dir, options.ledger)
  const limited = collectLimited(name, client, policy)
  const ids = limited.map(({ id }) => id)
  const { used, notices } = await readUsed(place, ids, nowMs)
  const reply = await ask(place, ids)
  if ('problem' in reply) notices.push(`What is reserved is not shown: ${reply.problem}`)
  const taken = 'problem' in reply ? {} : reply.subjects
  const subjects = limited.map((one) =>
    describeSubject(one, used.get(one.id), taken[one.id], nowMs),
  )
  const shown = {
    client: name,
    plan: client.plan ?? null,
    group: client.group ?? null,
    disabled: client.disabled === true,
    shadow: (client.shadow ?? planOf(client, policy).shadow) === true,
    time: new Date(nowMs).toISOString(),
    subjects,
    notices,
  }
  for (const notice of notices) remark(isJson, notice)
  process.stdout.write(`${isJson ? toJson(shown) : describe(shown)}\n`)
}

/** The client first, even when nothing limits it, then its keys and its group where something does. */
function collectLimited(name: string, client: Client, policy: Policy): Limited[] {
  const nobody: Key = { id: '', sha256: '', created: '' }
  const found = new Map<string, Limited>()
  const id = subjectName('client', name)
  found.set(id, { of: 'client', id })
  for (const key of client.keys.length > 0 ? client.keys : [nobody]) {
    const named = { subjectId: subjectName }
    for (const one of limitedOf(name, client, key, policy, named)) found.set(one.id, one)
  }
  return [...found.values()]
}

/** What these subjects have used, from balance.json and all lines that are not in it yet. */
async function readUsed(place: Place, ids: string[], nowMs: number) {
  const notices: string[] = []
  const used = new Map<string, Balance>()
  const kept = await readBalance(place.balance)
  const files = await listLedger(place.ledger)
  let counted: Counted[] = files.map((file) => ({ file, head: null, to: 0 }))
  if (kept === null) notices.push(`There is no ${place.balance} yet: all of the ledger was read`)
  else if ('broken' in kept) notices.push(`${kept.broken}: all of the ledger was read`)
  else {
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
  const fold = createFold(nowMs)
  const progress = showProgress(restBytes(counted))
  await readCounted(counted, 'out', fold.add, progress)
  progress.end()
  const { subjects } = fold.end()
  for (const id of ids) {
    const more = subjects.get(id)
    if (more) used.set(id, addBalance(used.get(id), more, nowMs))
  }
  return { used, notices }
}

function restBytes(counted: Counted[]): number {
  return counted.reduce((sum, { file, to }) => sum + Math.max(0, file.bytes - to), 0)
}

function describeSubject(
  one: Limited,
  used: Balance | undefined,
  taken: Taken | undefined,
  nowMs: number,
): Subject {
  const budgets = one.budgets ?? {}
  // Without any budget both counts of tokens are shown all the same, for the client itself.
  const shown = BUDGETS.filter(
    (budget) =>
      budgets[budget] !== undefined || (one.of === 'client' && hasUse(budget, used, nowMs)),
  )
  return {
    of: one.of,
    name: one.id.slice(one.of.length + 1),
    rates: describeRates(one.limits ?? {}, taken),
    isHard: budgets.hard === true,
    standings: shown.map((budget) => describeStanding(budget, budgets[budget], used, taken, nowMs)),
  }
}

function describeRates(limits: Limits, taken: Taken | undefined): Rate[] {
  return (Object.keys(limits) as (keyof Limits)[]).map((limit) => {
    const value = limits[limit] ?? 0
    const now = taken?.[limit === 'concurrency' ? 'inFlight' : limit] ?? null
    return { limit, value, taken: now, left: now === null ? null : Math.max(0, value - now) }
  })
}

function hasUse(budget: BudgetName, used: Balance | undefined, nowMs: number): boolean {
  return budget.startsWith('tokens') || usedOf(budget, used, nowMs) > 0
}

function describeStanding(
  budget: BudgetName,
  limit: number | undefined,
  balance: Balance | undefined,
  taken: Taken | undefined,
  nowMs: number,
): Standing {
  const used = usedOf(budget, balance, nowMs)
  const isCost = budget.startsWith('cost')
  const unit = isCost ? NANOS : 1
  const reserved = taken === undefined ? null : isCost ? taken.heldCost : taken.heldTokens
  const isLimited = limit !== undefined
  return {
    budget,
    limit: isLimited ? limit / unit : null,
    used: used / unit,
    reserved: isLimited && reserved !== null ? reserved / unit : null,
    left: isLimited ? Math.max(0, limit - used - (reserved ?? 0)) / unit : null,
    renews: renewalOf(budget, nowMs),
  }
}

/** Tokens, or cost in nano-units, of the running day or month. */
function usedOf(budget: BudgetName, balance: Balance | undefined, nowMs: number): number {
  const sums = budget.endsWith('Day')
    ? balance?.days[dayOf(nowMs)]
    : balance?.months[monthOf(nowMs)]
  return sums?.[budget.startsWith('tokens') ? 0 : 1] ?? 0
}

/** The first moment of the next day or month, UTC. */
function renewalOf(budget: BudgetName, nowMs: number): string {
  const now = new Date(nowMs)
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
  const next = budget.endsWith('Day')
    ? Date.UTC(year, month, day + 1)
    : Date.UTC(year, month + 1, 1)
  return `${new Date(next).toISOString().slice(0, 19)}Z`
}

type Shown = {
  client: string
  plan: string | null
  group: string | null
  disabled: boolean
  shadow: boolean
  subjects: Subject[]
}

function describe({ client, plan, group, disabled, shadow, subjects }: Shown): string {
  const head = [
    `Client ${safe(client)}`,
    ...(plan === null ? [] : [`plan ${safe(plan)}`]),
    ...(group === null ? [] : [`group ${safe(group)}`]),
    ...(disabled ? ['disabled'] : []),
    ...(shadow ? ['limits in shadow: told, not enforced'] : []),
  ]
  const rows = subjects.flatMap(({ of, name, isHard, standings }) =>
    standings.map(({ budget, limit, used, reserved, left, renews }) => [
      `${of} ${safe(name)}`,
      limit !== null && isHard ? `${budget} (hard)` : budget,
      cell(limit),
      amount(used),
      cell(reserved),
      cell(left),
      renews.slice(0, 10),
    ]),
  )
  const rates = subjects.flatMap(({ of, name, rates }) =>
    rates.map(({ limit, value, taken, left }) => [
      `${of} ${safe(name)}`,
      limit,
      exact(value),
      cell(taken),
      cell(left),
    ]),
  )
  const parts = [head.join(', ')]
  if (rows.length > 0) parts.push(formatTable(BUDGET_HEADING, rows, [2, 3, 4, 5]))
  if (rates.length > 0) parts.push(formatTable(RATE_HEADING, rates, [2, 3, 4]))
  return parts.join('\n\n')
}

function cell(value: number | null): string {
  return value === null ? '-' : amount(value)
}

/** Whole numbers with commas, cost with the decimals that it has, six of them at most. */
function amount(value: number): string {
  if (Number.isInteger(value)) return exact(value)
  const [whole = '', fraction = ''] = value.toFixed(6).split('.')
  return `${exact(Number(whole))}.${fraction.replace(/0+$/, '') || '0'}`
}
