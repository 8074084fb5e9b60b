import { describe, expect, test } from 'vitest'
import { type Counters, countBadKey } from '../../../src/core/admit/lockout.ts'

const rule = { badKeysPerMinute: 3, seconds: 300 }
/** The start of a bucket of ten seconds. */
const start = 1_800_000_000_000

function counters(): Counters & { entries: Map<string, number> } {
  const entries = new Map<string, number>()
  return {
    entries,
    get: (key) => entries.get(key),
    set: (key, value) => void entries.set(key, value),
    incr(key, delta, init = 0) {
      const value = (entries.get(key) ?? init) + delta
      entries.set(key, value)
      return value
    },
  }
}

/** Counts bad keys of 192.0.2.1 at the given times, in ms after `start`. */
function count(zone: Counters, ...times: number[]): number[] {
  return times.map((time) => countBadKey(zone, '192.0.2.1', start + time, rule))
}

describe('countBadKey', () => {
  test('lets N bad keys a minute pass as such, and locks at N + 1', () => {
    expect(count(counters(), 0, 1, 2, 3)).toEqual([0, 0, 0, 300])
  })

  test('counts over the border of a bucket', () => {
    expect(count(counters(), 9_998, 9_999, 10_000, 10_001)).toEqual([0, 0, 0, 300])
  })

  test('counts what was 59 s ago', () => {
    expect(count(counters(), 0, 1, 2, 59_000)).toEqual([0, 0, 0, 300])
  })

  test('forgets what was 70 s ago', () => {
    expect(count(counters(), 0, 1, 2, 70_000)).toEqual([0, 0, 0, 0])
  })

  test('counts N bad keys a minute for ever without locking', () => {
    const zone = counters()
    for (let minute = 0; minute < 60; minute++) {
      const at = minute * 70_000
      expect(count(zone, at, at + 20_000, at + 40_000)).toEqual([0, 0, 0])
    }
  })

  test('tells a locked-out address the seconds that are left, rounded up', () => {
    const zone = counters()
    count(zone, 0, 0, 0, 0)
    expect(count(zone, 1, 1_000, 299_000, 299_999)).toEqual([300, 299, 1, 1])
  })

  test('releases at the very end, and then counts from zero', () => {
    const zone = counters()
    count(zone, 0, 0, 0, 0)
    expect(count(zone, 300_000, 300_001, 300_002, 300_003)).toEqual([0, 0, 0, 300])
  })

  test('releases also from a lock-out that is shorter than the minute', () => {
    const zone = counters()
    const short = { badKeysPerMinute: 3, seconds: 2 }
    const at = (time: number) => countBadKey(zone, '192.0.2.1', start + time, short)
    expect([8_000, 9_000, 10_000, 11_000].map(at)).toEqual([0, 0, 0, 2])
    expect([12_999, 13_000, 13_001, 13_002, 13_003].map(at)).toEqual([1, 0, 0, 0, 2])
  })

  test('does not prolong a lock-out, nor count within it', () => {
    const zone = counters()
    count(zone, 0, 0, 0, 0)
    const before = [...zone.entries]
    count(zone, ...Array.from({ length: 1000 }, (_, index) => 10 * index))
    expect([...zone.entries]).toEqual(before)
  })

  test('counts each address by itself', () => {
    const zone = counters()
    count(zone, 0, 0, 0, 0)
    expect(countBadKey(zone, '192.0.2.2', start, rule)).toBe(0)
    expect(countBadKey(zone, '192.0.2.11', start, rule)).toBe(0)
  })

  test('locks at the first bad key when N is 0', () => {
    const none = { badKeysPerMinute: 0, seconds: 10 }
    expect(countBadKey(counters(), '192.0.2.1', start, none)).toBe(10)
  })

  test('goes on with a full zone: the key stays refused, only the count is lost', () => {
    const full: Counters = {
      get: () => undefined,
      set: () => {
        throw new Error('no memory')
      },
      incr: () => {
        throw new Error('no memory')
      },
    }
    expect(countBadKey(full, '192.0.2.1', start, rule)).toBe(0)
  })
})
