import type { Command } from 'commander'
import { clientOf, refuseClient } from '../../core/edits.ts'
import { addBalance, type Balance } from '../../core/fold.ts'
import { type ClientBalance, collectLimited, describeBalance } from '../../core/standing.ts'
import { contextOf } from '../context.ts'
import { ask } from '../ledger/ask.ts'
import { listLedger } from '../ledger/files.ts'
import { findPlace, LEDGER_OPTION, type Place } from '../ledger/place.ts'
import { showProgress } from '../ledger/progress.ts'
import { type Counted, createFold, findCounted, readBalance, readCounted } from '../ledger/sums.ts'
import { exact, safe, toJson } from '../ledger/text.ts'
import { formatTable, Refused, remark } from '../output.ts'
import { load } from '../store.ts'

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
  const figures = { used: (id: string) => used.get(id), taken: (id: string) => taken[id] }
  const shown = describeBalance(name, client, policy, limited, figures, notices, nowMs)
  for (const notice of notices) remark(isJson, notice)
  process.stdout.write(`${isJson ? toJson(shown) : describe(shown)}\n`)
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

function describe({ client, plan, group, disabled, shadow, subjects }: ClientBalance): string {
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
