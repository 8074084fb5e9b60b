import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { describeKeyProblem, formatKey, keyId, parseKey } from '../../../src/core/config/key.ts'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const bytes = Array.from({ length: 32 }, (_, index) => index)
/** The worked example of key.ts. */
const example = 'tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv'

/** The same digits in another way: by BigInt. */
function toBase62(number: bigint, length: number): string {
  let text = ''
  for (let rest = number; text.length < length; rest /= 62n)
    text = BASE62[Number(rest % 62n)] + text
  return text
}

describe('formatKey', () => {
  test('makes the worked example', () => {
    expect(formatKey('k7q2m9xa', bytes)).toBe(example)
    expect(formatKey('k7q2m9xa', Uint8Array.from(bytes))).toBe(example)
  })

  test('agrees with BigInt and the CRC-32 of zlib', () => {
    for (let i = 0; i < 200; i++) {
      const random = randomBytes(32)
      const body = `tg_abcd0123_${toBase62(BigInt(`0x${random.toString('hex')}`), 43)}`
      expect(formatKey('abcd0123', random)).toBe(body + toBase62(BigInt(crc32(body)), 6))
    }
  })

  test.each([
    ['all bits off', 0],
    ['all bits on', 255],
  ])('keeps its length with %s', (_name, byte) => {
    const key = formatKey('abcd0123', Array(32).fill(byte))
    expect(key).toHaveLength(61)
    expect(parseKey(key)).toEqual({ id: 'abcd0123' })
  })

  test('takes no fewer than 256 bits', () => {
    expect(() => formatKey('abcd0123', bytes.slice(1))).toThrow('32 random bytes, not 31')
  })
})

describe('parseKey', () => {
  test.each([
    ['a key', example, { id: 'k7q2m9xa' }],
    ['another scheme', `sk-${example.slice(3)}`, { problem: 'prefix' }],
    ['nothing', '', { problem: 'prefix' }],
    ['the scheme word before it', `Bearer ${example}`, { problem: 'prefix' }],
    ['a key cut by one', example.slice(0, -1), { problem: 'length' }],
    ['a key and one more', `${example}x`, { problem: 'length' }],
    ['capitals in the id', example.replace('k7q', 'K7q'), { problem: 'alphabet' }],
    ['a dash in the secret', example.replace('UlT', 'U-T'), { problem: 'alphabet' }],
    ['no second _', example.replace('xa_0', 'xa00'), { problem: 'alphabet' }],
    ['a changed id', example.replace('k7q', 'k8q'), { problem: 'checksum' }],
    ['a changed secret', example.replace('UlT', 'UIT'), { problem: 'checksum' }],
    ['two swapped letters', example.replace('UlT', 'lUT'), { problem: 'checksum' }],
    ['a changed checksum', example.replace('Bv', 'Bw'), { problem: 'checksum' }],
  ])('reads %s', (_name, text, expected) => {
    expect(parseKey(text)).toEqual(expected)
  })

  test('has a text for every problem', () => {
    for (const problem of ['prefix', 'length', 'alphabet', 'checksum'] as const) {
      expect(describeKeyProblem(problem)).toMatch(/^[A-Z].{10}/)
    }
  })
})

describe('keyId', () => {
  test('skips the bytes that would make some letters come up more often', () => {
    expect(keyId([252, 255, 0, 35, 36, 251, 253, 1, 2, 3, 4, 5])).toBe('a9a9bcde')
  })

  test('wants enough bytes', () => {
    expect(() => keyId([1, 2, 3])).toThrow('Too few random bytes')
    expect(() => keyId(Array(32).fill(255))).toThrow('Too few random bytes')
  })
})
