import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')

const IMPORT = 'lint/style/noRestrictedImports'
const GLOBAL = 'lint/style/noRestrictedGlobals'
const PROPERTY = 'lint/nursery/noJsRestrictedProperties'
const PLUGIN = 'plugin'

/** What core may not hold, and the rule that says so. */
const refused = [
  ["import fs from 'fs'\nexport { fs }", IMPORT],
  ["import { readFile } from 'node:fs/promises'\nexport { readFile }", IMPORT],
  ["import crypto from 'crypto'\nexport { crypto }", IMPORT],
  ["import type { Stats } from 'fs'\nexport type X = Stats", IMPORT],
  ["export { join } from 'node:path'", IMPORT],
  ["import { html } from '@some/package'\nexport { html }", IMPORT],
  ["export const loaded = import('fs')", IMPORT],
  ["export const zone = ngx.shared['tollgate_clients']", GLOBAL],
  ["export const engine = typeof njs === 'undefined'", GLOBAL],
  ['export const { env } = process', GLOBAL],
  ["export const path = require('path')", GLOBAL],
  ["export const hidden = globalThis['ngx']", GLOBAL],
  ['export const timer = setTimeout(() => null, 1)', GLOBAL],
  ['export const nowMs = Date.now()', PROPERTY],
  ["export const nowMs = Date['now']()", PROPERTY],
  ['export const clock = Date.now', PROPERTY],
  ['export const { now } = Date', PROPERTY],
  ['export const dice = Math.random()', PROPERTY],
  ['export const now = new Date()', PLUGIN],
  ['export const now = new Date', PLUGIN],
  ['export const now = Date()', PLUGIN],
] as const

const allowed = [
  "import { formatTime } from '../time.ts'\nexport { formatTime }",
  "import { routeOf } from './route.ts'\nexport { routeOf }",
  'export const text = (nowMs: number) => new Date(nowMs).toISOString()',
  'export const ms = (text: string) => Date.parse(text) + Date.UTC(2026, 0)',
  'export const largest = Math.max(1, 2)',
  "export const bytes = Buffer.from('x')",
]

/** `src/core/planted/refused-3.ts`: the number is that of the row. */
const pathOf = (house: string, kind: string, row: number) =>
  `src/${house}/planted/${kind}-${row}.ts`

let folder: string
let found: Map<string, Set<string>>

/** All is looked at in one run, below a folder that has the configuration of the project. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-lint-'))
  for (const name of ['biome.json', '.gitignore', 'build/core.grit']) {
    cpSync(join(ROOT, name), join(folder, name))
  }
  const plant = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), `${text}\n`)
  }
  refused.forEach(([text], row) => {
    plant(pathOf('core', 'refused', row), text)
    plant(pathOf('edge', 'refused', row), text)
  })
  allowed.forEach((text, row) => {
    plant(pathOf('core', 'allowed', row), text)
  })
  found = lint()
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The rules that each file breaks. */
function lint(): Map<string, Set<string>> {
  const args = [BIOME, 'lint', '--reporter=json', '--max-diagnostics=none', 'src']
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  if (!stdout.includes('{')) throw new Error(`biome said: ${stdout}${stderr}`)
  const rules = new Map<string, Set<string>>()
  for (const { category, location } of JSON.parse(stdout).diagnostics) {
    const path = location.path.file ?? location.path
    rules.set(path, (rules.get(path) ?? new Set()).add(category))
  }
  return rules
}

describe('core', () => {
  test.each(refused.map(([text, rule], row) => [text, rule, row] as const))(
    'may not have %j: %s',
    (_, rule, row) => {
      expect([...(found.get(pathOf('core', 'refused', row)) ?? [])]).toContain(rule)
    },
  )

  test.each(allowed.map((text, row) => [text, row] as const))('may have %j', (_, row) => {
    expect(found.get(pathOf('core', 'allowed', row))).toBeUndefined()
  })
})

test('edge may have all of it', () => {
  const rules = refused.flatMap((_, row) => [...(found.get(pathOf('edge', 'refused', row)) ?? [])])
  for (const rule of [IMPORT, GLOBAL, PROPERTY, PLUGIN]) expect(rules).not.toContain(rule)
})
