import { describe, expect, test } from 'vitest'
import { addAdmin, revokeAdmin } from '../../../src/cli/edits/admins.ts'
import { formatKey, parseKey } from '../../../src/core/config/key.ts'
import type { Admin, Policy } from '../../../src/core/config/shapes.ts'
import {
  adminState,
  findAdmin,
  formatToken,
  parseToken,
  readBearer,
} from '../../../src/core/config/token.ts'

const BYTES = Array.from({ length: 32 }, (_, i) => i)
const NOW = Date.UTC(2026, 10, 25)
const sha256 = 'a'.repeat(64)
const admin: Admin = {
  ...{ id: 'k7q2m9xa', name: 'alice', role: 'write', sha256, created: '2026-11-01T00:00:00Z' },
}

describe('a token', () => {
  const token = formatToken('k7q2m9xa', BYTES)

  test('is made as a key is, with another prefix and checksum', () => {
    expect(token).toMatch(
      /^tga_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf[0-9A-Za-z]{6}$/,
    )
    expect(parseToken(token)).toEqual({ id: 'k7q2m9xa' })
    const key = formatKey('k7q2m9xa', BYTES)
    expect(key.slice(-6)).not.toBe(token.slice(-6))
    expect(parseToken(key)).toEqual({ problem: 'prefix' })
    expect(parseKey(token)).toEqual({ problem: 'prefix' })
  })

  test.each([
    ['nothing', '', 'prefix'],
    ['one that is cut', token.slice(0, -1), 'length'],
    ['one that is longer', `${token}x`, 'length'],
    ['one with another character', token.replace('003a', '003b'), 'checksum'],
    ['one with a character of no token', token.replace('003a', '003-'), 'alphabet'],
  ])('%s is none', (_, text, problem) => {
    expect(parseToken(text)).toEqual({ problem })
  })

  test.each<[string, string | undefined, string | null]>([
    ['as it has to be', 'Bearer tga_x', 'tga_x'],
    ['in other capitals', 'bearer  tga_x ', 'tga_x'],
    ['nothing', undefined, null],
    ['no scheme', 'tga_x', null],
    ['another scheme', 'Basic tga_x', null],
    ['two', 'Bearer tga_x tga_y', null],
    ['a list', 'Bearer tga_x, Bearer tga_y', null],
    ['a scheme alone', 'Bearer', null],
  ])('a header with %s', (_, header, found) => {
    expect(readBearer(header)).toBe(found)
  })
})

describe('adminState', () => {
  test.each<[string, Partial<Admin>, string]>([
    ['without an end', {}, 'live'],
    ['with no end', { expires: null, revoked: null }, 'live'],
    ['before its end', { expires: '2026-11-25T00:00:01Z' }, 'live'],
    ['at its end', { expires: '2026-11-25T00:00:00Z' }, 'expired'],
    ['with an end that nobody can read', { expires: 'soon' }, 'expired'],
    ['revoked', { revoked: '2026-01-01T00:00:00Z' }, 'revoked'],
  ])('%s', (_, fields, state) => {
    const one = { ...admin, ...fields }
    expect(adminState(one, NOW)).toBe(state)
    expect(findAdmin([one], sha256, NOW)).toEqual(state === 'live' ? one : null)
    expect(findAdmin([one], 'b'.repeat(64), NOW)).toBeNull()
  })
})

describe('tokens in a policy', () => {
  const policy: Policy = Object.freeze({ version: 1, admins: [admin] })
  const request = { id: 'bbbbbbbb', name: 'bob', role: 'read', sha256: 'b'.repeat(64) } as const

  test('are added and revoked, and the others stay', () => {
    const added = addAdmin(policy, { ...request, nowMs: NOW, expiresMs: NOW + 1000, note: 'n' })
    const bob = { ...request, created: '2026-11-25T00:00:00Z', expires: '2026-11-25T00:00:01Z' }
    expect(added).toMatchObject({ policy: { admins: [admin, { ...bob, note: 'n' }] } })
    const revoked = revokeAdmin(policy, admin.id, NOW)
    const gone = { ...admin, revoked: '2026-11-25T00:00:00Z' }
    expect(revoked).toEqual({
      policy: { version: 1, admins: [gone] },
      admin: gone,
      wasRevoked: false,
    })
    const again = { version: 1 as const, admins: [gone] }
    expect(revokeAdmin(again, admin.id, NOW + 1)).toMatchObject({ wasRevoked: true, policy: again })
  })

  test.each<[string, object, string]>([
    ['an id that is taken', { id: admin.id }, 'already'],
    ['a hash that is taken', { sha256 }, 'already'],
    ['a name that is none', { name: 'a b' }, 'letters'],
    ['a role that is none', { role: 'root' }, 'read, write'],
    ['an expiry that is past', { expiresMs: NOW }, 'past'],
  ])('%s is refused', (_, fields, message) => {
    expect(addAdmin(policy, { ...request, nowMs: NOW, ...fields })).toMatchObject({
      refused: expect.stringContaining(message),
    })
  })

  test('one that is not there cannot be revoked', () => {
    expect(revokeAdmin(policy, 'zzzzzzzz', NOW)).toMatchObject({
      refused: expect.stringContaining('zzzzzzzz'),
    })
  })
})
