import type { LedgerState, LoadState } from '../config/record.ts'
import type { Admin } from '../config/shapes.ts'
import { adminState } from '../config/token.ts'

/** A zone of shared memory. `freeBytes` counts whole pages that nothing is in yet. */
export type ZoneState = { name: string; capacityBytes: number; freeBytes: number; entries: number }

export type WorkerState = { pid: number; inFlight: number }

/** What an operator should look at, with the fix. `info` is as it may well be meant. */
export type Alert = {
  severity: 'error' | 'warning' | 'info'
  code: string
  message: string
  fix: string
}

/** GET /status: what runs, what was loaded, and what is wrong. */
export type Status = Omit<LoadState, 'ledger'> & {
  version: string
  time: string
  nginx: string
  njs: string
  engine: string
  /** When the zones were filled: a reload keeps them. Null in the first moments. */
  startedAt: string | null
  /** Where callers reach the gate, if policy.json says it. */
  gateUrl: string | null
  /** Where days and months begin: `+08:00`, or `Z`. */
  timeZone: string
  alerts: Alert[]
  ledger: LedgerState | null
  zones: ZoneState[]
  workers: WorkerState[]
  inFlight: number
  isWritable: boolean
  whyNotWritable?: string
}

const BEHIND_BYTES_TOLD = 16777216
const ZONE_PART_TOLD = 0.8
const ZONE_PART_MAX = 0.95
const MEGABYTE = 1048576

/** What is wrong, errors first. `admins` are those that are in force. */
export function listAlerts(
  status: Omit<Status, 'alerts'>,
  admins: Admin[],
  nowMs: number,
): Alert[] {
  const alerts: Alert[] = []
  const add = (severity: Alert['severity'], code: string, message: string, fix: string) => {
    alerts.push({ severity, code, message, fix })
  }
  noteLoad(status, add)
  noteLedger(status.ledger, add)
  noteZones(status.zones, add)
  if (!status.isWritable) add('info', 'read_only', status.whyNotWritable || '', ENABLE)
  const canWrite = admins.some(
    (admin) => admin.role === 'write' && adminState(admin, nowMs) === 'live',
  )
  if (!canWrite) add('warning', 'no_writer', 'No live token may write', CREATE_TOKEN)
  const order: Alert['severity'][] = ['error', 'warning', 'info']
  return order.reduce<Alert[]>(
    (sorted, severity) => sorted.concat(alerts.filter((alert) => alert.severity === severity)),
    [],
  )
}

type Add = (severity: Alert['severity'], code: string, message: string, fix: string) => void

const ENABLE = 'Run on the host: tollgate admin enable'
const CREATE_TOKEN = 'Run on the host: tollgate admin token create NAME --role write'

function noteLoad(status: Omit<Status, 'alerts'>, add: Add): void {
  const first = status.problems[0]
  if (first) {
    const still = status.loaded === null ? 'Nothing is loaded' : `In force since ${status.loaded}`
    const fix = 'Mend the file; tollgate check tells every problem with its line'
    add('error', 'load_failed', `${first.path}: ${first.message}. ${still} stays`, fix)
  } else if (status.loaded === null) {
    add(
      'error',
      'not_loaded',
      'No configuration was loaded yet',
      'Look into the error log of nginx',
    )
  }
  status.notices.forEach((notice) => {
    const fix = 'Look into the file that it names'
    add('warning', 'notice', `${notice.path}: ${notice.message}`, fix)
  })
}

function noteLedger(ledger: LedgerState | null, add: Add): void {
  if (!ledger) {
    const fix = 'Wait a moment; then look into the error log of nginx'
    add('warning', 'no_sums', 'The sums over the ledger are not there yet', fix)
    return
  }
  if (ledger.problem !== null) {
    const fix = 'See to the disk and to the rights of the folder; tollgate doctor checks both'
    add('error', 'ledger_problem', ledger.problem, fix)
  }
  if (ledger.behindBytes > BEHIND_BYTES_TOLD) {
    const megabytes = Math.round(ledger.behindBytes / MEGABYTE)
    const message = `${megabytes} MB of the ledger are not added up yet: budgets are behind`
    add(
      'warning',
      'ledger_behind',
      message,
      'Wait; compact a large ledger: tollgate ledger compact',
    )
  }
  if (ledger.countersFull > 0) {
    const message = `${ledger.countersFull} times a counter did not fit into shared memory`
    add(
      'error',
      'counters_full',
      message,
      'Make tollgate_counters larger in http.conf, and restart',
    )
  }
  if (ledger.notice !== null) {
    add('info', 'ledger_notice', ledger.notice, 'Nothing, if it was expected')
  }
}

function noteZones(zones: ZoneState[], add: Add): void {
  zones.forEach((zone) => {
    const part = 1 - zone.freeBytes / zone.capacityBytes
    if (!(part > ZONE_PART_TOLD)) return
    const severity = part > ZONE_PART_MAX ? 'error' : 'warning'
    const message = `${zone.name} is ${Math.round(part * 100)} % full`
    add(severity, 'zone_full', message, `Make ${zone.name} larger in http.conf, and restart nginx`)
  })
}
