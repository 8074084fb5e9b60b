// The client of streams, a process of its own: so many at once, in each slot as many after each other
// as there are generations. It notes when every event came, and prints one JSON object.
import { cpuNsOf, memoryOf } from '../processes.ts'
import { Recorder, type StreamFigures } from './recorder.ts'
import { openSlot, type Slot } from './slot.ts'

/** What one run of streams is told. */
export type StreamLoad = {
  port: number
  /** Sent one after the other, by slot. */
  keys: string[]
  streams: number
  tokens: number
  firstMs: number
  gapMs: number
  /** How often each slot streams. The first time, they begin one after the other over `rampMs`. */
  generations: number
  rampMs: number
  /** The caller asks for running counts itself. */
  asks: boolean
  /** More headers of a request, for peers. */
  headers?: Record<string, string>
  path?: string
  /** Whose CPU time and memory are read. */
  pids: number[]
}

/** What one run of streams gave. */
export type StreamResult = StreamFigures & {
  /** CPU time of the subject by event, while all streams were open and none began or ended. */
  cpuUsPerEvent: number
  /** CPU time of the subject over wall time in these windows. */
  busy: number
  /** Of the subject: before, when all streams were open, and before the first of them ended. */
  memory: { events: number; rssKb: number; pssKb: number }[]
}

const load = JSON.parse(process.argv[2] ?? '{}') as StreamLoad
const recorder = new Recorder(load)
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
const cpuNs = () => sum(load.pids.map(cpuNsOf))
const startMs = performance.now()
const slots: Slot[] = []
const memory: StreamResult['memory'] = [takeMemory()]
const windows = { cpuNs: 0, events: 0, lengthMs: 0 }

function takeMemory(): StreamResult['memory'][number] {
  const found = load.pids.map(memoryOf)
  return {
    events: recorder.events,
    rssKb: sum(found.map(({ rssKb }) => rssKb)),
    pssKb: sum(found.map(({ pssKb }) => pssKb)),
  }
}

function isOpen(): boolean {
  return recorder.begun >= load.streams
}

function takeWhenOpen(): void {
  if (isOpen()) memory.push(takeMemory())
  else setTimeout(takeWhenOpen, load.gapMs)
}

function at(ms: number, act: () => void): void {
  setTimeout(act, Math.max(0, startMs + ms - performance.now()))
}

/** What happens from now on until the end of a window is added to those before. */
function watchUntil(endMs: number): void {
  const began = { cpuNs: cpuNs(), events: recorder.events, ms: performance.now() }
  at(endMs, () => {
    windows.cpuNs += cpuNs() - began.cpuNs
    windows.events += recorder.events - began.events
    windows.lengthMs += performance.now() - began.ms
  })
}

function print(): void {
  const result: StreamResult = {
    ...recorder.figures(),
    cpuUsPerEvent: windows.cpuNs / 1e3 / windows.events,
    busy: windows.cpuNs / 1e6 / windows.lengthMs,
    memory,
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}

/** A stream that never ends ends the run all the same, and is counted as lost. */
const LATE_MS = 15_000
const streamMs = load.firstMs + (load.tokens - 1) * load.gapMs
/** From the beginning of a generation until all of its streams flow. */
const steadyMs = load.rampMs + load.firstMs + 2 * load.gapMs

let open = load.streams
for (let index = 0; index < load.streams; index++) {
  at((index / load.streams) * load.rampMs, () => {
    slots.push(openSlot(load, index, recorder, () => --open === 0 && print()))
  })
}
for (let past = 0; past < load.generations; past++) {
  const beganMs = past * streamMs
  at(beganMs + steadyMs, () => watchUntil(beganMs + streamMs - load.gapMs))
}
at(steadyMs, takeWhenOpen)
at(streamMs - load.gapMs, () => isOpen() && memory.push(takeMemory()))
at(load.rampMs + load.generations * streamMs + LATE_MS, print)
