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
    ['newest, access door is a text here', 'passed'],
  ])
  const gate = file('nginx', [
    ["'newest, access door' > a key opens", 'passed'],
    ["'newest, access door': the ledger > a line", 'failed'],
    ['newest, content door > a key opens', 'skipped'],
    ["'debian13, content door' > a key opens", 'pending'],
    ["'container, access door' > a key opens", 'passed'],
    ['tollgate serve > prints a key', 'passed'],
  ])
  expect(lines(units, gate)).toEqual([
    'unit: 2 passed',
    'newest, access door: 1 passed, 1 failed',
    'newest, content door: 0 passed, 1 skipped',
    'debian13, content door: 0 passed, 1 skipped',
    'container: 1 passed',
    'an nginx of their own: 1 passed',
  ])
})

test('a world in which nothing ran is told', () => {
  expect(lines(file('nginx', [["'newest, access door' > x", 'passed']]))).toEqual([
    'unit: none ran',
    'newest, access door: 1 passed',
    'newest, content door: none ran',
    'debian13, content door: none ran',
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
