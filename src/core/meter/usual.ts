import type { Taken } from '../body/body.ts'
import { readTotal } from './whole.ts'

/*
 * The usual stream, straight on: vLLM's, of one choice, each event whole in its piece, with a running count. It opens with the
 * event of the role or a first token; then come tokens, the end of the choice, the usage of all, `[DONE]`. What
 * feed() would send and know of it comes out, in a tenth of the instructions. Where anything else comes, a Meter is
 * told what there was, see replay(), and goes on.
 *
 * The state stands in variables of this module, since a context of njs has one request at a time: fields of an object take
 * two thousand instructions of each event. They are few, since njs's own engine makes each anew for every request.
 */

/** Which event came last: none; one of the choice; its end; the usage of all; `[DONE]`. */
type Stage = 0 | 1 | 2 | 3 | 4
let stage: Stage = 0

/** What is taken out of events, which are sent after they were looked at then: nothing, running counts, or all counts. */
let cuts: 0 | 1 | 2 = 0

/** What replay() has to know. */
export let first: Buffer | null = null
export let last: Buffer | null = null
export let finish: Buffer | null = null
export let total: Buffer | null = null

/** Of the usual event: how long its count is, with all behind it, and how far the reason stands before that. */
let tail = 0
let back = 0

/** Begins with a stream; with `isOpen` behind an event with a running count that a Meter has taken. */
export function startUsual(taken: Taken, isOpen: boolean): void {
  cuts = taken === 'nothing' ? 0 : taken === 'all' ? 2 : 1
  stage = isOpen ? 1 : 0
  first = last = finish = total = null
  tail = back = 0
}

/** Whether the stream has told its usage and its end. */
export function isAtEnd(): boolean {
  return stage === 4
}

/**
 * Takes an event of the choice that does not end it, but for the first. As few looks at bytes as will do, since each takes 450
 * instructions on QuickJS, and at 256 streams what is touched comes from no cache (bench/NOTES.md).
 *
 * How many bytes of it go to the caller is returned: all of them, or those before the count, behind which the event has
 * to be closed. 0: it is another event, see takeEnd().
 */
export function takeUsual(data: Buffer): number {
  const length = data.length
  // One event: the first end of a line is that before the blank one.
  if (data.indexOf(10) !== length - 2 || data[length - 1] !== 10) return 0
  // The count, `}],"usage":{`, and what stands between it and the reason, which is null, are as long as in the event before. No
  // stop text of a caller can look like that: within a text a quote has a backslash before it, and no letter.
  const open = length - tail
  const reason = open - back
  const isLike =
    data[open] === 123 &&
    data[open - 3] === 101 &&
    data[open - 11] === 125 &&
    data[reason] === 110 &&
    data[reason - 2] === 34 &&
    data[reason - 3] === 110 &&
    data[reason - 10] === 104
  if (!isLike && !isUsual(data, length - 4)) return 0
  last = data
  return cuts === 0 ? length : length - tail - 9
}

/** Closes an event before its count, by writing over that. What goes to the caller is returned: behind it stands no event any more. */
export function closeOver(data: Buffer, length: number): Buffer {
  data[length] = 125
  data[length + 1] = 10
  data[length + 2] = 10
  return data.subarray(0, length + 3)
}

/** What went to the caller of the last event that takeUsual() took, if closeOver() closed it. */
export function lastClosed(): Buffer | null {
  return last && cuts !== 0 ? last.subarray(0, last.length - tail - 6) : last
}

/** Looks whether an event is one that takeUsual() describes, from `}}` on; and where it has what. */
function isUsual(data: Buffer, end: number): boolean {
  if (stage !== 1 || data[end] !== 125 || data[end + 1] !== 125) return false
  // The last brace opens the count.
  const open = data.lastIndexOf(123)
  if (!isCount(data, open) || data.indexOf(125, open) !== end) return false
  const reason = reasonBefore(data, open)
  if (data[reason] !== 110) return false
  tail = end + 4 - open
  back = open - reason
  return true
}

/** Whether a count opens here, behind the choices. A text is looked for where it stands, or nowhere: a search for it compares at every place. */
function isCount(data: Buffer, open: number): boolean {
  const from = open - 11
  return from > 0 && data.indexOf('}],"usage":{', from) === from
}

/** Where the value of the last reason before a count stands; 0 where there is none. */
function reasonBefore(data: Buffer, open: number): number {
  const key = data.lastIndexOf('"finish_reason":', open)
  return key < 0 ? 0 : key + 16
}

/**
 * Takes the first event, the end of the choice, the usage of all, and `[DONE]`. What goes to the caller in its place is returned, in
 * order, maybe nothing. Null: it is none of these, and nothing of it was noted. `asked` is the model as the server is expected
 * to name it, see readTotal().
 */
export function takeEnd(data: Buffer, asked: string): Buffer[] | null {
  const length = data.length
  if (data[0] !== 100 || data.indexOf(10) !== length - 2 || data[length - 1] !== 10) return null
  if (stage === 2) return takeTotal(data, asked)
  if (stage > 2) {
    if (stage !== 3 || length !== 14 || data.indexOf('[DONE]') !== 6) return null
    stage = 4
    return [data]
  }
  const open = data.lastIndexOf(123)
  if (!isCount(data, open)) return null
  const reason = reasonBefore(data, open)
  const close = data.indexOf(125, open) + 1
  if (close === 0) return null
  if (stage === 0) {
    // SGLang puts a null where a count was taken out.
    const isPlain = cuts === 0 || data.toString('utf8', reason, open).indexOf('matched_stop') < 0
    if (data[reason] !== 110 || !isPlain) return null
    stage = 1
    first = data
    return cutOut(data, open, close)
  }
  // What comes with the usage of all is put before the last brace of the end.
  if (data[reason] !== 34 || (cuts === 2 && close !== length - 3)) return null
  const behind = data.toString('utf8', reason, open)
  if (behind.startsWith('"error"') || behind.startsWith('"failed"')) return null
  if (behind.indexOf('\\') >= 0) return null
  stage = 2
  finish = data
  // Nothing is like the event before any more.
  back = -1
  return cuts === 2 ? [] : cutOut(data, open, close)
}

/** An event without its count, which stands from one brace to behind the other. */
function cutOut(data: Buffer, open: number, close: number): Buffer[] {
  return cuts === 0 ? [data] : [data.subarray(0, open - 9), data.subarray(close)]
}

/** What stands behind the usage of all, vLLM's fingerprint, stands in the end of the choice where nobody asked for a usage. */
function takeTotal(data: Buffer, asked: string): Buffer[] | null {
  const end = finish as Buffer
  const reason = reasonBefore(end, end.length) + 1
  if (!readTotal(data, asked, end.toString('utf8', reason, end.indexOf(34, reason)), end))
    return null
  const close = data.indexOf(125, data.lastIndexOf(123)) + 1
  const rest = data.toString('utf8', close, data.length - 3)
  const isPrint =
    rest.startsWith(',"system_fingerprint":"') && rest.indexOf('"', 23) === rest.length - 1
  if (rest !== '' && !isPrint) return null
  let out = [data]
  if (cuts === 2) {
    out = cutOut(end, end.lastIndexOf(123), end.length - 3)
    if (isPrint) out.splice(1, 0, data.subarray(close, data.length - 3))
  }
  stage = 3
  total = data
  return out
}
