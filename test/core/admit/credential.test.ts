import { describe, expect, test } from 'vitest'
import { findCredential } from '../../../src/core/admit/credential.ts'

const key = { secret: 'tg_a_b' }

describe('findCredential, Authorization', () => {
  test.each([
    ['the usual form', 'Bearer tg_a_b', key],
    ['a scheme in lower case', 'bearer tg_a_b', key],
    ['a scheme in capitals', 'BEARER tg_a_b', key],
    ['a scheme in mixed case', 'bEaReR tg_a_b', key],
    ['several spaces', 'Bearer    tg_a_b', key],
    ['a tab', 'Bearer\ttg_a_b', key],
    ['space around everything', ' \t Bearer tg_a_b \t', key],
    ['a key that holds a space', 'Bearer one two', { secret: 'one two' }],
    ['a key that holds a colon', 'Bearer a:b', { secret: 'a:b' }],
    ['the scheme twice, as some people store it', 'Bearer Bearer x', { secret: 'Bearer x' }],
    ['the scheme alone', 'Bearer', 'missing'],
    ['the scheme and space', 'Bearer   ', 'missing'],
    ['a scheme that only begins so', 'Bearerabc tg_a_b', 'missing'],
    ['no space before the key', 'Bearertg_a_b', 'missing'],
    ['a key without a scheme', 'tg_a_b', 'missing'],
    ['Basic', 'Basic dGdfYV9iOg==', 'missing'],
    ['nothing', '', 'missing'],
    ['no header', undefined, 'missing'],
  ])('%s', (_, value, expected) => {
    expect(findCredential(value, undefined, undefined)).toEqual(expected)
  })
})

describe('findCredential, x-api-key and api-key', () => {
  test.each([
    ['the usual form', 'tg_a_b', key],
    ['space around it', '  tg_a_b\t', key],
    ['the same key twice, as njs joins it', 'tg_a_b, tg_a_b', key],
    ['the same key twice, with the comma some versions leave', 'tg_a_b, tg_a_b, ', key],
    ['one key and an empty header', ', tg_a_b, ', key],
    ['two keys', 'tg_a_b, tg_c_d', 'ambiguous'],
    ['two keys and one of them again', 'tg_a_b, tg_c_d, tg_a_b', 'ambiguous'],
    ['a comma alone', ',', 'missing'],
    ['space alone', '   ', 'missing'],
    ['nothing', '', 'missing'],
    ['a Bearer prefix is part of the key', 'Bearer tg_a_b', { secret: 'Bearer tg_a_b' }],
  ])('%s', (_, value, expected) => {
    expect(findCredential(undefined, value, undefined)).toEqual(expected)
    expect(findCredential(undefined, undefined, value)).toEqual(expected)
  })
})

describe('findCredential, several headers', () => {
  test.each([
    ['the same key in all three', 'Bearer tg_a_b', 'tg_a_b', 'tg_a_b', key],
    ['a key beside Basic', 'Basic eDp5', 'tg_a_b', undefined, key],
    ['a key beside an empty header', 'Bearer tg_a_b', '', ' ', key],
    ['another key in x-api-key', 'Bearer tg_a_b', 'tg_c_d', undefined, 'ambiguous'],
    ['another key in api-key', 'Bearer tg_a_b', undefined, 'tg_c_d', 'ambiguous'],
    ['two plain headers that differ', undefined, 'tg_a_b', 'tg_c_d', 'ambiguous'],
    ['two that differ, and Bearer is one of them', 'Bearer x', 'x, y', 'x', 'ambiguous'],
    ['keys that differ in case', 'Bearer tg_a_b', 'TG_A_B', undefined, 'ambiguous'],
    ['none at all', undefined, undefined, undefined, 'missing'],
  ])('%s', (_, authorization, xApiKey, apiKey, expected) => {
    expect(findCredential(authorization, xApiKey, apiKey)).toEqual(expected)
  })
})
