import type { Meter } from './meter.ts'

/** Whether the next event may be one for takeQuickly(). */
export function isQuick(meter: Meter): boolean {
  const plan = meter.plan
  const isPlain = plan.choices === 1 && plan.mayUse === null && meter.running.length === 1
  // SGLang puts a null where a count was taken out.
  const isCut = !meter.takesOut || meter.hasNulls === false
  return isPlain && isCut && !meter.open.length && !meter.waiting && !meter.isPassing
}

/**
 * Takes the event that nearly all of a stream are made of: vLLM's, of one choice, whole in its piece,
 * with a running count as the last of its fields. One straight function, because at 256 streams
 * nothing of the last event is in the processor's caches any more, and what is touched is what it
 * costs: with calls to others an event took twice the time (bench/NOTES.md).
 *
 * What goes to the caller is in `meter.last` afterwards: where the count is taken out, the end of the event
 * is written over its beginning. False: it is another event, see feed().
 */
export function takeQuickly(meter: Meter, data: Buffer): boolean {
  const end = data.length - 4
  // `}}` and a blank line: the end of the count is that of the event.
  if (data[end] !== 125 || data[end + 1] !== 125 || data[end + 2] !== 10) return false
  // The last brace opens the count, if that is vLLM's `}],"usage":{` and has no object in it. Bytes, since
  // a search for a text compares at every place: three of them took a third of the time of an event.
  const open = data.lastIndexOf(123)
  const key = open - 9
  if (key < 2 || data.indexOf(125, open) !== end) return false
  if (data[open - 1] !== 58 || data[open - 2] !== 34 || data[open - 3] !== 101) return false
  if (data[open - 4] !== 103 || data[open - 5] !== 97 || data[open - 6] !== 115) return false
  if (data[open - 7] !== 117 || data[open - 8] !== 34 || data[key] !== 44) return false
  if (data[key - 1] !== 93 || data[key - 2] !== 125) return false
  // Only one event, and not the end of the choice: `"finish_reason":null`, close before the count.
  if (data.indexOf(10) !== end + 2) return false
  const reason = data.lastIndexOf('"finish_reason":', key)
  if (reason < 0 || data[reason + 16] !== 110) return false
  meter.running[0] = data.subarray(open, end + 1)
  meter.last = data
  if (!meter.takesOut) return true
  data[key] = 125
  data[key + 1] = 10
  data[key + 2] = 10
  meter.last = data.subarray(0, key + 3)
  return true
}
