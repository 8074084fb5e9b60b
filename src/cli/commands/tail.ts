import type { Command } from 'commander'
import type { LedgerLine } from '../../core/ledger/line.ts'
import { contextOf } from '../context.ts'
import { type Entry, modelOf } from '../ledger/line.ts'
import { LEDGER_OPTION } from '../ledger/place.ts'
import { describeScreen } from '../ledger/screen.ts'
import { clip, exact, safe, short, toJson } from '../ledger/text.ts'
import { Misused, remark } from '../output.ts'
import { showLive } from './live.ts'

type TailOptions = { client?: string; lines: string; ledger?: string; live?: true }

type Widths = { gap: string; client: number; model: number; outcome: number }

const LINES_MAX = 10_000

/** With these a line has 80 columns, and from so many on there is room for more. */
const NARROW: Widths = { gap: ' ', client: 8, model: 10, outcome: 12 }
const WIDE: Widths = { gap: '  ', client: 14, model: 20, outcome: 18 }
const WIDE_COLUMNS = 113
const TOKENS_WIDTH = 11

const HELP = `
TIME (UTC) CLIENT MODEL OUTCOME TOKENS (prompt>completion, ~ estimated) COST FIRST TOKEN SPEED DURATION
It goes on over rotation of the ledger, until Ctrl-C.`

/** Registers `tollgate tail`. */
export function registerTail(program: Command): void {
  program
    .command('tail')
    .description('show requests as they end, one line each, or those that run')
    .option('--client <client>', 'this client only')
    .option('--live', 'those that run now instead, every second')
    .option('-n, --lines <number>', 'begin with so many of those that have ended', '10')
    .option(...LEDGER_OPTION)
    .addHelpText('after', HELP)
    .action(tail)
}

async function tail(options: TailOptions, command: Command): Promise<void> {
  const lines = readLineCount(options.lines)
  const { store, isJson } = contextOf(command)
  const { client, ledger } = options
  const ending = endOnSignals()
  if (options.live) return showLive(() => store.running(ledger), client, isJson, ending)
  const listener = {
    show: createPrinter(isJson),
    remark: (text: string) => remark(isJson, text),
  }
  return store.tail({ client, lines, ledger }, listener, ending)
}

function readLineCount(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : LINES_MAX + 1
  if (number > LINES_MAX) throw new Misused(`Cannot read --lines ${text}; write 0 to ${LINES_MAX}`)
  return number
}

function endOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort())
  }
  return controller.signal
}

/** Prints entries as they come, and the day before the first of each. */
function createPrinter(isJson: boolean): (entry: Entry) => void {
  let lastDay = ''
  return (entry) => {
    if (isJson) {
      process.stdout.write(`${toJson(entry.line)}\n`)
      return
    }
    const { width } = describeScreen()
    const time = new Date(entry.timeMs).toISOString()
    const day = time.slice(0, 10)
    const widths = width !== null && width < WIDE_COLUMNS ? NARROW : WIDE
    const text = time.slice(11, 19) + widths.gap + describeEntry(entry, widths)
    if (day !== lastDay) process.stdout.write(`-- ${day} (UTC)\n`)
    lastDay = day
    process.stdout.write(`${(width === null ? text : clip(text, width)).trimEnd()}\n`)
  }
}

function describeEntry({ kind, line }: Entry, widths: Widths): string {
  const name = field(line.client ?? '-', widths.client)
  const model = field(modelOf(line) ?? '-', widths.model)
  if (kind === 'summary') {
    return [name, model, `sum of ${exact(line.requests)} requests`].join(widths.gap)
  }
  const outcome = field(describeOutcome(line), widths.outcome)
  return [name, model, outcome, ...describeFigures(line)].join(widths.gap)
}

/** The outcome, with what would have been, and the status where it is an error of the server's. */
function describeOutcome({ outcome, shadow, status }: LedgerLine): string {
  if (shadow !== undefined) return `${outcome} (${shadow})`
  const isAnswered = outcome === 'ok' || outcome === 'upstream_error'
  return isAnswered && status >= 400 ? `${outcome} ${status}` : outcome
}

function describeFigures(line: LedgerLine): string[] {
  const { promptTokens, completionTokens, estimated, cost, ttftMs, tokensPerSecond } = line
  const whole = `${promptTokens ?? '-'}>${completionTokens ?? '-'}`
  const isLong = whole.length > TOKENS_WIDTH - 1
  const tokens = isLong ? `${short(promptTokens ?? 0)}>${short(completionTokens ?? 0)}` : whole
  const isCounted = promptTokens !== undefined || completionTokens !== undefined
  return [
    (isCounted ? (estimated ? '~' : '') + tokens : '-').padStart(TOKENS_WIDTH),
    (cost === undefined ? '-' : cost.toFixed(5)).padStart(7),
    (ttftMs === undefined ? '-' : seconds(ttftMs)).padStart(5),
    (tokensPerSecond === undefined ? '-' : `${tokensPerSecond.toFixed(0)}t/s`).padStart(6),
    (line.durationMs === undefined ? '-' : seconds(line.durationMs)).padStart(5),
  ]
}

function field(text: string, width: number): string {
  const shown = clip(safe(text), width)
  return shown + ' '.repeat(Math.max(0, width - [...shown].length))
}

/** `84ms`, `2.4s`, `75s`. */
function seconds(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : `${Math.round(ms / 1000)}s`
}
