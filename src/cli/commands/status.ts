import type { Command } from 'commander'
import type { Alert, ZoneState } from '../../core/admin/status.ts'
import { contextOf } from '../context.ts'
import { exact, safe, toJson } from '../ledger/text.ts'
import { count, formatTable } from '../output.ts'
import type { Status } from '../store/store.ts'

const MEGABYTE = 1_048_576

/** Registers `tollgate status`. */
export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('show what the gate has loaded, and what is wrong, problems first')
    .addHelpText(
      'after',
      '\nExit code 1 when there is a problem. Over the admin API it also tells of nginx, its workers and\nits shared memory.',
    )
    .action(showStatus)
}

async function showStatus(_options: object, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  const status = await store.status()
  process.stdout.write(`${isJson ? toJson(status) : describe(status)}\n`)
  if (listProblems(status).length > 0) process.exitCode = 1
}

function describe(status: Status): string {
  const problems = listProblems(status)
  const warnings = listWarnings(status)
  const notes = listNotes(status)
  const parts = [
    [
      ...problems.map((text) => `PROBLEM ${text}`),
      ...warnings.map((text) => `warning ${text}`),
      ...(problems.length + warnings.length === 0 ? ['Nothing is wrong.'] : []),
      ...notes.map((text) => `note ${text}`),
    ].join('\n'),
    formatTable([], describeRows(status)),
  ]
  const { zones = [] } = status
  if (zones.length > 0) {
    parts.push(formatTable(['ZONE', 'ENTRIES', 'FREE', 'USED'], zones.map(describeZone), [1, 2, 3]))
  }
  return parts.join('\n\n')
}

function describeRows(status: Status): string[][] {
  const { ledger, loaded, workers, inFlight, isWritable } = status
  const inForce =
    loaded === null
      ? 'none: everything is refused'
      : `generation ${status.generation} since ${loaded}, ${count(status.clients, 'client')}, ` +
        count(status.keys, 'key')
  const rows = [['configuration', inForce]]
  if (ledger) {
    const behind = ledger.behindBytes > 0 ? `, ${exact(ledger.behindBytes)} bytes behind` : ''
    const skipped = ledger.skipped > 0 ? `, ${exact(ledger.skipped)} unreadable` : ''
    rows.push(['ledger', `${exact(ledger.lines)} lines added up${behind}${skipped}`])
  }
  if (status.nginx !== undefined) {
    const since = status.startedAt ? `, since ${status.startedAt}` : ''
    const engine = `njs ${status.njs} (${status.engine})`
    rows.push(['nginx', `${status.nginx}, ${engine}, Tollgate ${status.version}${since}`])
  }
  if (workers) rows.push(['workers', workers.map(({ pid }) => String(pid)).join(', ')])
  if (inFlight !== undefined) rows.push(['in flight', exact(inFlight)])
  if (isWritable !== undefined) {
    const why = status.whyNotWritable ? `: ${safe(status.whyNotWritable)}` : ''
    rows.push(['admin API', isWritable ? 'may write' : `may only read${why}`])
  }
  return rows
}

function describeZone({ name, entries, freeBytes, capacityBytes }: ZoneState): string[] {
  const used = `${((1 - freeBytes / capacityBytes) * 100).toFixed(0)} %`
  return [name, exact(entries), `${(freeBytes / MEGABYTE).toFixed(1)} MB`, used]
}

/** What has to be mended. The API's own alert of a load names the first problem of it alone. */
function listProblems(status: Status): string[] {
  const { problems, ledger } = status
  const alerts = listAlerts(status, 'error').filter(({ code }) => code !== 'load_failed')
  return [
    ...alerts.map(describeAlert),
    ...problems.map(({ path, message }) => `${safe(path)}: ${safe(message)}`),
    ...(isOfFiles(status) && ledger?.problem ? [`ledger: ${safe(ledger.problem)}`] : []),
    ...(isOfFiles(status) && ledger?.countersFull ? ['ledger: a zone of counters was full'] : []),
  ]
}

function listWarnings(status: Status): string[] {
  const alerts = listAlerts(status, 'warning').map(describeAlert)
  if (!isOfFiles(status)) return alerts
  return [
    ...alerts,
    ...status.notices.map(({ path, message }) => `${safe(path)}: ${safe(message)}`),
  ]
}

/** What may well be meant so. */
function listNotes(status: Status): string[] {
  const alerts = listAlerts(status, 'info').map(describeAlert)
  const notice = isOfFiles(status) ? status.ledger?.notice : null
  return notice ? [...alerts, `ledger: ${safe(notice)}`] : alerts
}

/** The API draws its conclusions by itself; here they are drawn from what the gate has written. */
function isOfFiles({ nginx }: Status): boolean {
  return nginx === undefined
}

function listAlerts({ alerts = [] }: Status, wanted: Alert['severity']): Alert[] {
  return alerts.filter(({ severity }) => severity === wanted)
}

function describeAlert({ message, fix }: Alert): string {
  return safe(fix === '' ? message : `${message}: ${lower(fix)}`)
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
