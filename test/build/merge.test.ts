import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { merge } from '../../build/merge.ts'

/** What a module exports, as straighten() writes it. */
function run(text: string): Record<string, (...given: unknown[]) => unknown> {
  return runInNewContext(text.replace('export default', 'globalThis.exported ='))
}

/** Functions at the top of a text. */
const topsOf = (text: string) => [...text.matchAll(/^function (\w+)\(/gm)].map(([, name]) => name)

/**
 * Many functions whose names, parameters and variables collide in all ways: `count` of them, each calling the one before,
 * with closures, recursion, missing arguments, labels and a catch.
 */
function manyFunctions(count: number): string {
  const bodies = [
    (n: number) =>
      `function f${n}(a,b){var c=b===void 0?1:b,d;for(var e=0;e<3;e++)d===void 0?d=e:d+=e;return f${n - 1}(a+c,d)}`,
    (n: number) =>
      `function f${n}(b,a,c){if(c)return b;b=[1,2].map(function(a){var c=a+b;return c});a:for(;;){break a}return f${n - 1}(b[0]+b[1],a)}`,
    (n: number) => `function f${n}(c,z){try{throw c}catch(a){c=a+1}x=c;return f${n - 1}(c)}`,
    (n: number) => `function f${n}(a,z){return a>40?f${n - 1}(a%7):f${n}(a+x%5+1)}`,
    (n: number) =>
      `function f${n}(a,z){function b(c){return c?b(c-1)+1:a}return f${n - 1}(b(2),{a:a,b:y}.b)}`,
  ]
  const made = Array.from({ length: count }, (_, i) => bodies[i % bodies.length]?.(i + 1) ?? '')
  return `var x=1,y=2;function f0(a,b){return a*2+(b||0)+x}${made.join('')}function door(a){x=1;return f${count}(a)}export default {door:door};\n`
}

describe('merge', () => {
  test.each([1, 2, 5, 16, 17, 60])('changes nothing of what %i functions return', (count) => {
    const plain = manyFunctions(count)
    const merged = merge(plain, new Set())
    for (const given of [0, 1, 5, 33, 90])
      expect([given, run(merged)['door']?.(given)]).toEqual([given, run(plain)['door']?.(given)])
  })

  test('makes one function of sixteen, and leaves those that are called often or are values', () => {
    const text = merge(manyFunctions(60), new Set(['f7', 'f8']))
    expect(topsOf(text)).toHaveLength(4 + 2 + 1)
    expect(topsOf(text)).toEqual(expect.arrayContaining(['f7', 'f8', 'door']))
  })

  test('leaves a function alone that is called with more than it takes', () => {
    const text = merge(
      'function f(a){var b;return b===void 0?a:b}function g(a){return f(a,9)}export default {g:g};\n',
      new Set(),
    )
    expect(topsOf(text)).toContain('f')
    expect(run(text)['g']?.(3)).toBe(3)
  })

  test('keeps imports first and the export last', () => {
    const text = merge(
      'import crypto from "crypto";function f(a){return crypto(a)}function g(a){return f(a)}export default {g:g};\n',
      new Set(),
    )
    expect(text).toMatch(/^import crypto from "crypto";\n[\s\S]*export default \{g:g\};\n$/)
  })

  test('refuses what declares a name in another way', () => {
    expect(() =>
      merge(
        'function f(a){let b=a;return b}function g(a){return f(a)}export default {g:g};\n',
        new Set(),
      ),
    ).toThrow('Cannot merge let b=a')
  })
})
