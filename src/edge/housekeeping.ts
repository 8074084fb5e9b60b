import {
  type LedgerState,
  type LoadState,
  PROGRESS_ENTRY,
  STAMP_ENTRY,
  STATE_ENTRY,
} from '../core/config/record.ts'
import { FULL_COUNTER } from '../core/limits/counters.ts'
import { overwriteFile, replaceFile, stampFiles } from './config/files.ts'
import { continueLoad, type Progress } from './config/load.ts'
import { putFirst } from './config/publish.ts'
import { clientsZone, countersZone, openZones } from './gate/registry.ts'
import { startSlice } from './giveway.ts'
import { foldLedger } from './ledger/fold.ts'
import { setProblem } from './ledger/notices.ts'
import { type Cursor, endTurn, keepCursor, readCursor, takeTurn } from './ledger/sums.ts'
import { countError } from './metrics/tally.ts'
import { answerQuestion } from './running/ask.ts'
import { releaseDead } from './running/dead.ts'
import { moveEpoch } from './running/epoch.ts'

/** What njs hands to a periodic handler. There is no request, so only maps have a value. */
type Session = { variables: { [name: string]: string | undefined } }

const PROBLEMS_LOGGED_MAX = 20

/** What a turn leaves to the load when there is one, and what it may take when there is none. */
const FOLD_MS_BESIDE_LOAD = 50
const FOLD_MS_MAX = 200

/** As in admin.conf; and how often an error is told that stays. */
const TURN_MS = 500
const ERROR_PAUSE_MS = 60000

/** state.json is written so often at least: else nobody would see that the disk is full while no line of the ledger arrives. */
const STATE_MS_MAX = 5000

/**
 * js_periodic, twice a second in worker 0: adds up what the ledger has got since, and gives back what
 * dead workers held; then, so that a change is in force within a second, brings policy.json and
 * clients.json into the zone when they have changed.
 */
export async function housekeep(session: Session): Promise<void> {
  startSlice()
  const beganMs = Date.now()
  const zone = clientsZone()
  const dir = session.variables['tollgate_dir'] || ''
  const stateDir = session.variables['tollgate_state_dir'] || ''
  const stamp = stampFiles(dir)
  const isLoading = zone.get(STAMP_ENTRY) !== stamp
  const isMine = takeTurn(beganMs)
  try {
    const untilMs = beganMs + (isLoading ? FOLD_MS_BESIDE_LOAD : FOLD_MS_MAX)
    const cursor = isMine ? await keepSums(session, beganMs, untilMs) : null
    if (isMine) answerQuestion(openZones(), ledgerOf(session), stateDir, beganMs)
    // In a busy worker the sums may have taken long, which is not to keep a load from going on.
    const state = isLoading ? await load(zone, dir, stamp, Date.now()) : null
    if (state) {
      moveEpoch()
      report(state)
    }
    if (!state && !(cursor && isStateDue(cursor, beganMs))) return
    writeState(`${stateDir}/state.json`, state || readState(zone), cursor)
  } finally {
    if (isMine) endTurn()
  }
}

function ledgerOf(session: Session): string {
  const ledger = session.variables['tollgate_ledger_file']
  return ledger || `${session.variables['tollgate_state_dir']}/ledger.jsonl`
}

/** A cursor of an older version has no time yet. */
function isStateDue(cursor: Cursor, nowMs: number): boolean {
  return cursor.isNews || !(nowMs - cursor.stateMs < STATE_MS_MAX)
}

/** Null when nothing could be done. */
async function keepSums(
  session: Session,
  beganMs: number,
  untilMs: number,
): Promise<Cursor | null> {
  const stateDir = session.variables['tollgate_state_dir'] || ''
  try {
    const balance = `${stateDir}/balance.json`
    const places = { ledger: ledgerOf(session), balance, stateDir }
    const cursor = await foldLedger(places, untilMs)
    releaseDead(openZones(), cursor, beganMs)
    keepCursor(cursor)
    return cursor
  } catch (error) {
    countError()
    // Not at every turn.
    if (beganMs % ERROR_PAUSE_MS < TURN_MS) {
      ngx.log(ngx.ERR, `Tollgate cannot keep the sums over the ledger: ${(error as Error).message}`)
    }
    return null
  }
}

/**
 * Brings the files into the zone. Files that do not validate change nothing: the last good state
 * stays, and the error log says once what is wrong. Null while there is more to do.
 */
async function load(
  zone: NgxSharedDict<string>,
  dir: string,
  stamp: string,
  beganMs: number,
): Promise<LoadState | null> {
  const progress = progressOf(zone, stamp)
  try {
    await continueLoad(zone, dir, progress, beganMs)
  } catch (error) {
    // A full zone: the keys that are in it work, the others are refused.
    const message = `The zone is full, make it larger in http.conf: ${error as Error}`
    progress.problems.push({ path: 'tollgate_clients', message })
    progress.phase = 'done'
  }
  if (progress.phase !== 'done') return null
  const state = nextState(zone, progress)
  // The stamp is last: a load that was interrupted goes on at the next turn.
  zone.delete(PROGRESS_ENTRY)
  putFirst(zone, STATE_ENTRY, JSON.stringify(state))
  putFirst(zone, STAMP_ENTRY, stamp)
  return state
}

function progressOf(zone: NgxSharedDict<string>, stamp: string): Progress {
  const kept = zone.get(PROGRESS_ENTRY)
  if (kept) {
    const progress = JSON.parse(kept) as Progress
    if (progress.stamp === stamp) return progress
  }
  return {
    stamp,
    phase: 'check',
    isPolicyChecked: false,
    offset: 0,
    clients: 0,
    keys: 0,
    duplicates: 0,
    plans: {},
    problems: [],
    notices: [],
    limited: [],
    started: Date.now(),
  }
}

/** What the last look at the files came to. */
export function readState(zone: NgxSharedDict<string>): LoadState {
  const kept = zone.get(STATE_ENTRY)
  return kept
    ? (JSON.parse(kept) as LoadState)
    : { generation: 0, loaded: null, elapsedMs: 0, clients: 0, keys: 0, problems: [], notices: [] }
}

function nextState(zone: NgxSharedDict<string>, progress: Progress): LoadState {
  const state = readState(zone)
  if (progress.problems.length === 0) {
    const nowMs = Date.now()
    state.generation++
    state.loaded = new Date(nowMs).toISOString()
    state.elapsedMs = nowMs - progress.started
    state.clients = progress.clients
    state.keys = progress.keys
  }
  state.problems = progress.problems
  state.notices = progress.notices
  return state
}

function report(state: LoadState): void {
  state.notices.forEach((notice) => {
    ngx.log(ngx.WARN, `Tollgate found in ${notice.path}: ${notice.message}`)
  })
  if (state.problems.length === 0) {
    const counts = `${state.clients} clients and ${state.keys} keys`
    ngx.log(ngx.INFO, `Tollgate loaded ${counts} in ${state.elapsedMs} ms`)
    return
  }
  const shown = state.problems.slice(0, PROBLEMS_LOGGED_MAX)
  shown.forEach((problem) => {
    ngx.log(ngx.ERR, `Tollgate cannot load ${problem.path}: ${problem.message}`)
  })
  const rest = state.problems.length - shown.length
  if (rest > 0) ngx.log(ngx.ERR, `Tollgate found ${rest} more problems: run tollgate check`)
  if (state.generation > 0) {
    ngx.log(ngx.ERR, `Tollgate goes on with what it loaded at ${state.loaded}`)
  } else {
    ngx.log(ngx.ERR, 'Tollgate has never loaded a configuration: every request is refused')
  }
}

/** For `tollgate doctor`, which cannot read the zone. */
function writeState(path: string, state: LoadState, cursor: Cursor | null): void {
  const known = cursor || readCursor()
  if (known) state.ledger = ledgerState(known)
  const text = `${JSON.stringify(state, null, 2)}\n`
  let problem: string | null = null
  try {
    replaceFile(path, text)
  } catch (error) {
    problem = `Cannot write ${path}: ${(error as Error).message}`
    tryToOverwrite(path, text)
  }
  if (!cursor) return
  // It is written once more when that failed, and when it can say that it does no longer.
  const isNews = problem !== null || cursor.stateProblem !== null
  setProblem(cursor, 'stateProblem', problem)
  cursor.isNews = isNews
  cursor.stateMs = Date.now()
  keepCursor(cursor)
}

function tryToOverwrite(path: string, text: string): void {
  try {
    overwriteFile(path, text)
  } catch (_) {
    // There is none, or no room: the error log has said it.
  }
}

/** How far the ledger is in the sums. */
export function ledgerState(cursor: Cursor): LedgerState {
  const mark = cursor.marks[cursor.marks.length - 1]
  return {
    offset: mark ? mark.offset : 0,
    behindBytes: cursor.behindBytes,
    lines: cursor.lines,
    skipped: cursor.skipped,
    countersFull: countersZone().get(FULL_COUNTER) || 0,
    notice: cursor.notice,
    problem:
      cursor.readProblem ||
      cursor.writeProblem ||
      cursor.stateProblem ||
      cursor.rowsProblem ||
      null,
  }
}
