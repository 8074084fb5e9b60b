import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import ts from 'typescript'

/**
 * Which houses of src/ a file may import from, types too, by the house that it stands in. `core` runs in
 * nginx, in Node and in browsers, and so knows of none; what both ends of the admin API have in common
 * is in `core`, and not in the other end.
 */
export const NEIGHBOURS: Record<string, readonly string[]> = {
  core: ['core'],
  edge: ['edge', 'core'],
  'gate.ts': ['edge'],
  'rare.ts': ['edge'],
  'admin.ts': ['edge'],
  cli: ['cli', 'core', 'mock'],
  console: ['console', 'core'],
  mock: ['mock'],
  njs: [],
}

/** Besides, for the version. */
const PACKAGE = '../package.json'

/** An import: both paths are below src/, `line` counts from 1. */
export type Import = { from: string; line: number; to: string }

/** Every import of a file below src/ by a relative path, those of types included. */
export function readImports(from: string, text: string): Import[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName, pos }) => ({
      from,
      line: text.slice(0, pos).split('\n').length,
      to: posix.join(posix.dirname(from), fileName),
    }))
}

/** The imports of all files below a folder, which is src/. */
export function readAllImports(folder: string): Import[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .sort()
    .flatMap((name) =>
      readImports(name.replaceAll('\\', '/'), readFileSync(join(folder, name), 'utf8')),
    )
}

/** Tells which imports go through a wall, and what to do. */
export function findTrespasses(imports: readonly Import[]): string[] {
  return imports.flatMap(({ from, line, to }) => {
    const house = houseOf(from)
    const neighbours = NEIGHBOURS[house]
    if (!neighbours)
      return [`src/${from}:${line} stands in ${house}, which build/rooms.ts does not know`]
    if (to === PACKAGE || neighbours.includes(houseOf(to))) return []
    const may = neighbours.length > 0 ? neighbours.join(', ') : 'nothing'
    return [
      [
        `src/${from}:${line} imports ${posix.join('src', to)}: ${house} may import from ${may}`,
        '  Move what both need to core, or hand it in as an argument',
      ].join('\n'),
    ]
  })
}

/** `core` of core/admit/route.ts, and `gate.ts` of itself. */
function houseOf(path: string): string {
  return path.split('/')[0] ?? dirname(path)
}
