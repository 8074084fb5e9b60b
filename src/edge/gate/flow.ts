import { asked, taken } from '../../core/body/quick.ts'
import type { Usage } from '../../core/meter/usage.ts'
import {
  closeOver,
  finish,
  first,
  isAtEnd,
  last,
  startUsual,
  takeEnd,
  takeUsual,
} from '../../core/meter/usual.ts'
import { markName } from '../../core/running.ts'
import { readEpoch, runningZone } from './registry.ts'
import type { GateRequest, MeterState } from './request.ts'

/*
 * A stream that flows as usual, from the first piece on (quick.ts) or from where the long way has nothing to do with it
 * (meter.ts), which takes it back where anything else comes. What is known of it stands in variables of this module,
 * as in quick.ts.
 */

/** The request whose answer flows. */
export let flowing: GateRequest | null = null

/** Its events are read; else they pass. */
export let isRead = false
/** Of one that the long way had before: what that knew. */
export let base: MeterState | null = null
/** As in MeterState. */
let epoch = -1
let untilMs = 0
let lookMs = 0
let shownMs = 0
export let firstMs = 0
export let lastMs = 0
let passedBytes = 0
let frames = 0

/** njs's own engine: whatever is made is kept until the request ends. The build puts the answer in its place. */
export function isKept(): boolean {
  return njs.engine !== 'QuickJS'
}

/** How often a stream is looked at: at the events after that. */
export const LOOK_MS = 100

/** How often a stream shows how far it is. */
export const SHOWN_MS = 1000

/**
 * What a caller may leave unread of a stream, 16,000 events. nginx keeps it in memory, since it does not
 * slow the server down where a body filter stands.
 */
export const UNREAD_BYTES_MAX = 4194304

/** What nginx puts around a chunk: its size in hexadecimal, and two line ends. Four digits are 64 KB. */
export const FRAME_BYTES_MAX = 8

/** What flow() says of a piece: it is not one of these, and was not sent; or it was sent, and that is all, or it is time to
 * show how far the stream is, or to look at it closely. */
export const OTHER = 0
export const SENT = 1
export const SHOW = 2
export const LOOK = 3

/** Begins with the stream of a request on the quick way, of which nothing has come. */
export function startFlow(r: GateRequest, reads: boolean, until: number): void {
  flowing = r
  isRead = reads
  base = null
  startUsual(reads ? taken : 'nothing', false)
  epoch = -1
  untilMs = until
  firstMs = lastMs = lookMs = passedBytes = frames = 0
  shownMs = Date.now()
}

/** Goes on with a stream of the long way, which may have it back at any time. */
export function resumeFlow(r: GateRequest, state: MeterState): void {
  const meter = state.meter
  flowing = r
  isRead = meter !== null
  base = state
  startUsual(meter ? meter.plan.taken : 'nothing', true)
  epoch = state.epoch
  untilMs = state.untilMs
  firstMs = state.firstMs
  lastMs = state.lastMs
  lookMs = state.lookMs
  shownMs = state.shownMs
  passedBytes = state.passedBytes
  frames = 0
}

/** Puts into `state` what the long way has to know to go on; its meter has been told. */
export function stopFlow(state: MeterState): void {
  state.epoch = epoch
  state.untilMs = untilMs
  state.firstMs = firstMs
  state.lastMs = lastMs
  state.lookMs = lookMs
  state.shownMs = shownMs
  state.passedBytes = passedBytes
  state.frameBytes += frames * FRAME_BYTES_MAX
  endFlow()
}

/** Nothing flows any more, and nothing is kept. */
export function endFlow(): void {
  flowing = base = null
  startUsual('nothing', false)
}

/** Sends a piece of the answer that flows, which is not its last one. */
export function flow(r: GateRequest, data: Buffer): number {
  const whole = data.length
  let length = isRead ? takeUsual(data) : whole
  if (length === 0) {
    if (whole === 0) {
      // nginx has such a piece for a header.
      r.sendBuffer(data)
      return SENT
    }
    if (!flowEnd(r, data)) return OTHER
  } else {
    if (length === whole) r.sendBuffer(data)
    else if (isKept()) {
      // A piece that is written into keeps half a KB more for good there.
      r.sendBuffer(data.subarray(0, length))
      r.sendBuffer(closing())
      length += 3
    } else {
      r.sendBuffer(closeOver(data, length))
      length += 3
    }
    passedBytes += length
  }
  frames++
  lastMs = Date.now()
  if (firstMs === 0) firstMs = lastMs
  return lastMs < lookMs ? SENT : lookAt()
}

/** The beginning and the end of a stream. */
function flowEnd(r: GateRequest, data: Buffer): boolean {
  const sent = takeEnd(data, base ? '' : asked)
  if (!sent) return false
  for (let i = 0; i < sent.length; i++) {
    const piece = sent[i] as Buffer
    r.sendBuffer(piece)
    passedBytes += piece.length
  }
  return true
}

/** Sends the last piece. False: it is not the end that such a stream has, and was not sent. */
export function flowOut(r: GateRequest, data: Buffer): boolean {
  if (isRead && (data.length > 0 || !isAtEnd())) return false
  r.sendBuffer(data)
  return true
}

/** What closes an event whose end was taken out. */
function closing(): Buffer {
  if (!closed) closed = Buffer.from('}\n\n')
  return closed
}
let closed: Buffer | null = null

/** Has anything changed that a stream ends for, is it read, how far is it. */
function lookAt(): number {
  lookMs = lastMs + LOOK_MS
  if (readEpoch() !== epoch || lastMs >= untilMs || passedBytes >= UNREAD_BYTES_MAX) return LOOK
  return isShowDue() ? SHOW : SENT
}

/** Whether it is time to show how far the stream is, which it is not again then. */
export function isShowDue(): boolean {
  if (lastMs - shownMs < SHOWN_MS) return false
  shownMs = lastMs
  return true
}

/** Goes on behind LOOK, where nothing that the stream ends for has changed before the epoch was `now`. False: there is more to look at. */
export function goOn(now: number): boolean {
  if (lastMs >= untilMs || passedBytes >= UNREAD_BYTES_MAX) return false
  epoch = now
  return true
}

/** Whether an operator wants the request to end. */
export function isMarked(r: GateRequest): boolean {
  return runningZone().has(markName(r.variables['request_id'] || ''))
}

/** What the stream has used so far, as its last count says; null where that is not known. */
export function usedSoFar(): Usage | null {
  const event = finish || last || first
  if (!event) return null
  const text = event.toString('utf8', event.lastIndexOf(123))
  return {
    promptTokens: countIn(text, '"prompt_'),
    completionTokens: countIn(text, '"completion_'),
  }
}

/** As numberAt() of core/meter/events.ts, which njs would have to make for every request if this called it. */
function countIn(text: string, name: string): number {
  return parseInt(text.slice(text.indexOf(name + 'tokens":') + name.length + 8), 10) || 0
}
