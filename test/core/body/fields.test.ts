import { describe, expect, it } from 'vitest'
import {
  fault,
  isObject,
  name,
  nextName,
  openFields,
  type Places,
  places,
  readInside,
  readValue,
  twice,
} from '../../../src/core/body/fields.ts'
import { feedScan, startScan } from '../../../src/core/body/scan.ts'
import { randomOf } from '../../random.ts'
import { hostileShape } from './hostile.ts'
import {
  BOUNDED,
  DENSE,
  LARGE,
  MALFORMED,
  OPEN,
  OTHERS,
  PLACED,
  randomValue,
  TAKEN,
  TWICE,
} from './objects.ts'

/** All fields of an object, and those inside `response`, where that is an object. */
function read(text: string | Buffer) {
  const bytes = Buffer.from(text)
  let response: Places | undefined
  openFields(bytes)
  while (nextName()) {
    if (name === 'response' && isObject()) response = readInside(false)
    else readValue(false)
  }
  return { fault, twice, places, response }
}

describe('the fields of an object', () => {
  it('tell where every value stands', () => {
    const { text } = PLACED
    const found = read(text)
    const values = Object.entries(found.places).map(([key, at]) => {
      return [key, text.slice(at?.start, at?.end)]
    })
    expect(values).toEqual(PLACED.values)
    const inner = found.response?.['.e']
    expect(text.slice(inner?.start, inner?.end)).toBe('true')
  })

  it.each([
    ['strings', '["a","b","c"]', 3],
    ['strings, with spaces', '[ "a" , "b" , "c" ]', 3],
    ['lists', '[[1,2],[3],[]]', 3],
    ['objects, whatever is in them', '[{"a":["b","c"]},{}]', 2],
    ['none in a list of numbers', '[1,2,3]', 0],
  ])('count the items of a list: %s', (_, list, items) => {
    expect(read(`{"x":${list}}`).places['.x']?.items).toBe(items)
  })

  it.each(OTHERS)('are not read of %s, which is no object', (text) => {
    expect(read(text).fault).toBe('is not a JSON object')
  })

  it.each(MALFORMED)('are refused where there is %s', (_, text) => {
    expect(read(text).fault).toContain('is not JSON at byte')
  })

  it.each(OPEN)('end too early behind %s', (_, text) => {
    expect(read(text).fault).toBe('ends too early')
  })

  it.each(TWICE)('name a key that is there twice %s', (_, text, key) => {
    expect(read(text)).toMatchObject({ fault: 'has the same key twice', twice: key })
  })

  it.each([...TAKEN, ...LARGE])('take %s', (_, text) => {
    expect(read(text)).toMatchObject({ fault: '', twice: null })
  })

  it.each([...BOUNDED, ...DENSE])('have a bound: %s', (_, text, why) => {
    expect(read(text).fault).toContain(why)
  })

  it('are those of 3,000 objects that JSON.parse finds', () => {
    const random = randomOf(20261201)
    for (let i = 0; i < 3000; i++) {
      const names = ['a', 'model', 'response', 'x', '__proto__', `k${i}`].filter(
        () => random() < 0.6,
      )
      const text = `{${names.map((one) => `"${one}": ${randomValue(random, 0)}`).join(' , ')}}`
      const bytes = Buffer.from(text)
      const values = JSON.parse(text) as Record<string, unknown>
      const found = read(bytes)
      // Names inside may stand twice.
      if (found.twice?.startsWith('response/')) continue
      expect(found.fault, text).toBe('')
      expect(Object.keys(found.places), text).toEqual(names.map((one) => `.${one}`))
      for (const [key, at] of Object.entries(found.places)) {
        const value = Object.getOwnPropertyDescriptor(values, key.slice(1))?.value
        expect(JSON.parse(bytes.subarray(at?.start, at?.end).toString()), text).toEqual(value)
        if (Array.isArray(value))
          expect(at?.items, text).toBe(value.filter((one) => isPart(one)).length)
      }
    }
  })

  it('have the faults and places that a scan in pieces finds, over hostile shapes', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const shape = hostileShape(seed, 3000)
      const bytes = Buffer.from(shape.body)
      const scan = startScan([], 0)
      feedScan(scan, bytes)
      const found = read(bytes)
      expect(found.fault, shape.name).toBe(
        scan.state === 'end' ? '' : scan.fault || 'ends too early',
      )
      expect(found.twice, shape.name).toBe(scan.twice)
      if (scan.state !== 'end') continue
      const of = (all: { [key: string]: { start: number; end: number } | undefined }) =>
        Object.entries(all).map(([key, at]) => [key, at?.start, at?.end])
      expect(of(found.places), shape.name).toEqual(of(scan.entries))
    }
  })
})

/** A string, a list or an object. */
function isPart(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
}
