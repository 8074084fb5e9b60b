import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { findRoute, isPublicAllowed, listRoutes } from '../../../src/core/admit/routes.ts'

const source = readFileSync(new URL('../../../src/core/admit/route.ts', import.meta.url), 'utf8')
const cases = [...source.matchAll(/case '([^']+)'/g)].map((match) => match[1])

describe('findRoute', () => {
  test('knows exactly the names that have a path', () => {
    expect(listRoutes().map((route) => route.name)).toHaveLength(cases.length)
    expect(new Set(listRoutes().map((route) => route.name))).toEqual(new Set(cases))
  })

  test('gives every path a name of its own that policy.json can hold', () => {
    const names = listRoutes().map((route) => route.name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
  })

  test('finds a route under its own path', () => {
    for (const route of listRoutes()) expect(findRoute(route.path)).toEqual(route)
  })

  test('opens without a policy only what the table of the design opens', () => {
    const open = listRoutes().filter((route) => route.access !== 'off')
    expect(open.map((route) => `${route.access} ${route.method} ${route.path}`)).toEqual([
      'key POST /v1/chat/completions',
      'key POST /v1/completions',
      'key POST /v1/responses',
      'key POST /v1/messages',
      'key POST /v1/messages/count_tokens',
      'key GET /v1/models',
      'key POST /v1/embeddings',
      'key POST /v1/score',
      'key POST /v1/rerank',
      'key POST /v2/rerank',
      'key POST /v2/embed',
      'key POST /v1/audio/transcriptions',
      'key POST /v1/audio/translations',
      'public GET /health',
    ])
  })

  test('lets only routes without generation be opened to everybody', () => {
    const allowed = listRoutes().filter(isPublicAllowed)
    expect(allowed.map((route) => route.name)).toEqual([
      'models',
      'health',
      'ping',
      'version',
      'load',
      'metrics',
    ])
  })

  test('speaks Anthropic on the messages routes alone', () => {
    const anthropic = listRoutes().filter((route) => route.dialect === 'anthropic')
    expect(anthropic.map((route) => route.path)).toEqual([
      '/v1/messages',
      '/v1/messages/count_tokens',
    ])
  })

  test.each([
    ['nothing', ''],
    ['the root', '/'],
    ['a prefix of a route', '/v1'],
    ['a slash behind it', '/v1/models/'],
    ['two slashes before it', '//v1/models'],
    ['capitals', '/V1/models'],
    ['an encoded letter', '/v1/model%73'],
    ['an encoded slash', '/v1%2fmodels'],
    ['a path parameter', '/v1/models;x'],
    ['a dot segment', '/v1/./models'],
    ['a model below the models', '/v1/models/gpt'],
    ['a space behind it', '/v1/models '],
    ['a NUL behind it', '/v1/models\0'],
    ['an absolute target', 'http://vllm/v1/models'],
    ['SageMaker’s one path for everything', '/invocations'],
    ['scoring without a key in vLLM', '/score'],
    ['reranking without a key in vLLM', '/rerank'],
    ['generation by token ids', '/inference/v1/generate'],
    ['the pages of FastAPI', '/docs'],
    ['stored responses', '/v1/responses/resp_1'],
    ['a name that every object has', 'constructor'],
  ])('knows no route for %s', (_, path) => {
    expect(findRoute(path)).toBeNull()
  })
})

test('no file of core but route.ts names a path of the server behind', () => {
  const folder = new URL('../../../src/core/', import.meta.url)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => name.endsWith('.ts'))
  const others = files.filter((name) => !/\/routes?\.ts$/.test(name))
  for (const name of others) {
    expect(readFileSync(new URL(name, folder), 'utf8'), name).not.toMatch(/'\/v[12]\//)
  }
})
