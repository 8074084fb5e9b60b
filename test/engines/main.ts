import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from '../../bench/machine.ts'
import { packageDir } from '../../src/cli/install/layout.ts'
import { makeKey, startGate } from '../nginx/harness.ts'
import { findEngines, type Setup } from '../nginx/setups.ts'
import { show, writeAll, writeFaults } from './bytes.ts'
import { clientsOf, compare, type Keys, type Pair } from './compare.ts'
import type { Engine, Role } from './engine.ts'
import type { Fault } from './faults.ts'
import { CUT_CLIENTS, type Group } from './groups.ts'
import { provideLlama } from './llama/engine.ts'
import { formatReport, type Table } from './report.ts'
import { type Row, sumUp } from './sums.ts'
import { provideVllm } from './vllm/engine.ts'

const USAGE = `npm run engines -- [--only vllm|llama] [--world newest|debian13] [--groups TEXT] [--seed N] [--bytes] [--out FILE]
  --only NAME     this engine alone
  --world NAME    this nginx alone
  --groups TEXT   groups whose names have this text; the report is printed, and written with --out alone
  --seed N        of the requests, 1 where nothing is said
  --bytes         all requests and answers are written down too, below .cache/engines/
  --out FILE      where the report goes, else bench/ENGINES.md`

const PROVIDERS = { vllm: provideVllm, llama: provideLlama }

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    world: { type: 'string' },
    groups: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    bytes: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) console.log(USAGE)
else await run()

async function run(): Promise<void> {
  const beganMs = performance.now()
  const machine = describeMachine()
  const worlds = (await findEngines()).filter(({ name }) => name === (values.world ?? name))
  const tables: Table[] = []
  const skipped: string[] = []
  for (const [name, provide] of Object.entries(PROVIDERS)) {
    if (name !== (values.only ?? name)) continue
    const engine = await provide(tell).catch((error: Error) => {
      skipped.push(`${name} is skipped: ${error.message.split('\n')[0]}`)
      tell(skipped.at(-1) ?? '')
      return null
    })
    if (engine !== null) tables.push(...(await askEngine(engine, worlds)))
  }
  const seed = Number(values.seed)
  const report = formatReport({ machine, seed, tables, skipped, date: new Date().toISOString() })
  const out = values.out ?? (values.groups ? null : join(packageDir(), 'bench', 'ENGINES.md'))
  if (out === null) console.log(report)
  else await writeFile(out, report)
  tell(
    `Done in ${Math.round((performance.now() - beganMs) / 1000)} s${out === null ? '' : `: ${out}`}`,
  )
  if (tables.some(({ rows }) => rows.some(({ faults }) => faults.length > 0))) {
    tell(`What does not hold, with its bytes: ${await writeFaults(tables)}`)
  }
  if (values.bytes) tell(`All bytes: ${await writeAll(tables)}`)
  const wrong = tables.flatMap(({ rows }) => rows).filter((row) => row.isFinished && !row.isExact)
  // What was skipped is no failure.
  if (wrong.length > 0) process.exitCode = 1
}

async function askEngine(engine: Engine, worlds: readonly Setup[]): Promise<Table[]> {
  const tables: Table[] = worlds.map((world) => ({
    engine,
    world,
    rows: [],
    errors: new Map(),
  }))
  for (const role of engine.roles) {
    // Anew for each world, since the last group kills it.
    for (const table of tables) await askRole(table, role)
  }
  return tables
}

/** Fills a table with the groups of one server. */
async function askRole({ engine, world, rows, errors }: Table, role: Role): Promise<void> {
  const groups = role.groups(Number(values.seed)).filter(({ name }) => name.includes(values.groups))
  if (groups.length === 0) return
  tell(`${engine.name} (${role.name}) behind ${world.name}`)
  const server = await role.start()
  try {
    const keys: Keys = { app: makeKey() }
    for (const name of Object.keys(CUT_CLIENTS)) keys[name] = makeKey()
    const gate = await startGate(world, {
      upstreamServer: `127.0.0.1:${server.port}`,
      clients: clientsOf(keys),
      policy: { version: 1, metering: engine.metering },
    })
    try {
      for (const group of groups) rows.push(await askGroup(engine, { gate, server, keys }, group))
      addErrors(errors, await gate.errorLog())
    } finally {
      await gate.stop()
    }
  } finally {
    await server.stop()
  }
}

/** Counts what is severe in an error log, by its words. */
function addErrors(errors: Map<string, number>, log: string): void {
  for (const line of log.split('\n')) {
    const [, text] =
      /\[(?:error|crit|alert|emerg)\] [\d#]+: (?:\*\d+ )?(.*?)(?:, client: .*)?$/.exec(line) ?? []
    if (text !== undefined) errors.set(text, (errors.get(text) ?? 0) + 1)
  }
}

async function askGroup(engine: Engine, pair: Pair, group: Group): Promise<Row> {
  const row = sumUp(await compare(pair, group), engine)
  if (row.isFinished && !row.isExact) row.faults.push(...(await pinDown(engine, pair, group)))
  tellRow(row)
  return row
}

/** Sends the requests of a group once more, one by one, until one is found that is counted wrongly. */
async function pinDown(engine: Engine, pair: Pair, group: Group): Promise<Fault[]> {
  for (const ask of group.asks) {
    const outcome = await compare(pair, { ...group, asks: [ask] })
    const { isExact, engine: counted, exact } = sumUp(outcome, engine)
    const [one] = outcome.seen
    if (isExact || one === undefined) continue
    const said = `the engine has counted ${counted.prompt} + ${counted.completion}`
    const text = `${said}, the ledger ${exact.prompt} + ${exact.completion}`
    return [{ text, bytes: show(one, outcome.lines[0]) }]
  }
  return []
}

function tellRow(row: Row): void {
  const { engine, exact, estimated } = row
  const numbers = `engine ${engine.prompt} + ${engine.completion}, gate ${exact.prompt} + ${exact.completion}`
  const guess = `, estimated ${estimated.prompt} + ${estimated.completion}`
  const mark = row.isFinished && !row.isExact ? '!' : ' '
  tell(
    `${mark} ${row.name}: ${numbers}${guess}; ${row.outcomes}; ${Math.round(row.idleAfterMs ?? -1)} ms`,
  )
  for (const { text } of row.faults.slice(0, 3)) tell(`    ${text}`)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
