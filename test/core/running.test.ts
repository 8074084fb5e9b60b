import { describe, expect, test } from 'vitest'
import { heldCheck } from '../../src/core/limits/check.ts'
import { type Hold, heldOf } from '../../src/core/limits/hold.ts'
import {
  isWaiting,
  readHeld,
  readRunning,
  runningEnd,
  runningLine,
  waitingText,
} from '../../src/core/running.ts'

/** A hold of a place at a server of any name, of unread bytes, and of tokens and cost of a budget. */
function holdAt(upstream: string): Hold {
  const checks = [
    heldCheck('a', `a${upstream}/app`, '', Infinity),
    heldCheck('f', `f*${upstream}`, '', 9),
    heldCheck('u', 'uk7q2m9xa', 'key', 9),
    heldCheck('r', 'rAbCdEfGhIj', 'client', 9),
    heldCheck('R', 'RAbCdEfGhIj', 'client', 9),
  ]
  return {
    birth: 1796089967003,
    minute: 7,
    checks,
    amounts: { q: 1, a: 1, f: 1, t: 5, i: 4, o: 3, r: 300, R: 7000, u: 20000 },
  }
}

const NAMES = ['', 'vllm', 'a b', 'x"y', 'x\\', 'a:1/b', '伺服器', '"]', "[1,'", '%41', 'f*', '\n']

describe('an entry of a request', () => {
  test.each(NAMES)('names what is held, whatever the server behind is called: %j', (upstream) => {
    const hold = holdAt(upstream)
    const line = runningLine('192.0.2.1', '3 4', 9, 'app k1  chat', true, '300 7000 5')
    for (const model of ['', '"a b"', '"x\\"]"', '"模型"']) {
      const text = `${line}0 ${runningEnd(model, heldOf(hold))}`
      expect(readHeld(text)).toEqual({
        birth: hold.birth,
        held: [
          [`a${upstream}/app`, 1],
          [`f*${upstream}`, 1],
          ['uk7q2m9xa', 20000],
          ['rAbCdEfGhIj', 300],
          ['RAbCdEfGhIj', 7000],
        ],
      })
      expect(readRunning(text)).toMatchObject({ client: 'app', route: 'chat', heldTokens: 300 })
      expect(readRunning(text).model).toBe(model === '' ? undefined : JSON.parse(model))
      expect(isWaiting(text)).toBe(false)
    }
  })

  test('says so while its body is not there', () => {
    const text = waitingText('app k1 team chat', ` fAbCdEfGhIj uk1:20000`)
    expect(isWaiting(text)).toBe(true)
    expect(readHeld(text).held).toEqual([
      ['fAbCdEfGhIj', 1],
      ['uk1', 20000],
    ])
    expect(readRunning(text)).toMatchObject({ client: 'app', key: 'k1', group: 'team', atMs: 0 })
  })

  test('holds nothing by name where it is one of an older version', () => {
    const line = runningLine('192.0.2.1', ' ', 9, 'app k1  chat', false, '5 7 5')
    expect(readHeld(`${line}0 "m"`)).toEqual({ birth: 0, held: [] })
  })
})
