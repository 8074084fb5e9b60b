import { describe, expect, test } from 'vitest'
import { foldLines } from '../../../src/core/ledger/fold.ts'
import {
  type KnownModels,
  labelModel,
  MODELS_MAX,
  type Word,
} from '../../../src/core/metrics/models.ts'
import { seriesOf } from '../../../src/core/metrics/series.ts'
import { randomOf } from '../../random.ts'

const NOW_MS = Date.parse('2026-11-25T12:30:00Z')

/** As the zone keeps them. */
function modelsOf(policy: string[]): KnownModels & { list: string[] } {
  const list: string[] = []
  const counts = { server: 0, policy: 0 }
  return {
    list,
    has: (model) => list.includes(model),
    count: (by: Word) => counts[by],
    add(model, by) {
      counts[by]++
      list.push(model)
    },
    isOfPolicy: (model) => policy.includes(model),
  }
}

const named = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe('labelModel', () => {
  test.each<[string, string, boolean, string]>([
    ['a model that a server said', 'llama', true, 'llama'],
    ['a name that only a caller wrote', 'llama', false, ''],
    ['the same where the policy has it', 'priced', false, 'priced'],
    ['one that a server has said before', 'known', false, 'known'],
    ['no name', '', true, ''],
    ['no name of a caller', '', false, ''],
  ])('gives %s its label', (_, model, isSaid, label) => {
    const known = modelsOf(['priced'])
    known.add('known', 'server')
    expect(labelModel(known, model, isSaid)).toBe(label)
  })

  test('keeps room for the models of a server while callers write ten thousand names', () => {
    const known = modelsOf([])
    for (const name of named('invented-', 10_000)) expect(labelModel(known, name, false)).toBe('')
    for (const name of named('real-', 101)) labelModel(known, name, true)
    expect(known.list).toEqual(named('real-', 100))
    expect(labelModel(known, 'real-100', true)).toBe('(other)')
    expect(labelModel(known, 'real-99', false)).toBe('real-99')
  })

  test('keeps room for those of the policy while a server says whatever it is asked for', () => {
    const known = modelsOf(['priced'])
    for (const name of named('echoed-', 10_000)) labelModel(known, name, true)
    expect(labelModel(known, 'priced', true)).toBe('priced')
  })

  test('keeps room for those of servers while callers ask for all that a policy prices', () => {
    const prices = named('priced-', 1000)
    const known = modelsOf(prices)
    for (const name of prices) labelModel(known, name, false)
    expect(known.list).toEqual(prices.slice(0, 100))
    expect(labelModel(known, 'priced-500', false)).toBe('(other)')
    expect(labelModel(known, 'priced-500', true)).toBe('priced-500')
    expect(labelModel(known, 'real', true)).toBe('real')
  })
})

describe('labels of models', () => {
  /** The labels of models in the counters that lines come to. */
  function labelsOf(lines: object[], known: KnownModels): Map<string, Set<string>> {
    const text = lines.map((line) =>
      JSON.stringify({ time: new Date(NOW_MS).toISOString(), client: 'app', ...line }),
    )
    const labels = new Map<string, Set<string>>()
    const series = seriesOf(foldLines(text.join('\n'), NOW_MS, NOW_MS), (model, isSaid) =>
      labelModel(known, model, isSaid),
    )
    for (const { name } of series) {
      const [kind = '', , model = ''] = name.split('\t')
      if (kind !== 'h' && kind !== 't') continue
      labels.set(kind, (labels.get(kind) ?? new Set()).add(model))
    }
    return labels
  }

  const ok = { outcome: 'ok', status: 200, upstream: 'x', durationMs: 5, promptTokens: 3 }
  const failed = { outcome: 'upstream_error', status: 500, upstream: 'x', durationMs: 5 }

  test.each<[string, object, string]>([
    ['the one that answered', { ...ok, model: 'alias', served: 'llama' }, 'llama'],
    ['the one that was asked for where the policy has it', { ...ok, model: 'priced' }, 'priced'],
    ['none where tokens were counted of a name that nobody knows', { ...ok, model: 'lora' }, ''],
    ['none where such a request failed', { ...failed, model: 'lora' }, ''],
    ['none where no model was asked for', ok, ''],
    [
      'one name, cut, where it is endless',
      { ...ok, served: 'x'.repeat(500) },
      `${'x'.repeat(200)}…`,
    ],
  ])('are %s', (_, line, label) => {
    for (const [, models] of labelsOf([line], modelsOf(['priced']))) {
      expect([...models]).toEqual([label])
    }
  })

  test('are known of a request that failed before another that a server answered', () => {
    const lines = [
      { ...failed, model: 'llama' },
      { ...ok, model: 'llama', served: 'llama' },
    ]
    for (const [, models] of labelsOf(lines, modelsOf([]))) expect([...models]).toEqual(['llama'])
  })

  test('are told apart where one name was answered by two', () => {
    const lines = ['a', 'b'].map((served) => ({ ...ok, model: 'alias', served }))
    for (const [, models] of labelsOf(lines, modelsOf([]))) expect([...models]).toEqual(['a', 'b'])
  })

  test.each([1, 2, 3, 4, 5])('are those of servers and the policy alone, seed %i', (seed) => {
    const random = randomOf(seed)
    const pick = <One>(list: One[]) => list[Math.floor(random() * list.length)] as One
    const servers = named('real-', 1 + Math.floor(random() * 120))
    const policy = [...named('priced-', Math.floor(random() * 150)), ...servers.slice(0, 3)]
    const known = modelsOf(policy)
    const allowed = new Set([...servers, ...policy, '', '(other)'])
    let invented = 0
    for (let portion = 0; portion < 5; portion++) {
      const lines = Array.from({ length: 400 }, () => {
        const asked = random() < 0.6 ? `invented-${invented++}` : pick([...servers, ...policy, ''])
        const isAnswered = servers.includes(asked) && random() < 0.7
        const how = isAnswered
          ? pick([ok, failed])
          : pick([ok, failed, { ...failed, upstream: undefined }])
        return { ...how, model: asked, served: isAnswered ? asked : undefined }
      })
      for (const [, models] of labelsOf(lines, known)) {
        expect([...models].filter((model) => !allowed.has(model))).toEqual([])
      }
    }
    expect(invented).toBeGreaterThan(1000)
    expect(known.list.length).toBeLessThanOrEqual(2 * MODELS_MAX)
    if (servers.length <= MODELS_MAX) {
      for (const model of servers) expect(labelModel(known, model, true)).toBe(model)
    }
  })
})
