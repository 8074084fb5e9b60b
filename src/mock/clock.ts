import { performance } from 'node:perf_hooks'

/** Something that wants to run at a moment. An object, not a closure, so that a stream costs no allocation per event. */
export type Step = { step(): void }

/** Wakes many streams from one timer. */
export type Clock = { at(dueMs: number, step: Step): void; stop(): void }

/**
 * One timer for all streams: a bucket for each millisecond in which something is due.
 * Due times are absolute (performance.now), so a late event does not delay the ones behind it,
 * which re-armed timers would do.
 */
export function createClock(): Clock {
  const buckets = new Map<number, Step[]>()
  let timer: NodeJS.Timeout | null = null
  let doneMs = Math.floor(performance.now())

  function tick(): void {
    const nowMs = Math.floor(performance.now())
    for (; doneMs < nowMs; ) {
      doneMs += 1
      const due = buckets.get(doneMs)
      if (due === undefined) continue
      buckets.delete(doneMs)
      for (const step of due) step.step()
    }
    timer = buckets.size > 0 ? setTimeout(tick, 1) : null
  }

  function at(dueMs: number, step: Step): void {
    if (timer === null) {
      timer = setTimeout(tick, 1)
      // Nothing was waiting, so nothing is missed by not walking through the idle time.
      if (buckets.size === 0) doneMs = Math.max(doneMs, Math.floor(performance.now()) - 1)
    }
    const bucket = Math.max(Math.ceil(dueMs), doneMs + 1)
    const due = buckets.get(bucket)
    if (due === undefined) buckets.set(bucket, [step])
    else due.push(step)
  }

  function stop(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    buckets.clear()
  }

  return { at, stop }
}
