import type { Metering } from '../../src/core/config/shapes.ts'
import type { Group } from './groups.ts'

/** What an engine says of itself, since it has started. */
export type Counters = {
  /** Tokens of prompts, from its cache or not. */
  prompt: number
  completion: number
  /** Requests that it works on, or that wait in it. */
  busy: number
}

/** An engine that runs. */
export type Server = {
  port: number
  counters(): Promise<Counters>
  /** Lets what speaks HTTP stand still for a moment, while the rest works on, where these are two. */
  stall?(): Promise<void>
  /** Ends what works, as a crash would, and leaves the rest as it is. */
  crash(): void
  /** Ends all of it. */
  stop(): Promise<void>
}

/** One server of an engine, with the requests that it is asked. A crash comes in the last group alone. */
export type Role = { name: string; start(): Promise<Server>; groups(seed: number): Group[] }

/** An engine that is installed. */
export type Engine = {
  name: string
  version: string
  /** As docs/metering.md recommends it for this engine. */
  metering: Metering
  /** It counts a prompt once for each of its choices, and tells it once. */
  countsPromptPerChoice: boolean
  /** It tells counts only where they are asked for. */
  isQuiet: boolean
  roles: Role[]
  /** What is to be known when its counters are read. */
  remarks: string[]
}

/** Reads counters and gauges as Prometheus does; those of one name with different labels are added up. */
export async function readMetrics(port: number): Promise<Map<string, number>> {
  const signal = AbortSignal.timeout(10_000)
  // Servers close connections that they have kept for a while, maybe while this asks.
  const headers = { connection: 'close' }
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal, headers })
  const sums = new Map<string, number>()
  for (const line of (await response.text()).split('\n')) {
    const [, name, value] = /^([a-zA-Z_:]+)(?:\{.*\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    sums.set(name, (sums.get(name) ?? 0) + Number(value))
  }
  return sums
}
