import { type Ticket, whyNot } from '../../core/admit/admit.ts'
import { filterModels } from '../../core/admit/models.ts'
import { costOf, priceOf } from '../../core/limits/cost.ts'
import { countsTokens, extendHold, type Hold } from '../../core/limits/reserve.ts'
import {
  type Cut,
  canCut,
  endOfEvent,
  endStream,
  feed,
  feedWhole,
  finishMeter,
  isPlain,
  type Meter,
  type MeterPlan,
  replay,
  startEnd,
  startMeter,
  startWhole,
  type Whole,
} from '../../core/meter/meter.ts'
import {
  base,
  FRAME_BYTES_MAX,
  isKept,
  isMarked,
  isRead,
  LOOK_MS,
  resumeFlow,
  SHOWN_MS,
  stopFlow,
  UNREAD_BYTES_MAX,
} from './flow.ts'
import { findRecord, openZones, readEpoch, readPrices, readRules } from './registry.ts'
import type { GateRequest, MeterState } from './request.ts'
import { showRunning } from './running.ts'
import { rulesOf } from './till.ts'

/** The largest list of models that is filtered; a larger one is shown to nobody. */
const LIST_BYTES_MAX = 1048576

/** A server that names the model it serves has done so by then. */
const NAMED_TOKENS = 16

/** What a stream takes of a hard budget at a time. */
const STEP_TOKENS = 16

/** After that the frames of a stream that was cut are left out of account. */
const FRAMES_MS = 200

/** So long a caller may take to read the end of a stream that was cut. */
const END_MS = 5000

/** The body filter, see meter() in quick.ts. */
export function meterLong(r: GateRequest, data: Buffer, flags: { last: boolean }): void {
  const isLast = flags.last
  const state = r.metering || (r.whole === undefined ? begin(r) : null)
  if (state) {
    meterEvent(r, state, data, isLast)
    return
  }
  if (isLast) r.sawLast = true
  const whole = r.whole
  if (whole && 'list' in whole) {
    filterList(r, whole.list, data, isLast)
    return
  }
  r.sendBuffer(data)
  if (whole && !('list' in whole) && data.length > 0) read(r, whole, data)
}

function read(r: GateRequest, whole: Whole, data: Buffer): void {
  try {
    feedWhole(whole, data)
  } catch (error) {
    r.whole = null
    tellUnmetered(error as Error)
  }
}

/** Takes a first piece that has been sent on already, of an answer that is JSON. */
export function meterSeen(r: GateRequest, data: Buffer): void {
  begin(r)
  const whole = r.whole
  if (whole && !('list' in whole)) read(r, whole, data)
}

function tellUnmetered(error: Error): void {
  ngx.log(ngx.ERR, `Tollgate cannot meter: ${error.message}`)
}

/** The long way goes on with a stream that flowed. */
export function takeBack(r: GateRequest): MeterState {
  const state = flowed(r.ticket as Ticket)
  r.metering = state
  if (r.ending) r.ending.metered = state
  return state
}

/** What is known of the stream that flows, which it does no longer. */
export function flowed(ticket: Ticket): MeterState {
  const state = base || startState(isRead ? startMeter(planOf(ticket, null)) : null)
  if (state.meter) replay(state.meter, !isKept())
  stopFlow(state)
  return state
}

/** Looks closely at a stream behind a piece that flowed, and lets it flow on if it may. */
export function lookLong(r: GateRequest, data: Buffer): void {
  const state = takeBack(r)
  look(r, state, data)
  letFlow(r, state)
}

/** The next piece may be one for flow(). */
function letFlow(r: GateRequest, state: MeterState): void {
  if (state.cutMs || state.why || (state.meter && !isPlain(state.meter))) return
  resumeFlow(r, state)
}

/** What flow() does not take: other servers, other routes. */
function meterEvent(r: GateRequest, state: MeterState, data: Buffer, isLast: boolean): void {
  if (isLast) r.sawLast = true
  if (state.cutMs) {
    // A stream that was given up has no end yet, so that the server's own must not pass for it.
    if (!isLast || (r.ticket as Ticket).outcome === 'cut_unread') hangUp(r, state)
    return
  }
  const active = state.meter
  if (state.why && !isLast && endWithin(r, state, data)) return
  if (!active) {
    watch(r, state, data, isLast)
    return
  }
  let isSent = false
  try {
    const before = state.passedBytes
    // An empty piece is the header's, which is not to wait for the first token.
    isSent = !active.takesOut || (data.length === 0 && !isLast)
    if (isSent) pass(r, state, data)
    // The first call may bring nothing: it is that of the header.
    if (data.length > 0) state.lastMs = Date.now()
    if (state.firstMs === 0) state.firstMs = state.lastMs
    const pieces = feed(active, data, isLast)
    if (!isSent) {
      isSent = true
      if (pieces === null) pass(r, state, data)
      // With the last piece it is one buffer. Joining others would cost 1 KB an event on the njs engine.
      else for (let i = 0; i < pieces.length; i++) pass(r, state, pieces[i] as Buffer)
    }
    const passed = state.passedBytes - before
    if (passed > 0) state.frameBytes += FRAME_BYTES_MAX
    if (active.isSpent) cut(r, active, state, 'budget')
    else if (!isLast) {
      if (state.lastMs >= state.lookMs) look(r, state, data)
      letFlow(r, state)
    }
  } catch (error) {
    state.meter = null
    if (!isSent) r.sendBuffer(data)
    tellUnmetered(error as Error)
  }
}

/** The first piece of a stream that is not metered, and those that come to be ended. */
function watch(r: GateRequest, state: MeterState, data: Buffer, isLast: boolean): void {
  pass(r, state, data)
  if (isLast || data.length === 0) return
  state.frameBytes += FRAME_BYTES_MAX
  state.lastMs = Date.now()
  if (state.firstMs === 0) state.firstMs = state.lastMs
  if (state.lastMs >= state.lookMs) look(r, state, data)
  letFlow(r, state)
}

/** What a stream is looked at for now and then: does its key still hold, is it read, how far is it. */
function look(r: GateRequest, state: MeterState, data: Buffer): void {
  const ticket = r.ticket as Ticket
  state.lookMs = state.lastMs + LOOK_MS
  try {
    const why = reasonToCut(r, ticket, state)
    if (why) cut(r, state.meter || followEnd(ticket, state, data), state, why)
    else if (isUnread(r, state)) giveUp(r, state)
    else if (state.lastMs - state.shownMs >= SHOWN_MS) {
      state.shownMs = state.lastMs
      showRunning(r)
    }
  } catch (error) {
    ngx.log(ngx.ERR, `Tollgate cannot watch a stream: ${(error as Error).message}`)
  }
  // Within the next piece, if it could not be cut behind this one.
  if (state.why) state.lookMs = 0
}

/**
 * Ends a stream whose pieces end anywhere, behind the first event that ends within this one. False: none does, or what goes
 * to the caller is made of whole events anyway.
 */
function endWithin(r: GateRequest, state: MeterState, data: Buffer): boolean {
  const active = state.meter || state.end
  const end = active && !active.takesOut ? endOfEvent(data) : 0
  if (!active || end === 0) return false
  const head = data.subarray(0, end)
  pass(r, state, head)
  feed(active, head, false)
  state.lastMs = Date.now()
  cut(r, active, state, state.why as Cut)
  if (state.cutMs) return true
  // It was the stream's own end.
  const rest = data.subarray(end)
  pass(r, state, rest)
  feed(active, rest, false)
  return true
}

function pass(r: GateRequest, state: MeterState, piece: Buffer): void {
  r.sendBuffer(piece)
  state.passedBytes += piece.length
}

/** How much of the answer has gone to the caller, or at least into the kernel. */
function sentBytes(r: GateRequest): number {
  return Number(r.variables['body_bytes_sent'])
}

/** Whether the caller has left too much of the answer unread. */
function isUnread(r: GateRequest, state: MeterState): boolean {
  if (state.passedBytes < UNREAD_BYTES_MAX) return false
  return state.passedBytes - sentBytes(r) > UNREAD_BYTES_MAX
}

/** Finds out what kind of answer it is: of a stream what is kept, else null. What it cannot begin passes unread. */
function begin(r: GateRequest): MeterState | null {
  r.whole = null
  const ticket = r.ticket
  if (!ticket || ticket.outcome !== 'ok' || ticket.atMs === undefined || r.status >= 300)
    return null
  try {
    if (ticket.models) r.whole = { list: [] }
    else if (ticket.route) {
      const isRead = isMetered(r, ticket)
      if (`${r.headersOut['Content-Type']}`.startsWith('text/event-stream')) {
        r.metering = startState(isRead ? meterOf(r, ticket) : null)
      } else if (isRead) {
        const metadata = r.variables['upstream_http_metadata']
        r.whole = startWhole(ticket.route, metadata, ticket.choices, ticket.prompts)
      }
    }
  } catch (error) {
    tellUnmetered(error as Error)
  }
  if (r.ending) r.ending.metered = r.metering || r.whole
  return r.metering || null
}

/** Whether tokens of a request count: for the policy, a limit, a budget, or what is learned for a ceiling of prompts. */
export function isMetered(r: GateRequest, ticket: Ticket): boolean {
  if (rulesOf(r).metering !== 'off') return true
  const request = r.found && r.found.record.request
  if (request && request.maxInputTokens !== undefined) return true
  return ticket.hold !== undefined && countsTokens(ticket.hold)
}

function meterOf(r: GateRequest, ticket: Ticket): Meter {
  const hold = ticket.hold
  return startMeter(planOf(ticket, hold && hold.isHard ? allowanceOf(r, ticket, hold) : null))
}

function planOf(ticket: Ticket, mayUse: MeterPlan['mayUse']): MeterPlan {
  return {
    route: ticket.route || '',
    taken: ticket.taken || 'nothing',
    choices: ticket.choices || 1,
    prompts: ticket.prompts || 1,
    wantsUsage: ticket.wantsUsage === true,
    mayUse,
  }
}

function startState(meter: Meter | null): MeterState {
  return {
    meter,
    why: null,
    cutMs: 0,
    cutBytes: 0,
    // So that the first look is one at the key: it may have been revoked while the server thought.
    epoch: -1,
    untilMs: 0,
    firstMs: 0,
    lastMs: 0,
    lookMs: 0,
    shownMs: Date.now(),
    passedBytes: 0,
    frameBytes: 0,
  }
}

/** Lets a stream with a hard budget go on as long as there is room for what it has used. */
function allowanceOf(r: GateRequest, ticket: Ticket, hold: Hold): NonNullable<MeterPlan['mayUse']> {
  const asked = ticket.model || readRules().defaultModel || ''
  const prices = readPrices()
  let price = priceOf('', asked, prices)
  // Without a budget in cost it does not matter what is served.
  let served = hold.checks.some((check) => check.kind === 'R' && check.isHard) ? '' : asked
  const zones = openZones()
  return (prompt, completion, active) => {
    if (served === '' && completion <= NAMED_TOKENS) {
      served = finishMeter(active).served || ''
      price = priceOf(served, asked, prices)
    }
    const promptTokens = prompt === null ? hold.amounts.i : prompt
    const cost = price ? costOf({ promptTokens, completionTokens: completion }, price) : 0
    const tokens = promptTokens + completion
    const nowMs = Date.now()
    const before = hold.amounts.r + hold.amounts.R
    // Some more than that, so that not every event has to ask.
    const isLeft =
      extendHold(zones, hold, tokens + STEP_TOKENS, Math.ceil(cost * 1.1), nowMs) ||
      extendHold(zones, hold, tokens, cost, nowMs)
    // What it holds now goes back too, should this worker die.
    if (hold.amounts.r + hold.amounts.R > before) showRunning(r)
    return isLeft
  }
}

/**
 * Why a stream must not go on: its key holds no more, or an operator wants so. It looks when somebody
 * says that something has changed, and when the key expires.
 */
function reasonToCut(r: GateRequest, ticket: Ticket, state: MeterState): Cut | null {
  const epoch = readEpoch()
  if ((epoch === state.epoch && state.lastMs < state.untilMs) || !ticket.hash) return state.why
  state.epoch = epoch
  // A hard budget has to be asked in the time zone that is in force now.
  if (ticket.hold) ticket.hold.zoneMinutes = readRules().zoneMinutes
  const record = findRecord(ticket.hash)
  if (!record || whyNot(record, state.lastMs)) state.why = 'revoked'
  else if (isMarked(r)) state.why = 'operator'
  state.untilMs = (record && record.expires) || Infinity
  return state.why
}

/**
 * Ends a running stream where it can be ended: the caller gets its end at once, and with the next piece
 * hangUp() ends the request.
 */
function cut(r: GateRequest, active: Meter, state: MeterState, why: Cut): void {
  if (why !== 'budget' && !canCut(active)) return
  const ticket = r.ticket as Ticket
  ticket.outcome = `cut_${why}`
  const end = endStream(active, why)
  state.cutBytes = sentBytes(r)
  r.sendBuffer(end, { last: true, flush: true })
  state.passedBytes += end.length
  // Not r.done(): after it nginx would pass on what still comes.
  state.cutMs = state.lastMs
}

/** Of a stream that is not metered, from when it is to be ended: where its events end. */
function followEnd(ticket: Ticket, state: MeterState, data: Buffer): Meter {
  if (!state.end) state.end = startEnd(ticket.route as string)
  feed(state.end, data, false)
  return state.end
}

/** Ends a stream that nobody reads, with the next piece: an end of it would not be read either. */
function giveUp(r: GateRequest, state: MeterState): void {
  const ticket = r.ticket as Ticket
  ticket.outcome = 'cut_unread'
  state.cutMs = state.lastMs - END_MS
}

/**
 * Makes nginx close the connection to the server, so that the engine stops, and that to the caller,
 * when it has everything or is too slow for that. Nothing but an error does so: the end of the answer
 * alone lets a caller that keeps its connection pay on, and wait for the engine with its next request.
 */
function hangUp(r: GateRequest, state: MeterState): void {
  const waitedMs = Date.now() - state.cutMs
  const sent = sentBytes(r)
  // A piece that came together with the one that was cut finds the end not even written yet. And nginx
  // puts one frame around pieces that came together, so that not all are seen as sent at once.
  const left = state.passedBytes + (waitedMs < FRAMES_MS ? state.frameBytes : 0) - sent
  const isOut = sent > state.cutBytes && left <= 0
  if (!isOut && waitedMs < END_MS) return
  throw new Error(`Tollgate has ended this stream: ${(r.ticket as Ticket).outcome}`)
}

/**
 * Gathers the list of models and sends the part of it that the client may see. Spaces make it as long as the server
 * said: a header filter that takes the length away would cost every request 11,000 instructions.
 */
function filterList(r: GateRequest, list: Buffer[], data: Buffer, isLast: boolean): void {
  const bytes = list.reduce((sum, piece) => sum + piece.length, 0)
  if (bytes + data.length <= LIST_BYTES_MAX) list.push(data)
  if (!isLast) return
  const models = (r.ticket as Ticket).models || []
  const length = Number(r.headersOut['Content-Length'])
  const text = Buffer.concat(list).toString('utf8')
  const filtered = Buffer.from(filterModels(text, models))
  if (!(length >= 0)) {
    r.sendBuffer(filtered)
    return
  }
  const fits = filtered.length <= length ? filtered : Buffer.from(filterModels('', models))
  r.sendBuffer(Buffer.concat([fits, Buffer.alloc(length, ' ')]).subarray(0, length))
}
