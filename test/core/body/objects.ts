/** Objects of JSON that are odd, for the readers of whole ones and of pieces. */

function manyKeys(count: number): string {
  return Array.from({ length: count }, (_, i) => `"${i}":1`).join()
}

/** Where each value stands in it, by its name; and inside of `response` there is `e`, which is true. */
export const PLACED = {
  text: ' {"a": 12 , "b":"x,}" ,"c":[1,"2",[3],{"d":4}],"response":{"e":true}, "f":-1.5e+3}',
  values: [
    ['.a', '12'],
    ['.b', '"x,}"'],
    ['.c', '[1,"2",[3],{"d":4}]'],
    ['.response', '{"e":true}'],
    ['.f', '-1.5e+3'],
  ],
}

/** What is no object. */
export const OTHERS = ['[1]', '"a"', 'null', '\ufeff{}']

/** No JSON. */
export const MALFORMED: [string, string][] = [
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
]

/** Whose end is missing. */
export const OPEN: [string, string][] = [
  ['nothing', ''],
  ['white space', '  '],
  ['an open object', '{"a":1'],
  ['an open string', '{"a":"b'],
  ['an open list', '{"a":[1'],
  ['an open key', '{"a'],
  ['an open object inside', '{"response":{"usage":1}'],
]

/** In which a key stands twice: where, the object, and the key. */
export const TWICE: [string, string, string][] = [
  ['at the top', '{"a":1,"b":2,"a":3}', 'a'],
  ['once escaped', '{"model":1,"mod\\u0065l":2}', 'model'],
  ['with the name of a prototype', '{"__proto__":1,"__proto__":2}', '__proto__'],
  ['inside of an object', '{"response":{"a":1,"a":1}}', 'response/a'],
]

/** That are odd, and right. */
export const TAKEN: [string, string][] = [
  ['keys with the names of prototypes', '{"__proto__":1,"constructor":2,"toString":3}'],
  ['the same key in objects that nobody looks into', '{"a":{"b":1,"b":2}}'],
  ['a key with the name of a path', '{"response/usage":1,"response":{"usage":2}}'],
  ['nesting up to 512', `{"a":${'['.repeat(512)}${']'.repeat(512)}}`],
  ['a key of 256 bytes', `{"${'k'.repeat(256)}":1}`],
]

/** Beyond the bounds of every object: what, the object, and the fault. */
export const BOUNDED: [string, string, string][] = [
  ['nesting of 513', `{"a":${'['.repeat(513)}${']'.repeat(513)}}`, 'has more than 512 levels'],
  ['a megabyte of open lists', `{"a":${'['.repeat(1e6)}`, 'has more than 512 levels'],
  ['a megabyte of open objects', `{"a":${'{"a":'.repeat(2e5)}`, 'has more than 512 levels'],
  ['a key of 257 bytes', `{"${'k'.repeat(257)}":1}`, 'has a key of more than 256 bytes'],
  ['a key with a broken escape', '{"\\u00zz":1}', 'has a key that is no string of JSON'],
  ['a megabyte of keys', `{${manyKeys(1e5)}}`, 'has more than 512 keys'],
  ['513 keys, some of them inside', `{"response":{${manyKeys(512)}}}`, 'has more than 512 keys'],
  ['a megabyte of spaces', `{${' '.repeat(1e6)}`, 'has too much white space'],
  ['a number of a megabyte', `{"a":${'1'.repeat(1e6)}}`, 'has a number of more than 256 bytes'],
]

/** Beyond the bounds of what callers send. */
export const DENSE: [string, string, string][] = [
  ['a megabyte of lists', `{"a":[${'[],'.repeat(3e5)}`, 'has too many strings, lists and objects'],
  [
    'a megabyte of objects',
    `{"a":[${'{},'.repeat(3e5)}`,
    'has too many strings, lists and objects',
  ],
  [
    'a megabyte of strings',
    `{"a":[${'"",'.repeat(3e5)}`,
    'has too many strings, lists and objects',
  ],
  [
    'a megabyte of keys inside',
    `{"a":{${'""0,'.repeat(3e5)}`,
    'has too many strings, lists and objects',
  ],
  [
    'more than 800,000 strings, however far apart',
    `{"a":[${'"twelve bytes",'.repeat(1.1e6)}`,
    'or 800000',
  ],
  ['8 MB of escaped quotes', `{"a":"${'\\"'.repeat(4e6)}`, 'has more than 700000 escapes'],
  [
    '12 MB of JSON quoted twice',
    `{"a":"${'x\\\\\\"'.repeat(2.4e6)}`,
    'has more than 700000 escapes',
  ],
  ['16 MB of backslashes', `{"a":"${'\\'.repeat(16e6)}`, 'has more than 700000 escapes'],
  ['16 MB of backslashes, later', `{"a":"x${'\\'.repeat(16e6)}"`, 'has more than 700000 escapes'],
]

/** Within all bounds. */
export const LARGE: [string, string][] = [
  ['131,072 spaces', `{${' '.repeat(131072)}}`],
  ['a megabyte of spaces in a list', `{"a":[${' '.repeat(1e6)}]}`],
  ['a megabyte of commas', `{"a":[${','.repeat(1e6)}]}`],
  ['a million token ids', `{"a":[${'12345,'.repeat(1e6)}1]}`],
  ['a megabyte of escaped quotes', `{"a":"${'\\"'.repeat(5e5)}"}`],
  ['a megabyte of escaped quotes in a list', `{"a":["${'\\"'.repeat(5e5)}"]}`],
  ['a megabyte of backslashes', `{"a":"${'\\\\'.repeat(5e5)}"}`],
  ['one part for each five bytes', `{"a":[${'"ab",'.repeat(2e5)}"d"]}`],
  ['4,096 parts in 12 KB', `{"a":[${'[],'.repeat(4095)}[]]}`],
  ['512 keys', `{${manyKeys(512)}}`],
  ['a number of 256 digits', `{"a":${'1'.repeat(256)}}`],
]

/** A value of JSON as text, with strings that are full of what a scanner may trip over. */
export function randomValue(random: () => number, depth: number): string {
  const count = Math.floor(random() * 5)
  const space = random() < 0.3 ? ' '.repeat(Math.floor(random() ** 2 * 60)) : ''
  const many = (make: () => string) => Array.from({ length: count }, make).join(`${space},`)
  const kind = depth > 6 ? 0.9 : random()
  if (kind < 0.25) return `[${space}${many(() => randomValue(random, depth + 1))}]`
  if (kind < 0.5)
    return `{${many(() => `${randomString(random)}${space}:${randomValue(random, depth + 1)}`)}}`
  if (kind < 0.8) return randomString(random)
  return ['0', '-1.5e+3', 'true', 'null', '12345678901234567890'][Math.floor(random() * 5)] ?? '0'
}

function randomString(random: () => number): string {
  const bits = [
    '\\"',
    '\\\\',
    '\\n',
    '\\u0041',
    '{',
    ']',
    ',',
    ':',
    'a',
    'data:',
    '_url',
    ';base64,',
    '中',
    '😀',
    ' ',
  ]
  const length = Math.floor(random() ** 3 * 40)
  let text = random() < 0.1 ? 'data' : ''
  for (let i = 0; i < length; i++) text += bits[Math.floor(random() * bits.length)]
  return `"${text}"`
}
