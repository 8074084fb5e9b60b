import { beforeAll, describe, expect, test } from 'vitest'
import { bundleGate, type Configuration, KINDS, openContext } from './context.ts'

let code = ''
beforeAll(async () => {
  code = await bundleGate()
})

/** What a request moves and gives back: places, tokens and cost; and its entry among those that run. */
function heldOf(counters: Map<string, unknown>, running: Map<string, unknown>): unknown[] {
  const held = [...counters].filter(([name, value]) => /^[frR]\w{10}$/.test(name) && value !== 0)
  return [...held, ...running]
}

describe('a call of a zone that throws', () => {
  test.each(['quick', 'long'] as const)('leaves nothing held, on the %s way', (way) => {
    // Each in turn that a full zone may throw at.
    const mayThrow = (call: string) => /\.(?:incr|set|delete)$/.test(call)
    let calls = 0
    const count = openContext(code, KINDS['all'] as Configuration, way, (call) => {
      if (mayThrow(call)) calls++
    })
    count.ask()
    expect(calls).toBeGreaterThan(12)
    expect(heldOf(count.counters, count.running)).toEqual([])
    for (let at = 1; at <= calls; at++) {
      let seen = 0
      let broken = ''
      const { ask, counters, running } = openContext(
        code,
        KINDS['all'] as Configuration,
        way,
        (call) => {
          if (!mayThrow(call)) return
          seen++
          if (seen !== at) return
          broken = call
          throw new Error('no memory')
        },
      )
      const { admission, target } = ask()
      // A counter that was not moved back has no room: it is told as such.
      const isLost = counters.get('full') !== undefined
      if (!isLost)
        expect(heldOf(counters, running), `call ${at}, ${broken}: ${admission} ${target}`).toEqual(
          [],
        )
      // And the next one in this context is as any other.
      expect(ask(), `after call ${at}, ${broken}`).toMatchObject({
        admission: 'ok',
        target: 'made',
      })
    }
  })
})

describe('an entry among those that run', () => {
  const all = KINDS['all'] as Configuration
  const denied = { ...all, record: { ...all.record, models: ['other'] } }

  test.each(['quick', 'long'] as const)(
    'goes with what it names, when the body is refused, on the %s way',
    (way) => {
      const { ask, counters, running } = openContext(code, denied as Configuration, way)
      expect(ask()).toMatchObject({ admission: 'ok', target: 'refused', entries: 0 })
      expect(heldOf(counters, running)).toEqual([])
    },
  )

  test.each(['quick', 'long'] as const)(
    'goes at the end, though the zone was full when it was to say more, on the %s way',
    (way) => {
      let sets = 0
      const { ask, running } = openContext(code, all, way, (call) => {
        if (call === 'running.set' && ++sets > 1) throw new Error('no memory')
      })
      ask()
      expect(sets).toBeGreaterThan(1)
      expect([...running]).toEqual([])
    },
  )
})

test.each(['quick', 'long'] as const)(
  'a request keeps its place of maxInFlight, whoever comes while its body does, on the %s way',
  (way) => {
    const all = KINDS['all'] as Configuration
    // Its maximum is more than is left of the budget, which the long way has to weigh.
    const limited = [{ of: 'client', id: 'AbCdEfGhIj', budgets: { tokensPerDay: 700 } }]
    const record = { ...all.record, limited }
    const given = { ...all, record, rules: { maxInFlight: 1 } } as Configuration
    const { ask, counters, running } = openContext(code, given, way)
    const others = (count: number) => counters.set('f*', Number(counters.get('f*') ?? 0) + count)
    const meanwhile = () => {
      others(5)
    }
    expect(ask({ meanwhile })).toMatchObject({ admission: 'ok', target: 'made' })
    others(-5)
    expect(heldOf(counters, running)).toEqual([])
    expect([counters.get('f*'), counters.get('a/app'), counters.get('a/')]).toEqual([0, 0, 0])
  },
)
