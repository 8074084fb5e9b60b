import type { Command } from 'commander'
import type { BalanceFile } from '../../core/ledger/balancefile.ts'
import { dayOf, startOfDay } from '../../core/time.ts'
import type { Windows } from '../../core/usage/rows.ts'
import { localContextOf } from '../context.ts'
import { readAdminListen } from '../install/installed.ts'
import { quote } from '../invocation.ts'
import { readBalance } from '../ledger/balancefile.ts'
import { compact } from '../ledger/compact.ts'
import {
  besideOf,
  describeFile,
  type LedgerFile,
  listLedger,
  requireFile,
} from '../ledger/files.ts'
import { formatPoint, parsePoint } from '../ledger/period.ts'
import { findPlace, LEDGER_OPTION, type Place } from '../ledger/place.ts'
import { showProgress } from '../ledger/progress.ts'
import { foldAll, isListening, writeBalance } from '../ledger/rebuild.ts'
import { readKept } from '../ledger/rows.ts'
import { type Counted, createFold, findCounted, headOf } from '../ledger/sums.ts'
import { exact, safe, toJson } from '../ledger/text.ts'
import {
  compareRows,
  compareSums,
  type Difference,
  describeDifference,
  verifyLines,
} from '../ledger/verify.ts'
import { count, Misused, Refused, remark } from '../output.ts'
import { readZone } from '../store/documents.ts'

type LedgerOptions = { ledger?: string; output?: string; before?: string }

const DIFFERENCES_TOLD_MAX = 50

const VERIFY_HELP = `
Exit code 1 when a line is torn, unreadable, of another schema or of an impossible time, or when sums
of today or this month, or usage by hour or day, differ from balance.json. With FILE that file alone is read, and no sums.`

const REBUILD_HELP = `
nginx keeps the sums in its memory and writes them to balance.json again and again, so stop it first:
this refuses while its housekeeping answers. Start nginx afterwards. --output FILE writes a balance to
look at instead, at any time.`

const COMPACT_HELP = `
FILE is a rotated ledger: nginx may still write into the other one. The lines of the days before --before
(of the policy's time zone) become one line per client, key, group, model and day; "tollgate usage" and all budgets come
to the same, but hours, single requests and their outcomes are gone. All other lines stay as they are.
The result is a new file beside FILE, or --output. Look at it, then put it in the place of FILE with mv.`

/** Registers `tollgate ledger …`. */
export function registerLedger(program: Command): void {
  const ledger = program
    .command('ledger')
    .description('check the ledger, sum it up anew, shorten it')
  ledger
    .command('verify [file]')
    .description('check every line of the ledger, and the sums of balance.json')
    .option(...LEDGER_OPTION)
    .addHelpText('after', VERIFY_HELP)
    .action(verify)
  ledger
    .command('rebuild')
    .description('make balance.json anew from the ledger and its rotated files')
    .option('--output <file>', 'write it there instead')
    .option(...LEDGER_OPTION)
    .addHelpText('after', REBUILD_HELP)
    .action(rebuild)
  ledger
    .command('compact <file>')
    .description('sum up the old lines of a rotated ledger, into a new file')
    .requiredOption('--before <when>', 'what is older: 90d, or a date such as 2026-10-01')
    .option('--output <file>', 'the new file (default: FILE.compact)')
    .addHelpText('after', COMPACT_HELP)
    .action(compactFile)
}

async function verify(
  named: string | undefined,
  options: LedgerOptions,
  command: Command,
): Promise<void> {
  const { folder, isJson, nowMs } = localContextOf(command)
  const place = findPlace(folder, options.ledger)
  const files = named === undefined ? await listLedger(place.ledger) : [await requireFile(named)]
  const { balance, rows, counted, notices } = await readSums(place, files, named !== undefined)
  const fold = createFold(nowMs, balance?.zoneMinutes ?? 0)
  const progress = showProgress(files.reduce((sum, { bytes }) => sum + bytes, 0))
  const onCounted = balance ? fold.addLine : () => undefined
  const found = await verifyLines(counted, nowMs, onCounted, progress)
  progress.end()
  const sums = fold.end()
  const differences = balance ? compareSums(sums.subjects, balance, found.firstMs, nowMs) : []
  if (balance?.usage && rows) {
    const sinceMs = Math.max(balance.usage.sinceMs, found.firstMs ?? Number.POSITIVE_INFINITY)
    differences.push(...compareRows(sums.windows, rows, sinceMs, balance))
  }
  const ok = found.flawsInAll === 0 && differences.length === 0 && notices.length === 0
  const result = {
    ok,
    files: files.map(({ path }) => path),
    lines: found.lines,
    first: formatPoint(found.firstMs),
    last: formatPoint(found.lastMs),
    flaws: found.flaws,
    flawsInAll: found.flawsInAll,
    comparedWith: balance ? place.balance : null,
    differences,
    notices,
  }
  if (isJson) process.stdout.write(`${toJson(result)}\n`)
  else process.stdout.write(`${describeVerified(result)}\n`)
  if (!ok) process.exitCode = 1
}

type Kept = {
  balance: BalanceFile | null
  rows: Windows | null
  counted: Counted[]
  notices: string[]
}

/** What balance.json says, and how far each file is in it; notices are things that are wrong. */
async function readSums(
  { balance: path }: Place,
  files: LedgerFile[],
  isOneFile: boolean,
): Promise<Kept> {
  const counted: Counted[] = files.map((file) => ({
    file,
    head: null,
    to: Number.POSITIVE_INFINITY,
  }))
  const none = { balance: null, rows: null, counted }
  if (isOneFile) return { ...none, notices: [] }
  const { balance, rows } = await readKept(path)
  // Before the first budget there need not be one.
  if (balance === null) return { ...none, notices: [] }
  const fix = 'nginx makes it anew when it starts, or: tollgate ledger rebuild'
  if ('broken' in balance) return { ...none, notices: [`${balance.broken}; ${fix}`] }
  const found = await findCounted(files, balance)
  if (found === null) return { ...none, notices: [`${path} is of another ledger; ${fix}`] }
  if (typeof rows !== 'string') return { balance, rows, counted: found, notices: [] }
  const notice = `Usage by hour and day cannot be read: ${rows}; stop nginx and run tollgate ledger rebuild`
  return { balance, rows: null, counted: found, notices: [notice] }
}

type VerifiedResult = {
  ok: boolean
  files: string[]
  lines: number
  first: string | null
  last: string | null
  flaws: { file: string; line: number | null; message: string }[]
  flawsInAll: number
  comparedWith: string | null
  differences: Difference[]
  notices: string[]
}

function describeVerified(result: VerifiedResult): string {
  const { flaws, flawsInAll, differences, notices, files, lines } = result
  const more = (told: number, all: number) =>
    all > told ? [`… and ${exact(all - told)} more`] : []
  const told = differences.slice(0, DIFFERENCES_TOLD_MAX)
  const span = result.first === null ? '' : `, from ${result.first} to ${result.last}`
  const sums = result.comparedWith ?? 'no balance.json, so sums were not compared'
  const problems = [
    ...(flawsInAll > 0 ? [count(flawsInAll, 'flawed line')] : []),
    ...(differences.length > 0 ? [count(differences.length, 'differing sum')] : []),
    ...(notices.length > 0 ? [count(notices.length, 'other problem')] : []),
  ]
  return [
    ...flaws.map(
      ({ file, line, message }) => `${file}${line === null ? '' : `:${line}`}: ${message}`,
    ),
    ...more(flaws.length, flawsInAll),
    ...told.map((one) => safe(describeDifference(one))),
    ...more(told.length, differences.length),
    ...notices,
    `${exact(lines)} ${lines === 1 ? 'line' : 'lines'} in ${count(files.length, 'file')}${span}`,
    `Sums: ${sums}`,
    problems.length === 0 ? 'All is well.' : `Problems: ${problems.join(', ')}.`,
  ].join('\n')
}

async function rebuild(options: LedgerOptions, command: Command): Promise<void> {
  const { folder, isJson, nowMs } = localContextOf(command)
  const place = findPlace(folder, options.ledger)
  const zoneMinutes = await readZone(folder.dir)
  const files = await listLedger(place.ledger)
  const path = options.output ?? place.balance
  if (options.output === undefined) await refuseWhileRunning(place, isJson)
  else await refuseExisting(path)
  const progress = showProgress(files.reduce((sum, { bytes }) => sum + bytes, 0))
  const rebuilt = await foldAll(files, nowMs, zoneMinutes, progress)
  progress.end()
  if (rebuilt.broken.length > 0) throw new Refused(rebuilt.broken.join('\n'))
  // It may have been started meanwhile.
  if (options.output === undefined) await refuseWhileRunning(place, true)
  await writeBalance(path, rebuilt, options.output !== undefined)
  const subjects = rebuilt.subjects.size
  const text = `Wrote ${path}: ${count(subjects, 'subject')} from ${exact(rebuilt.lines)} lines.`
  const result = { balance: path, subjects, lines: rebuilt.lines, offset: rebuilt.offset }
  process.stdout.write(isJson ? `${toJson(result)}\n` : `${text}\n`)
}

async function refuseWhileRunning({ nginxDir, balance }: Place, isJson: boolean): Promise<void> {
  const listen = await readAdminListen(nginxDir)
  if (listen === null) {
    remark(isJson, `It is not known which nginx writes ${balance}: make sure that it does not run`)
  } else if (await isListening(listen)) {
    throw new Refused(
      `nginx runs (its housekeeping answers on ${listen}) and would write ${balance} over again: ` +
        'stop it first, or name another file with --output',
    )
  }
}

async function compactFile(
  named: string,
  options: LedgerOptions & { before: string },
  command: Command,
): Promise<void> {
  const { folder, isJson, nowMs } = localContextOf(command)
  const file = await requireFile(named)
  const zoneMinutes = await readZone(folder.dir)
  const pointMs = parsePoint('--before', options.before, nowMs, zoneMinutes)
  const beforeMs = startOfDay(dayOf(pointMs, zoneMinutes), zoneMinutes)
  if (beforeMs > nowMs) throw new Misused(`--before ${options.before} is in the future`)
  const output = options.output ?? besideOf(named, 'compact')
  await refuseExisting(output)
  await refuseCurrent(findPlace(folder, options.ledger), file)
  const progress = showProgress(file.bytes)
  const { kept, summed, sums, unreadable } = await compact(
    file,
    output,
    beforeMs,
    zoneMinutes,
    progress,
  ).finally(() => progress.end())
  const bytes = (await describeFile(output))?.bytes ?? 0
  const result = {
    file: named,
    output,
    before: formatPoint(beforeMs, zoneMinutes),
    summed,
    sums,
    kept,
    unreadable,
    bytesBefore: file.bytes,
    bytesAfter: bytes,
  }
  const text = [
    `Wrote ${output}: ${exact(summed)} lines became ${exact(sums)}, ${exact(kept)} are as they were.`,
    `${exact(file.bytes)} bytes became ${exact(bytes)}. To use it: mv ${quote(output)} ${quote(named)}`,
  ]
  if (unreadable > 0)
    text.push(`${exact(unreadable)} lines could not be read and are as they were.`)
  process.stdout.write(isJson ? `${toJson(result)}\n` : `${text.join('\n')}\n`)
}

async function refuseExisting(path: string): Promise<void> {
  if (await describeFile(path)) throw new Refused(`There is a file ${path} already`)
}

/** Refuses the file that nginx writes, and one that it has not summed up to its end. */
async function refuseCurrent({ ledger, balance: path }: Place, file: LedgerFile): Promise<void> {
  const head = await headOf(file)
  const current = await describeFile(ledger)
  if (current && head !== null && head === (await headOf(current))) {
    throw new Refused(
      `nginx writes into ${ledger}: rotate it first, and take what it was renamed to`,
    )
  }
  const balance = await readBalance(path)
  if (balance === null || 'broken' in balance) return
  const marks = [balance.ledger, ...(balance.previous ?? [])]
  if (head !== null && marks.some((mark) => mark.head === head)) {
    throw new Refused(`nginx still sums up ${file.path}: try again in a minute`)
  }
}
