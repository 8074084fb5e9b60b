import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import {
  describeGate,
  findExcess,
  findIntruders,
  findTopExcess,
  GATE_BOUND,
  GATE_FILES,
  measureRooms,
  type Row,
  roomOf,
  sizeOf,
  TOP_FUNCTIONS_MAX,
} from '../../build/wall.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SETTLE = 'src/edge/gate/settle.ts'

/** The gate's bundle, its files with more lines at their ends; minified, and with modules named. */
async function bundle(planted: Record<string, string> = {}) {
  const options = {
    absWorkingDir: ROOT,
    entryPoints: ['src/gate.ts'],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2017',
    external: ['crypto', 'fs'],
    plugins: [
      {
        name: 'plant',
        setup(builder) {
          builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            const [, more] = Object.entries(planted).find(([name]) => path.endsWith(name)) ?? []
            if (more === undefined) return null
            return { contents: `${await readFile(path, 'utf8')}\n${more}`, loader: 'ts' }
          })
        },
      },
    ],
  } satisfies BuildOptions
  const minified = await build({ ...options, minify: true })
  const named = await build({ ...options, minifyIdentifiers: true, minifySyntax: true })
  return {
    metafile: minified.metafile,
    minified: minified.outputFiles[0]?.text ?? '',
    text: named.outputFiles[0]?.text ?? '',
  }
}

function rowOf(rows: Row[], name: string): Row {
  const row = rows.find((one) => one.name === name)
  if (!row) throw new Error(`There is no row ${name}`)
  return row
}

describe('findIntruders', () => {
  test('lets the gate through as it is, and every file that is named is in it', async () => {
    const { metafile } = await bundle()
    expect(findIntruders(metafile)).toEqual([])
    expect(Object.keys(metafile.inputs)).toEqual(expect.arrayContaining(Object.keys(GATE_FILES)))
  })

  test.each([
    ['another room of core', '../../core/usage/query.ts', 'src/core/usage/query.ts', 'core/usage'],
    ['another room of edge', '../ledger/fold.ts', 'src/edge/ledger/fold.ts', 'edge/ledger'],
    ['another house', '../../mock/write.ts', 'src/mock/write.ts', 'mock'],
    [
      'a room of which another file is named',
      '../../core/config/path.ts',
      'src/core/config/path.ts',
      'core/config',
    ],
  ])('tells of an import from %s: what, who, which way, and the fix', async (_, from, to, room) => {
    const { metafile } = await bundle({ [SETTLE]: `import * as x from '${from}'\nexport { x }` })
    const problem = findIntruders(metafile).find((one) => one.startsWith(to))
    expect(problem).toContain(`may not be in dist/tollgate.js: its room ${room} is outside`)
    expect(problem).toContain(`imported by ${SETTLE}\n`)
    expect(problem).toMatch(/on the way src\/gate\.ts > .*src\/edge\/gate\/settle\.ts > /)
    expect(problem).toContain('Use a type import, or move')
  })

  test('tells of an import that nothing uses, since somebody will', async () => {
    const { metafile } = await bundle({ [SETTLE]: `import '../../core/usage/query.ts'` })
    expect(findIntruders(metafile)).toHaveLength(1)
  })

  test('does not tell of what an intruder brings along', async () => {
    const { metafile } = await bundle({ [SETTLE]: `import '../ledger/fold.ts'` })
    expect(metafile.inputs).toHaveProperty(['src/edge/ledger/sums.ts'])
    const files = findIntruders(metafile).filter((one) => one.startsWith('src/'))
    expect(files.map((one) => one.split(' ')[0])).toEqual(['src/edge/ledger/fold.ts'])
  })

  test('lets types through', async () => {
    const planted = `import type { Row } from '../../core/usage/rows.ts'\nexport type X = Row`
    const { metafile } = await bundle({ [SETTLE]: planted })
    expect(findIntruders(metafile)).toEqual([])
  })

  test('tells of fs', async () => {
    const planted = `import fs from 'fs'\nexport const y = fs.readFileSync('x')`
    const { metafile } = await bundle({ [SETTLE]: planted })
    expect(findIntruders(metafile)).toEqual([
      `fs may not be in dist/tollgate.js, and ${SETTLE} imports it`,
    ])
  })
})

describe('measureRooms', () => {
  test('has the bytes and functions of the whole bundle, but for its export', async () => {
    const { metafile, text, minified } = await bundle()
    const rows = measureRooms(metafile, text, minified)
    const size = sizeOf(minified)
    const sumOf = (unit: 'bytes' | 'functions') => rows.reduce((sum, row) => sum + row[unit], 0)
    expect(size.bytes).toBe(Buffer.byteLength(minified))
    expect(size.functions).toBe(sumOf('functions'))
    expect(size.bytes - sumOf('bytes')).toBeGreaterThan(0)
    expect(size.bytes - sumOf('bytes')).toBeLessThan(50)
    expect(rows.map(({ name }) => name).slice(0, 5)).toEqual([
      'core/admit',
      'core/body',
      'core/limits',
      'core/meter',
      'edge/gate',
    ])
  })

  test('counts functions, arrows and methods in the room where they are, not what is shaken off', async () => {
    const before = await bundle()
    const planted = `
      export function shaken() { return [1].map((x) => x) }
      ;(globalThis as any).kept = { method() {}, arrow: () => [1].map(function (x) { return x }) }`
    const after = await bundle({ 'src/core/admit/route.ts': planted })
    const rows = measureRooms(before.metafile, before.text, before.minified)
    const more = measureRooms(after.metafile, after.text, after.minified)
    const functions = rowOf(rows, 'core/admit').functions
    expect(rowOf(more, 'core/admit').functions).toBe(functions + 3)
    for (const name of ['core/body', 'edge/gate', 'src/core/time.ts']) {
      expect(rowOf(more, name)).toEqual(rowOf(rows, name))
    }
  })

  test('a string that looks like the name of a module is none', async () => {
    const planted = '(globalThis as any).kept = [`\n// src/core/time.ts\n`, () => 1]'
    const usual = await bundle()
    const functions = rowOf(
      measureRooms(usual.metafile, usual.text, usual.minified),
      'src/core/time.ts',
    ).functions
    const { metafile, text, minified } = await bundle({ 'src/core/admit/route.ts': planted })
    const rows = measureRooms(metafile, text, minified)
    expect(rowOf(rows, 'src/core/time.ts').functions).toBe(functions)
  })

  test('throws when the two bundles are not the same', async () => {
    const { metafile, text, minified } = await bundle()
    expect(() => measureRooms(metafile, text, `${minified}\n;(() => 1)()`)).toThrow(
      /^Cannot count functions: the rooms have (\d+), all together (?!\1)\d+$/,
    )
  })
})

describe('findExcess', () => {
  const rows = [
    { name: 'core/admit', bytes: 600, functions: 3 },
    { name: 'core/body', bytes: 400, functions: 9 },
  ]
  const bound = { bytes: 1000, functions: 12 }

  test.each([
    ['exactly at both bounds', { bytes: 1000, functions: 12 }, []],
    ['one byte over', { bytes: 1001, functions: 12 }, [/1001 bytes, 1 above its bound of 1000/]],
    ['one function over', { bytes: 1000, functions: 13 }, [/13 functions, 1 above .* of 12/]],
    ['both over', { bytes: 2000, functions: 20 }, [/2000 bytes/, /20 functions/]],
  ])('%s', (_, size, patterns) => {
    expect(findExcess(size, rows, bound)).toEqual(
      patterns.map((pattern) => expect.stringMatching(pattern)),
    )
  })

  test('names the rooms that have most of it', () => {
    const [problem] = findExcess({ bytes: 1, functions: 13 }, rows, bound)
    expect(problem).toContain('most are in core/body 9, core/admit 3')
  })
})

describe('findTopExcess', () => {
  test('counts the functions at the top, and not those within', () => {
    const functions = (count: number) =>
      Array.from({ length: count }, (_, index) => `function f${index}() { return () => 1 }`)
    const most = `${functions(TOP_FUNCTIONS_MAX).join('\n')}\nvar x = function () {}`
    expect(findTopExcess(most)).toEqual([])
    const [problem] = findTopExcess(functions(TOP_FUNCTIONS_MAX + 2).join('\n'))
    expect(problem).toContain(`${TOP_FUNCTIONS_MAX + 2} functions at its top, 2 above its bound`)
  })
})

describe('describeGate', () => {
  test('prints each room, the bounds, and that they are above the target', () => {
    const rows = [{ name: 'core/admit', bytes: 600, functions: 3 }]
    const text = describeGate({ bytes: 57326, functions: 372 }, rows)
    expect(text).toMatch(/core\/admit +600 bytes +3 functions/)
    expect(text).toContain(`of at most ${GATE_BOUND.bytes} and ${GATE_BOUND.functions}`)
    expect(text).toContain(
      'The target is 18432 bytes and 60 functions: the gate is above it, and its bound is above it',
    )
  })

  test('says when the gate is within the target', () => {
    expect(describeGate({ bytes: 18432, functions: 60 }, [])).toMatch(/functions: its bound is/)
  })
})

test.each([
  ['src/core/admit/route.ts', 'core/admit'],
  ['src/core/time.ts', 'core'],
  ['src/edge/housekeeping.ts', 'edge'],
  ['src/mock/clock.ts', 'mock'],
  ['node_modules/x/index.js', 'node_modules/x/index.js'],
])('the room of %s is %s', (path, room) => {
  expect(roomOf(path)).toBe(room)
})
