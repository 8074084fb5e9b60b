import { quantile } from '../stats.ts'

/** Where on a distribution the report looks. */
export const PARTS_OF_ALL = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999]

/** Some times in milliseconds, by the parts of PARTS_OF_ALL, and the longest. */
export type Times = { count: number; at: number[]; max: number }

/** What the client of streams saw. */
export type StreamFigures = {
  events: number
  /** Streams that came whole, and those that did not. */
  finished: number
  lost: number
  /** Gaps of more than ten intervals, and of at least a second. */
  stalled: number
  /**
   * Between the request and its first event, less what the mock waits; of streams that began while all
   * others were open, where there are such.
   */
  first: Times
  /** Between two events of a stream, less the interval. */
  gaps: Times
  /** Between an event's leaving the mock and its coming here. */
  transit: Times
}

/** Keeps times in memory that is taken beforehand, because to take it would be measured too. */
class Samples {
  private readonly values: Float64Array
  private count = 0

  constructor(capacity: number) {
    this.values = new Float64Array(capacity)
  }

  add(value: number): void {
    if (this.count < this.values.length) this.values[this.count++] = value
  }

  times(): Times {
    const sorted = this.values.subarray(0, this.count).sort()
    return {
      count: this.count,
      at: PARTS_OF_ALL.map((part) => quantile(sorted, part)),
      max: quantile(sorted, 1),
    }
  }
}

/** The plan of a run, as far as it matters for what is recorded. */
export type Expected = {
  streams: number
  tokens: number
  firstMs: number
  gapMs: number
  generations: number
}

/** Gathers the times of all streams of a run. */
export class Recorder {
  events = 0
  /** Streams of which an event has come. */
  begun = 0
  private finished = 0
  private lost = 0
  private stalled = 0
  private readonly first: Samples
  private readonly gaps: Samples
  private readonly transit: Samples
  private readonly expected: Expected
  private readonly stallMs: number

  constructor(expected: Expected) {
    const streams = expected.streams * expected.generations
    const events = streams * expected.tokens
    this.first = new Samples(streams)
    this.gaps = new Samples(events)
    this.transit = new Samples(events)
    this.expected = expected
    this.stallMs = Math.max(1000, 10 * expected.gapMs)
  }

  /** `isEarly`: it began when not all streams were open. */
  addFirst(ms: number, isEarly: boolean): void {
    this.events += 1
    this.begun += 1
    if (!isEarly || this.expected.generations === 1) this.first.add(ms - this.expected.firstMs)
  }

  addGap(ms: number): void {
    this.events += 1
    if (ms > this.stallMs) this.stalled += 1
    this.gaps.add(ms - this.expected.gapMs)
  }

  addTransit(ms: number): void {
    this.transit.add(ms)
  }

  end(isWhole: boolean): void {
    if (isWhole) this.finished += 1
    else this.lost += 1
  }

  figures(): StreamFigures {
    return {
      events: this.events,
      finished: this.finished,
      // What was never ended is lost as well.
      lost: this.lost,
      stalled: this.stalled,
      first: this.first.times(),
      gaps: this.gaps.times(),
      transit: this.transit.times(),
    }
  }
}
