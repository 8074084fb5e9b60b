import { readdirSync, readFileSync } from 'node:fs'
import { until } from '../waiting.ts'
import type { Gate } from './harness.ts'

/** The workers of a gate that take requests, in the order of their start; those that shut down are left out. */
export function workersOf(gate: Gate): number[] {
  return childrenOf(gate.pid).filter((pid) => {
    const title = titleOf(pid)
    return title.includes('worker process') && !title.includes('shutting down')
  })
}

/** The number of a process as it sees it itself, which is another one in a container. */
export function ownPidOf(pid: number): number {
  return Number(/^NSpid:.*\s(\d+)$/m.exec(readProc(pid, 'status'))?.[1])
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Ends the workers of a gate as kill -9 does it; its master starts others. */
export function killWorkers(gate: Gate): void {
  for (const pid of workersOf(gate)) process.kill(pid, 'SIGKILL')
}

/** Ends a whole gate so. */
export async function killAll(gate: Gate): Promise<void> {
  const pids = [gate.pid, ...workersOf(gate)]
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await until('their end', () => !pids.some(isAlive))
}

/** Memory of a process that is not shared with others, in bytes. */
export function privateBytesOf(pid: number): number {
  const rollup = readProc(pid, 'smaps_rollup')
  return Number(/^Private_Dirty: +(\d+) kB/m.exec(rollup)?.[1]) * 1024
}

/**
 * The children of a process, in the order of their start. /proc/PID/task/PID/children needs a kernel option
 * that not every machine has.
 */
export function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Boolean)
  return pids.filter((pid) => parentOf(pid) === parent).sort((a, b) => a - b)
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1])
}

function titleOf(pid: number): string {
  return readProc(pid, 'cmdline')
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
