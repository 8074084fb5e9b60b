import type { Meter } from './types.ts'

/** Whether the next event may be one for takeQuickly(). */
export function isQuick(meter: Meter): boolean {
  const plan = meter.plan
  const isPlain = plan.choices === 1 && plan.mayUse === null && meter.running.length === 1
  // SGLang puts a null where a count was taken out.
  const isCut = !meter.takesOut || meter.hasNulls === false
  return isPlain && isCut && !meter.open.length && !meter.waiting && !meter.isPassing
}

/**
 * Takes the event that nearly all of a stream are made of: vLLM's, of one choice, whole in its piece, with a running
 * count as the last of its fields. One straight function with as few looks at bytes as will do, since each takes 450
 * instructions on QuickJS, and at 256 streams what is touched comes from no cache (bench/NOTES.md).
 *
 * How many bytes of it go to the caller is returned: all of them, or those before the count, behind which the event has
 * to be closed. 0: it is another event, see feed().
 */
export function takeQuickly(meter: Meter, data: Buffer): number {
  const length = data.length
  // One event: the first end of a line is that before the blank one.
  if (data.indexOf(10) !== length - 2 || data[length - 1] !== 10) return 0
  // The count, `}],"usage":{`, and what stands between it and the reason, which is null, are as long as in the event before.
  const open = length - meter.tail
  const reason = open - meter.back
  const isLike =
    data[open] === 123 &&
    data[open - 3] === 101 &&
    data[open - 11] === 125 &&
    data[reason] === 110 &&
    data[reason - 1] === 58 &&
    data[reason - 10] === 104
  if (!isLike && !isUsual(meter, data, length - 4)) return 0
  meter.running[0] = data
  meter.last = data
  return meter.takesOut ? length - meter.tail - 9 : length
}

/** Closes an event before its count, by writing over that. What goes to the caller is returned: behind it stands no event any more. */
export function closeOver(meter: Meter, data: Buffer, length: number): Buffer {
  data[length] = 125
  data[length + 1] = 10
  data[length + 2] = 10
  const sent = data.subarray(0, length + 3)
  meter.last = sent
  return sent
}

/** Looks whether an event is one that takeQuickly() describes, from `}}` on, and not the end of the choice; and where it has what. */
function isUsual(meter: Meter, data: Buffer, end: number): boolean {
  if (data[end] !== 125 || data[end + 1] !== 125) return false
  // The last brace opens the count. A byte is looked for, since a search for a text compares at every place; the text
  // is where it is looked for, or nowhere.
  const open = data.lastIndexOf(123)
  const key = open - 9
  if (key < 2 || data.indexOf(125, open) !== end) return false
  if (data.indexOf('}],"usage":{', key - 2) !== key - 2) return false
  const reason = data.lastIndexOf('"finish_reason":', key) + 16
  if (reason < 16 || data[reason] !== 110) return false
  meter.tail = end + 4 - open
  meter.back = open - reason
  return true
}
