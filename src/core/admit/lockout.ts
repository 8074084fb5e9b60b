/** The part of a shared number zone that is used here. */
export type Counters = {
  get(key: string): number | undefined
  set(key: string, value: number): void
  incr(key: string, delta: number, init?: number): number
}

/** When an address is locked out, and for how long. */
export type LockoutRule = { badKeysPerMinute: number; seconds: number }

/** Bad keys are counted in buckets of this length, so that a minute slides without a list of times. */
const BUCKET_MS = 10000

/** The buckets that make a minute: the running one and the six before it, 60 to 70 s. */
const BUCKETS = 7

/**
 * Counts one bad key of an address, and tells for how many seconds the address is locked out: 0 when
 * it is not. The first `badKeysPerMinute` of them are answered as bad keys, the next one locks.
 *
 * Entries, both left to the zone's timeout: `b:<address>:<bucket>` how many bad keys, for instance
 * `b:203.0.113.7:176382901`; `l:<address>` until when it is locked, ms since 1970. Seven reads, on
 * the path of refused requests only.
 */
export function countBadKey(
  counters: Counters,
  address: string,
  nowMs: number,
  rule: LockoutRule,
): number {
  const until = counters.get(`l:${address}`) || 0
  if (until > nowMs) return Math.ceil((until - nowMs) / 1000)
  try {
    return count(counters, address, nowMs, rule)
  } catch (_) {
    // The zone is full, for instance of someone's many addresses. The key is refused all the same.
    return 0
  }
}

function count(counters: Counters, address: string, nowMs: number, rule: LockoutRule): number {
  const bucket = Math.floor(nowMs / BUCKET_MS)
  const counted = [bucketOf(address, bucket)]
  let bad = counters.incr(bucketOf(address, bucket), 1, 0)
  for (let back = 1; back < BUCKETS; back++) {
    const before = counters.get(bucketOf(address, bucket - back))
    if (!before) continue
    counted.push(bucketOf(address, bucket - back))
    bad += before
  }
  if (bad <= rule.badKeysPerMinute) return 0
  counters.set(`l:${address}`, nowMs + rule.seconds * 1000)
  // After its time the address begins anew: else a lock-out shorter than the minute would never end.
  counted.forEach((entry) => {
    counters.set(entry, 0)
  })
  return rule.seconds
}

function bucketOf(address: string, bucket: number): string {
  return `b:${address}:${bucket}`
}
