// The client of streams, a process of its own: so many at once, each slot one stream after the other
// until the time is over. It notes when every event came, and prints one JSON object.
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
  seconds: number
  /** The caller asks for running counts itself. */
  asks: boolean
  /** Over this time the streams begin; 0 for all at once. */
  rampMs: number
  /** More headers of a request, for peers. */
  headers?: Record<string, string>
  path?: string
  /** Whose CPU time and memory are read. */
  pids: number[]
}

/** What one run of streams gave. */
export type StreamResult = StreamFigures & {
  /** CPU time of the subject by event, between ramp and end; NaN where there were none. */
  cpuUsPerEvent: number
  /** CPU time of the subject over wall time in that window. */
  busy: number
  /** Of the subject: before, and with all streams open, at the marks. */
  memory: { events: number; rssKb: number; pssKb: number }[]
}

const load = JSON.parse(process.argv[2] ?? '{}') as StreamLoad
const recorder = new Recorder(load)
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
const cpuNs = () => sum(load.pids.map(cpuNsOf))
const startMs = performance.now()
const slots: Slot[] = []
const memory: StreamResult['memory'] = [takeMemory()]
const window = { cpuNs: 0, events: 0, startMs: 0, lengthMs: 0 }

function takeMemory(): StreamResult['memory'][number] {
  const found = load.pids.map(memoryOf)
  return {
    events: recorder.events,
    rssKb: sum(found.map(({ rssKb }) => rssKb)),
    pssKb: sum(found.map(({ pssKb }) => pssKb)),
  }
}

function mayGoOn(): boolean {
  return performance.now() - startMs < load.seconds * 1000
}

function at(ms: number, act: () => void): void {
  setTimeout(act, Math.max(0, startMs + ms - performance.now()))
}

function openWindow(): void {
  Object.assign(window, { cpuNs: cpuNs(), events: recorder.events, startMs: performance.now() })
}

function closeWindow(): void {
  window.cpuNs = cpuNs() - window.cpuNs
  window.events = recorder.events - window.events
  window.lengthMs = performance.now() - window.startMs
}

function print(): void {
  const result: StreamResult = {
    ...recorder.figures(),
    cpuUsPerEvent: window.cpuNs / 1e3 / window.events,
    busy: window.cpuNs / 1e6 / window.lengthMs,
    memory,
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}

/** A stream that never ends ends the run all the same, and is counted as lost. */
const LATE_MS = 15_000
const streamMs = load.firstMs + load.tokens * load.gapMs
const steadyMs = load.rampMs + load.firstMs + 2 * load.gapMs

let open = load.streams
for (let index = 0; index < load.streams; index++) {
  at((index / load.streams) * load.rampMs, () => {
    slots.push(openSlot(load, index, recorder, mayGoOn, () => --open === 0 && print()))
  })
}
at(steadyMs, () => memory.push(takeMemory()))
at(steadyMs, openWindow)
at(load.seconds * 1000, closeWindow)
at(Math.min(load.seconds * 1000, streamMs) - load.gapMs, () => memory.push(takeMemory()))
at(load.seconds * 1000 + streamMs + LATE_MS, print)
