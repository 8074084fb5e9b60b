import type { Times } from './load/recorder.ts'
import type { Machine } from './machine.ts'
import type { Figure } from './stats.ts'

/** Requests at saturation of one worker. */
export type RequestRow = {
  subject: string
  /** Bytes of the body, and keys that are configured. */
  bytes: number
  keys: number
  perSecond: Figure
  /** CPU time of the worker. */
  cpuUs: Figure
  /** CPU time over wall time: at 1 the worker was the bottleneck. */
  busy: number
  p50Ms: number
  p99Ms: number
  errors: number
  /** CPU time against plain proxy_pass of the same nginx; and against the map. */
  ratio: number
  mapRatio: number | null
  /** CPU time against the same subject with the fewest keys of the part, in the same rounds. */
  fewRatio: number | null
}

/** CPU time that housekeeping takes for each line of the ledger that it adds up. */
export type FoldingRow = {
  world: string
  /** Of so many clients lines come in turns. */
  clients: number
  /** The least that it could be, see floors/fold.js. */
  isFloor: boolean
  lineUs: Figure
  /** Under callgrind; absent where that is not there, and in results of before. */
  instructions?: number
}

/** Instructions under callgrind, by request and by streamed event. */
export type InstructionRow = {
  subject: string
  perRequest: number
  requestRatio: number
  /** Of an agent's request, see agentBody(); absent in results of before. */
  perAgent?: number
  /** Of a stream but for its events: its request, its beginning and its end; absent in results of before. */
  perStream?: number
  perEvent: number
  eventRatio: number
}

/** Times in ms: of this subject, and what they are more than those of plain proxy_pass. */
export type Latency = Times & { added: number[] }

/** Streams at a steady pace. */
export type StreamRow = {
  subject: string
  streams: number
  perSecond: number
  /** The caller asked for running counts itself, so that there is nothing to take out. */
  asks: boolean
  cpuUs: Figure
  ratio: number
  busy: number
  first: Latency
  gaps: Latency
  transit: Latency
  events: number
  finished: number
  lost: number
  stalled: number
  /** Streams whose tokens in the ledger are those that came; null where there is no ledger. */
  charged: number | null
}

/** Memory of the worker by open stream. */
export type MemoryRow = {
  subject: string
  streams: number
  /** By stream, at its beginning. */
  kbPerStream: number
  /** More of it, for each event of a stream. */
  kbPerEvent: number
  rssKb: number
}

/** What a worker keeps of many streams, by the contexts that it may keep for the next ones. */
export type ReuseRow = {
  subject: string
  reuse: number
  /** What hands out memory: the C library, or jemalloc before it. */
  allocator: string
  streams: number
  /** Memory before, with all of them open, a moment after the last, and some minutes later with a few requests since. */
  freshMb: number
  openMb: number
  afterMb: number
  laterMb: number
  minutes: number
  /** CPU time of a request while so many callers wait for theirs. */
  cpuUs: { callers: number; us: number }[]
}

/** The load of many clients, and what requests notice of it. */
export type LoadingRow = {
  subject: string
  keys: number
  /** From the start of nginx to the first answer; from the new file to its being in force. */
  firstMs: number
  reloadMs: number
  /** The longest answer while nothing is loaded, and during the reload. */
  quietMaxMs: number
  stallMaxMs: number
}

export type StartupRow = { subject: string; startMs: Figure }

export type BundleRow = { file: string; bytes: number }

/** One minute of the soak. */
export type SoakPoint = { minute: number; rssKb: number; requests: number; lost: number }

export type SoakRow = {
  subject: string
  points: SoakPoint[]
  errors: number
  requests: number
  streams: number
}

/** How the mock and the clients were found to be fast enough. */
export type MockCheck = {
  /** At the mock itself, with the same client on the same core. */
  requestsPerSecond: number
  /** CPU time of the mock at the highest stream load, over wall time. */
  busyAtStreams: number
  streams: number
  perSecond: number
  transit: Times
  gaps: Times
}

/** All figures of a run, as results.json has them. */
export type Results = {
  date: string
  isQuick: boolean
  machine: Machine
  versions: { world: string; nginx: string; njs: string; engine: string }[]
  loadTool: string
  mock: MockCheck | null
  requests: RequestRow[]
  /** Of one caller alone; absent in results of before, as `reuse` is. */
  single?: RequestRow[]
  bodies: RequestRow[]
  keys: RequestRow[]
  folding: FoldingRow[]
  instructions: InstructionRow[]
  streams: StreamRow[]
  memory: MemoryRow[]
  reuse?: ReuseRow[]
  loading: LoadingRow[]
  startup: StartupRow[]
  bundles: BundleRow[]
  peers: { requests: RequestRow[]; streams: StreamRow[]; memory: MemoryRow[] }
  soak: SoakRow[]
  notes: string[]
}
