import { type Command, Option } from 'commander'
import { formatZone } from '../../core/time.ts'
import { contextOf } from '../context.ts'
import { drawTable, type Row } from '../ledger/chart.ts'
import { formatPoint, parsePeriod } from '../ledger/period.ts'
import { LEDGER_OPTION } from '../ledger/place.ts'
import { describeScreen } from '../ledger/screen.ts'
import { costOfNanos, csvCell, toJson } from '../ledger/text.ts'
import type { Dimension, Grouped, Totals } from '../ledger/totals.ts'
import { Misused, remark } from '../output.ts'
import type { Usage } from '../store/store.ts'

type UsageOptions = {
  by: Dimension
  since?: string
  until?: string
  client?: string
  csv?: true
  ledger?: string
}

const DIMENSIONS: Dimension[] = ['client', 'key', 'model', 'day', 'hour', 'group']
const REST = '(others)'

const HELP = `
Reads the ledger and its rotated files (ledger.jsonl.1, ledger.jsonl.2.gz, ledger.jsonl-20261124).
A request counts when it ended; days begin at the timeZone of policy.json, UTC where nothing is said.
~ marks sums in which some tokens are estimated. REFUSED: turned away by the gate. ERRORS: by the server behind, or its absence.`

/** Registers `tollgate usage`. */
export function registerUsage(program: Command): void {
  program
    .command('usage')
    .description('sum up the ledger: requests, tokens and cost, by client or otherwise')
    .addOption(new Option('--by <what>', 'what a line is').choices(DIMENSIONS).default('client'))
    .option('--since <when>', 'from then on: 7d, 24h, 2026-11-24, or a date and time')
    .option('--until <when>', 'until then, which does not count')
    .option('--client <client>', 'this client only')
    .option('--csv', 'print CSV, for spreadsheets')
    .option(...LEDGER_OPTION)
    .addHelpText('after', HELP)
    .action(usage)
}

async function usage(options: UsageOptions, command: Command): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  if (isJson && options.csv) throw new Misused('Choose one of --json and --csv')
  const { by, client, ledger } = options
  const zoneMinutes = await store.zoneMinutes()
  const period = parsePeriod(options.since, options.until, nowMs, zoneMinutes)
  const found = await store.usage({ by, period, client, ledger, zoneMinutes })
  for (const notice of found.notices) remark(isJson, notice)
  const rows = sortRows(found.grouped, by)
  if (isJson) process.stdout.write(`${toJson(describe(by, found, rows, zoneMinutes))}\n`)
  else if (options.csv) process.stdout.write(writeCsv(by, rows, found.grouped))
  else process.stdout.write(`${draw(by, rows, found.grouped, zoneMinutes)}\n`)
}

/** Times in their order; names by what they used, the largest first. */
function sortRows({ groups }: Grouped, by: Dimension): Row[] {
  const rows = [...groups].map(([name, totals]) => ({ name, totals }))
  const byName = (a: Row, b: Row) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  if (by === 'day' || by === 'hour') return rows.sort(byName)
  const tokens = ({ totals }: Row) => totals.promptTokens + totals.completionTokens
  return rows.sort(
    (a, b) =>
      b.totals.costNanos - a.totals.costNanos ||
      tokens(b) - tokens(a) ||
      b.totals.requests - a.totals.requests ||
      byName(a, b),
  )
}

function draw(by: Dimension, rows: Row[], { rest, total }: Grouped, zoneMinutes: number): string {
  if (total.requests === 0) return 'No requests in this period'
  const others = rest.requests > 0 ? [{ name: REST, totals: rest }] : []
  const isTime = by === 'day' || by === 'hour'
  const zone = isTime && zoneMinutes !== 0 ? ` (${formatZone(zoneMinutes)})` : ''
  return drawTable(by.toUpperCase() + zone, [...rows, ...others], total, describeScreen())
}

function describe(
  by: Dimension,
  { ledger, period, grouped, notices }: Usage,
  rows: Row[],
  zoneMinutes: number,
) {
  const { rest, total } = grouped
  return {
    ledger,
    by,
    since: formatPoint(period.sinceMs, zoneMinutes),
    until: formatPoint(period.untilMs, zoneMinutes),
    timeZone: formatZone(zoneMinutes),
    rows: rows.map(({ name, totals }) => ({ [by]: name || null, ...describeTotals(totals) })),
    rest: rest.requests > 0 ? describeTotals(rest) : null,
    total: describeTotals(total),
    notices,
  }
}

function describeTotals({ costNanos, isEstimated, ...sums }: Totals) {
  return { ...sums, cost: costOfNanos(costNanos), estimated: isEstimated }
}

/** One line per group and no total: a spreadsheet would add that up once more. */
function writeCsv(by: Dimension, rows: Row[], { rest, total }: Grouped): string {
  const others = rest.requests > 0 ? [{ name: REST, totals: rest }] : []
  const lines = [...rows, ...others].map(({ name, totals }) => [
    name,
    ...Object.values(describeTotals(totals)),
  ])
  const heading = [by, ...Object.keys(describeTotals(total))]
  return [heading, ...lines].map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('')
}
