import { type LoadState, PROGRESS_ENTRY, STAMP_ENTRY, STATE_ENTRY } from '../core/record.ts'
import { replaceFile, stampFiles } from './files.ts'
import { continueLoad, type Progress } from './load.ts'
import { putFirst } from './publish.ts'
import { clientsZone } from './registry.ts'

/** What njs hands to a periodic handler. There is no request, so only maps have a value. */
type Session = { variables: { [name: string]: string | undefined } }

const PROBLEMS_LOGGED_MAX = 20

/**
 * js_periodic, twice a second in worker 0, so that a change is in force within one: brings
 * policy.json and clients.json into the zone when they have changed. Files that do not validate
 * change nothing: the last good state stays, and the error log says once what is wrong.
 */
export async function housekeep(session: Session): Promise<void> {
  const zone = clientsZone()
  const dir = session.variables['tollgate_dir'] || ''
  const stamp = stampFiles(dir)
  if (zone.get(STAMP_ENTRY) === stamp) return
  const progress = progressOf(zone, stamp)
  try {
    await continueLoad(zone, dir, progress)
  } catch (error) {
    // A full zone: the keys that are in it work, the others are refused.
    const message = `The zone is full, make it larger in http.conf: ${error as Error}`
    progress.problems.push({ path: 'tollgate_clients', message })
    progress.phase = 'done'
  }
  if (progress.phase !== 'done') return
  const state = nextState(zone, progress)
  // The stamp is last: a load that was interrupted goes on at the next turn.
  zone.delete(PROGRESS_ENTRY)
  putFirst(zone, STATE_ENTRY, JSON.stringify(state))
  putFirst(zone, STAMP_ENTRY, stamp)
  report(state)
  writeState(`${session.variables['tollgate_state_dir']}/state.json`, state)
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
    offset: 0,
    clients: 0,
    keys: 0,
    duplicates: 0,
    problems: [],
    notices: [],
    started: Date.now(),
  }
}

function nextState(zone: NgxSharedDict<string>, progress: Progress): LoadState {
  const kept = zone.get(STATE_ENTRY)
  const state: LoadState = kept
    ? (JSON.parse(kept) as LoadState)
    : { generation: 0, loaded: null, elapsedMs: 0, clients: 0, keys: 0, problems: [], notices: [] }
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
function writeState(path: string, state: LoadState): void {
  try {
    replaceFile(path, `${JSON.stringify(state, null, 2)}\n`)
  } catch (error) {
    ngx.log(ngx.WARN, `Tollgate cannot write ${path}: ${(error as Error).message}`)
  }
}
