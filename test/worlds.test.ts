import { expect, test } from 'vitest'
import { describeWorlds, type File } from './worlds.ts'

const file = (project: string, tests: [string, File['tests'][0]['state']][], isWhole = true) => ({
  project,
  isWhole,
  tests: tests.map(([name, state]) => ({ name, state })),
})

const lines = (...files: File[]) =>
  describeWorlds(files)
    .filter(Boolean)
    .map((line) => line.trim().replaceAll(/ {2,}/g, ': '))

test('units and worlds are counted apart, failed and skipped tests too', () => {
  const units = file('unit', [
    ['a', 'passed'],
    ['newest: a text here', 'passed'],
  ])
  const gate = file('nginx', [
    ["'newest' > a key opens", 'passed'],
    ["'newest': the ledger > a line", 'failed'],
    ['newest > a key opens', 'skipped'],
    ['newest of all things is a title', 'passed'],
    ["'debian13' > a key opens", 'pending'],
    ["'container' > a key opens", 'passed'],
    ['tollgate serve > prints a key', 'passed'],
  ])
  expect(lines(units, gate)).toEqual([
    'unit: 2 passed',
    'newest: 1 passed, 1 failed, 1 skipped',
    'debian13: 0 passed, 1 skipped',
    'container: 1 passed',
    'an nginx of their own: 2 passed',
  ])
})

test('a world in which nothing ran is told', () => {
  expect(lines(file('nginx', [["'newest' > x", 'passed']]))).toEqual([
    'unit: none ran',
    'newest: 1 passed',
    'debian13: none ran',
    'container: none ran',
  ])
})

test('units alone say nothing of worlds', () => {
  expect(lines(file('unit', [['a', 'passed']]))).toEqual(['unit: 1 passed'])
})

test('a file that failed around its tests is told', () => {
  expect(lines(file('unit', [['a', 'passed']], false))).toEqual([
    'unit: 1 passed, files that failed as a whole: 1',
  ])
})
