import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { putConstants } from '../../build/constants.ts'
import { defer } from '../../build/defer.ts'

const isSeldom = (module: string, name: string) => module === 'src/long.ts' || name === 'odd'

/** A bundle as esbuild writes it: a way that all go, and one that few go. */
const BUNDLE = `import crypto from "crypto";

// src/shared.ts
var LIMIT = 3;
var counted = 0;
function count() {
  return ++counted;
}
function small(x) {
  return x * LIMIT;
}

// src/long.ts
var made = [];
function alone(x) {
  made.push(x);
  return made.length + small(x);
}
function long(x) {
  return alone(x) + count();
}

// src/quick.ts
function odd() {
  return "odd " + count();
}
function first(x) {
  return x > LIMIT ? long(x) : small(x) + count();
}
function other() {
  return odd();
}

// src/gate.ts
var gate_default = { first, other };
export {
  gate_default as default
};
`

function run(text: string): { first(x: number): number; other(): string } {
  const script = text
    .replace('import crypto from "crypto";', '')
    .replace(/export \{[^}]*\};/, 'globalThis.exported = gate_default')
  const context: { exported?: unknown } = {}
  runInNewContext(script, context)
  return context.exported as ReturnType<typeof run>
}

/** The text before the function that makes the rest. */
const topOf = (text: string) => text.slice(0, text.indexOf('function makeSeldom'))

describe('defer', () => {
  const text = defer(BUNDLE, isSeldom, 'Seldom')

  test('leaves at the top what all need, and puts the rest into a function', () => {
    expect(topOf(text)).toMatch(/function first\b[\s\S]*function other\b/)
    for (const name of ['alone', 'long', 'odd', 'made']) {
      expect(topOf(text), name).not.toMatch(new RegExp(`(?:function|var) ${name}\\b`))
    }
  })

  test('changes nothing of what is returned, and both ways share their state', () => {
    const [plain, deferred] = [run(BUNDLE), run(text)]
    for (const x of [1, 9, 2, 9, 9]) expect(deferred.first(x)).toBe(plain.first(x))
    expect(deferred.other()).toBe(plain.other())
    expect(deferred.other()).toBe('odd 7')
  })

  test('makes the rest once', () => {
    const { first } = run(text)
    expect([first(9), first(9)]).toEqual([1 + 27 + 1, 2 + 27 + 2])
  })

  test('copies a small function that both ways call, and no variable', () => {
    expect(text.match(/function small\b/g)).toHaveLength(2)
    expect(text.match(/var counted\b/g)).toHaveLength(1)
  })
})

describe('putConstants', () => {
  test('puts a number or a text where it is used', () => {
    const text = putConstants(
      'var A = 5;\nvar B = "b";\nfunction f(x) {\n  return x.A + A + B;\n}\n',
    )
    expect(text).toBe('\n\nfunction f(x) {\n  return x.A + 5 + "b";\n}\n')
  })

  test.each([
    ['is changed', 'var A = 5;\nfunction f() { A = 6; return A }'],
    ['is counted up', 'var A = 5;\nfunction f() { return A++ }'],
    ['is counted down before', 'var A = 5;\nfunction f() { return --A }'],
    ['has its name for something else too', 'var A = 5;\nfunction f(A) { return A }'],
    ['is a field by its name', 'var A = 5;\nvar all = { A };'],
    ['is a list', 'var A = [5];\nfunction f() { return A }'],
  ])('leaves what %s', (_, text) => {
    expect(putConstants(text)).toBe(text)
  })
})
