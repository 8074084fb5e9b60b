import { describe, expect, test } from 'vitest'
import { formatCursor, parseCursor } from '../../../src/core/admin/cursor.ts'
import type { Mark } from '../../../src/core/ledger/balancefile.ts'

const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]

describe('a cursor of the ledger', () => {
  test.each<[string, Mark[]]>([
    ['none-0', [{ head: null, offset: 0 }]],
    [`${a}-0`, [{ head: a, offset: 0 }]],
    [
      `${a}-12-1790000000000.${b}-3456789012`,
      [
        { head: a, offset: 12, untilMs: 1_790_000_000_000 },
        { head: b, offset: 3_456_789_012 },
      ],
    ],
  ])('%s', (text, marks) => {
    expect(formatCursor(marks)).toBe(text)
    expect(parseCursor(text)).toEqual(marks)
  })

  test('names the newest four files', () => {
    const marks = [1, 2, 3, 4, 5].map((offset) => ({ head: a, offset }))
    expect(parseCursor(formatCursor(marks))).toEqual(marks.slice(1))
  })

  test.each([
    ['nothing', ''],
    ['half a mark', a],
    ['no number', `${a}-x`],
    ['a number below 0', `${a}--1`],
    ['a number that is no longer exact', `${a}-1234567890123456`],
    ['a hash in capitals', `${a.toUpperCase()}-1`],
    ['a path', '../ledger.jsonl-1'],
    ['a first file without a line', `none-0.${a}-1`],
    ['too many files', Array(5).fill(`${a}-1`).join('.')],
    ['a line behind it', `${a}-1\n`],
  ])('is not %s', (_, text) => {
    expect(parseCursor(text)).toBeNull()
  })
})
