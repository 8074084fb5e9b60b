import { describe, expect, test } from 'vitest'
import { guesserOf, isInside, parseBlock } from '../../../src/core/admit/address.ts'

describe('isInside', () => {
  test.each([
    ['an address in its own list', '10.0.0.1', '10.0.0.1', true],
    ['its neighbour', '10.0.0.2', '10.0.0.1', false],
    ['/32 is one address', '10.0.0.1', '10.0.0.1/32', true],
    ['/32 and its neighbour', '10.0.0.0', '10.0.0.1/32', false],
    ['/31 is two', '10.0.0.0', '10.0.0.1/31', true],
    ['/0 is every IPv4 address', '203.0.113.9', '0.0.0.0/0', true],
    ['/0 of IPv4 is no IPv6 address', '2001:db8::1', '0.0.0.0/0', false],
    ['/0 of IPv6 is every IPv6 address', '2001:db8::1', '::/0', true],
    ['/0 of IPv6 is no IPv4 address', '10.0.0.1', '::/0', false],
    ['the first address of a block', '10.0.0.0', '10.0.0.0/8', true],
    ['the last address of a block', '10.255.255.255', '10.0.0.0/8', true],
    ['one past the end of a block', '11.0.0.0', '10.0.0.0/8', false],
    ['one before the start of a block', '9.255.255.255', '10.0.0.0/8', false],
    ['a border inside a byte, below', '172.15.255.255', '172.16.0.0/12', false],
    ['a border inside a byte, first', '172.16.0.0', '172.16.0.0/12', true],
    ['a border inside a byte, last', '172.31.255.255', '172.16.0.0/12', true],
    ['a border inside a byte, above', '172.32.0.0', '172.16.0.0/12', false],
    ['a block with host bits set', '10.9.9.9', '10.1.2.3/8', true],
    ['IPv6 in a block', '2001:db8:ffff::1', '2001:db8::/32', true],
    ['IPv6 outside a block', '2001:db9::1', '2001:db8::/32', false],
    ['IPv6 written in another way', '2001:db8::1', '2001:0DB8:0:0:0:0:0:0001', true],
    ['/128 is one address', '::1', '::1/128', true],
    ['/127 is two', '::', '::1/127', true],
    ['a mapped caller in an IPv4 block', '::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['a mapped caller outside of it', '::ffff:11.1.2.3', '10.0.0.0/8', false],
    ['an IPv4 caller in a mapped block', '10.1.2.3', '::ffff:10.0.0.0/104', true],
    ['an IPv4 caller and a mapped address', '10.1.2.3', '::ffff:a01:203', true],
    ['all mapped addresses', '10.1.2.3', '::ffff:0:0/96', true],
    ['a caller with an address that is not quite mapped', '::fffe:10.1.2.3', '10.0.0.0/8', false],
    ['a UNIX socket', 'unix:', '0.0.0.0/0', false],
    ['no address', '', '0.0.0.0/0', false],
    ['a broken block', '10.0.0.1', '10.0.0.1/33', false],
  ])('%s', (_, address, block, expected) => {
    expect(isInside(address, [block])).toBe(expected)
  })

  test('no block holds nobody, and one of several is enough', () => {
    expect(isInside('10.0.0.1', [])).toBe(false)
    expect(isInside('10.0.0.1', ['192.0.2.1', 'nonsense', '10.0.0.0/24'])).toBe(true)
  })
})

describe('parseBlock', () => {
  test.each([
    ['a prefix longer than IPv4', '10.0.0.0/33'],
    ['a prefix longer than IPv6', '::/129'],
    ['a negative prefix', '10.0.0.0/-1'],
    ['an empty prefix', '10.0.0.0/'],
    ['a prefix that is no number', '10.0.0.0/8x'],
    ['two prefixes', '10.0.0.0/8/8'],
    ['a netmask', '10.0.0.0/255.0.0.0'],
    ['a part that could be octal', '010.0.0.1'],
    ['hexadecimal', '0x0a.0.0.1'],
    ['a part above 255', '256.0.0.1'],
    ['three parts', '10.0.1'],
    ['five parts', '10.0.0.0.1'],
    ['an empty part', '10..0.1'],
    ['one number', '167772161'],
    ['a zone id', 'fe80::1%eth0'],
    ['brackets', '[::1]'],
    ['a port', '10.0.0.1:80'],
    ['space around it', ' 10.0.0.1'],
    ['nine groups', '1:2:3:4:5:6:7:8:9'],
    ['seven groups', '1:2:3:4:5:6:7'],
    ['two gaps', '1::2::3'],
    ['a gap of nothing', '1:2:3:4::5:6:7:8'],
    ['a gap of three colons', ':::'],
    ['a colon alone', ':'],
    ['a colon at the start', ':1:2:3:4:5:6:7'],
    ['a group of five digits', '00001::'],
    ['a letter that is no digit', 'g::'],
    ['IPv4 in the middle', '::1.2.3.4:5'],
    ['a host name', 'localhost'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(parseBlock(text)).toBeNull()
  })

  test('reads a block, a single address, and a mapped one as IPv4', () => {
    expect(parseBlock('10.0.0.0/8')).toEqual({ bytes: [10, 0, 0, 0], bits: 8 })
    expect(parseBlock('10.0.0.1')).toEqual({ bytes: [10, 0, 0, 1], bits: 32 })
    expect(parseBlock('::ffff:10.0.0.0/104')).toEqual({ bytes: [10, 0, 0, 0], bits: 8 })
    expect(parseBlock('::1')?.bits).toBe(128)
    expect(parseBlock('::')?.bytes).toEqual(new Array(16).fill(0))
    expect(parseBlock('1::8')?.bytes).toEqual([0, 1, ...new Array(12).fill(0), 0, 8])
  })
})

describe('guesserOf', () => {
  test.each([
    ['IPv4 whole', '10.0.0.1', '10.0.0.2', false],
    ['a mapped address is the IPv4 one', '::ffff:10.0.0.1', '10.0.0.1', true],
    ['IPv6 by its /64', '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['the next /64', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['all UNIX sockets', 'unix:', 'unix:', true],
    ['an IPv6 prefix that spells an IPv4 address', 'a00:1::', '10.0.0.1', false],
  ])('%s', (_, one, other, isSame) => {
    expect(guesserOf(one) === guesserOf(other)).toBe(isSame)
  })
})
