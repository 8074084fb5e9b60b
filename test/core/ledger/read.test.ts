import { describe, expect, test } from 'vitest'
import type { LedgerLine } from '../../../src/core/ledger/line.ts'
import { normalise, readLine } from '../../../src/core/ledger/read.ts'

const END_MS = Date.UTC(2026, 10, 25, 9, 14, 2, 317)
const first = { version: 1, time: '2026-11-25T09:14:02.317Z', outcome: 'ok' }
const second = { version: 2, time: '2026-11-25T17:14:02+08:00', at: END_MS / 1000, outcome: 'ok' }

describe('readLine', () => {
  test.each<[string, object, number]>([
    ['of version 1', first, END_MS],
    ['of 0.1, which has none', { ...first, version: undefined }, END_MS],
    ['of version 2', second, END_MS],
    ['of version 2 in UTC', { ...second, time: '2026-11-25T09:14:02+00:00' }, END_MS],
    ['whose "at" is no number', { ...second, at: '7' }, END_MS - 317],
    ['whose "at" is before 1970', { ...second, at: -1 }, END_MS - 317],
    ['whose "at" is after all texts of a time', { ...second, at: 1e300 }, END_MS - 317],
    ['whose "at" is of this millisecond', { ...second, at: 1795958042.9999 }, 1795958043000],
    ['of a version to come', { ...second, version: 3 }, END_MS],
  ])('reads the time of a line %s', (_, line, expected) => {
    const { line: found, timeMs, isWhole } = readLine(JSON.stringify(line))
    expect(timeMs).toBe(expected)
    expect(found).toEqual(JSON.parse(JSON.stringify(line)))
    expect(isWhole).toBe(true)
  })

  test('every millisecond of a second is the one that nginx has written', () => {
    for (let ms = 0; ms < 1000; ms++) {
      const at = `1795958042.${String(ms).padStart(3, '0')}`
      const text = `{"version":2,"time":"2026-11-25T09:14:02+00:00","at":${at}}`
      expect(readLine(text).timeMs).toBe(1795958042000 + ms)
    }
  })

  test.each([
    ['without a time', { version: 2, at: 1795958042.317 }],
    ['with a time that is none', { ...first, time: 'now' }],
    ['that is a list', []],
    ['that is null', null],
  ])('finds none in one %s', (_, line) => {
    expect(readLine(JSON.stringify(line)).line).toBeNull()
  })

  test('finds a line of either version behind a torn one of either', () => {
    for (const torn of [first, second]) {
      const text = JSON.stringify(torn)
      for (const next of [first, second]) {
        for (let i = 1; i < text.length; i++) {
          const found = readLine(text.slice(0, i) + JSON.stringify({ ...next, client: 'next' }))
          expect(found).toMatchObject({ line: { client: 'next' }, timeMs: END_MS, isWhole: false })
        }
      }
    }
  })
})

describe('normalise', () => {
  const normal = (line: object) => {
    const copy = { ...line } as LedgerLine
    return normalise(copy, readLine(JSON.stringify(line)).timeMs)
  }

  test('tells the end in UTC and to the millisecond', () => {
    expect(normal(second)).toEqual({ ...first, version: 2 })
  })

  test('leaves a line of version 1 as it is', () => {
    expect(normal(first)).toEqual(first)
  })
})
