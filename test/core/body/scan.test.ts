import { describe, expect, it } from 'vitest'
import { type Entries, feedScan, type Scan, startScan } from '../../../src/core/body/scan.ts'
import { randomOf } from '../../random.ts'
import { hostileShape } from './hostile.ts'
import {
  BOUNDED,
  LARGE,
  MALFORMED,
  OPEN,
  OTHERS,
  PLACED,
  randomValue,
  TAKEN,
  TWICE,
} from './objects.ts'

const WANTED = ['model', 'usage', 'response/usage', 'meta/billed_units', 'message/usage']

function scanPieces(pieces: Buffer[], valueBytesMax = 200): Scan {
  const scan = startScan(WANTED, valueBytesMax)
  for (const piece of pieces) {
    // As nginx does it: the buffer is used again as soon as the call is over.
    const lent = Buffer.from(piece)
    feedScan(scan, lent)
    lent.fill(0x2a)
  }
  return scan
}

const scan = (text: string, valueBytesMax?: number) =>
  scanPieces([Buffer.from(text)], valueBytesMax)

/** What a scan found, without the workings. */
function found(it: Scan) {
  const { state, fault, twice } = it
  return { state, fault, twice, entries: it.entries }
}

function textOf(entries: Entries | null | undefined, key: string): string | null | undefined {
  return entries?.[`.${key}`]?.text
}

const ANSWERS = {
  'usage first': '{"usage":{"prompt_tokens":9},"results":[{"i":1},{"i":2}]}',
  'usage last': '{"data":[{"embedding":[0.1,-2e-7]}],"usage":{"prompt_tokens":9}}',
  'usage inside of an object': '{"response":{"id":"a","usage":{"n":[1,{}]},"x":null},"z":1}',
  'a string that looks like usage': '{"text":"\\"usage\\":{\\"n\\":0}, ]}{[","usage":{"n":1}}',
  'backslashes before a quote':
    '{"a":"\\\\","b":"\\\\\\"","usage":{"c":"\\\\\\\\"},"d":["\\\\\\"]"]}',
  'letters of several bytes': '{"é中":"😀","usage":"中😀"}',
  'an escaped key': '{"us\\u0061ge":1,"mod\\u0065l":"m"}',
  'white space everywhere': ' \r\n{ "usage" :\t{ "a" : 1 } , "b" : [ ] , "model" : 12 } \n',
  'the same key at other depths': '{"a":{"usage":1},"b":[{"usage":2}],"usage":3}',
}

describe('feedScan', () => {
  it.each(Object.entries(ANSWERS))('finds the same wherever it is split: %s', (_, text) => {
    const whole = Buffer.from(text)
    const once = found(scanPieces([whole]))
    expect(once.state).toBe('end')
    for (let at = 1; at < whole.length; at++) {
      expect(found(scanPieces([whole.subarray(0, at), whole.subarray(at)]))).toEqual(once)
    }
    expect(found(scanPieces([...whole].map((byte) => Buffer.from([byte]))))).toEqual(once)
  })

  it.each([
    ['at the top', '{"usage":{"a":1} ,"b":2}', undefined, 'usage', '{"a":1}'],
    ['a number before a brace', '{"usage":12}', undefined, 'usage', '12'],
    ['null', '{"usage":null,"b":2}', undefined, 'usage', 'null'],
    [
      'inside of an object',
      ANSWERS['usage inside of an object'],
      'response',
      'usage',
      '{"n":[1,{}]}',
    ],
    [
      'behind what looks like it',
      ANSWERS['a string that looks like usage'],
      undefined,
      'usage',
      '{"n":1}',
    ],
    ['under an escaped key', ANSWERS['an escaped key'], undefined, 'model', '"m"'],
    ['not what is nested deeper', ANSWERS['the same key at other depths'], undefined, 'usage', '3'],
    [
      'an object that paths lead through, empty',
      '{"meta":{},"usage":1}',
      'meta',
      'billed_units',
      undefined,
    ],
    ['null where paths lead through', '{"response":null,"usage":1}', undefined, 'usage', '1'],
  ])('finds a value %s', (_, text, parent, key, value) => {
    const { entries, state } = scan(text)
    expect(state).toBe('end')
    expect(textOf(parent ? entries[`.${parent}`]?.inner : entries, key)).toBe(value)
  })

  it('tells where every value stands, wanted or not', () => {
    const { text } = PLACED
    const { entries } = scan(text)
    const values = Object.entries(entries).map(([key, at]) => [key, text.slice(at.start, at.end)])
    expect(values).toEqual(PLACED.values)
    const inner = entries['.response']?.inner?.['.e']
    expect(text.slice(inner?.start, inner?.end)).toBe('true')
  })

  it.each([
    ['one byte below the bound', 6, '"1234"', false],
    ['one byte above the bound', 5, null, true],
  ])('keeps a value of 6 bytes, or marks it as too long: %s', (_, bytesMax, text, isTooLong) => {
    const bytes = Buffer.from('{"usage":"1234","model":"m"}')
    for (let at = 1; at < bytes.length; at++) {
      const { entries } = scanPieces([bytes.subarray(0, at), bytes.subarray(at)], bytesMax)
      expect(entries['.usage']).toMatchObject({ text, isTooLong })
      expect(textOf(entries, 'model')).toBe('"m"')
    }
  })

  it.each(OTHERS)('refuses %s, which is no object', (text) => {
    expect(scan(text)).toMatchObject({ state: 'broken', fault: 'is not a JSON object' })
  })

  it('keeps nothing where the bound is 0', () => {
    expect(textOf(scan('{"usage":1}', 0).entries, 'usage')).toBeNull()
  })

  it.each(MALFORMED)('refuses %s', (_, text) => {
    expect(scan(text)).toMatchObject({
      state: 'broken',
      fault: expect.stringContaining('not JSON at'),
    })
  })

  it.each(OPEN)('is not at the end of %s', (_, text) => {
    expect(scan(text)).toMatchObject({ fault: '', state: expect.not.stringMatching(/^end$/) })
  })

  it.each(TWICE)('names a key that is there twice %s', (_, text, twice) => {
    expect(scan(text)).toMatchObject({ state: 'broken', twice })
  })

  it.each(TAKEN)('takes %s', (_, text) => {
    expect(scan(text)).toMatchObject({ state: 'end', fault: '' })
  })

  it.each(BOUNDED)('has a bound: %s', (_, text, fault) => {
    const bounded = scan(text, 0)
    expect(bounded.state).toBe('broken')
    expect(bounded.fault).toContain(fault)
    if (text.length > 5e6) return
    const pieces = text.match(/[\s\S]{1,100}/g)?.map((piece) => Buffer.from(piece)) ?? []
    expect(scanPieces(pieces, 0).fault).toContain(fault)
  })

  it.each(LARGE)('takes %s', (_, text) => {
    expect(scan(text, 0)).toMatchObject({ state: 'end', fault: '' })
    const pieces = text.match(/[\s\S]{1,1001}/g)?.map((piece) => Buffer.from(piece)) ?? []
    expect(scanPieces(pieces, 0)).toMatchObject({ state: 'end', fault: '' })
  })

  it('counts neither parts nor escapes of an answer', () => {
    const text = `{"a":[${'[],'.repeat(3e5)}"${'x\\"'.repeat(8e5)}"]}`
    expect(scan(text, 0)).toMatchObject({ state: 'end' })
  })
})

describe('feedScan, beside JSON.parse', () => {
  it('finds the same keys and values in 3,000 objects, however they are split', () => {
    const random = randomOf(20261129)
    for (let i = 0; i < 3000; i++) {
      const names = ['a', 'model', 'usage', 'x', '__proto__', `k${i}`].filter(() => random() < 0.6)
      const text = `{${names.map((name) => `"${name}": ${randomValue(random, 0)}`).join(' , ')}}`
      const bytes = Buffer.from(text)
      const whole = scan(text, 1e6)
      expect(whole, text).toMatchObject({ state: 'end', fault: '' })
      const values = JSON.parse(text) as Record<string, unknown>
      expect(Object.keys(whole.entries), text).toEqual(names.map((name) => `.${name}`))
      for (const [key, { start, end }] of Object.entries(whole.entries)) {
        const name = key.slice(1)
        const value = Object.getOwnPropertyDescriptor(values, name)?.value
        expect(JSON.parse(bytes.subarray(start, end).toString()), text).toEqual(value)
      }
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + Math.floor(random() ** 2 * 50)
        pieces.push(bytes.subarray(at, end))
        at = end
      }
      expect(placesOf(scanPieces(pieces, 1e6).entries), text).toEqual(placesOf(whole.entries))
    }
  })

  it('comes to the same over hostile shapes, whole and in pieces', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { body, name } = hostileShape(seed, 3000)
      const bytes = Buffer.from(body)
      const pieces = []
      for (let at = 0; at < bytes.length; at += 7) pieces.push(bytes.subarray(at, at + 7))
      const [whole, split] = [scanPieces([bytes], 0), scanPieces(pieces, 0)]
      const { state, fault, twice } = whole
      expect(split, name).toMatchObject({ state, fault, twice })
      if (state === 'end') expect(placesOf(split.entries), name).toEqual(placesOf(whole.entries))
    }
  })

  /** What an entry says. */
  function placesOf(entries: Entries): unknown[] {
    return Object.entries(entries).map(([key, { start, end, inner, text }]) => {
      return [key, start, end, inner && placesOf(inner), text]
    })
  }
})
