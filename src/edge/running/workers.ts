import fs from 'fs'
import type { WorkerState } from '../../core/admin/status.ts'
import { PID_LENGTH } from '../../core/limits/counters.ts'
import { isRequestName } from '../../core/running.ts'
import { runningZone } from '../gate/registry.ts'

/** What nginx calls its workers, also those that only finish what runs. */
const TITLE = 'worker process'

/** The workers of this nginx, with how many requests each has in flight. */
export function listWorkers(): WorkerState[] {
  const counts = countByWorker()
  const pids = listSiblings()
  Object.keys(counts).forEach((pid) => {
    if (pids.indexOf(Number(pid)) < 0) pids.push(Number(pid))
  })
  return pids.sort((a, b) => a - b).map((pid) => ({ pid, inFlight: counts[pid] || 0 }))
}

function countByWorker(): { [pid: string]: number } {
  const zone = runningZone()
  const counts: { [pid: string]: number } = {}
  zone.keys(zone.size()).forEach((name) => {
    if (!isRequestName(name)) return
    const pid = parseInt(name.slice(0, PID_LENGTH), 36)
    counts[pid] = (counts[pid] || 0) + 1
  })
  return counts
}

/** The children of the master; this worker alone where /proc shows no others. */
function listSiblings(): number[] {
  try {
    const pids = fs.readdirSync('/proc').map(Number)
    const siblings = pids.filter((pid) => pid > 0 && isSibling(pid))
    return siblings.length > 0 ? siblings : [process.pid]
  } catch (_) {
    return [process.pid]
  }
}

function isSibling(pid: number): boolean {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`).toString()
    // The name stands in brackets, and may have spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (Number(fields[1]) !== process.ppid) return false
    return pid === process.pid || fs.readFileSync(`/proc/${pid}/cmdline`).toString().includes(TITLE)
  } catch (_) {
    // It has ended.
    return false
  }
}

/** Whether a process is an nginx worker: its number may have gone to something else since. */
export function isWorker(pid: number): boolean {
  const title = titleOf(pid)
  if (title === null || title.includes(TITLE)) return title !== null
  // Where even this worker has another title, being there is all that can be asked for.
  return !(titleOf(process.pid) || '').includes(TITLE)
}

function titleOf(pid: number): string | null {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`).toString()
  } catch (_) {
    return null
  }
}
