import type { describeMachine } from '../../bench/machine.ts'
import { formatTable, show } from '../../bench/report/table.ts'
import type { Setup } from '../nginx/setups.ts'
import type { Engine } from './engine.ts'
import type { Row } from './sums.ts'

/** One engine behind one nginx. */
export type Table = {
  engine: Engine
  world: Setup
  rows: Row[]
  /** What nginx's error log has, and how often. */
  errors: Map<string, number>
}

/** What a run has found. */
export type Report = {
  date: string
  seed: number
  machine: ReturnType<typeof describeMachine>
  tables: readonly Table[]
  skipped: readonly string[]
}

const HEAD = [
  'group',
  'requests, left',
  'prompt: engine',
  'exact',
  'estimated',
  'answer: engine',
  'exact',
  'estimated',
  'difference',
  'not counted',
  'idle after',
]

/** ENGINES.md: a table for each engine behind each nginx, and what does not hold. */
export function formatReport(report: Report): string {
  const { date, seed, machine, tables, skipped } = report
  const lines = [
    '# Real engines',
    '',
    `Written by \`npm run engines\`, ${date}, seed ${seed}.`,
    'What is asked, and how: [test/engines](../test/engines/README.md).',
    '',
    `- Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; ${machine.system}, ` +
      `Linux ${machine.kernel}, Node ${machine.node}; load before the run ${machine.loadBefore}`,
    '- Tokens: those of the engine are what its own counters have risen by, those of the gate are the sums ' +
      'over its ledger, exact lines and estimated ones apart',
    '- **Bold** is a group of finished requests whose ledger is not what the engine has counted',
    ...skipped.map((line) => `- ${line}`),
    '',
    ...tables.flatMap(tableSection),
    ...faultSection(tables),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

function tableSection({ engine, world, rows, errors }: Table): string[] {
  const { nginxVersion, njsVersion, engine: script } = world.nginx
  const logged = [...errors].map(([text, count]) => `${count} x "${text}"`)
  const finished = rows.filter(({ isFinished }) => isFinished)
  const exact = finished.filter(({ isExact }) => isExact)
  return [
    `## ${engine.name} behind \`${world.name}\``,
    '',
    `${engine.name} ${engine.version}; nginx ${nginxVersion}, njs ${njsVersion}, ` +
      `${script === 'qjs' ? 'QuickJS' : "njs's own engine"}; \`metering\` is \`${engine.metering}\`. ` +
      `${sum(rows, (row) => row.requests)} requests, ${sum(rows, (row) => row.left)} of them left. ` +
      `Of ${finished.length} groups that finished, ${exact.length} are exact.`,
    '',
    ...engine.remarks.map((remark) => `- ${remark}`),
    '',
    ...formatTable(HEAD, rows.map(cellsOf)),
    '',
    ...(logged.length === 0 ? [] : [`nginx's error log: ${logged.join('; ')}.`, '']),
  ]
}

function cellsOf(row: Row): string[] {
  const { engine, exact, estimated } = row
  const isWrong = row.isFinished && !row.isExact
  const lost = row.isLost ? ' or more' : ''
  return [
    isWrong ? `**${row.name}**` : row.name,
    `${row.requests}, ${row.left}`,
    `${show(engine.prompt, 0)}${lost}`,
    show(exact.prompt, 0),
    show(estimated.prompt, 0),
    `${show(engine.completion, 0)}${lost}`,
    show(exact.completion, 0),
    show(estimated.completion, 0),
    differenceOf(row),
    show(row.uncounted, 0),
    // Where nothing was left or cut, the engine is idle before the last byte has arrived.
    row.isFinished || row.idleAfterMs === null ? '–' : `${show(row.idleAfterMs, 0)} ms`,
  ]
}

/** All tokens of the gate against all of the engine. */
function differenceOf({ engine, exact, estimated }: Row): string {
  const made = engine.prompt + engine.completion
  const counted = exact.prompt + exact.completion + estimated.prompt + estimated.completion
  if (counted === made) return '0'
  const part = made === 0 ? '' : ` (${show(((counted - made) / made) * 100)} %)`
  return `${show(counted - made, 0)}${part}`
}

function faultSection(tables: readonly Table[]): string[] {
  const lines = tables.flatMap(({ engine, world, rows }) =>
    rows.flatMap(({ name, faults }) =>
      faults.map(({ text }) => `- ${engine.name}, \`${world.name}\`, ${name}: ${text}`),
    ),
  )
  return lines.length === 0 ? [] : ['## What does not hold', '', ...lines]
}

function sum(rows: readonly Row[], of: (row: Row) => number): number {
  return rows.reduce((total, row) => total + of(row), 0)
}
