import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LIMIT_VARIABLES } from '../../build/includes/limits.ts'
import { routesConf } from '../../build/includes/routes.ts'
import { literal, quote, writeComment } from '../../build/includes/write.ts'
import { makeIncludes } from '../../build/includes.ts'
import { answerRefusal } from '../../src/core/admit/answer.ts'
import { listRefusals } from '../../src/core/admit/refusals.ts'
import { listRoutes } from '../../src/core/admit/routes.ts'

const FOLDER = resolve(import.meta.dirname, '../../nginx/tollgate')

describe('makeIncludes', () => {
  test.each(Object.entries(makeIncludes()))('%s is what is checked in', (name, text) => {
    expect(readFileSync(join(FOLDER, name), 'utf8'), 'run node build.mjs').toBe(text)
  })

  test('names every route once by its line, and once by its path', () => {
    const text = makeIncludes()['routes.conf'] ?? ''
    for (const { method, path, name } of listRoutes()) {
      expect(text).toContain(`  "${method} ${path}" ${name};\n`)
      expect(text).toContain(`  ${path} ${name};\n`)
    }
  })

  test('makes the variables that answer.conf has headers of, and asks for the first one first', () => {
    const text = readFileSync(join(FOLDER, 'answer.conf'), 'utf8')
    const named = [...text.matchAll(/RateLimit-\S+ \$(\w+) always/gi)].map(([, name]) => name)
    expect(named[0]).toBe(LIMIT_VARIABLES[0])
    expect(named.toSorted()).toEqual(LIMIT_VARIABLES.toSorted())
  })

  test('answers every refusal with its status', () => {
    const { 'refused.conf': text = '' } = makeIncludes()
    for (const outcome of listRefusals()) {
      const { status } = answerRefusal({ outcome, dialect: 'openai' }, 0, '')
      expect(text).toContain(`{ return ${status} $tg_refusal; }`)
    }
  })

  test('cannot write a path that would mean something else in a pattern', () => {
    const [route] = listRoutes()
    if (!route) throw new Error('There is no route')
    expect(() => routesConf([{ ...route, path: '/v1/chat.completions' }])).toThrow(
      'Cannot write /v1/chat.completions as a pattern as it is',
    )
  })
})

describe('quote', () => {
  test.each([
    ['a word', 'chat', 'chat'],
    ['nothing', '', '""'],
    ['a space', 'a b', '"a b"'],
    ['a variable', '$request_uri', '$request_uri'],
    ['a quote', '{"a":1}', `'{"a":1}'`],
    ['both quotes', `"it's"`, `'"it\\'s"'`],
    ['a backslash that nginx keeps', '~^\\|', '"~^\\|"'],
    ['one that it would drop', 'say \\"no\\"', `'say \\\\"no\\\\"'`],
    ['two letters that it would make a line end', 'a\\nb', '"a\\\\nb"'],
    ['a backslash at the end', 'a\\', '"a\\\\"'],
  ])('%s', (_, text, written) => {
    expect(quote(text)).toBe(written)
  })

  test('refuses a line end', () => {
    expect(() => quote('a\nb')).toThrow('Cannot write "a\\nb" for nginx')
  })
})

test('literal refuses a dollar sign, for which nginx has no escape', () => {
  expect(() => literal('5 $')).toThrow('dollar sign')
})

test('writeComment breaks lines before column 110', () => {
  const lines = writeComment('word '.repeat(100)).split('\n')
  expect(lines.length).toBeGreaterThan(4)
  expect(lines.every((line) => line.startsWith('# word') && line.length <= 110)).toBe(true)
})
