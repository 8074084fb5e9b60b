import { beforeAll, describe, expect, test } from 'vitest'
import { bundleGate, type Configuration, KINDS, openContext } from './context.ts'

let code = ''
beforeAll(async () => {
  code = await bundleGate()
})

describe('a request in a context that is used again', () => {
  test('asks for the same after one that was refused', () => {
    const countsAfter = (first: { secret?: string }) => {
      const { ask, log } = openContext(code, KINDS['all'] as Configuration, 'quick')
      ask(first)
      const { counts } = ask()
      expect(log).toEqual([])
      return counts
    }
    const after = countsAfter({ secret: '' })
    expect(after).toMatchObject({ set: 2, delete: 1 })
    // What the first one has made stays, of which a refused one makes less.
    expect(after['get']).toBe(countsAfter({})['get'])
  })

  test.each(['quick', 'long'] as const)(
    'counts nothing of an answer that is none, on the %s way, where no line settles it',
    (way) => {
      const { ask, counters } = openContext(code, KINDS['all'] as Configuration, way)
      const used = () =>
        [...counters].filter(([name, value]) => /^[dm]\w{10}/.test(name) && value !== 0)
      ask({ status: 500, isLogged: false })
      expect(used()).toEqual([])
      ask({ isLogged: false })
      expect(used()).toHaveLength(1)
    },
  )
})

/**
 * What a request asks of shared memory and of JSON: each call is 1,000 to 4,000 instructions, and a parse more. A
 * context is cold on njs's own engine at every request, and warm on QuickJS. Fewer are better: write them down.
 */
describe('what a request asks for', () => {
  test.each([
    ['identity', 'quick', 'cold', { get: 4, set: 1, delete: 1, parse: 2 }],
    ['identity', 'quick', 'warm', { get: 4, set: 1, delete: 1 }],
    ['body', 'quick', 'cold', { get: 5, set: 1, delete: 1, parse: 2, stringify: 1 }],
    ['body', 'quick', 'warm', { get: 5, set: 1, delete: 1, parse: 1 }],
    ['all', 'quick', 'cold', { get: 14, set: 2, incr: 11, delete: 1, parse: 3, stringify: 1 }],
    ['all', 'quick', 'warm', { get: 14, set: 2, incr: 11, delete: 1, parse: 1 }],
    ['identity', 'long', 'cold', { get: 4, set: 1, delete: 1, parse: 2 }],
    ['body', 'long', 'cold', { get: 5, set: 1, delete: 1, parse: 2, stringify: 1 }],
    ['all', 'long', 'cold', { get: 15, set: 2, incr: 11, delete: 1, parse: 3, stringify: 1 }],
  ] as const)('of %s on the %s way in a context that is %s', (kind, way, state, expected) => {
    const { ask, log } = openContext(code, KINDS[kind] as Configuration, way)
    if (state === 'warm') ask()
    const { admission, target, line: text, counts } = ask()
    // A ceiling of the answer is put into the body.
    expect([admission, target]).toEqual(['ok', kind === 'all' ? 'made' : 'ok'])
    const line = JSON.parse(`{${text}}`)
    expect(log).toEqual([])
    expect(line).toMatchObject({ outcome: 'ok', client: 'app' })
    expect(line.completionTokens).toBe(kind === 'identity' ? undefined : 64)
    if (kind === 'all') expect(line.cost).toBeGreaterThan(0)
    expect(counts).toEqual(expected)
  })
})
