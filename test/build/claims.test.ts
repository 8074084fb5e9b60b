import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { claimsOf } from '../../bench/report/claims.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const claims = claimsOf(JSON.parse(read('bench/results.json')))

describe.each(['README.md', 'README.zh-TW.md'])('%s', (page) => {
  const [, section = ''] = /\n## (?:What it costs|成本)\n([\s\S]*?)\n## /.exec(read(page)) ?? []

  test('has the ratios of the last run of the bench', () => {
    const rows = section.split('\n').filter((line) => /^\|.*\d/.test(line))
    const figures = rows.map((row) => row.match(/\d[\d.]*/g))
    expect(figures).toEqual(claims.ratios)
  })

  test('says what a core carries, as the last run has it', () => {
    for (const figure of claims.perSecond) expect(section).toContain(` ${figure} `)
  })

  test('tells the ratios of other ways, as the last run has them', () => {
    const told = section.split('\n').filter((line) => !line.startsWith('|'))
    const all = told.join(' ').match(/\d[\d.,]*\d|\d/g) ?? []
    for (const figure of Object.values(claims.peers).flat()) {
      if (figure !== undefined) expect(all).toContain(figure)
    }
  })
})
