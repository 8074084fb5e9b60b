import type { Command } from 'commander'
import type { ClientBalance } from '../../core/limits/standing.ts'
import { contextOf } from '../context.ts'
import { LEDGER_OPTION } from '../ledger/place.ts'
import { exact, safe, toJson } from '../ledger/text.ts'
import { formatTable, remark } from '../output.ts'

const BUDGET_HEADING = ['OF', 'BUDGET', 'LIMIT', 'USED', 'RESERVED', 'LEFT']
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
  const { store, isJson } = contextOf(command)
  const shown = await store.balance(name, options.ledger)
  for (const notice of shown.notices) remark(isJson, notice)
  process.stdout.write(`${isJson ? toJson(shown) : describe(shown)}\n`)
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
  if (rows.length > 0) {
    const heading = [...BUDGET_HEADING, `RENEWS (${zoneIn(subjects)})`]
    parts.push(formatTable(heading, rows, [2, 3, 4, 5]))
  }
  if (rates.length > 0) parts.push(formatTable(RATE_HEADING, rates, [2, 3, 4]))
  return parts.join('\n\n')
}

/** The time zone by which budgets renew: all by the same. */
function zoneIn(subjects: ClientBalance['subjects']): string {
  const zone = subjects.flatMap(({ standings }) => standings)[0]?.renews.slice(19)
  return zone === undefined || zone === 'Z' ? 'UTC' : zone
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
