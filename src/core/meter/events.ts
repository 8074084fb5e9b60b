import type { Meter } from './types.ts'
import { COUNT_MAX } from './usage.ts'

/**
 * What is looked for in one event of a stream, by native searches alone: on the njs engine every
 * allocation lives until the request ends, and JSON.parse of each event costs 3.5 KB (njs.md, section
 * 2.4). That is safe because quotes inside of a string are escaped: the bytes `"usage":` are always a
 * key. A search over a whole event costs about 1 us, one that begins at the near end 0.3 us; single
 * bytes are found quicker than texts.
 */

/**
 * Notes what an event tells, and returns what is sent in its place: null for the event as it is,
 * else buffers in order, maybe none.
 */
export function takeEvent(meter: Meter, sent: Buffer): Buffer[] | null {
  // Comments, which servers send to keep a connection, may stand before an event, or by themselves.
  let at = 0
  while (sent[at] === 58) {
    const end = sent.indexOf(10, at)
    at = end < 0 ? sent.length : end + 1
  }
  if (at > 0 && !((sent[at] as number) > 13)) return null
  const event = joinLines(at > 0 ? sent.subarray(at) : sent)
  switch (meter.plan.route) {
    case 'messages':
      noteMessage(meter, event)
      return meter.isSpent ? [] : null
    case 'responses':
      noteResponse(meter, event)
      return meter.isSpent ? [] : null
    case 'cohere_chat':
      if (event.indexOf('"type":"content-delta"') >= 0) countEvent(meter)
      else if (event.indexOf('"usage":') >= 0) meter.final = event
      return meter.isSpent ? [] : null
    default:
      return takeChunk(meter, event)
  }
}

/** Of an event with several lines of data one that has them in one: where a line of JSON ends may be a space. */
export function joinLines(event: Buffer): Buffer {
  const start = event[0] === 100 ? 0 : event.indexOf('\ndata:')
  const next = start < 0 ? -1 : event.indexOf(10, start + 1)
  if (next < 0 || event.indexOf('data:', next) !== next + 1) return event
  const rest = event.toString('utf8', next).replace(/\r?\ndata:/g, ' ')
  return Buffer.concat([event.subarray(0, next), Buffer.from(rest)])
}

/** A chunk of chat, completions, and what looks like them. */
function takeChunk(meter: Meter, event: Buffer): Buffer[] | null {
  const plan = meter.plan
  const waiting = meter.waiting
  const key = event.lastIndexOf('"usage":')
  const value = key < 0 ? -1 : skipSpace(event, key + 8)
  const hasUsage = event[value] === 123
  const isBehind = hasUsage && isBehindChoices(event, key)
  const list = isBehind ? -1 : findValue(event, '"choices":')
  const isFilled = isBehind || (list >= 0 && event[skipSpace(event, list + 1)] !== 93)
  const isEnd = isFilled && findReason(event) >= 0
  const isRunning = hasUsage && isFilled && isOfChoice(meter, event, isBehind, isEnd)
  // Some write an empty choice beside the usage of the whole answer.
  const isTotal = hasUsage && !isRunning && (isFilled ? !isEnd : list >= 0)
  if (isRunning) noteRunning(meter, event, value)
  else if (hasUsage) noteTotal(meter, event)
  else if (!isFilled) noteOther(meter, event)
  if (isFilled && !isTotal && !meter.isSpent) noteFilled(meter, event, isRunning, isEnd)
  if (meter.isSpent) return []
  if (plan.taken === 'nothing') return null

  meter.waiting = null
  if (plan.taken === 'all' && isTotal) return waiting ? putBack(waiting, event, value) : []
  // Elsewhere in the end of a choice llama.cpp tells it unasked.
  const isAsked = isBehind || !isEnd || event[skipBack(event, key) - 1] === 123
  let out = isRunning && isAsked ? cutUsage(meter, event, key, value) : null
  // Held back for the moment that it takes the usage chunk to come.
  if (plan.taken === 'all' && plan.choices === 1 && isEnd) {
    meter.waiting = out ? Buffer.concat(out) : event
    out = []
  }
  return waiting ? [waiting].concat(out || [event]) : out
}

/** Whether a usage stands directly behind filled choices, where vLLM, its Rust frontend and SGLang write a running count. */
function isBehindChoices(event: Buffer, key: number): boolean {
  const comma = skipBack(event, key)
  const bracket = event[comma - 1] === 44 ? skipBack(event, comma - 1) : 0
  return event[bracket - 1] === 93 && event[skipBack(event, bracket - 1) - 1] === 125
}

/** Before the spaces that stand before it. */
function skipBack(data: Buffer, from: number): number {
  let at = from
  while (data[at - 1] === 32) at--
  return at
}

/**
 * Whether the usage of an event that has choices is that of its own choice, and not of the whole answer: as vLLM's
 * beam search has it, one event with all choices, and as some write it behind the end of the last one. llama.cpp, which
 * counts unasked in the chunk that ends a choice, has other fields between.
 */
function isOfChoice(meter: Meter, event: Buffer, isBehind: boolean, isEnd: boolean): boolean {
  if (meter.ended >= meter.plan.choices) return false
  if (meter.plan.choices === 1 || isBehind) return true
  return isEnd && event.indexOf('"index":') === event.lastIndexOf('"index":')
}

/** Notes the usage of the whole answer; llama.cpp has one for each choice, with that choice's tokens. */
function noteTotal(meter: Meter, event: Buffer): void {
  if (meter.final && meter.totals.length < meter.plan.choices - 1) meter.totals.push(meter.final)
  meter.final = event
}

/** Notes an event that has neither content nor usage: the end, or an error. */
function noteOther(meter: Meter, event: Buffer): void {
  const done = event.indexOf('[DONE]')
  if (done >= 0 && done < 7) meter.isDone = true
  // llama.cpp had lines of their own for errors; in messages and responses they have that name.
  else if (event.indexOf('error') >= 0) meter.error = event
}

/**
 * A running count is that of its own choice and its own prompt alone (vllm-wire.md, section 2b). Where a hard budget does
 * not have its one token, the event is not noted.
 */
function noteRunning(meter: Meter, event: Buffer, value: number): void {
  const index = indexOf(meter, event)
  const mayUse = meter.plan.mayUse
  if (mayUse) {
    const count = numberAt(event, '"completion_tokens":', value)
    const completion = meter.completion + count - (meter.counts[index] || 0)
    const of = promptOfChoice(meter, index)
    const promptCount = numberAt(event, '"prompt_tokens":', value)
    const prompt = meter.prompt + promptCount - (meter.promptCounts[of] || 0)
    if (!mayUse(prompt, completion, meter)) {
      meter.isSpent = true
      // Several tokens that were told at once are used, though they are not sent: else the budget would stay open.
      if (count - (meter.counts[index] || 0) <= 1) return
    }
    meter.counts[index] = count
    meter.completion = completion
    meter.promptCounts[of] = promptCount
    meter.prompt = prompt
  }
  meter.running[index] = event.subarray(value, endOfObject(event, value))
}

/** Which prompt a choice answers. */
export function promptOfChoice(meter: Meter, index: number): number {
  return Math.floor((index * meter.plan.prompts) / meter.plan.choices)
}

/** Counts an event with a token, for servers that tell no running count. */
function countEvent(meter: Meter): void {
  const mayUse = meter.plan.mayUse
  if (mayUse && !mayUse(promptOf(meter), meter.events + 1, meter)) meter.isSpent = true
  else meter.events++
}

/** The prompt of a message, which its first event tells. */
function promptOf(meter: Meter): number | null {
  return meter.first ? numberAt(meter.first, '"input_tokens":', 0) || null : null
}

function noteFilled(meter: Meter, event: Buffer, isRunning: boolean, isEnd: boolean): void {
  meter.last = event
  // The chunks that only open a choice come before all others.
  if (!isRunning && !(meter.events < meter.plan.choices && isOpening(event))) {
    countEvent(meter)
  }
  if (!isEnd) return
  const index = indexOf(meter, event)
  meter.end = event
  if (!meter.finished[index]) meter.ended++
  meter.finished[index] = true
}

function isOpening(event: Buffer): boolean {
  if (event.indexOf('"role":"') < 0) return false
  const content = findValue(event, '"content":')
  return event[content] !== 34 || event[content + 1] === 34
}

/** Where the text of the last reason begins; -1 where there is none, or null. */
export function findReason(data: Buffer): number {
  const key = data.lastIndexOf('"finish_reason":')
  const value = key < 0 ? -1 : skipSpace(data, key + 16)
  return data[value] === 34 ? value + 1 : -1
}

function indexOf(meter: Meter, event: Buffer): number {
  const most = meter.plan.choices - 1
  return most > 0 ? Math.min(numberAt(event, '"index":', 0), most) : 0
}

/**
 * Takes a running count out. SGLang, known by `matched_stop`, has the field always, and null in it
 * where nothing was asked. A new list for each event would cost 350 bytes on the njs engine, and one
 * joined buffer 1,100.
 */
function cutUsage(meter: Meter, event: Buffer, key: number, value: number): Buffer[] {
  const around = meter.around
  if (meter.hasNulls === null) meter.hasNulls = event.indexOf('"matched_stop":') >= 0
  let end = endOfObject(event, value)
  if (meter.hasNulls) {
    around[0] = event.subarray(0, value)
    if (!around[1]) around[1] = Buffer.from('null')
    around[2] = event.subarray(end)
    return around
  }
  let start = skipBack(event, key)
  // The comma before it goes too, or that behind the first of all fields.
  if (event[start - 1] === 44) start--
  else if (event[end] === 44) end++
  around[0] = event.subarray(0, start)
  around[1] = event.subarray(end)
  return around
}

/**
 * Gives the finish chunk what the server writes into the usage chunk when there is one: vLLM its
 * fingerprint, llama.cpp its timings. Both stand behind the usage there, and last in the finish chunk.
 */
function putBack(finish: Buffer, event: Buffer, value: number): Buffer[] {
  const tail = event.subarray(endOfObject(event, value), event.lastIndexOf(125))
  if (tail.indexOf(',"system_fingerprint":') !== 0 && tail.indexOf(',"timings":') !== 0) {
    return [finish]
  }
  const close = finish.lastIndexOf(125)
  // vLLM's metrics are only where usage was asked for.
  const metrics = tail.indexOf(',"metrics":')
  return [
    finish.subarray(0, close),
    metrics < 0 ? tail : tail.subarray(0, metrics),
    finish.subarray(close),
  ]
}

/** Behind the object that begins here. Usage has no text in it that could hold braces. */
function endOfObject(event: Buffer, start: number): number {
  let close = event.indexOf(125, start) + 1
  let open = start
  for (;;) {
    open = event.indexOf(123, open + 1)
    if (open < 0 || open > close || close === 0) return close || event.length
    close = event.indexOf(125, close) + 1
  }
}

/**
 * Only message_start and message_delta tell usage: in a tool's input a key of that name may stand,
 * for it is the model's own JSON.
 */
function noteMessage(meter: Meter, event: Buffer): void {
  const delta = event.indexOf('content_block_delta')
  // In its name, and not in a text.
  if (delta >= 0 && delta < 8) {
    countEvent(meter)
    return
  }
  const name = nameOf(event)
  if (name === 'error' || name === '') noteOther(meter, event)
  if (name === 'message_start') meter.first = event
  else if (name === 'message_delta') meter.final = event
  else if (name === 'message_stop' || name === 'error') meter.isDone = true
  else if (name === 'content_block_start') meter.last = event
  else if (name === 'content_block_stop') meter.last = null
}

/** Whole responses come in events whose name has one dot: response.created, response.completed. */
function noteResponse(meter: Meter, event: Buffer): void {
  meter.last = event
  const delta = event.indexOf('.delta')
  if (delta >= 0 && delta < event.indexOf('\n')) {
    countEvent(meter)
    return
  }
  const name = nameOf(event)
  if (name === 'error' || name === '') noteOther(meter, event)
  else if (name === 'response.created') meter.first = event
  else if (name.split('.').length === 2) {
    meter.final = event
    meter.isDone = name !== 'response.in_progress' && name !== 'response.queued'
  }
}

/** The name in an event's `event:` line, which comes first. */
function nameOf(event: Buffer): string {
  const line = event.subarray(0, Math.max(event.indexOf('\n'), 0)).toString()
  return line.startsWith('event:') ? line.slice(6).trim() : ''
}

/** Where the value of the first such key begins; -1 where there is none. The key has its colon. */
function findValue(data: Buffer, key: string): number {
  const at = data.indexOf(key)
  return at < 0 ? -1 : skipSpace(data, at + key.length)
}

function skipSpace(data: Buffer, from: number): number {
  let at = from
  while (data[at] === 32) at++
  return at
}

/** The whole number behind a key; 0 where there is none, or one that is no count (usage.ts). */
export function numberAt(data: Buffer, key: string, from: number): number {
  const found = data.indexOf(key, from)
  if (found < 0) return 0
  let number = 0
  for (let at = skipSpace(data, found + key.length); ; at++) {
    const byte = data[at] as number
    if (byte >= 48 && byte <= 57) number = number * 10 + byte - 48
    // A point, or an exponent.
    else return byte === 46 || byte === 69 || byte === 101 || number > COUNT_MAX ? 0 : number
  }
}
