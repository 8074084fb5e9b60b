import { feedScan } from '../body/scan.ts'
import { joinLines, takeEvent } from './events.ts'
import { parse, startAnswerScan } from './total.ts'
import type { Meter, MeterPlan } from './types.ts'
import { finish, first, isAtEnd, last, lastClosed, total } from './usual.ts'

export { type Cut, canCut, endStream } from './cut.ts'
export { countSoFar, finishMeter, type Metered } from './total.ts'
export type { Meter, MeterPlan } from './types.ts'
export { feedWhole, finishWhole, startWhole, type Whole } from './whole.ts'

/** An event is looked at whole, and held back to take something out of it, up to this many bytes. */
export const EVENT_BYTES_MAX = 1024 * 1024

/** Begins to meter a stream. */
export function startMeter(plan: MeterPlan): Meter {
  return {
    plan,
    takesOut: plan.taken !== 'nothing' || plan.mayUse !== null,
    open: [],
    openBytes: 0,
    isPassing: false,
    scan: null,
    waiting: null,
    events: 0,
    isDone: false,
    error: null,
    first: null,
    last: null,
    final: null,
    totals: [],
    running: [],
    counts: [],
    promptCounts: [],
    finished: [],
    ended: 0,
    end: null,
    completion: 0,
    prompt: 0,
    isSpent: false,
    hasNulls: null,
    around: [],
  }
}

/**
 * The meter of a stream that is to be ended and was not metered: fed from now on, it tells where an event ends, see
 * canCut(), and how the stream does. What it counts is not all.
 */
export function startEnd(route: string): Meter {
  return startMeter({
    route,
    taken: 'nothing',
    choices: 1,
    prompts: 1,
    wantsUsage: false,
    mayUse: null,
  })
}

/** Whether what comes next may be taken as a usual stream, see startUsual(). */
export function isPlain(meter: Meter): boolean {
  const plan = meter.plan
  const isOfOne = plan.choices === 1 && plan.mayUse === null && meter.running.length === 1
  // SGLang puts a null where a count was taken out.
  const isCut = !meter.takesOut || meter.hasNulls === false
  const isWhole = !meter.open.length && !meter.waiting && !meter.isPassing
  return isOfOne && isCut && isWhole && meter.ended === 0 && meter.final === null
}

/**
 * Tells a meter what has come since startUsual() was called, for it or in its place. What that sends has been sent. `isClosed`: of
 * the last usual event the count was written over, by closeOver().
 */
export function replay(meter: Meter, isClosed: boolean): Meter {
  if (first) feed(meter, first, false)
  if (last) {
    meter.running[0] = last
    meter.last = isClosed ? lastClosed() : last
  }
  if (finish) feed(meter, finish, false)
  if (total) feed(meter, total, false)
  if (isAtEnd()) meter.isDone = true
  return meter
}

/**
 * Takes the next piece of the stream. Null: it is sent as it is. Else what is sent instead, in order,
 * maybe nothing, in a list that holds until the next call; with the last piece it is one buffer, so
 * that the mark of the end stands on it.
 */
export function feed(meter: Meter, data: Buffer, isLast: boolean): Buffer[] | null {
  if (meter.isSpent) return []
  const end = data.length - 2
  // Servers send an event at once, and nginx gives it whole: this is the way of nearly all of them.
  if (
    !isLast &&
    !meter.open.length &&
    !meter.isPassing &&
    data[end] === 10 &&
    data[end + 1] === 10
  ) {
    if (data.indexOf(10) === end || data.indexOf('\n\n') === end) return takeEvent(meter, data)
  }
  if (isLast && !data.length && !meter.open.length && !meter.waiting) return null
  const out: Buffer[] = []
  const rest = takeWhole(meter, joinLineEnd(meter, data), out)
  if (meter.isPassing) pass(meter, rest, out)
  else if (rest.length) {
    meter.open.push(rest)
    meter.openBytes += rest.length
    if (meter.openBytes > EVENT_BYTES_MAX) giveUp(meter, out)
  }
  if (isLast && !meter.isPassing) takeRest(meter, out)
  if (!meter.takesOut) return null
  if (!isLast) return out
  if (meter.waiting) out.push(meter.waiting)
  meter.waiting = null
  return [Buffer.concat(out.concat(meter.open))]
}

/** Line ends that may be the first half of a blank line go over to the piece that has the other. */
function joinLineEnd(meter: Meter, data: Buffer): Buffer {
  const held = meter.open[meter.open.length - 1]
  if (!held || !isLineEnd(held[held.length - 1])) return data
  meter.open.pop()
  meter.openBytes -= held.length
  return Buffer.concat([held, data])
}

/** Takes all events that end in the bytes at hand, and returns what is left. */
function takeWhole(meter: Meter, bytes: Buffer, out: Buffer[]): Buffer {
  let rest = bytes
  for (;;) {
    const end = endOfEvent(rest)
    if (!end) return rest
    const part = rest.subarray(0, end)
    rest = rest.subarray(end)
    if (meter.isPassing) {
      pass(meter, part, out)
      meter.isPassing = false
      continue
    }
    const event = meter.open.length ? Buffer.concat(meter.open.concat(part)) : part
    meter.open = []
    meter.openBytes = 0
    const kept = takeEvent(meter, event)
    if (meter.isSpent) return Buffer.alloc(0)
    const sent = kept || [event]
    for (let i = 0; i < sent.length; i++) out.push(sent[i] as Buffer)
  }
}

/** Of a last event without a blank line behind it, if nothing else is missing. */
function takeRest(meter: Meter, out: Buffer[]): void {
  const rest = Buffer.concat(meter.open)
  const text = joinLines(rest).toString()
  // At the beginning of its line.
  const at = text.startsWith('data:') ? 0 : text.indexOf('\ndata:') + 1
  const data = text.slice(at + 5).trim()
  if (data !== '[DONE]' && parse(data) === undefined) return
  meter.open = []
  const sent = takeEvent(meter, rest) || [rest]
  for (let i = 0; i < sent.length; i++) out.push(sent[i] as Buffer)
}

/** Behind the first blank line; 0 where there is none. A comment may end its lines in another way than events do. */
export function endOfEvent(bytes: Buffer): number {
  const end = bytes.indexOf('\n\n')
  const withReturns = bytes.indexOf('\r\n\r\n')
  if (withReturns < 0) return end < 0 ? 0 : end + 2
  return end < 0 || withReturns < end ? withReturns + 4 : end + 2
}

function giveUp(meter: Meter, out: Buffer[]): void {
  const begun = Buffer.concat(meter.open)
  if (meter.waiting) out.push(meter.waiting)
  meter.waiting = null
  meter.isPassing = true
  meter.scan = startAnswerScan()
  const start = Math.max(begun.indexOf('{'), 0)
  out.push(begun.subarray(0, start))
  pass(meter, begun.subarray(start), out)
}

/** Line ends are kept for the next piece: it may complete a blank line. */
function pass(meter: Meter, bytes: Buffer, out: Buffer[]): void {
  let end = bytes.length
  if (!endOfEvent(bytes)) while (isLineEnd(bytes[end - 1])) end--
  const part = bytes.subarray(0, end)
  if (meter.scan) feedScan(meter.scan, part)
  out.push(part)
  meter.open = end < bytes.length ? [bytes.subarray(end)] : []
  meter.openBytes = bytes.length - end
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === 10 || byte === 13
}
