import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findTrespasses, readAllImports, readImports } from '../../build/rooms.ts'

const SRC = resolve(import.meta.dirname, '../../src')

test('every import below src/ keeps to the walls', () => {
  const imports = readAllImports(SRC)
  expect(imports.length).toBeGreaterThan(500)
  expect(findTrespasses(imports)).toEqual([])
})

describe('findTrespasses', () => {
  test.each([
    ['core/admit/route.ts', '../../edge/gate/door.ts', 'edge'],
    ['core/admit/route.ts', '../../cli/output.ts', 'cli'],
    ['core/admit/route.ts', '../../console/format.ts', 'console'],
    ['core/time.ts', '../mock/clock.ts', 'mock'],
    ['edge/gate/door.ts', '../../cli/output.ts', 'cli'],
    ['edge/gate/door.ts', '../../console/format.ts', 'console'],
    ['edge/gate/door.ts', '../../mock/clock.ts', 'mock'],
    ['edge/gate/door.ts', '../../../test/nginx/wire.ts', 'test'],
    ['edge/gate/door.ts', '../../../bench/stats.ts', 'bench'],
    ['cli/output.ts', '../edge/admin/places.ts', 'edge'],
    ['cli/output.ts', '../console/format.ts', 'console'],
    ['console/format.ts', '../edge/admin/places.ts', 'edge'],
    ['console/format.ts', '../cli/output.ts', 'cli'],
    ['mock/clock.ts', '../core/time.ts', 'core'],
    ['gate.ts', './cli/output.ts', 'cli'],
  ])('src/%s may not import %s', (from, to) => {
    const [problem, ...others] = findTrespasses(readImports(from, `\nimport { x } from '${to}'`))
    expect(others).toEqual([])
    expect(problem).toMatch(new RegExp(`^src/${from}:2 imports .*${to.replace(/^[./]+/, '')}: `))
    expect(problem).toContain('Move what both need to core')
  })

  test.each([
    ['a type', "import type { X } from '../edge/x.ts'"],
    ['one type of several', "import { type X } from '../edge/x.ts'"],
    ['what is handed on', "export * from '../edge/x.ts'"],
    ['an import for its effect', "import '../edge/x.ts'"],
    ['an import at run time', "const x = await import('../edge/x.ts')"],
    ['a type in its place', "export type X = import('../edge/x.ts').X"],
    ['a call of require', "const x = require('../edge/x.ts')"],
  ])('sees %s', (_, text) => {
    expect(findTrespasses(readImports('core/time.ts', text))).toHaveLength(1)
  })

  test.each([
    ['edge/gate/door.ts', '../../core/time.ts'],
    ['cli/output.ts', '../core/time.ts'],
    ['cli/commands/serve.ts', '../../mock/server.ts'],
    ['console/format.ts', '../core/time.ts'],
    ['cli/main.ts', '../../package.json'],
    ['gate.ts', './edge/gate/door.ts'],
  ])('src/%s may import %s', (from, to) => {
    expect(findTrespasses(readImports(from, `import { x } from '${to}'`))).toEqual([])
  })

  test('tells of a house that it does not know', () => {
    expect(findTrespasses(readImports('shed/x.ts', "import '../core/time.ts'"))).toEqual([
      'src/shed/x.ts:1 stands in shed, which build/rooms.ts does not know',
    ])
  })
})
