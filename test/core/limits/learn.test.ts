import { describe, expect, test } from 'vitest'
import type { LedgerLine } from '../../../src/core/ledger/line.ts'
import { estimateOutput, modelBucket } from '../../../src/core/limits/estimate.ts'
import { learnLine } from '../../../src/core/limits/learn.ts'
import { zone } from './zones.ts'

/** A stream of 200 tokens after 400 ms, 100 tokens a second, from a prompt of 1,000 bytes. */
const LINE = {
  outcome: 'ok',
  model: 'm',
  stream: true,
  promptBytes: 1000,
  promptTokens: 258,
  completionTokens: 200,
  ttftMs: 400,
  tokensPerSecond: 100,
} as LedgerLine

function learned(...lines: object[]): Record<string, number> {
  const counters = zone()
  for (const line of lines) learnLine(counters, { ...LINE, ...line } as LedgerLine, 'usual')
  return counters.entries as Record<string, number>
}

const M = modelBucket('m')
const all = { [`p${M}`]: 0.295, [`l${M}`]: 941.6, [`w${M}`]: 400, [`g${M}`]: 10 }

describe('learnLine', () => {
  test('teaches tokens of a text, of an answer, and how fast they come', () => {
    expect(learned({})).toEqual(all)
  })

  test('moves the pace by a fifth, and everything else by a tenth', () => {
    const found = learned({}, { ttftMs: 900, tokensPerSecond: 50 })
    expect([found[`w${M}`], found[`g${M}`]]).toEqual([500, 12])
  })

  test('takes the default model where a line names none', () => {
    expect(Object.keys(learned({ model: undefined }))).toContain(`p${modelBucket('usual')}`)
  })

  test('divides by the choices, which come side by side', () => {
    const found = learned({ choices: 4, completionTokens: 800, tokensPerSecond: 400 })
    expect(found).toEqual(all)
  })

  test.each<[string, object, object]>([
    ['what was estimated teaches nothing', { estimated: true }, {}],
    ['what was left teaches its prompt alone', { outcome: 'client_aborted' }, { p: 1 }],
    ['what failed teaches its prompt alone', { outcome: 'upstream_error' }, { p: 1 }],
    ['a whole answer teaches no pace', { stream: undefined, ttftMs: undefined }, { p: 1, l: 1 }],
    ['an answer of one token teaches no pace', { completionTokens: 1 }, { p: 1, l: 1 }],
    ['without a speed it teaches no pace', { tokensPerSecond: undefined }, { p: 1, l: 1 }],
    ['a picture teaches nothing of its prompt', { promptBytes: undefined }, { l: 1, w: 1, g: 1 }],
    [
      'a short answer that its maximum cut teaches no length',
      { finishReason: 'length' },
      { p: 1, w: 1, g: 1 },
    ],
    ['a wait without end is one of a minute', { ttftMs: 1e9 }, { p: 1, l: 1, w: 60_000, g: 1 }],
    ['what is no number teaches nothing', { promptTokens: '7', completionTokens: {} }, {}],
    [
      'a number beyond all teaches nothing',
      { promptTokens: Number.POSITIVE_INFINITY, completionTokens: -1 },
      {},
    ],
  ])('%s', (_, change, kinds) => {
    const found = Object.entries(learned(change)).map(([name, value]) => [name.charAt(0), value])
    expect(found.map(([kind]) => kind)).toEqual(Object.keys(kinds))
    if ('w' in kinds && kinds.w !== 1) expect(Object.fromEntries(found).w).toBe(kinds.w)
  })
})

describe('estimateOutput', () => {
  const counters = zone()
  for (let i = 0; i < 100; i++) learnLine(counters, LINE, '')
  test.each([
    [0, -1],
    [399, -1],
    [400, 0],
    [401, 1],
    [1400, 100],
    [2400, 200],
    [99_999, 201],
  ])('after %i ms says %i', (ranMs, tokens) => {
    expect(estimateOutput(counters, M, ranMs)).toBe(tokens)
  })

  test('takes half a second and 50 tokens a second until it is taught', () => {
    expect([499, 500, 1500].map((ms) => estimateOutput(zone(), M, ms))).toEqual([-1, 0, 50])
  })
})
