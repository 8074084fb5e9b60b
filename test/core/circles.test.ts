import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

/** What a file is made of, by its own path: also `import type`, which no bundle shows. */
type Graph = Map<string, string[]>

const IMPORT = /^(?:import|export)\b[^'"]*?\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm

it('no file of src/ imports itself by way of others', () => {
  expect(listCircles(readGraph('src'))).toEqual([])
})

it('a circle is named by all of its files', () => {
  const graph: Graph = new Map([
    ['door', ['a']],
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', []],
  ])
  expect(listCircles(graph)).toEqual(['a > b > c > a'])
})

function readGraph(root: string): Graph {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => /\.tsx?$/.test(name)).map((name) => join(root, name))
  return new Map(files.map((file) => [file, importsOf(file)]))
}

function importsOf(file: string): string[] {
  const found = [...readFileSync(file, 'utf8').matchAll(IMPORT)]
  return found.map(([, from, late]) => join(dirname(file), from ?? late ?? ''))
}

/** One circle for each way back to a file that is being followed. */
function listCircles(graph: Graph): string[] {
  const circles: string[] = []
  const done = new Set<string>()
  const follow = (file: string, way: string[]): void => {
    const at = way.indexOf(file)
    if (at >= 0) circles.push([...way.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const next of graph.get(file) ?? []) follow(next, [...way, file])
    done.add(file)
  }
  for (const file of graph.keys()) follow(file, [])
  return circles
}
