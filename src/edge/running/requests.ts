import { PID_LENGTH } from '../../core/limits/counters.ts'
import { isRequestName, MARK_PREFIX, type RunningReply, readRunning } from '../../core/running.ts'
import { runningZone } from '../gate/registry.ts'
import { isWorker } from './workers.ts'

/** More are counted, and not listed. */
const LISTED_MAX = 5000

/** How many run, of which so many are listed: more than that only where they are too many to look at. */
export function countRunning(listed: number): number {
  const zone = runningZone()
  const size = zone.size()
  return size <= LISTED_MAX ? listed : zone.keys(size).filter(isRequestName).length
}

/** A request that somebody wanted to end has ended by then. */
const MARK_MS = 86400000

/** The requests that run and whose body is there, without those of dead workers, see dead.ts. */
export function listRunning(nowMs: number): RunningReply['requests'] {
  const zone = runningZone()
  const alive: { [pid: string]: boolean } = {}
  const running: RunningReply['requests'] = []
  zone.items(LISTED_MAX).forEach((item) => {
    const name = item[0] as string
    if (name.startsWith(MARK_PREFIX)) {
      dropOldMark(name, item[1] as string, nowMs)
      return
    }
    const pid = name.slice(0, PID_LENGTH)
    const worker = parseInt(pid, 36)
    if (alive[pid] === undefined) alive[pid] = isWorker(worker)
    if (!alive[pid]) return
    const said = readRunning(item[1] as string)
    if (said.atMs) running.push(Object.assign({ id: name.slice(PID_LENGTH), worker }, said))
  })
  return running
}

function dropOldMark(name: string, since: string, nowMs: number): void {
  if (nowMs - Number(since) > MARK_MS) runningZone().delete(name)
}
