import { describe, expect, it } from 'vitest'
import { type Entries, feedScan, type Scan, startScan } from '../../../src/core/body/scan.ts'

const WANTED = ['model', 'usage', 'response/usage', 'meta/billed_units', 'message/usage']

function scanPieces(pieces: Buffer[], valueBytesMax = 200, stepsMax = 1e6): Scan {
  const scan = startScan(WANTED, valueBytesMax, stepsMax)
  for (const piece of pieces) {
    // As nginx does it: the buffer is used again as soon as the call is over.
    const lent = Buffer.from(piece)
    feedScan(scan, lent)
    lent.fill(0x2a)
  }
  return scan
}

const scan = (text: string, valueBytesMax?: number, stepsMax?: number) =>
  scanPieces([Buffer.from(text)], valueBytesMax, stepsMax)

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
    const text =
      ' {"a": 12 , "b":"x,}" ,"c":[1,"2",[3],{"d":4}],"response":{"e":true}, "f":-1.5e+3}'
    const { entries } = scan(text)
    const values = Object.entries(entries).map(([key, at]) => [key, text.slice(at.start, at.end)])
    expect(values).toEqual([
      ['.a', '12'],
      ['.b', '"x,}"'],
      ['.c', '[1,"2",[3],{"d":4}]'],
      ['.response', '{"e":true}'],
      ['.f', '-1.5e+3'],
    ])
    const inner = entries['.response']?.inner?.['.e']
    expect(text.slice(inner?.start, inner?.end)).toBe('true')
  })

  it.each([
    ['strings', '["a","b","c"]', 3],
    ['lists', '[[1,2],[3],[]]', 3],
    ['objects, whatever is in them', '[{"a":["b","c"]},{}]', 2],
    ['none in a list of numbers', '[1,2,3]', 0],
  ])('counts the items of a list: %s', (_, list, items) => {
    expect(scan(`{"x":${list}}`).entries['.x']?.items).toBe(items)
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

  it('keeps nothing where the bound is 0', () => {
    expect(textOf(scan('{"usage":1}', 0).entries, 'usage')).toBeNull()
  })

  it.each([
    ['a list', '[1]'],
    ['a byte order mark', '\ufeff{}'],
    ['no value', '{"a":}'],
    ['no comma', '{"a":1 "b":2}'],
    ['two commas', '{"a":1,,"b":2}'],
    ['a comma before the end', '{"a":1,}'],
    ['no colon', '{"a" 1}'],
    ['a key without quotes', '{a:1}'],
    ['a key in single quotes', "{'a':1}"],
    ['bytes behind the end', '{"a":1}x'],
    ['a second object', '{}{}'],
    ['brackets that do not fit', '{"a":[}]}'],
    ['a bracket too many', '{"a":[]]}'],
    ['a comment', '{"a":1/**/,"b":2}'],
    ['a comment before a key', '{/*"a":1*/"b":2}'],
    ['a number in a key place', '{"a":1:2}'],
    ['Infinity', '{"a":Infinity}'],
    ['a NUL byte', '{"a":\0 1}'],
  ])('refuses %s', (_, text) => {
    expect(scan(text)).toMatchObject({
      state: 'broken',
      fault: expect.stringContaining('not JSON at'),
    })
  })

  it.each([
    ['nothing', ''],
    ['white space', '  '],
    ['an open object', '{"a":1'],
    ['an open string', '{"a":"b'],
    ['an open list', '{"a":[1'],
    ['an open key', '{"a'],
    ['an open object inside', '{"response":{"usage":1}'],
  ])('is not at the end of %s', (_, text) => {
    expect(scan(text)).toMatchObject({ fault: '', state: expect.not.stringMatching(/^end$/) })
  })

  it.each([
    ['at the top', '{"a":1,"b":2,"a":3}', 'a'],
    ['once escaped', '{"model":1,"mod\\u0065l":2}', 'model'],
    ['with the name of a prototype', '{"__proto__":1,"__proto__":2}', '__proto__'],
    ['inside of an object', '{"response":{"a":1,"a":1}}', 'response/a'],
  ])('names a key that is there twice %s', (_, text, twice) => {
    expect(scan(text)).toMatchObject({ state: 'broken', twice })
  })

  it.each([
    ['keys with the names of prototypes', '{"__proto__":1,"constructor":2,"toString":3}'],
    ['the same key in objects that nobody looks into', '{"a":{"b":1,"b":2}}'],
    ['a key with the name of a path', '{"response/usage":1,"response":{"usage":2}}'],
    ['nesting up to 512', `{"a":${'['.repeat(512)}${']'.repeat(512)}}`],
    ['a key of 256 bytes', `{"${'k'.repeat(256)}":1}`],
  ])('takes %s', (_, text) => {
    expect(scan(text)).toMatchObject({ state: 'end', fault: '' })
  })

  it.each([
    ['nesting of 513', `{"a":${'['.repeat(513)}${']'.repeat(513)}}`, 'is nested too deeply'],
    ['a megabyte of open lists', `{"a":${'['.repeat(1e6)}`, 'is nested too deeply'],
    ['a megabyte of open objects', `{"a":${'{"a":'.repeat(2e5)}`, 'is nested too deeply'],
    ['a key of 257 bytes', `{"${'k'.repeat(257)}":1}`, 'has a key that is too long or broken'],
    ['a key with a broken escape', '{"\\u00zz":1}', 'has a key that is too long or broken'],
    ['a megabyte of spaces', `{${' '.repeat(1e6)}`, 'is too complex'],
    ['a megabyte of lists', `{"a":[${'[],'.repeat(3e5)}`, 'is too complex'],
    ['a megabyte of strings', `{"a":[${'"",'.repeat(3e5)}`, 'is too complex'],
    ['a megabyte of escaped quotes', `{"a":"${'\\"'.repeat(5e5)}`, 'is too complex'],
    [
      'a megabyte of keys',
      `{${Array.from({ length: 1e5 }, (_, i) => `"${i}":1`)}`,
      'is too complex',
    ],
  ])('has a bound: %s', (_, text, fault) => {
    const bounded = scan(text, 0, 200000)
    expect(bounded.state).toBe('broken')
    expect(bounded.fault).toContain(fault)
    const pieces = text.match(/[\s\S]{1,100}/g)?.map((piece) => Buffer.from(piece)) ?? []
    expect(scanPieces(pieces, 0, 200000).fault).toContain(fault)
  })

  it('passes over a megabyte of commas or numbers in a few steps', () => {
    const { state, steps } = scan(`{"a":[${'1,'.repeat(5e5)}1]}`, 0, 1000)
    expect(state).toBe('end')
    expect(steps).toBeGreaterThan(980)
  })
})
