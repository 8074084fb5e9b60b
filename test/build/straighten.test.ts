import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { straighten } from '../../build/straighten.ts'

/** A module as esbuild writes it. */
function moduleOf(name: string, code: string, imports = ''): string {
  return `${imports}${code}\nvar door_default = { ${name} };\nexport {\n  door_default as default\n};\n`
}

/** What the straightened module exports. */
async function exportsOf(source: string): Promise<Record<string, (argument: object) => unknown>> {
  const text = await straighten(source)
  return runInNewContext(text.replace('export default', 'globalThis.exported ='))
}

describe('straighten', () => {
  test('puts a function where it is called, and keeps the names of properties', async () => {
    const source = moduleOf(
      'first',
      `
      function small(r) { if (r.outcome) { return r.outcome } return 'none' }
      function first(r) { const told = small(r); return { told, longName: 1 } }`,
    )
    const text = await straighten(source)
    expect(text.match(/function/g)).toHaveLength(1)
    const { first } = await exportsOf(source)
    expect(first?.({ outcome: 'ok' })).toEqual({ told: 'ok', longName: 1 })
    expect(first?.({})).toEqual({ told: 'none', longName: 1 })
  })

  test('leaves the imports, the default export and what nginx gives by their names', async () => {
    const text = await straighten(
      moduleOf(
        'find',
        'function find(secret) { return ngx.shared.tollgate_clients.get(crypto.createHash(secret)) }',
        'import crypto from "crypto";\n',
      ),
    )
    expect(text).toMatch(/^import crypto from "crypto";/)
    expect(text).toMatch(
      /export default \{find:function\(\w\)\{return ngx\.shared\.tollgate_clients\.get\(crypto\./,
    )
  })

  test('makes ES5 of let, const, arrows and templates, which njs reads as well', async () => {
    const source = moduleOf(
      'count',
      `
      function count(list) { let sum = 0; for (let i = 0; i < list.length; i++) { const x = list[i]; sum += x }
        return list.map((x) => \`\${x}/\${sum}\`) }`,
    )
    const text = await straighten(source)
    expect(text).not.toMatch(/\b(?:let|const)\b|=>|`/)
    const { count } = await exportsOf(source)
    expect(count?.([1, 2])).toEqual(['1/3', '2/3'])
  })

  test('refuses a module that imports or exports otherwise', async () => {
    const source = `import { createHash } from "crypto";\nexport function find() {}\n`
    await expect(straighten(source)).rejects.toThrow('an import of another form')
  })
})
