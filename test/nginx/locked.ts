import { readFileSync } from 'node:fs'
import { sleep } from '../waiting.ts'
import type { Gate } from './harness.ts'
import { killAll, workersOf } from './processes.ts'

/** For a test that may begin anew. */
export const KILLED_MS = 150_000

const SAMPLE_MS = 200
/** A worker that has something to do rests between two turns. One that never does waits for a lock. */
const LOCKED_MS = 12_000
/** The same, where what was waited for did not come. */
const SUSPECT_MS = 5000
const TRIES = 3

/**
 * Runs a test that kills workers at any moment. njs keeps the lock of a zone when the worker that has it is killed,
 * and all others then wait for it, at full speed and for ever (docs/operating.md). What the test is for cannot be seen
 * then, so it is tried again with another gate.
 */
export async function whileKilled(
  start: () => Promise<Gate>,
  run: (gate: Gate) => Promise<void>,
): Promise<void> {
  for (let left = TRIES; ; left--) {
    const gate = await start()
    gate.expectErrors(/exited on signal 9/)
    const watch = watchWorkers(gate)
    const ending = run(gate).then(
      () => true,
      (error: unknown) => {
        if (left === 1 || watch.busyMs() < SUSPECT_MS) throw error
        return false
      },
    )
    // Where it is given up, nobody is told how it ends.
    ending.catch(() => null)
    const isWell = await Promise.race([ending, watch.locked.then(() => false)]).finally(watch.stop)
    if (isWell) return
    await killAll(gate)
    process.stderr.write('A worker was killed while it had the lock of a zone: njs keeps that\n')
    if (left === 1) throw new Error(`Workers that were killed have locked a zone ${TRIES} times`)
  }
}

/** Looks how long each worker has not rested. */
function watchWorkers(gate: Gate) {
  const since = new Map<number, number>()
  let isStopped = false
  const busyMs = () => Math.max(0, ...[...since.values()].map((from) => performance.now() - from))
  const watch = async () => {
    while (!isStopped && busyMs() < LOCKED_MS) {
      const running = workersOf(gate).filter(isRunning)
      for (const pid of since.keys()) if (!running.includes(pid)) since.delete(pid)
      for (const pid of running) since.set(pid, since.get(pid) ?? performance.now())
      await sleep(SAMPLE_MS)
    }
  }
  const stop = () => {
    isStopped = true
  }
  return { busyMs, stop, locked: watch() }
}

/** Whether a process is on a core, or waits for one. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('R')
  } catch {
    return false
  }
}
