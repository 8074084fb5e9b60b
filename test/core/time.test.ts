import { describe, expect, test } from 'vitest'
import { ZONE_PATTERN } from '../../src/core/config/schema.ts'
import {
  dayOf,
  formatTime,
  formatZone,
  monthOf,
  parseZone,
  startOfDay,
  startOfMonth,
} from '../../src/core/time.ts'

const at = (time: string) => Date.parse(time)
const day = (date: string) => at(`${date}T00:00:00Z`) / 86_400_000
const month = (text: string) =>
  (Number(text.slice(0, 4)) - 1970) * 12 + Number(text.slice(5, 7)) - 1

describe('a time zone', () => {
  test.each<[string, string, number | null]>([
    ['UTC', 'Z', 0],
    ['UTC as an offset', '+00:00', 0],
    ['UTC from the west', '-00:00', 0],
    ['Taipei', '+08:00', 480],
    ['Kathmandu, quarter hours', '+05:45', 345],
    ['the Marquesas', '-09:30', -570],
    ['the westernmost', '-12:00', -720],
    ['the easternmost', '+14:00', 840],
    ['Chatham in summer', '+13:45', 825],
    ['beyond the west', '-12:15', null],
    ['beyond the east', '+14:15', null],
    ['no quarter hour', '+08:07', null],
    ['an hour that is none', '+24:00', null],
    ['a minute that is none', '+08:60', null],
    ['a name', 'Asia/Taipei', null],
    ['an abbreviation', 'CST', null],
    ['no sign', '08:00', null],
    ['no colon', '+0800', null],
    ['hours alone', '+08', null],
    ['another sign', '−08:00', null],
    ['nothing', '', null],
    ['something behind it', '+08:00 ', null],
  ])('%s', (_, text, minutes) => {
    expect(parseZone(text)).toBe(minutes)
    expect(new RegExp(ZONE_PATTERN).test(text)).toBe(minutes !== null)
  })

  test('every one that there is comes out as it went in', () => {
    for (let minutes = -720; minutes <= 840; minutes += 15) {
      const text = formatZone(minutes)
      expect(parseZone(text)).toBe(minutes)
      expect(text).toMatch(new RegExp(ZONE_PATTERN))
    }
    expect([0, 480, -210].map(formatZone)).toEqual(['Z', '+08:00', '-03:30'])
  })
})

describe('days and months of a time zone', () => {
  test.each<[string, string, string, string]>([
    ['UTC, the last moment', 'Z', '2026-11-29T23:59:59.999Z', '2026-11-29'],
    ['UTC, the first', 'Z', '2026-11-30T00:00:00Z', '2026-11-30'],
    ['Taipei, the last moment', '+08:00', '2026-11-29T15:59:59.999Z', '2026-11-29'],
    ['Taipei, the first', '+08:00', '2026-11-29T16:00:00Z', '2026-11-30'],
    ['Taipei, the end of a month', '+08:00', '2026-11-30T15:59:59.999Z', '2026-11-30'],
    ['Taipei, the beginning of one', '+08:00', '2026-11-30T16:00:00Z', '2026-12-01'],
    ['Taipei, the end of a year', '+08:00', '2026-12-31T16:00:00Z', '2027-01-01'],
    ['Taipei, a leap day', '+08:00', '2028-02-28T16:00:00Z', '2028-02-29'],
    ['Kathmandu, the last moment', '+05:45', '2026-11-29T18:14:59.999Z', '2026-11-29'],
    ['Kathmandu, the first', '+05:45', '2026-11-29T18:15:00Z', '2026-11-30'],
    ['Newfoundland, the last moment', '-03:30', '2026-12-01T03:29:59.999Z', '2026-11-30'],
    ['Newfoundland, the first of a month', '-03:30', '2026-12-01T03:30:00Z', '2026-12-01'],
    ['the westernmost', '-12:00', '2026-11-29T11:59:59Z', '2026-11-28'],
    ['the easternmost', '+14:00', '2026-11-29T10:00:00Z', '2026-11-30'],
    ['before 1970', '-12:00', '1970-01-01T00:00:00Z', '1969-12-31'],
  ])('%s', (_, zone, time, date) => {
    const minutes = parseZone(zone) as number
    expect(dayOf(at(time), minutes)).toBe(day(date))
    expect(monthOf(at(time), minutes)).toBe(month(date))
    expect(formatTime(at(time), minutes).slice(0, 10)).toBe(date)
  })

  test.each<[string, string, string, string]>([
    ['Z', '2026-11-30', '2026-11-30T00:00:00Z', '2026-11-01T00:00:00Z'],
    ['+08:00', '2026-12-01', '2026-12-01T00:00:00+08:00', '2026-12-01T00:00:00+08:00'],
    ['+05:45', '2026-02-28', '2026-02-28T00:00:00+05:45', '2026-02-01T00:00:00+05:45'],
    ['-09:30', '2028-02-29', '2028-02-29T00:00:00-09:30', '2028-02-01T00:00:00-09:30'],
  ])('%s: %s begins at its own midnight, and so does its month', (zone, date, begins, first) => {
    const minutes = parseZone(zone) as number
    const dayMs = startOfDay(day(date), minutes)
    const monthMs = startOfMonth(month(date), minutes)
    expect(formatTime(dayMs, minutes)).toBe(begins)
    expect(formatTime(monthMs, minutes)).toBe(first)
    expect([dayOf(dayMs, minutes), dayOf(dayMs - 1, minutes)]).toEqual([day(date), day(date) - 1])
    const of = [monthOf(monthMs, minutes), monthOf(monthMs - 1, minutes)]
    expect(of).toEqual([month(date), month(date) - 1])
  })

  test('without one they are those of UTC', () => {
    const ms = at('2026-11-29T23:30:00Z')
    expect([dayOf(ms), monthOf(ms)]).toEqual([dayOf(ms, 0), monthOf(ms, 0)])
    expect(formatTime(ms)).toBe('2026-11-29T23:30:00Z')
  })
})
