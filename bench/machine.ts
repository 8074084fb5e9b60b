import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'

/** What runs where: the subject's worker has a core for itself. */
export type Role = 'subject' | 'mock' | 'client'

const canPin = hasTaskset() && availableParallelism() >= 2

/** A command that runs on the core of its role; with two cores mock and client share one. */
export function pin(role: Role, command: readonly string[]): string[] {
  return canPin ? ['taskset', '-c', `${coreOf(role)}`, ...command] : [...command]
}

function coreOf(role: Role): number {
  if (role === 'subject') return 0
  return role === 'client' && availableParallelism() >= 3 ? 2 : 1
}

/** One of our programs, which run.mjs has put beside this one. */
export function program(role: Role, name: string, settings: unknown): string[] {
  const file = new URL(`./${name}.mjs`, import.meta.url).pathname
  return pin(role, [process.execPath, file, JSON.stringify(settings)])
}

export type Machine = {
  cpu: string
  cores: number
  memoryGb: number
  kernel: string
  system: string
  node: string
  isPinned: boolean
  /** Processes that wanted to run before the run began, over the last minute. */
  loadBefore: number
}

/** What the report says of the machine. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    system: read('/etc/os-release', /^PRETTY_NAME="(.*)"$/m) ?? process.platform,
    node: process.version,
    isPinned: canPin,
    loadBefore: Number(read('/proc/loadavg', /^(\S+)/) ?? Number.NaN),
  }
}

function read(file: string, pattern: RegExp): string | undefined {
  try {
    return pattern.exec(readFileSync(file, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
